// SPDX-License-Identifier: Apache-2.0
// GET /healthz and /readyz, and rounds of probes on the blocking pool.
#include "plugins/monitor/health/probes.hpp"
#include "plugins/monitor/health/readiness.hpp"

#include <tenon/http.hpp>
#include <tenon/in_flight.hpp>
#include <tenon/plugin.hpp>

#include <boost/json.hpp>

#include <atomic>
#include <memory>
#include <string>

namespace tenon::monitor {
namespace {

constexpr std::int64_t k_ms = 1'000'000;

class HealthPlugin final : public Plugin {
public:
    using Plugin::Plugin;

    void configure(std::string_view text, bool dry_run) override {
        const boost::json::value parsed = boost::json::parse(text);
        const boost::json::object& object = parsed.as_object();
        if (!dry_run) {
            interval_ns_ = object.at("probe_interval_ms").to_number<std::int64_t>() * k_ms;
            timeout_ns_ = object.at("probe_timeout_ms").to_number<std::int64_t>() * k_ms;
            deep_every_ = object.at("deep_every").to_number<std::uint64_t>();
        }
    }

    void start() override {
        exec_ = host().service<tenon_exec_1>("tenon.exec/1");
        clock_ = host().service<tenon_clock_1>("tenon.clock/1");
        health_ = host().service<tenon_health_1>("tenon.health/1");
        const auto metrics = host().service<tenon_metrics_1>("tenon.metrics/1");
        failures_ = metrics->counter(
            metrics.self,
            str("tenon_health_probe_failures_total"),
            str("Probes that did not pass"),
            nullptr,
            0
        );
        find_probes();
        routes_ =
            std::make_unique<HttpRoutes>(host().require<tenon_http_routes_1>("tenon.http_routes/1")
            );
        mount("/healthz", &healthz);
        mount("/readyz", &readyz);
        if (!probes_.empty()) {
            call_on_reactor(exec_, 0, [this] { arm(); });
        }
    }

    void stop() noexcept override {
        if (!routes_) {
            return;
        }
        routes_->clear();
        (void)guard(nullptr, [this] {
            call_on_reactor(exec_, 0, [this] {
                if (timer_ != 0) {
                    exec_->cancel_timer(exec_.self, std::exchange(timer_, 0));
                }
            });
        });
        in_flight_.wait();
        routes_.reset();
        probes_.clear();
    }

private:
    void mount(std::string_view path, HealthAnswer (*make)(std::string_view)) {
        routes_->mount("GET", path, [this, make](const tenon_http_request& request) {
            StringSink report;
            (void)health_->report(health_.self, report.sink());
            const HealthAnswer answer = make(report.text());
            const tenon_http_header fresh{str("Cache-Control"), str("no-store")};
            (void)routes_->respond(
                request.handle, {answer.status, "application/json", answer.body, {fresh}}
            );
        });
    }

    void find_probes() {
        probes_.clear();
        const auto services = host().service<tenon_services_1>("tenon.services/1");
        const auto row = [](void* ctx, tenon_str instance, tenon_iface iface) noexcept {
            return guard(nullptr, [&] {
                static_cast<HealthPlugin*>(ctx)->probes_.push_back(
                    {std::string{view(instance)}, service_from<tenon_probe_1>(iface)}
                );
            });
        };
        (void)services->each(services.self, str("tenon.probe/1"), this, row);
    }

    // On the reactor. A round that takes longer than the interval delays the next one.
    void arm() {
        timer_ = exec_->timer(
            exec_.self,
            exec_->turn_now_ns(exec_.self) + interval_ns_,
            [](void* self) noexcept {
                auto& plugin = *static_cast<HealthPlugin*>(self);
                plugin.timer_ = 0;
                (void)guard(nullptr, [&] { plugin.begin_round(); });
            },
            this
        );
    }

    void begin_round() {
        arm();
        if (probing_.exchange(true)) {
            return;
        }
        const bool deep = ++round_ % deep_every_ == 0;
        in_flight_.enter();
        try {
            run_blocking(exec_, [this, deep] { run_round(deep); });
        } catch (const Error& e) {
            probing_ = false;
            in_flight_.leave();
            host().log().warn("probes not run", {{"reason", e.what()}});
        }
    }

    void run_round(bool deep) {
        (void)guard(nullptr, [&] {
            for (const ProbeResult& result : run_probes(probes_, deep, clock_, timeout_ns_)) {
                const std::string component = "probe-" + result.instance;
                const std::int32_t state = result.passed ? TENON_HEALTHY : TENON_DEGRADED;
                health_->set(health_.self, str(component), state, str(result.reason));
                if (!result.passed) {
                    std::atomic_ref{*failures_}.fetch_add(1, std::memory_order_relaxed);
                }
            }
        });
        probing_ = false;
        in_flight_.leave();
    }

    // Set by configure while rounds are run; each round takes what it finds.
    std::atomic<std::int64_t> interval_ns_{0};
    std::atomic<std::int64_t> timeout_ns_{0};
    std::atomic<std::uint64_t> deep_every_{1};
    std::uint64_t round_ = 0;
    std::uint64_t timer_ = 0;
    std::uint64_t* failures_ = nullptr;
    Service<tenon_exec_1> exec_;
    Service<tenon_clock_1> clock_;
    Service<tenon_health_1> health_;
    std::vector<Probe> probes_;
    std::atomic<bool> probing_{false};
    InFlight in_flight_;
    std::unique_ptr<HttpRoutes> routes_;
};

}  // namespace
}  // namespace tenon::monitor

TENON_EXPORT_PLUGIN(tenon::monitor::HealthPlugin)
