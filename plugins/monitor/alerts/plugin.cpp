// SPDX-License-Identifier: Apache-2.0
// tenon.monitor.alerts: judges the rules every interval and tells what fires, in the log, in the
// health of the component "alerts", at GET /api/alerts, by `tenon alerts list`, webhooks and mail.
#include "plugins/monitor/alerts/delivery.hpp"
#include "plugins/monitor/alerts/history.hpp"
#include "plugins/monitor/alerts/watch.hpp"
#include "sdk/machine/page.hpp"

#include <tenon/admin.hpp>
#include <tenon/background_job.hpp>
#include <tenon/http.hpp>
#include <tenon/metrics.hpp>

#include <atomic>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace tenon::alerts {
namespace {

constexpr std::int64_t k_ms = 1'000'000;
constexpr std::int64_t k_save_ns = 5'000'000'000;
constexpr std::int64_t k_clean_every_ms = 3'600'000;
constexpr std::size_t k_history_told = 100;

class AlertsPlugin final : public Plugin {
public:
    using Plugin::Plugin;

    void configure(std::string_view json, bool dry_run) override {
        const Settings settings{json};
        auto file = settings.get<std::string>("rules_file");
        const auto interval = settings.get<std::chrono::seconds>("interval_s");
        RuleFile rules = read_rules(file);
        DeliverySettings delivery{settings};
        const auto history_days = settings.get<std::int64_t>("history_days");
        if (dry_run) {
            return;
        }
        watch_.set_grouping(delivery.grouping);
        watch_.set_rules(std::move(rules));
        history_days_ = history_days;
        const std::lock_guard lock{mutex_};
        rules_file_ = std::move(file);
        if (!is_running_) {  // the job and the commands read these
            interval_ = interval;
            history_.set_server(delivery.server);
            delivery_settings_ = std::move(delivery);
        }
    }

