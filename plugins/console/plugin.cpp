// SPDX-License-Identifier: Apache-2.0
// GET / and what the page needs: style sheet and icon, all from here.
#include "plugins/console/status_page.hpp"

#include <tenon/http.hpp>
#include <tenon/plugin.hpp>

#include <memory>
#include <string>

namespace tenon::console {
namespace {

constexpr std::string_view k_policy =
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";
constexpr std::string_view k_day = "public, max-age=86400";

class ConsolePlugin final : public Plugin {
public:
    using Plugin::Plugin;

    void configure(std::string_view, bool) override {}

    void start() override {
        health_ = host().service<tenon_health_1>("tenon.health/1");
        clock_ = host().service<tenon_clock_1>("tenon.clock/1");
        version_ = host().environment("version");
        routes_ =
            std::make_unique<HttpRoutes>(host().require<tenon_http_routes_1>("tenon.http_routes/1")
            );
        routes_->mount("GET", "/", [this](const tenon_http_request& request) { page(request); });
        mount_file("/console.css", "text/css; charset=utf-8", style_sheet());
        mount_file("/favicon.svg", "image/svg+xml", icon_svg());
        routes_->mount("GET", "/favicon.ico", [this](const tenon_http_request& request) {
            (void)routes_->respond(request.handle, {204, {}, {}});
        });
    }

    void stop() noexcept override { routes_.reset(); }

private:
    void page(const tenon_http_request& request) {
        StringSink report;
        (void)health_->report(health_.self, report.sink());
        constexpr std::int64_t k_ns_per_ms = 1'000'000;
        const std::string html =
            status_page(report.text(), version_, clock_->now_real_ns(clock_.self) / k_ns_per_ms);
        (void)routes_->respond(
            request.handle,
            {200,
             "text/html; charset=utf-8",
             html,
             {{str("Content-Security-Policy"), str(k_policy)},
              {str("X-Content-Type-Options"), str("nosniff")},
              {str("Referrer-Policy"), str("no-referrer")},
              {str("Cache-Control"), str("no-store")}}}
        );
    }

    void mount_file(std::string_view path, std::string_view type, std::string_view content) {
        routes_->mount("GET", path, [this, type, content](const tenon_http_request& request) {
            (void)routes_->respond(
                request.handle,
                {200,
                 type,
                 content,
                 {{str("Cache-Control"), str(k_day)},
                  {str("X-Content-Type-Options"), str("nosniff")}}}
            );
        });
    }

    Service<tenon_health_1> health_;
    Service<tenon_clock_1> clock_;
    std::string version_;
    std::unique_ptr<HttpRoutes> routes_;
};

}  // namespace
}  // namespace tenon::console

TENON_EXPORT_PLUGIN(tenon::console::ConsolePlugin)
