// SPDX-License-Identifier: Apache-2.0
// GET /healthz and /readyz, and rounds of checks on the blocking pool: probes, then what is to be
// restarted.
#include "plugins/monitor/health/healing.hpp"
#include "plugins/monitor/health/probes.hpp"
#include "plugins/monitor/health/readiness.hpp"

#include <tenon/http.hpp>
#include <tenon/in_flight.hpp>
#include <tenon/plugin.hpp>
#include <tenon/settings.hpp>

#include <boost/json.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

namespace tenon::monitor {
namespace {

constexpr std::int64_t k_ms = 1'000'000;

class HealthPlugin final : public Plugin {
public:
    using Plugin::Plugin;

    void configure(std::string_view text, bool dry_run) override {
        const Settings settings{text};
        HealSettings heal{settings};
        if (!dry_run) {
            interval_ns_ = settings.get<std::int64_t>("probe_interval_ms") * k_ms;
            timeout_ns_ = settings.get<std::int64_t>("probe_timeout_ms") * k_ms;
            deep_every_ = settings.get<std::uint64_t>("deep_every");
            if (!healing_) {
                healing_.emplace(host());
            }
            healing_->configure(std::move(heal));
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
        healing_->open();
        routes_ =
            std::make_unique<HttpRoutes>(host().require<tenon_http_routes_1>("tenon.http_routes/1")
            );
        mount("/healthz", &healthz);
        mount("/readyz", &readyz);
        call_on_reactor(exec_, 0, [this] { arm(); });
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
        healing_->close();
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
            tell_stuck();
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

    // On the reactor, when a round has not ended by the next one's time: a probe that does not keep
    // to its deadline hides all others.
    void tell_stuck() {
        const std::lock_guard lock{mutex_};
        const std::int64_t stuck_ns = clock_->now_ns(clock_.self) - begun_ns_;
        if (!current_.empty() && stuck_ns > timeout_ns_) {
            set_stuck("the probe of " + current_ + " does not return");
        }
    }

    void begins(const std::string& instance) {
        const std::lock_guard lock{mutex_};
        current_ = instance;
        begun_ns_ = clock_->now_ns(clock_.self);
    }

    // With mutex_ held. "": none is.
    void set_stuck(const std::string& reason) {
        if (reason == stuck_) {
            return;
        }
        stuck_ = reason;
        const std::int32_t state = reason.empty() ? TENON_HEALTHY : TENON_DEGRADED;
        health_->set(health_.self, str("probes"), state, str(reason));
    }

    // What failed and what healed is on the record; without one the probes go on.
    void record(const ProbeResult& result) {
        const bool was_failing = failing_.contains(result.instance);
        if (result.passed != was_failing) {
            return;  // as before
        }
        if (result.passed) {
            failing_.erase(result.instance);
        } else {
            failing_.insert(result.instance);
        }
        const std::string detail = boost::json::serialize(boost::json::object{
            {"state", result.passed ? "healed" : "failed"}, {"reason", result.reason}});
        ErrorBuffer err;
        const tenon_status status = guard(&err, [&] {
            const auto audit = host().service<tenon_audit_1>("tenon.audit/1");
            auto event = sized<tenon_audit_event>();
            event.actor = str("system");
            event.action = str("health.probe");
            event.subject = str(result.instance);
            event.detail = str(detail);
            check(audit->record(audit.self, &event, &err), err, "audit");
        });
        if (status != TENON_OK) {
            host().log().warn(
                "not_on_record", {{"probe", result.instance}, {"reason", err.message()}}
            );
        }
    }

    void run_round(bool deep) {
        (void)guard(nullptr, [&] {
            const auto begin = [this](const std::string& instance) { begins(instance); };
            for (const ProbeResult& result :
                 run_probes(probes_, deep, clock_, timeout_ns_, begin)) {
                const std::string component = "probe-" + result.instance;
                const std::int32_t state = result.passed ? TENON_HEALTHY : TENON_DEGRADED;
                health_->set(health_.self, str(component), state, str(result.reason));
                if (!result.passed) {
                    std::atomic_ref{*failures_}.fetch_add(1, std::memory_order_relaxed);
                }
                record(result);
            }
        });
        {
            const std::lock_guard lock{mutex_};
            current_.clear();
            (void)guard(nullptr, [this] { set_stuck(""); });
        }
        ErrorBuffer err;
        if (guard(&err, [this] { healing_->round(); }) != TENON_OK) {
            host().log().warn("healing_failed", {{"reason", err.message()}});
        }
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
    std::set<std::string> failing_;  // the round's
    std::mutex mutex_;               // of what is below
    std::string current_;            // the probe that runs
    std::int64_t begun_ns_ = 0;
    std::string stuck_;
    InFlight in_flight_;
    std::optional<Healing> healing_;  // from the first configure on
    std::unique_ptr<HttpRoutes> routes_;
};

}  // namespace
}  // namespace tenon::monitor

TENON_EXPORT_PLUGIN(tenon::monitor::HealthPlugin)
