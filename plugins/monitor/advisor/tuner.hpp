// SPDX-License-Identifier: Apache-2.0
// Watches, recommends, tries one thing at a time, keeps or takes back, and writes it all down.
//
// tick() is called some times a second by one thread, the rest by anybody. What waits for the
// server (a change, a search for indexes) holds up other changes but not list(). Knows no clock:
// the time is given. Thread-safe.
#pragma once

#include "plugins/monitor/advisor/chronicle.hpp"
#include "plugins/monitor/advisor/recommendation.hpp"
#include "plugins/monitor/advisor/steering.hpp"

#include <boost/json/object.hpp>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::advisor {

struct TunerOptions {
    bool automatic = false;
    std::vector<std::string> kinds;  // that are tried automatically
    std::vector<Bound> bounds;
    std::int64_t window_ms = 2'500, settle_ms = 500;
    std::uint32_t windows = 16;
    std::int64_t cool_down_ms = 300'000;      // between automatic trials
    std::int64_t evaluate_every_ms = 60'000;  // and the span that the rules look at
    std::int64_t look_every_ms = 5'000;
    std::int64_t indexes_every_ms = 86'400'000;   // between searches for indexes; 0: none
    std::int64_t dismissed_for_ms = 604'800'000;  // also before what was rolled back is tried again
};

class Tuner {
public:
    using Now = std::function<std::int64_t()>;  // ms since the epoch, never backwards
    using Look = std::function<Snapshot()>;
    using Told = std::function<void(const Entry&)>;

    // All outlive it. A trial that the chronicle has no end of is rolled back by the next ticks.
    Tuner(Steering& steering, Chronicle& chronicle, Now now, Look look, Told told);

    void set_options(TunerOptions options);

    // Throws Error when the chronicle cannot be written. A server that does not answer is asked
    // again later.
    void tick();
    // Looks for indexes when queries were slow and it is time to. May take minutes.
    void look_for_indexes();

    // Answers of the commands; the README has their members. Throw Error.
    [[nodiscard]] std::string list() const;
    [[nodiscard]] std::string show(std::string_view id) const;
    [[nodiscard]] std::string apply(std::string_view id, std::string_view by);
    [[nodiscard]] std::string
    roll_back(std::string_view id, std::string_view by, std::string_view reason);
    [[nodiscard]] std::string
    dismiss(std::string_view id, std::string_view by, std::string_view reason);
    // Tries any value within the bounds, to see that what is bad is taken back.
    [[nodiscard]] std::string
    drill(const Knob& knob, const boost::json::value& to, std::string_view by);

    struct State {
        std::size_t open = 0;
        bool is_trying = false;
        std::string trouble;  // a trial that cannot be taken back yet
    };

    [[nodiscard]] State state() const;

private:
    struct Open {
        Recommendation what;
        std::int64_t since_ms = 0, seen_ms = 0;
    };

    struct Trial {
        Recommendation what;
        boost::json::value before, after, in_force;  // the whole setting
        bool was_overridden = false;
        std::string by;
        Experiment experiment;
    };

    struct Recovery {
        Entry begun;
        std::string event, reason;
        std::int64_t again_ms = 0;
    };

    using Turn = std::unique_lock<std::timed_mutex>;

    [[nodiscard]] Turn take_turn();
    void renew_options();
    void observe(const Snapshot& snapshot);
    void evaluate(std::int64_t now_ms);
    void merge(std::vector<Recommendation> found, std::int64_t now_ms);
    void try_automatically(std::int64_t now_ms);
    void begin(const Recommendation& what, std::string_view by);
    void advance(const Snapshot& snapshot);
    void switch_to(bool after);
    void keep();
    void give_back(std::string event, std::string reason, std::string_view by);
    void finish(const std::string& event, const std::string& reason, std::string_view by);
    void recover();
    [[nodiscard]] bool is_untouched(const Knob& knob, const boost::json::value& expected);
    void restore(const Knob& knob, const Entry& begun, std::string_view why);
    void drop(const Knob& knob, std::string_view why);
    [[nodiscard]] const Open& open_of(std::string_view id) const;
    [[nodiscard]] std::string apply_indexes(const Recommendation& what, std::string_view by);
    void publish();
    void record(Entry entry);

    Steering& steering_;
    Chronicle& chronicle_;
    const Now now_;
    const Look look_;
    const Told told_;
    mutable std::mutex options_mutex_;
    TunerOptions shared_options_;  // guarded by options_mutex_
    std::timed_mutex work_;        // all below but view_, state_ and found_indexes_
    TunerOptions options_;         // as of the turn's begin
    std::deque<Snapshot> snapshots_;
    std::map<std::string, Open, std::less<>> open_;
    std::optional<Trial> trial_;
    std::optional<Recovery> recovery_;
    std::int64_t next_look_ms_ = 0, next_evaluation_ms_ = 0, cool_until_ms_ = 0;
    std::int64_t next_indexes_ms_ = 0;
    double slow_queries_ = 0, data_bytes_ = 0;  // when indexes were looked for; at the first look
    bool slow_seen_ = false;
    std::string trouble_;  // why the server's settings could not be read or changed last
    mutable std::mutex view_mutex_;
    boost::json::object view_;                     // guarded by view_mutex_
    State state_;                                  // guarded by view_mutex_
    std::optional<Recommendation> found_indexes_;  // for the next tick; guarded by view_mutex_
};

}  // namespace tenon::advisor
