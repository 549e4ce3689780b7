// SPDX-License-Identifier: Apache-2.0
// What people ask of the tuner.
#include "plugins/monitor/advisor/tuner.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <utility>

namespace tenon::advisor {

namespace json = boost::json;

namespace {

constexpr std::int64_t k_search_ms = 120'000;

std::size_t size_of(const json::value& answer, std::string_view key) {
    const json::object* const object = answer.if_object();
    const json::value* const found = object == nullptr ? nullptr : object->if_contains(key);
    return found != nullptr && found->is_array() ? found->get_array().size() : 0;
}

}  // namespace

const Tuner::Open& Tuner::open_of(std::string_view id) const {
    const auto found = open_.find(id);
    if (found == open_.end()) {
        throw Error{TENON_NOT_FOUND, "no recommendation " + std::string{id}};
    }
    return found->second;
}

std::string Tuner::apply(std::string_view id, std::string_view by) {
    const Turn turn = take_turn();
    const Recommendation what = open_of(id).what;
    if (what.kind == "indexes") {
        return apply_indexes(what, by);
    }
    begin(what, by);
    publish();
    return json::serialize(json::object{
        {"begun", true}, {"id", id}, {"ends_ms", trial_->experiment.expires_ms()}});
}

// The index advisor measures and withdraws by itself.
std::string Tuner::apply_indexes(const Recommendation& what, std::string_view by) {
    if (trial_ || recovery_) {
        throw Error{TENON_CONFLICT, "a trial is under way"};
    }
    const json::value answer = steering_.ask("advise.apply", {}, k_search_ms);
    Entry entry{0, now_(), std::string{by}, "applied", what.id(), {}};
    entry.detail = {
        {"kind", what.kind},
        {"reason", "the index advisor keeps those that gain"},
        {"indexes", size_of(answer, "proposals")}};
    record(std::move(entry));
    open_.erase(what.id());
    publish();
    return json::serialize(json::object{{"begun", false}, {"id", what.id()}, {"answer", answer}});
}

std::string Tuner::roll_back(std::string_view id, std::string_view by, std::string_view reason) {
    const Turn turn = take_turn();
    const std::string why = "by hand" + (reason.empty() ? "" : ": " + std::string{reason});
    if (trial_ && (id.empty() || id == trial_->what.id())) {
        const std::string ended = trial_->what.id();
        give_back("rolled_back", why, by);
        publish();
        return json::serialize(json::object{
            {"rolled_back", ended}, {"pending", recovery_.has_value()}});
    }
    if (trial_ || recovery_) {
        throw Error{TENON_CONFLICT, "another trial is under way"};
    }
    const auto kept = chronicle_.in_force(id);
    if (!kept) {
        throw Error{TENON_NOT_FOUND, "no trial and no kept change " + std::string{id}};
    }
    const auto text = [&](std::string_view key) {
        const json::value* const found = kept->detail.if_contains(key);
        return found != nullptr && found->is_string()
                   ? std::string{std::string_view{found->get_string()}}
                   : std::string{};
    };
    const Knob knob{text("plugin"), text("pointer"), text("element"), text("field")};
    if (!is_untouched(knob, kept->detail.at("after"))) {
        throw Error{TENON_CONFLICT, knob.text() + " was changed since; set it by hand"};
    }
    restore(knob, *kept, why);
    Entry entry{0, now_(), std::string{by}, "taken_back", kept->id, {}};
    entry.detail = {
        {"kind", text("kind")},
        {"plugin", knob.plugin},
        {"pointer", knob.pointer},
        {"element", knob.element},
        {"field", knob.field},
        {"from", text("to")},
        {"to", text("from")},
        {"reason", why}};
    record(std::move(entry));
    publish();
    return json::serialize(json::object{{"rolled_back", kept->id}});
}

std::string Tuner::dismiss(std::string_view id, std::string_view by, std::string_view reason) {
    const Turn turn = take_turn();
    const Recommendation what = open_of(id).what;
    Entry entry{0, now_(), std::string{by}, "dismissed", what.id(), {}};
    entry.detail = {{"kind", what.kind}, {"reason", reason}, {"to", to_json(what).at("to")}};
    record(std::move(entry));
    open_.erase(what.id());
    publish();
    return json::serialize(json::object{
        {"dismissed", what.id()}, {"until_ms", now_() + options_.dismissed_for_ms}});
}

std::string Tuner::drill(const Knob& knob, const json::value& to, std::string_view by) {
    const Turn turn = take_turn();
    const SettingsView view = steering_.settings(options_.bounds);
    const LiveSetting* const setting = view.of(knob);
    Recommendation what;
    what.kind = "drill";
    what.title = "A drill";
    what.knob = knob;
    what.from = view.value_of(knob);
    what.to = to;
    const bool is_cache = setting->id.starts_with("tenon.cache.");
    const bool is_throttle = setting->id.starts_with("tenon.throttle.");
    what.promise = Promise{
        {is_cache      ? "cache_miss_ratio"
         : is_throttle ? "throttle_limited_ratio"
                       : "http_p99_seconds",
         is_cache ? knob.element : ""},
        0.05};
    what.evidence = "None: somebody asked for it";
    what.risk = "That of the value";
    begin(what, by);
    publish();
    return json::serialize(json::object{
        {"begun", true}, {"id", what.id()}, {"ends_ms", trial_->experiment.expires_ms()}});
}

// The search takes a copy of the database and some time: only after slow queries, and not during a
// trial, which it would disturb.
void Tuner::look_for_indexes() {
    double slow = 0;
    double before = 0;
    {
        const Turn turn{work_, std::try_to_lock};
        if (!turn.owns_lock() || trial_ || recovery_ || snapshots_.empty() ||
            options_.indexes_every_ms == 0 || now_() < next_indexes_ms_) {
            return;
        }
        slow = snapshots_.back().sum("tenon_slow_queries_total");
        if (slow <= slow_queries_ || !steering_.settings({}).has_plugin("tenon.storage.advisor")) {
            return;
        }
        next_indexes_ms_ = now_() + options_.indexes_every_ms;
        before = std::exchange(slow_queries_, slow);
    }
    const json::value answer = steering_.ask("advise.indexes", {}, k_search_ms);
    const std::size_t proposals = size_of(answer, "proposals");
    if (proposals == 0) {
        return;
    }
    Recommendation what;
    what.kind = "indexes";
    what.title = "Indexes that queries would gain from";
    what.target = "storage";
    what.to = static_cast<std::int64_t>(proposals);
    what.unit = "indexes";
    what.evidence = std::to_string(static_cast<std::int64_t>(slow - before)) +
                    " queries were slow; the index advisor tried and proposes " +
                    std::to_string(proposals) + " (`tenon advise indexes`)";
    what.numbers = {{"slow_queries", slow - before}, {"proposals", static_cast<double>(proposals)}};
    what.risk = "Writes become dearer by what an index costs, which the search has weighed";
    what.confidence = 0.8;
    const std::lock_guard lock{view_mutex_};
    found_indexes_ = std::move(what);
}

Tuner::State Tuner::state() const {
    const std::lock_guard lock{view_mutex_};
    return state_;
}

std::string Tuner::list() const {
    const std::lock_guard lock{view_mutex_};
    json::object out = view_;
    out["at_ms"] = now_();
    return json::serialize(out);
}

std::string Tuner::show(std::string_view id) const {
    const std::lock_guard lock{view_mutex_};
    for (const json::value& each : view_.at("advice").get_array()) {
        if (each.get_object().at("id").get_string() == id) {
            json::object out = each.get_object();
            out["history"] = chronicle_.json(100, id);
            return json::serialize(out);
        }
    }
    json::array history = chronicle_.json(100, id);
    if (history.empty()) {
        throw Error{TENON_NOT_FOUND, "no recommendation " + std::string{id}};
    }
    return json::serialize(json::object{{"id", id}, {"state", "past"}, {"history", history}});
}

// What list() tells, so that it waits for nobody.
void Tuner::publish() {
    json::object view;
    view["auto"] = options_.automatic;
    view["auto_kinds"] = json::array(options_.kinds.begin(), options_.kinds.end());
    view["cool_down_until_ms"] = cool_until_ms_;
    view["trouble"] = trouble_;
    view["experiment"] = nullptr;
    if (trial_) {
        const Experiment& experiment = trial_->experiment;
        const Experiment::Verdict verdict = experiment.verdict();
        view["experiment"] = json::object{
            {"id", trial_->what.id()},
            {"kind", trial_->what.kind},
            {"from", plain(trial_->what.from)},
            {"to", plain(trial_->what.to)},
            {"phase", experiment.is_baseline() ? "baseline" : "trial"},
            {"side", experiment.side() == Experiment::Side::after ? "after" : "before"},
            {"by", trial_->by},
            {"began_ms", experiment.began_ms()},
            {"ends_ms", experiment.expires_ms()},
            {"windows_done", experiment.windows().size()},
            {"windows", options_.windows + Experiment::k_baseline_windows},
            {"metric", experiment.promise().measure.name},
            {"before", verdict.before},
            {"after", verdict.after}};
    }
    json::array advice;
    for (const auto& [id, open] : open_) {
        json::object one = to_json(open.what);
        const auto& kinds = options_.kinds;
        one["automatic"] = options_.automatic && open.what.applicable() && open.what.promise &&
                           std::find(kinds.begin(), kinds.end(), open.what.kind) != kinds.end();
        one["state"] = trial_ && trial_->what.id() == id ? "trial" : "open";
        one["since_ms"] = open.since_ms;
        one["seen_ms"] = open.seen_ms;
        advice.push_back(std::move(one));
    }
    view["advice"] = std::move(advice);
    State state;
    state.open = open_.size();
    state.is_trying = trial_.has_value();
    if (recovery_) {
        state.trouble = "a trial is not taken back yet: " + recovery_->begun.id +
                        (trouble_.empty() ? "" : " (" + trouble_ + ")");
    }
    const std::lock_guard lock{view_mutex_};
    view_ = std::move(view);
    state_ = std::move(state);
}

}  // namespace tenon::advisor
