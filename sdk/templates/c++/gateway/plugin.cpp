// SPDX-License-Identifier: Apache-2.0
#include "answers.hpp"

#include <tenon/abi/auth.h>
#include <tenon/http.hpp>
#include <tenon/metrics.hpp>
#include <tenon/settings.hpp>

#include <optional>

namespace {

struct GatewaySettings {
    explicit GatewaySettings(const tenon::Settings& s) : greeting{s.get<std::string>("greeting")} {}

    std::string greeting;
};

class Gateway final : public tenon::Plugin {
public:
    using Plugin::Plugin;

    // Also called by `tenon reload`, for settings marked "x-reload": "live".
    void configure(std::string_view json, bool dry_run) override {
        settings_.configure(json, dry_run);
    }

    void start() override {
        requests_ = tenon::Metrics{host()}.counter(
            "tenon_@identifier@_requests_total", "Requests answered"
        );
        auth_ = host().require<tenon_auth_1>("tenon.auth/1");
        routes_.emplace(host().require<tenon_http_routes_1>("tenon.http_routes/1"));
        routes_->mount("GET", "/api/@name@/hello", [this](const tenon_http_request& request) {
            answer(request, 200, hello_body(settings_->greeting));
        });
        routes_->mount("POST", "/api/@name@/echo", [this](const tenon_http_request& request) {
            echo(request);
        });
    }

    void stop() noexcept override { routes_.reset(); }

private:
    // On the reactor that has the connection: nothing here may block.
    void echo(const tenon_http_request& request) {
        auto who = tenon::sized<tenon_identity>();
        const tenon_bytes signed_part = tenon::bytes(tenon::view(request.body));
        const tenon_status status = auth_->verify(
            auth_.self,
            tenon::str(header_of(request, "x-api-key")),
            &signed_part,
            1,
            tenon::str(header_of(request, "x-signature")),
            &who
        );
        if (status == TENON_OK) {
            answer(request, 200, echo_body(who.account, tenon::view(request.body)));
        } else if (status == TENON_DENIED || status == TENON_NOT_FOUND) {
            // The same for an unknown key and a wrong signature: nobody learns which keys exist.
            answer(request, 401, error_body("unauthorized", "the key or the signature is wrong"));
        } else {
            answer(request, 503, error_body("unavailable", "signatures cannot be checked now"));
        }
    }

    void answer(const tenon_http_request& request, std::uint32_t status, const std::string& body) {
        requests_.add();
        (void)routes_->respond(request.handle, {status, "application/json", body});
    }

    tenon::Live<GatewaySettings> settings_;
    tenon::Counter requests_;
    tenon::Service<tenon_auth_1> auth_;
    std::optional<tenon::HttpRoutes> routes_;
};

}  // namespace

TENON_EXPORT_PLUGIN(Gateway)
