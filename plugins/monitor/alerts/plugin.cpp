// SPDX-License-Identifier: Apache-2.0
// tenon.monitor.alerts: judges the rules every interval and tells what fires, in the log, in the
// health of the component "alerts", at GET /api/alerts and by `tenon alerts list`.
#include "plugins/monitor/alerts/watch.hpp"
#include "sdk/machine/page.hpp"

#include <tenon/admin.hpp>
#include <tenon/background_job.hpp>
#include <tenon/http.hpp>
#include <tenon/metrics.hpp>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

namespace tenon::alerts {
namespace {

constexpr std::int64_t k_ms = 1'000'000;

class AlertsPlugin final : public Plugin {
public:
    using Plugin::Plugin;

    void configure(std::string_view json, bool dry_run) override {
        const Settings settings{json};
        auto file = settings.get<std::string>("rules_file");
        const auto interval = settings.get<std::chrono::seconds>("interval_s");
        RuleFile rules = read_rules(file);
        if (!dry_run) {
            rules_file_ = std::move(file);
            interval_ = interval;
            watch_.set_rules(std::move(rules));
        }
    }

    void start() override {
        clock_ = host().service<tenon_clock_1>("tenon.clock/1");
        metrics_ = host().service<tenon_metrics_1>("tenon.metrics/1");
        health_ = host().service<tenon_health_1>("tenon.health/1");
        data_dir_ = host().environment("data_dir");
        // Wall time, but without its steps: what happened after is later.
        const std::int64_t real_ns = clock_->now_real_ns(clock_.self);
        real_offset_ns_ = real_ns - clock_->now_ns(clock_.self);
        make_metrics();
        add_commands();
        if (const auto routes = host().find<tenon_http_routes_1>("tenon.http_routes/1")) {
            routes_ = std::make_unique<HttpRoutes>(routes);
            routes_->mount("GET", "/api/alerts", [this](const tenon_http_request& request) {
                const std::string body = watch_.json();
                (void)routes_->respond(request.handle, {200, "application/json", body});
            });
        }
        JobOptions options;
        options.jitter = 0;
        job_ = every(
            host(), "alerts", interval_, [this] { judge(); }, options
        );
    }

    void stop() noexcept override {
        commands_.clear();
        routes_.reset();
        job_.stop();
    }

private:
    // As the setting names it; empty: those that ship.
    [[nodiscard]] RuleFile read_rules(const std::string& setting) const {
        if (setting.empty()) {
            return RuleFile{Settings{builtin_rules()}};
        }
        const std::filesystem::path file =
            std::filesystem::path{host().environment("deployment_dir")} / setting;
        std::ifstream in{file};
        if (!in) {
            throw Error{TENON_INVALID, "rules_file: cannot read " + file.string()};
        }
        const std::string text{
            std::istreambuf_iterator<char>{in}, std::istreambuf_iterator<char>{}};
        try {
            return RuleFile{Settings{text}};
        } catch (const Error& e) {
            throw Error{TENON_INVALID, file.string() + ": " + e.what()};
        }
    }

    void make_metrics() {
        const Metrics metrics{metrics_};
        constexpr std::string_view k_firing = "Alerts that fire now";
        constexpr std::string_view k_fired = "Alerts that began to fire";
        warnings_ = metrics.gauge("tenon_alerts_firing", k_firing, {{"severity", "warning"}});
        criticals_ = metrics.gauge("tenon_alerts_firing", k_firing, {{"severity", "critical"}});
        fired_[0] = metrics.counter("tenon_alerts_fired_total", k_fired, {{"severity", "warning"}});
        fired_[1] =
            metrics.counter("tenon_alerts_fired_total", k_fired, {{"severity", "critical"}});
        left_out_ = metrics.gauge(
            "tenon_alerts_left_out", "Alerts that were not kept because there were too many"
        );
        series_left_out_ = metrics.gauge(
            "tenon_alerts_series_left_out", "Series that no rule sees because there are too many"
        );
    }

    void add_commands() {
        commands_.open(host());
        commands_.add(
            "alerts.list",
            "{}: alerts that are pending or fire",
            [this](const Settings&) { return watch_.json(); }
        );
        commands_.add(
            "alerts.reload",
            "{}: reads the rules' file again; a wrong one is refused and the old rules stay",
            [this](const Settings&) {
                RuleFile rules = read_rules(rules_file_);
                const std::size_t count = rules.rules.size();
                watch_.set_rules(std::move(rules));
                host().log().info("alert_rules_read", {{"rules", count}});
                return "{\"rules\":" + std::to_string(count) + "}";
            }
        );
        commands_.add(
            "alerts.prometheus",
            "{}: the rules as a file of Prometheus's alerting rules",
            [this](const Settings&) {
                std::string out{"{\"rules\":"};
                append_json(out, watch_.prometheus());
                return out.append("}");
            }
        );
    }

    void judge() {
        const std::string page = machine::metrics_page(metrics_, data_dir_);
        const std::int64_t at_ms = (clock_->now_ns(clock_.self) + real_offset_ns_) / k_ms;
        for (const AlertEvent& event : watch_.step(page, at_ms)) {
            tell(event);
        }
        const Watch::Counts counts = watch_.counts();
        warnings_.set(counts.warning);
        criticals_.set(counts.critical);
        left_out_.set(static_cast<std::int64_t>(counts.left_out));
        series_left_out_.set(static_cast<std::int64_t>(counts.series_left_out));
        const std::string reason = watch_.critical_reason();
        const std::int32_t state = reason.empty() ? TENON_HEALTHY : TENON_DEGRADED;
        health_->set(health_.self, str("alerts"), state, str(reason));
    }

    void tell(const AlertEvent& event) {
        const Alert& alert = event.alert;
        std::string labels;
        for (const auto& [label, value] : alert.labels) {
            labels.append(labels.empty() ? "" : ",").append(label).append("=").append(value);
        }
        const bool fired = event.kind == AlertEvent::Kind::fired;
        if (fired) {
            fired_[alert.severity == Severity::warning ? 0 : 1].add();
        }
        host().log().warn(
            fired ? "alert_fired" : "alert_resolved",
            {{"alert", alert.rule},
             {"severity", to_text(alert.severity)},
             {"labels", labels},
             {"value", std::to_string(alert.value)},
             {"flapping", alert.flapping ? "yes" : "no"}}
        );
    }

    std::string rules_file_;
    std::chrono::seconds interval_{15};
    std::string data_dir_;
    std::int64_t real_offset_ns_ = 0;
    Watch watch_;
    Service<tenon_clock_1> clock_;
    Service<tenon_metrics_1> metrics_;
    Service<tenon_health_1> health_;
    Gauge warnings_, criticals_, left_out_, series_left_out_;
    Counter fired_[2];
    std::unique_ptr<HttpRoutes> routes_;
    AdminCommands commands_;
    BackgroundJob job_;
};

}  // namespace
}  // namespace tenon::alerts

TENON_EXPORT_PLUGIN(tenon::alerts::AlertsPlugin)