    void start() override {
        is_running_ = true;
        clock_ = host().service<tenon_clock_1>("tenon.clock/1");
        metrics_ = host().service<tenon_metrics_1>("tenon.metrics/1");
        health_ = host().service<tenon_health_1>("tenon.health/1");
        exec_ = host().service<tenon_exec_1>("tenon.exec/1");
        data_dir_ = host().environment("data_dir");
        // Wall time, but without its steps: what happened after is later.
        const std::int64_t real_ns = clock_->now_real_ns(clock_.self);
        real_offset_ns_ = real_ns - clock_->now_ns(clock_.self);
        started_ms_ = now_ms();
        make_metrics();
        open_silences();
        open_delivery();
        add_commands();
        if (const auto routes = host().find<tenon_http_routes_1>("tenon.http_routes/1")) {
            routes_ = std::make_unique<HttpRoutes>(routes);
            routes_->mount("GET", "/api/alerts", [this](const tenon_http_request& request) {
                const std::string body = watch_.json(silences_);
                (void)routes_->respond(request.handle, {200, "application/json", body});
            });
            routes_->mount("GET", "/api/alerts/history", [this](const tenon_http_request& request) {
                const std::string body = history_.json(limit_of(view(request.query)));
                (void)routes_->respond(request.handle, {200, "application/json", body});
            });
        }
        if (const auto storage = host().find<tenon_storage_1>("tenon.storage/1")) {
            storage_ = Storage{storage};
            history_job_ = every(host(), "alerts-history", interval_, [this] { keep_history(); });
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
        history_job_.stop();
        (void)guard(nullptr, [this] {
            if (is_loaded_) {
                history_.save(storage_, clock_->now_ns(clock_.self) + k_save_ns);
            }
        });
        storage_ = {};
        is_loaded_ = false;
        is_running_ = false;
        (void)guard(nullptr, [this] { call_on_reactor(exec_, 0, [this] { delivery_.reset(); }); });
    }

private:
    [[nodiscard]] std::int64_t now_ms() const {
        return (clock_->now_ns(clock_.self) + real_offset_ns_) / k_ms;
    }

    // "limit=N" of a query; what is no number gives the usual.
    [[nodiscard]] static std::size_t limit_of(std::string_view query) {
        constexpr std::string_view k_key = "limit=";
        std::size_t limit = k_history_told;
        if (query.starts_with(k_key)) {
            query.remove_prefix(k_key.size());
            (void)std::from_chars(query.data(), query.data() + query.size(), limit);
        }
        return limit;
    }

    void keep_history() {
        const std::int64_t deadline_ns = clock_->now_ns(clock_.self) + k_save_ns;
        if (!is_loaded_) {
            history_.load(storage_, started_ms_, deadline_ns);
            is_loaded_ = true;
        }
        history_.save(storage_, deadline_ns);
        const std::int64_t before_ms = now_ms() - history_days_ * 86'400'000;
        if (now_ms() >= clean_at_ms_) {
            // A full step: there is more, at the next turn.
            const bool is_more =
                History::clean(storage_, before_ms, deadline_ns) == History::k_clean_step;
            clean_at_ms_ = is_more ? 0 : now_ms() + k_clean_every_ms;
        }
    }

    // A file that cannot be read hides nothing: better too much noise than too little.
    void open_silences() {
        ErrorBuffer err;
        const auto open = [this] {
            silences_.open(std::filesystem::path{data_dir_} / "alert-silences.json", now_ms());
        };
        if (guard(&err, open) != TENON_OK) {
            host().log().warn("silences_not_read", {{"reason", err.message()}});
        }
    }

    void open_delivery() {
        const DeliverySettings& settings = *delivery_settings_;
        if (settings.names().empty()) {
            return;
        }
        const auto tls = settings.needs_tls()
                             ? std::make_shared<const net::TlsContext>(settings.ca_file)
                             : nullptr;
        call_on_reactor(exec_, 0, [&] {
            delivery_ = std::make_unique<Delivery>(
                host(),
                settings,
                tls,
                [this](const std::string& target, const std::string& trouble) {
                    const std::string component = "alerts-" + target;
                    const std::int32_t state = trouble.empty() ? TENON_HEALTHY : TENON_DEGRADED;
                    health_->set(health_.self, str(component), state, str(trouble));
                }
            );
        });
    }

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
            [this](const Settings&) { return watch_.json(silences_); }
        );
        commands_.add(
            "alerts.history",
            "{\"limit\":\"100\"}: alerts that fired, the newest first",
            [this](const Settings& args) {
                return history_.json(limit_of("limit=" + args.get<std::string>("limit", "")));
            }
        );
        commands_.add(
            "alerts.reload",
            "{}: reads the rules' file again; a wrong one is refused and the old rules stay",
            [this](const Settings&) {
                const std::string file = [this] {
                    const std::lock_guard lock{mutex_};
                    return rules_file_;
                }();
                RuleFile rules = read_rules(file);
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
        add_silence_commands();
    }

    void add_silence_commands() {
        commands_.add(
            "alerts.silence",
            "{\"match\":[\"alert=NAME\",\"LABEL=VALUE*\"],\"for\":\"2h\",\"by\",\"comment\"}: "
            "tells nobody "
            "of alerts that fit all",
            [this](const Settings& args) { return silence(args); }
        );
        commands_
            .add("alerts.unsilence", "{\"id\":ID}: ends a silence", [this](const Settings& args) {
                const auto text = args.get<std::string>("id");
                std::uint64_t id = 0;
                const auto read = std::from_chars(text.data(), text.data() + text.size(), id);
                if (read.ec != std::errc{} || read.ptr != text.data() + text.size()) {
                    args.refuse("id: expected the number that `tenon alerts silences` shows");
                }
                record("alert.unsilence", text, args.get<std::string>("by", "cli"), "");
                (void)silences_.remove(id, now_ms());
                return "{\"ended\":" + text + "}";
            });
        commands_.add("alerts.silences", "{}: silences in force", [this](const Settings&) {
            return "{\"silences\":" + silences_.json(now_ms()) + "}";
        });
        commands_.add(
            "alerts.test",
            "{}: sends a notice to every target, to see that it arrives",
            [this](const Settings&) { return send_test(); }
        );
    }

    std::string silence(const Settings& args) {
        Silence made;
        const bool is_one = args.has("match") && args.json().find("match")->is(Json::Kind::text);
        const auto matchers = is_one ? std::vector{args.get<std::string>("match")}
                                     : args.get<std::vector<std::string>>("match");
        for (const std::string& matcher : matchers) {
            made.matchers.insert(matcher_of(matcher));
        }
        made.until_ms = now_ms() + duration_ms(args.get<std::string>("for"));
        made.by = args.get<std::string>("by", "cli");
        made.comment = args.get<std::string>("comment", "");
        std::string subject;
        for (const std::string& matcher : matchers) {
            subject.append(subject.empty() ? "" : " ").append(matcher);
        }
        const std::string until = std::to_string(made.until_ms);
        const std::string by = made.by;
        record("alert.silence", subject, by, "{\"until_ms\":" + until + "}");
        const std::uint64_t id = silences_.add(std::move(made), now_ms());
        return "{\"id\":" + std::to_string(id) + ",\"until_ms\":" + until + "}";
    }

    void record(
        std::string_view action,
        std::string_view subject,
        std::string_view actor,
        std::string_view detail
    ) const {
        auto event = sized<tenon_audit_event>();
        event.actor = str(actor);
        event.action = str(action);
        event.subject = str(subject);
        event.detail = str(detail);
        const auto audit = host().service<tenon_audit_1>("tenon.audit/1");
        ErrorBuffer err;
        check(audit->record(audit.self, &event, &err), err, "not on the record");
    }

    std::string send_test() {
        const std::vector<std::string> names = delivery_settings_->names();
        if (names.empty()) {
            throw Error{TENON_NOT_FOUND, "no target is set up: webhooks or mail_relay"};
        }
        Notice notice;
        notice.rule = "Test";
        notice.summary = "A test of the way that alerts take";
        notice.severity = Severity::critical;
        notice.at_ms = now_ms();
        Alert alert{"Test", Severity::critical, {}};
        alert.state = Alert::State::firing;
        alert.fired_ms = notice.at_ms;
        notice.firing.push_back(std::move(alert));
        deliver(std::move(notice));
        std::string out{"{\"targets\":["};
        for (const std::string& name : names) {
            out.append(out.back() == '[' ? "" : ",");
            append_json(out, name);
        }
        return out.append("]}");
    }

    void judge() {
        const std::string page = machine::metrics_page(metrics_, data_dir_);
        for (const AlertEvent& event : watch_.step(page, now_ms())) {
            tell(event);
        }
        for (Notice& notice : watch_.notices(silences_)) {
            deliver(std::move(notice));
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

    void deliver(Notice notice) {
        notice.server = delivery_settings_->server;
        notice.id = sha256(notice.server + "|" + notice.rule + "|" + std::to_string(notice.at_ms))
                        .substr(0, 32);
        post(exec_, 0, [this, told = std::make_shared<const Notice>(std::move(notice))] {
            if (delivery_) {
                delivery_->outbox().put(told);
            }
        });
    }

    void tell(const AlertEvent& event) {
        const Alert& alert = event.alert;
        history_.add(event, watch_.summary_of(alert.rule), now_ms());
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

    std::mutex mutex_;
    std::string rules_file_;   // guarded by mutex_
    bool is_running_ = false;  // the control thread's
    std::chrono::seconds interval_{15};
    std::string data_dir_;
    std::int64_t real_offset_ns_ = 0, started_ms_ = 0;
    Watch watch_;
    Silences silences_;
    std::optional<DeliverySettings> delivery_settings_;
    std::unique_ptr<Delivery> delivery_;  // reactor 0's
    History history_;
    Storage storage_;  // may be none
    std::atomic<std::int64_t> history_days_{0};
    // The job's; stop looks at it afterwards.
    bool is_loaded_ = false;
    std::int64_t clean_at_ms_ = 0;
    Service<tenon_clock_1> clock_;
    Service<tenon_metrics_1> metrics_;
    Service<tenon_health_1> health_;
    Service<tenon_exec_1> exec_;
    Gauge warnings_, criticals_, left_out_, series_left_out_;
    Counter fired_[2];
    std::unique_ptr<HttpRoutes> routes_;
    AdminCommands commands_;
    BackgroundJob job_, history_job_;
};

}  // namespace
}  // namespace tenon::alerts

TENON_EXPORT_PLUGIN(tenon::alerts::AlertsPlugin)
