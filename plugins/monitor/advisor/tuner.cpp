// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/advisor/tuner.hpp"

#include "plugins/monitor/advisor/rules.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace tenon::advisor {

namespace json = boost::json;

namespace {

constexpr std::chrono::seconds k_turn_limit{1};
constexpr std::int64_t k_again_ms = 5'000;  // between tries to take a trial back
constexpr std::int64_t k_seen_for = 3;      // evaluations that a recommendation outlives

std::string text_at(const json::object& object, std::string_view key) {
    const json::value* const found = object.if_contains(key);
    return found != nullptr && found->is_string()
               ? std::string{std::string_view{found->get_string()}}
               : std::string{};
}

Knob knob_of(const json::object& detail) {
    return {
        text_at(detail, "plugin"),
        text_at(detail, "pointer"),
        text_at(detail, "element"),
        text_at(detail, "field")};
}

const json::value& value_at(const json::object& detail, std::string_view key) {
    static const json::value k_null;
    const json::value* const found = detail.if_contains(key);
    return found == nullptr ? k_null : *found;
}

json::value number(const std::optional<double>& value) {
    return value ? json::value(*value) : json::value();
}

json::array windows_json(const Experiment& experiment) {
    json::array out;
    for (const Experiment::Window& window : experiment.windows()) {
        out.push_back(json::object{
            {"side", window.side == Experiment::Side::after ? "after" : "before"},
            {"promised", number(window.promised)},
            {"http_p99_seconds", number(window.p99)},
            {"http_refused_ratio", number(window.refused)}});
    }
    return out;
}

}  // namespace

Tuner::Tuner(Steering& steering, Chronicle& chronicle, Now now, Look look, Told told)
    : steering_{steering},
      chronicle_{chronicle},
      now_{std::move(now)},
      look_{std::move(look)},
      told_{std::move(told)} {
    if (auto begun = chronicle_.unfinished()) {
        recovery_ = Recovery{
            std::move(*begun), "recovered", "the server ended amid the trial; taken back", 0};
    }
    publish();
}

void Tuner::set_options(TunerOptions options) {
    const std::lock_guard lock{options_mutex_};
    shared_options_ = std::move(options);
}

void Tuner::renew_options() {
    const std::lock_guard lock{options_mutex_};
    options_ = shared_options_;
}

Tuner::Turn Tuner::take_turn() {
    Turn turn{work_, k_turn_limit};
    if (!turn.owns_lock()) {
        throw Error{TENON_UNAVAILABLE, "the advisor is at work; ask again"};
    }
    renew_options();
    return turn;
}

void Tuner::tick() {
    const Turn turn{work_, std::try_to_lock};
    if (!turn.owns_lock()) {
        return;
    }
    renew_options();
    const std::int64_t now_ms = now_();
    {
        const std::lock_guard lock{view_mutex_};
        if (found_indexes_) {
            const std::string id = found_indexes_->id();
            open_.insert_or_assign(id, Open{std::move(*found_indexes_), now_ms, now_ms});
            found_indexes_.reset();
        }
    }
    if (recovery_) {
        if (now_ms >= recovery_->again_ms) {
            recover();
        }
        publish();
        return;
    }
    if (trial_) {
        advance(look_());
        publish();
        return;
    }
    if (now_ms >= next_look_ms_) {
        next_look_ms_ = now_ms + options_.look_every_ms;
        observe(look_());
        if (now_ms >= next_evaluation_ms_) {
            next_evaluation_ms_ = now_ms + options_.evaluate_every_ms;
            evaluate(now_ms);
        }
        publish();
    }
}

void Tuner::observe(const Snapshot& snapshot) {
    if (data_bytes_ <= 0) {
        data_bytes_ = snapshot.sum("tenon_data_dir_size_bytes");
    }
    if (!slow_seen_) {
        slow_queries_ = snapshot.sum("tenon_slow_queries_total");
        slow_seen_ = true;
    }
    snapshots_.push_back(snapshot);
    while (snapshots_.front().at_ms < snapshot.at_ms - options_.evaluate_every_ms) {
        snapshots_.pop_front();
    }
}

void Tuner::evaluate(std::int64_t now_ms) {
    trouble_.clear();
    SettingsView view;
    try {
        view = steering_.settings(options_.bounds);
    } catch (const Error& e) {
        trouble_ = e.what();  // told by list(); the next evaluation tries again
        return;
    }
    std::vector<Recommendation> found = recommend(snapshots_, view);
    const double bytes = snapshots_.back().sum("tenon_data_dir_size_bytes");
    constexpr double k_grown_least = 256.0 * 1048576;
    if (bytes > data_bytes_ * 1.25 && bytes - data_bytes_ > k_grown_least) {
        Recommendation one;
        one.kind = "maintenance";
        one.title = "See what fills the data folder";
        one.target = "data_dir";
        one.evidence = "It grew from " +
                       std::to_string(static_cast<std::int64_t>(data_bytes_ / 1048576)) + " to " +
                       std::to_string(static_cast<std::int64_t>(bytes / 1048576)) +
                       " MiB since the server started";
        one.numbers = {{"bytes", bytes}, {"bytes_at_start", data_bytes_}};
        one.risk = "None: `tenon integrity check` only reads";
        one.why_not = "it needs somebody who decides what may go";
        found.push_back(std::move(one));
    }
    merge(std::move(found), now_ms);
    try_automatically(now_ms);
}

