// SPDX-License-Identifier: Apache-2.0
// GET /metrics, in the format that the scraper asks for. The text is put together on the blocking
// pool: the reactor only sends it.
#include "plugins/monitor/metrics/open_metrics.hpp"
#include "sdk/machine/page.hpp"

#include <tenon/http.hpp>
#include <tenon/in_flight.hpp>
#include <tenon/plugin.hpp>

#include <atomic>
#include <memory>
#include <string>

namespace tenon::monitor {
namespace {

constexpr std::string_view k_text_format = "text/plain; version=0.0.4; charset=utf-8";
constexpr std::string_view k_open_metrics =
    "application/openmetrics-text; version=1.0.0; charset=utf-8";
constexpr HttpAnswer k_busy{
    503,
    "application/json",
    R"({"error":{"code":"busy","message":"too much is being collected"}})"};
constexpr HttpAnswer k_failed{
    500,
    "application/json",
    R"({"error":{"code":"failed","message":"the metrics could not be collected"}})"};

// Scrapes at a time. Anybody may ask, and the pool has work of others to do.
constexpr std::uint32_t k_scrapes_max = 4;

class MetricsPlugin final : public Plugin {
public:
    using Plugin::Plugin;

    void configure(std::string_view, bool) override {}

    void start() override {
        data_dir_ = host().environment("data_dir");
        exec_ = host().service<tenon_exec_1>("tenon.exec/1");
        metrics_ = host().service<tenon_metrics_1>("tenon.metrics/1");
        routes_ =
            std::make_unique<HttpRoutes>(host().require<tenon_http_routes_1>("tenon.http_routes/1")
            );
        routes_->mount("GET", "/metrics", [this](const tenon_http_request& request) {
            collect(request.handle, asks_open_metrics(request));
        });
    }

    void stop() noexcept override {
        if (routes_) {
            routes_->clear();
            in_flight_.wait();
            routes_.reset();
        }
    }

private:
    static bool asks_open_metrics(const tenon_http_request& request) {
        for (std::uint32_t i = 0; i < request.header_count; ++i) {
            if (view(request.headers[i].name) == "accept" &&
                wants_open_metrics(view(request.headers[i].value))) {
                return true;
            }
        }
        return false;
    }

    void collect(std::uint64_t request, bool open_metrics) {
        if (scrapes_.load() == k_scrapes_max) {
            (void)routes_->respond(request, k_busy);
            return;
        }
        enter();
        try {
            run_blocking(exec_, [this, request, open_metrics] {
                std::string body;
                (void)guard(nullptr, [&] {
                    body = machine::metrics_page(metrics_, data_dir_);
                    if (open_metrics) {
                        body = to_open_metrics(body);
                    }
                });
                finish(request, std::move(body), open_metrics ? k_open_metrics : k_text_format);
            });
        } catch (const Error&) {
            leave();
            (void)routes_->respond(request, k_busy);
        }
    }

    void enter() {
        in_flight_.enter();
        ++scrapes_;
    }

    void leave() noexcept {
        --scrapes_;
        in_flight_.leave();
    }

    // On the pool; the answer is given on the reactor, which alone may.
    void finish(std::uint64_t request, std::string text, std::string_view format) {
        try {
            post(exec_, 0, [this, request, format, body = std::move(text)] {
                if (body.empty()) {
                    (void)routes_->respond(request, k_failed);
                } else {
                    (void
                    )routes_->respond(request, {200, format, body, {{str("vary"), str("accept")}}});
                }
                leave();
            });
        } catch (const Error& e) {
            host().log().warn("metrics not answered", {{"reason", e.what()}});
            leave();
        }
    }

    Service<tenon_exec_1> exec_;
    Service<tenon_metrics_1> metrics_;
    std::string data_dir_;
    InFlight in_flight_;
    std::atomic<std::uint32_t> scrapes_{0};  // what in_flight_ counts; it cannot be asked
    std::unique_ptr<HttpRoutes> routes_;
};

}  // namespace
}  // namespace tenon::monitor

TENON_EXPORT_PLUGIN(tenon::monitor::MetricsPlugin)
