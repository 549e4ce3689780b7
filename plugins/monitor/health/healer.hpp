// SPDX-License-Identifier: Apache-2.0
// Which plugins are restarted by themselves, when, and what is said of it. It decides only: who
// calls it asks the server and tells it what came of that. Not thread-safe.
//
// A plugin is restarted after so many failed checks in a row; each further attempt waits longer,
// and an hour has a most of them, whether they helped or not. One plugin at a time.
#pragma once

#include <tenon/backoff.hpp>
#include <tenon/settings.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon::monitor {

struct HealSettings {
    struct Rule {
        explicit Rule(const Settings& json);

        std::string plugin;
        std::string component;  // empty: all of the plugin's
        bool restarts;
    };

    // Throws Error TENON_INVALID.
    explicit HealSettings(const Settings& json);

    bool restarts;  // what no rule names
    std::uint32_t after;
    BackoffOptions backoff;
    std::uint32_t per_hour;
    std::vector<Rule> rules;  // the first that fits counts
};

// A plugin that a restart may mend.
struct Fault {
    std::string plugin;
    std::string cause;
    bool is_down = false;  // it did not start
};

// From the report of tenon.health/1, one a plugin: it failed to start, a component of it is
// critical, or its probe (a component of `own`, the health monitor's instance) fails; a component
// that is degraded counts when a rule names it. What is quarantined or held back is none, and
// neither is what is down for want of another. Throws when the report is none.
[[nodiscard]] std::vector<Fault>
faults_of(std::string_view report, std::string_view own, const HealSettings& settings);

// Why the server may not restart the plugin by itself; "": it may. From the answer of
// `plugins.list`: its manifest and those of all that run and would stop with it have to allow it.
[[nodiscard]] std::string objection_to(std::string_view plugins, std::string_view plugin);

class Healer {
public:
    enum class State { restarted, failed, refused, given_up, healed };

    // Something that is to be recorded.
    struct News {
        std::string plugin;
        State state;
        std::string reason;
    };

    struct Attempt {
        std::string plugin;
        std::string reason;
    };

    // Of the waits' jitter.
    explicit Healer(std::uint64_t seed) : seed_{seed} {}

    // The findings of a round of checks, by a monotonic clock. Gives what to restart now, if
    // anything; settled(), withdrawn() or interrupted() has to follow before another is given.
    [[nodiscard]] std::optional<Attempt>
    judge(const std::vector<Fault>& faults, const HealSettings& settings, std::int64_t now_ns);
    // What came of it: restarted, failed, or refused, which is no attempt.
    void settled(const std::string& plugin, State state, std::string reason, std::int64_t now_ns);
    // It was not even asked for.
    void withdrawn();
    // The restart stopped who asked for it: what came of it shows at the next judge().
    void interrupted(const std::string& plugin, std::int64_t now_ns);

    // Since the last call.
    [[nodiscard]] std::vector<News> take_news() { return std::exchange(news_, {}); }

    // Of each plugin that was told of: what is wrong, or "" when it is well.
    [[nodiscard]] std::vector<std::pair<std::string, std::string>> shown(std::int64_t now_ns) const;

private:
    struct Patient {
        std::string cause;  // empty: it is well
        std::uint32_t checks_failed = 0;
        std::uint32_t attempts = 0;  // since it was well
        std::deque<std::int64_t> times_ns;
        std::int64_t not_before_ns = 0;
        std::optional<Backoff> backoff;
        std::string refusal;
        bool is_told = false;  // that it was given up
        bool is_open = false;  // interrupted
    };

    void recovered(const std::string& plugin, Patient& patient);
    void attempted(Patient& patient, std::int64_t now_ns);

    std::uint64_t seed_;
    std::map<std::string, Patient> patients_;
    std::string busy_;  // the plugin that is being restarted
    std::vector<News> news_;
};

// "restarted", …
[[nodiscard]] std::string_view name_of(Healer::State state);

}  // namespace tenon::monitor