void Tuner::merge(std::vector<Recommendation> found, std::int64_t now_ms) {
    for (Recommendation& one : found) {
        const std::string id = one.id();
        if (chronicle_.left_alone_until_ms(id, options_.dismissed_for_ms, false) > now_ms) {
            continue;
        }
        const auto known = open_.find(id);
        const std::int64_t since_ms = known == open_.end() ? now_ms : known->second.since_ms;
        open_.insert_or_assign(id, Open{std::move(one), since_ms, now_ms});
    }
    // Indexes come from a search of their own, a day apart.
    std::erase_if(open_, [&](const auto& each) {
        return each.second.what.kind != "indexes" &&
               each.second.seen_ms < now_ms - k_seen_for * options_.evaluate_every_ms;
    });
}

void Tuner::try_automatically(std::int64_t now_ms) {
    if (!options_.automatic || trial_ || now_ms < cool_until_ms_) {
        return;
    }
    const Open* best = nullptr;
    for (const auto& [id, open] : open_) {
        const auto& kinds = options_.kinds;
        const bool is_allowed =
            open.what.applicable() && open.what.knob && open.what.promise &&
            open.seen_ms == now_ms &&
            std::find(kinds.begin(), kinds.end(), open.what.kind) != kinds.end();
        if (is_allowed &&
            chronicle_.left_alone_until_ms(id, options_.dismissed_for_ms, true) <= now_ms &&
            (best == nullptr || open.what.confidence > best->what.confidence)) {
            best = &open;
        }
    }
    if (best != nullptr) {
        begin(Recommendation{best->what}, "auto");
    }
}

// On the record before anything changes, so that the next start knows what to take back.
void Tuner::begin(const Recommendation& what, std::string_view by) {
    if (trial_ || recovery_) {
        throw Error{
            TENON_CONFLICT,
            "a trial is under way: " + (trial_ ? trial_->what.id() : recovery_->begun.id)};
    }
    if (!what.knob || !what.promise) {
        throw Error{
            TENON_INVALID, what.why_not.empty() ? "there is nothing to turn" : what.why_not};
    }
    const SettingsView view = steering_.settings(options_.bounds);
    const Knob& knob = *what.knob;
    const json::value from = view.value_of(knob);
    if (const std::string refusal = view.refusal(knob, what.to); !refusal.empty()) {
        throw Error{TENON_INVALID, refusal};
    }
    if (from == what.to) {
        throw Error{TENON_INVALID, knob.text() + " is " + plain(from) + " already"};
    }
    const std::int64_t now_ms = now_();
    ExperimentOptions options{
        options_.window_ms,
        options_.settle_ms,
        options_.windows,
        static_cast<std::uint64_t>(now_ms)};
    const LiveSetting& setting = *view.of(knob);
    Trial trial{
        what,
        setting.value,
        view.with(knob, what.to),
        setting.value,
        setting.overridden,
        std::string{by},
        Experiment{*what.promise, options, now_ms}};
    trial.what.from = from;
    Entry entry{0, now_ms, trial.by, "trial_begun", what.id(), {}};
    entry.detail = {
        {"kind", what.kind},
        {"plugin", knob.plugin},
        {"pointer", knob.pointer},
        {"element", knob.element},
        {"field", knob.field},
        {"from", plain(from)},
        {"to", plain(what.to)},
        {"before", trial.before},
        {"after", trial.after},
        {"was_overridden", trial.was_overridden},
        {"metric", what.promise->measure.name},
        {"label", what.promise->measure.label},
        {"effect", what.promise->effect},
        {"evidence", what.evidence},
        {"seed", options.seed}};
    record(std::move(entry));
    trial_.emplace(std::move(trial));
}

void Tuner::advance(const Snapshot& snapshot) {
    switch (trial_->experiment.step(snapshot)) {
        case Experiment::Action::wait:
            return;
        case Experiment::Action::to_before:
            switch_to(false);
            return;
        case Experiment::Action::to_after:
            switch_to(true);
            return;
        case Experiment::Action::keep:
            keep();
            return;
        case Experiment::Action::roll_back:
            give_back("rolled_back", trial_->experiment.reason(), trial_->by);
            return;
    }
}

bool Tuner::is_untouched(const Knob& knob, const json::value& expected) {
    const SettingsView view = steering_.settings({});
    const LiveSetting* const setting = view.of(knob);
    return setting != nullptr && setting->value == expected;
}

