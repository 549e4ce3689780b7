// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/health/healing.hpp"

#include <boost/json.hpp>

#include <functional>
#include <utility>

namespace tenon::monitor {
namespace {

namespace json = boost::json;

constexpr std::int64_t k_s = 1'000'000'000;
constexpr std::int64_t k_list_ns = 10 * k_s;
constexpr std::int64_t k_restart_ns = 300 * k_s;  // drain, stop and start of all that it takes

// What stands under "ok"; throws Error with the server's or the line's reason.
json::value ok_of(const AdminLine::Answer& answer) {
    if (!answer.failure.empty()) {
        throw Error{TENON_UNAVAILABLE, answer.failure};
    }
    json::value parsed = json::parse(answer.line);
    json::object& object = parsed.as_object();
    if (json::value* const ok = object.if_contains("ok")) {
        return std::move(*ok);
    }
    throw Error{
        TENON_UNAVAILABLE,
        std::string{std::string_view{object.at("error").at("message").as_string()}}};
}

// Why the restart did not do: what failed of it, in the server's words.
std::string failures_of(const json::object& answer) {
    std::string out;
    for (const json::value& one : answer.at("failed").as_array()) {
        out.append(out.empty() ? "" : "; ");
        out.append(std::string_view{one.at("name").as_string()}).append(" is ");
        out.append(std::string_view{one.at("state").as_string()}).append(": ");
        out.append(std::string_view{one.at("error").as_string()});
    }
    return out;
}

}  // namespace

Healing::Healing(const Host& host)
    : host_{host},
      settings_{std::make_shared<const HealSettings>(Settings{"{}"})},
      healer_{std::hash<std::string>{}(host.environment("instance"))} {}

void Healing::configure(HealSettings settings) {
    auto fresh = std::make_shared<const HealSettings>(std::move(settings));
    const std::lock_guard lock{mutex_};
    settings_ = std::move(fresh);
}

void Healing::open() {
    exec_ = host_.service<tenon_exec_1>("tenon.exec/1");
    clock_ = host_.service<tenon_clock_1>("tenon.clock/1");
    health_ = host_.service<tenon_health_1>("tenon.health/1");
    own_ = host_.environment("instance");
    line_ = std::make_unique<AdminLine>(exec_, host_.environment("data_dir"));
    closing_ = false;
}

void Healing::close() noexcept {
    if (!line_) {
        return;
    }
    closing_ = true;
    (void)guard(nullptr, [this] { call_on_reactor(exec_, 0, [this] { line_->close(); }); });
    in_flight_.wait();
    line_.reset();
}

void Healing::round() {
    StringSink report;
    (void)health_->report(health_.self, report.sink());
    std::optional<Healer::Attempt> attempt;
    {
        const std::lock_guard lock{mutex_};
        const std::vector<Fault> faults = faults_of(report.text(), own_, *settings_);
        attempt = healer_.judge(faults, *settings_, now_ns());
    }
    tell();
    if (attempt) {
        ask_whether(*attempt);
    }
}

void Healing::ask_whether(const Healer::Attempt& attempt) {
    in_flight_.enter();
    const tenon_status status = guard(nullptr, [&] {
        post(exec_, 0, [this, attempt] {
            const bool asked = line_->ask(
                R"({"command":"plugins.list","args":{}})",
                now_ns() + k_list_ns,
                [this, attempt](const AdminLine::Answer& answer) { answered_list(attempt, answer); }
            );
            if (!asked) {
                settle(attempt.plugin, Healer::State::refused, "the server takes no commands now");
            }
            in_flight_.leave();
        });
    });
    if (status != TENON_OK) {
        settle(attempt.plugin, Healer::State::refused, "the reactor is busy");
        in_flight_.leave();
    }
}

void Healing::answered_list(const Healer::Attempt& attempt, const AdminLine::Answer& answer) {
    if (closing_) {
        const std::lock_guard lock{mutex_};
        healer_.withdrawn();
        return;
    }
    ErrorBuffer err;
    std::string objection;
    const tenon_status status = guard(&err, [&] {
        objection = objection_to(json::serialize(ok_of(answer)), attempt.plugin);
    });
    if (status != TENON_OK) {
        objection = std::string{err.message()};
    }
    if (objection.empty()) {
        const std::string line = json::serialize(json::object{
            {"command", "plugins.restart"},
            {"args",
             json::object{
                 {"plugin", attempt.plugin}, {"by", "health"}, {"reason", attempt.reason}}}});
        const bool asked = line_->ask(
            line,
            now_ns() + k_restart_ns,
            [this, plugin = attempt.plugin](const AdminLine::Answer& said) {
                answered_restart(plugin, said);
            }
        );
        objection = asked ? "" : "the server takes no commands now";
    }
    if (!objection.empty()) {
        settle(attempt.plugin, Healer::State::refused, objection);
    }
}

void Healing::answered_restart(const std::string& plugin, const AdminLine::Answer& answer) {
    if (closing_) {
        const std::lock_guard lock{mutex_};
        healer_.interrupted(plugin, now_ns());
        return;
    }
    ErrorBuffer err;
    auto state = Healer::State::refused;
    std::string reason;
    const tenon_status status = guard(&err, [&] {
        const json::value said = ok_of(answer);
        const json::object& told = said.as_object();
        state = told.at("ok").as_bool() ? Healer::State::restarted : Healer::State::failed;
        reason = failures_of(told);
    });
    if (status != TENON_OK) {
        reason = std::string{err.message()};
    }
    settle(plugin, state, reason);
}

// What is told goes to a file: not on the reactor.
void Healing::settle(const std::string& plugin, Healer::State state, const std::string& reason) {
    {
        const std::lock_guard lock{mutex_};
        healer_.settled(plugin, state, reason, now_ns());
    }
    in_flight_.enter();
    const tenon_status status = guard(nullptr, [&] {
        run_blocking(exec_, [this] {
            (void)guard(nullptr, [this] { tell(); });
            in_flight_.leave();
        });
    });
    if (status != TENON_OK) {
        in_flight_.leave();  // the next round tells it
    }
}

void Healing::tell() {
    std::vector<Healer::News> news;
    std::vector<std::pair<std::string, std::string>> shown;
    {
        const std::lock_guard lock{mutex_};
        news = healer_.take_news();
        shown = healer_.shown(now_ns());
    }
    for (const auto& [plugin, reason] : shown) {
        const std::int32_t state = reason.empty() ? TENON_HEALTHY : TENON_DEGRADED;
        health_->set(health_.self, str("heal-" + plugin), state, str(reason));
    }
    for (const Healer::News& one : news) {
        tell(one);
    }
}

void Healing::tell(const Healer::News& news) {
    const std::string state{name_of(news.state)};
    const bool is_attempt =
        news.state != Healer::State::healed && news.state != Healer::State::given_up;
    if (is_attempt) {
        Metrics{host_}
            .counter(
                "tenon_heal_attempts_total",
                "Restarts of plugins that the health monitor asked for",
                {{"component", news.plugin}, {"outcome", state}}
            )
            .add();
    }
    const std::string detail =
        json::serialize(json::object{{"state", state}, {"reason", news.reason}});
    ErrorBuffer err;
    const tenon_status status = guard(&err, [&] {
        const auto audit = host_.service<tenon_audit_1>("tenon.audit/1");
        auto event = sized<tenon_audit_event>();
        event.actor = str("system");
        event.action = str("health.heal");
        event.subject = str(news.plugin);
        event.detail = str(detail);
        check(audit->record(audit.self, &event, &err), err, "audit");
    });
    if (status != TENON_OK) {
        host_.log().warn("not_on_record", {{"name", news.plugin}, {"reason", err.message()}});
    }
    host_.log().warn("heal_" + state, {{"name", news.plugin}, {"reason", news.reason}});
}

}  // namespace tenon::monitor
