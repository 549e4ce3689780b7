// SPDX-License-Identifier: Apache-2.0
// GET /metrics, in the format that the scraper asks for. The page is collected on the blocking
// pool, at everybody's priority: the series' owners hold their locks meanwhile. What costs most,
// converting and compressing it, holds none, and is left to a thread that steps back for all others
// (SCHED_IDLE in sched(7): of a busy processor it gets a three-hundredth). The reactor only sends
// what is short.
#include "plugins/monitor/metrics/open_metrics.hpp"
#include "sdk/machine/page.hpp"
#include "sdk/net/gzip.hpp"

#include <tenon/http.hpp>
#include <tenon/in_flight.hpp>
#include <tenon/plugin.hpp>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <pthread.h>
#include <sched.h>
#include <string>
#include <thread>

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

// Scrapes at a time: anybody may ask.
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
        stops_ = false;
        thread_ = std::thread{[this] { run(); }};
        routes_->mount("GET", "/metrics", [this](const tenon_http_request& request) {
            collect(asked(request));
        });
    }

    void stop() noexcept override {
        if (routes_) {
            routes_->clear();
            in_flight_.wait();
            {
                const std::lock_guard lock{mutex_};
                stops_ = true;
            }
            wanted_.notify_one();
            thread_.join();
            routes_.reset();
        }
    }

private:
    struct Scrape {
        std::uint64_t request = 0;
        bool open_metrics = false;
        bool gzip = false;
    };

    struct Collected {
        Scrape scrape;
        std::string page;  // empty: failed
    };

    static Scrape asked(const tenon_http_request& request) {
        Scrape scrape{request.handle};
        for (std::uint32_t i = 0; i < request.header_count; ++i) {
            const std::string_view name = view(request.headers[i].name);
            const std::string_view value = view(request.headers[i].value);
            if (name == "accept") {
                scrape.open_metrics = scrape.open_metrics || wants_open_metrics(value);
            } else if (name == "accept-encoding") {
                scrape.gzip = net::accepts_gzip(value);
            }
        }
        return scrape;
    }

    void collect(const Scrape& scrape) {
        if (in_hand_.load() == k_scrapes_max) {
            (void)routes_->respond(scrape.request, k_busy);
            return;
        }
        enter();
        try {
            run_blocking(exec_, [this, scrape] {
                std::string page;
                (void)guard(nullptr, [&] { page = machine::metrics_page(metrics_, data_dir_); });
                hand_over(scrape, std::move(page));
            });
        } catch (const Error&) {
            leave();
            (void)routes_->respond(scrape.request, k_busy);
        }
    }

    // [io]
    void hand_over(const Scrape& scrape, std::string page) {
        {
            const std::lock_guard lock{mutex_};
            collected_.push_back({scrape, std::move(page)});
        }
        wanted_.notify_one();
    }

    // [thread_]
    void run() {
        // Where the service manager forbids it the thread runs at everybody's priority.
        const sched_param none{};
        (void)::pthread_setschedparam(::pthread_self(), SCHED_IDLE, &none);
        net::Packer packer;
        for (;;) {
            Collected next;
            {
                std::unique_lock lock{mutex_};
                wanted_.wait(lock, [this] { return stops_ || !collected_.empty(); });
                if (collected_.empty()) {
                    return;
                }
                next = std::move(collected_.front());
                collected_.pop_front();
            }
            std::string body;
            (void)guard(nullptr, [&] { body = represent(packer, next); });
            finish(next.scrape, std::move(body));
        }
    }

    // Clears `gzip` when the page is sent as it is.
    static std::string represent(net::Packer& packer, Collected& collected) {
        Scrape& scrape = collected.scrape;
        std::string body =
            scrape.open_metrics ? to_open_metrics(collected.page) : std::move(collected.page);
        std::string packed = scrape.gzip ? packer.pack(body) : "";
        scrape.gzip = !packed.empty();
        return scrape.gzip ? packed : body;
    }

    void enter() {
        in_flight_.enter();
        ++in_hand_;
    }

    void leave() noexcept {
        --in_hand_;
        in_flight_.leave();
    }

    // [thread_]; the answer is given on the reactor, which alone may.
    void finish(const Scrape& scrape, std::string text) {
        try {
            post(exec_, 0, [this, scrape, body = std::move(text)] {
                respond(scrape, body);
                leave();
            });
        } catch (const Error& e) {
            host().log().warn("metrics not answered", {{"reason", e.what()}});
            leave();
        }
    }

    void respond(const Scrape& scrape, const std::string& body) {
        const tenon_http_header vary{str("vary"), str("accept, accept-encoding")};
        const tenon_http_header packed{str("content-encoding"), str("gzip")};
        const std::string_view format = scrape.open_metrics ? k_open_metrics : k_text_format;
        if (body.empty()) {
            (void)routes_->respond(scrape.request, k_failed);
        } else if (scrape.gzip) {
            (void)routes_->respond(scrape.request, {200, format, body, {vary, packed}});
        } else {
            (void)routes_->respond(scrape.request, {200, format, body, {vary}});
        }
    }

    Service<tenon_exec_1> exec_;
    Service<tenon_metrics_1> metrics_;
    std::string data_dir_;
    InFlight in_flight_;
    std::unique_ptr<HttpRoutes> routes_;
    std::mutex mutex_;
    std::condition_variable wanted_;
    std::deque<Collected> collected_;         // guarded by mutex_; at most k_scrapes_max
    bool stops_ = false;                      // guarded by mutex_
    std::atomic<std::uint32_t> in_hand_ = 0;  // not answered
    std::thread thread_;
};

}  // namespace
}  // namespace tenon::monitor

TENON_EXPORT_PLUGIN(tenon::monitor::MetricsPlugin)