void Tuner::switch_to(bool after) {
    const Knob& knob = *trial_->what.knob;
    try {
        if (!is_untouched(knob, trial_->in_force)) {
            finish("failed", "somebody else turned the knob meanwhile; left as it is", trial_->by);
            return;
        }
        const json::value& value = after ? trial_->after : trial_->before;
        // What comes next is in force or not, should the answer be lost.
        steering_.set(knob, value, "advice", "trial of " + trial_->what.id());
        trial_->in_force = value;
        trial_->experiment.switched(now_());
    } catch (const Error& e) {
        give_back(
            "rolled_back", std::string{"the server refused the change: "} + e.what(), trial_->by
        );
    }
}

void Tuner::keep() {
    const Knob& knob = *trial_->what.knob;
    const std::string reason = trial_->experiment.reason();
    try {
        if (!is_untouched(knob, trial_->in_force)) {
            finish("failed", "somebody else turned the knob meanwhile; left as it is", trial_->by);
            return;
        }
        steering_.set(knob, trial_->after, trial_->by, reason);
        open_.erase(trial_->what.id());
        finish("kept", reason, trial_->by);
    } catch (const Error& e) {
        give_back(
            "rolled_back", std::string{"the server refused the change: "} + e.what(), trial_->by
        );
    }
}

// The knob goes back now, or, when the server does not answer, as soon as it does.
void Tuner::give_back(std::string event, std::string reason, std::string_view by) {
    const Entry begun = *chronicle_.unfinished();
    Entry ended{0, now_(), std::string{by}, event, begun.id, begun.detail};
    try {
        restore(*trial_->what.knob, begun, reason);
        finish(event, reason, by);
    } catch (const Error& e) {
        recovery_ = Recovery{
            begun,
            std::move(event),
            reason + " (it took a while: " + e.what() + ")",
            now_() + k_again_ms};
        trial_.reset();
    }
}

void Tuner::restore(const Knob& knob, const Entry& begun, std::string_view why) {
    const SettingsView view = steering_.settings({});
    const LiveSetting* const setting = view.of(knob);
    const json::value& before = value_at(begun.detail, "before");
    const json::value& after = value_at(begun.detail, "after");
    if (setting == nullptr) {
        drop(knob, why);
        return;
    }
    // Turned by somebody else: theirs is the word.
    if (setting->value != after && setting->value != before) {
        return;
    }
    const json::value& was = value_at(begun.detail, "was_overridden");
    if (was.is_bool() && was.get_bool()) {
        steering_.set(knob, before, "advice", why);
    } else if (setting->overridden) {
        steering_.unset(knob, "advice", why);
    }
}

// Its plugin is not here now, but would come back with a value that nobody has proven.
void Tuner::drop(const Knob& knob, std::string_view why) {
    try {
        steering_.unset(knob, "advice", why);
    } catch (const Error& e) {
        if (e.code() != TENON_INVALID) {
            throw;
        }
    }
}

void Tuner::recover() {
    Recovery& recovery = *recovery_;
    recovery.again_ms = now_() + k_again_ms;
    try {
        restore(knob_of(recovery.begun.detail), recovery.begun, recovery.reason);
    } catch (const Error& e) {
        trouble_ = e.what();
        return;
    }
    trouble_.clear();
    Entry entry{0, now_(), "advice", recovery.event, recovery.begun.id, recovery.begun.detail};
    entry.detail["reason"] = recovery.reason;
    entry.detail.erase("before");
    entry.detail.erase("after");
    record(std::move(entry));
    recovery_.reset();
    cool_until_ms_ = now_() + options_.cool_down_ms;
}

void Tuner::finish(const std::string& event, const std::string& reason, std::string_view by) {
    const Experiment& experiment = trial_->experiment;
    const Experiment::Verdict verdict = experiment.verdict();
    Entry entry{0, now_(), std::string{by}, event, trial_->what.id(), {}};
    const Knob& knob = *trial_->what.knob;
    entry.detail = {
        {"kind", trial_->what.kind},
        {"plugin", knob.plugin},
        {"pointer", knob.pointer},
        {"element", knob.element},
        {"field", knob.field},
        {"from", plain(trial_->what.from)},
        {"to", plain(trial_->what.to)},
        {"reason", reason},
        {"metric", experiment.promise().measure.name},
        {"label", experiment.promise().measure.label},
        {"before_median", verdict.before},
        {"after_median", verdict.after},
        {"ratio", verdict.ratio},
        {"p", verdict.p},
        {"took_ms", now_() - experiment.began_ms()},
        {"windows", windows_json(experiment)}};
    if (event == "kept") {
        entry.detail["before"] = trial_->before;
        entry.detail["after"] = trial_->after;
        entry.detail["was_overridden"] = trial_->was_overridden;
    }
    record(std::move(entry));
    trial_.reset();
    snapshots_.clear();  // what was measured meanwhile says nothing of the usual
    cool_until_ms_ = now_() + options_.cool_down_ms;
    next_evaluation_ms_ = now_() + options_.evaluate_every_ms;
}

void Tuner::record(Entry entry) {
    chronicle_.record(entry);
    told_(entry);
}

}  // namespace tenon::advisor
