// SPDX-License-Identifier: Apache-2.0
// C++ side of tenon.http_routes/1: routes that take a callable, answers in one call.
//
// HttpRoutes owns what it mounted: clear() or the destructor unmounts it, on the control thread.
// The callables run on the reactor that owns the connection and must not block.
#pragma once

#include <tenon/abi/http.h>
#include <tenon/plugin.hpp>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tenon {

struct HttpAnswer {
    std::uint32_t status = 200;
    std::string_view content_type = "application/json";
    std::string_view body;
    std::initializer_list<tenon_http_header> headers = {};
};

class HttpRoutes {
public:
    using Handler = std::function<void(const tenon_http_request&)>;

    HttpRoutes() = default;

    explicit HttpRoutes(Service<tenon_http_routes_1> service) : service_{service} {}

    ~HttpRoutes() { clear(); }

    HttpRoutes(const HttpRoutes&) = delete;
    HttpRoutes& operator=(const HttpRoutes&) = delete;

    // [control] The path as in tenon_http_routes_1.mount. A handler that throws answers 500. Throws
    // Error when the path is taken.
    void mount(std::string_view method, std::string_view path, Handler handler) {
        mounted_.push_back(std::make_unique<Mounted>(Mounted{this, std::move(handler), 0}));
        Mounted& mounted = *mounted_.back();
        const tenon_status status =
            service_->mount(service_.self, str(method), str(path), &mounted, &run, &mounted.handle);
        if (status != TENON_OK) {
            mounted_.pop_back();
            throw Error{status, "cannot mount " + std::string{method} + " " + std::string{path}};
        }
    }

    // [control] After it returns no handler runs.
    void clear() noexcept {
        for (const auto& mounted : mounted_) {
            service_->unmount(service_.self, mounted->handle);
        }
        mounted_.clear();
    }

    // [reactor] TENON_OK | TENON_NOT_FOUND (answered already)
    tenon_status respond(std::uint64_t request, const HttpAnswer& answer) const noexcept {
        tenon_http_response response{};
        response.size = sizeof response;
        response.status = answer.status;
        response.content_type = str(answer.content_type);
        response.body = str(answer.body);
        response.headers = answer.headers.begin();
        response.header_count = static_cast<std::uint32_t>(answer.headers.size());
        return service_->respond(service_.self, request, &response);
    }

private:
    struct Mounted {
        HttpRoutes* owner;
        Handler handler;
        std::uint64_t handle;
    };

    static void run(void* ctx, const tenon_http_request* request) noexcept {
        const Mounted& mounted = *static_cast<const Mounted*>(ctx);
        const tenon_status status = guard(nullptr, [&] { mounted.handler(*request); });
        if (status != TENON_OK) {
            (void)mounted.owner->respond(
                request->handle,
                {500,
                 "application/json",
                 R"({"error":{"code":"internal","message":"the handler failed"}})"}
            );
        }
    }

    Service<tenon_http_routes_1> service_;
    std::vector<std::unique_ptr<Mounted>> mounted_;
};

}  // namespace tenon
