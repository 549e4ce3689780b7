// SPDX-License-Identifier: Apache-2.0
// A check of the conformance kit: what it is called, whom it is for, and what it does.
//
// How to write a suite for an interface (sdk/conformance/suites/NAME.cpp)
//
//   void keeps_what_is_put(Context& check) {
//       Instance& plugin = check.started();   // opened, created, configured with its defaults,
//       started const auto tier = plugin.get<tenon_cache_tier_1>("tenon.cache_tier/1");
//       check.require(tier->put(tier.self, …) == TENON_OK, "put answers TENON_OK");
//       check.expect(got == "value", "get gives what was put; got \"" + got + "\"");
//   }
//   constexpr Check k_checks[] = {
//       {"cache-tier.round-trip", "what was put is got back", "tenon.cache_tier/1",
//       &keeps_what_is_put},
//   };
//   std::span<const Check> cache_tier_checks() { return k_checks; }
//
// and name that function in suites/all.cpp. A check runs in a child process of its own, on the
// control thread, with a folder of its own (Context::folder). Everything that it made is stopped
// and destroyed when it returns. Context has the rest: several instances, other settings, hosts
// with faults, the reactor, the clock, seeds; see context.hpp. If the plugin cannot be opened or
// started, check.started() ends the check as skipped, because a check of its own (lifecycle.start)
// fails then.
#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::conformance {

enum class Outcome : std::uint8_t { pass, warn, fail, skip, crash, timeout };

[[nodiscard]] std::string_view to_text(Outcome outcome);

// Fail, crash and timeout: what makes the program exit with 1.
[[nodiscard]] constexpr bool is_bad(Outcome outcome) {
    return outcome == Outcome::fail || outcome == Outcome::crash || outcome == Outcome::timeout;
}

class Context;

struct Check {
    std::string_view name;          // "GROUP.what-it-checks"; the name is its code, too
    std::string_view meaning;       // one line: what a plugin that passes does
    std::string_view interface_id;  // for plugins that provide it; empty: for all
    void (*run)(Context&);
    // The child ends by exit() in place of _exit(): static destructors of the plugin run.
    bool exits_normally = false;
    // Tells figures and cannot fail: the self-test needs no broken plugin for it.
    bool report = false;
    // For plugins that require the interface, not for those that provide it.
    bool for_users = false;

    [[nodiscard]] constexpr std::string_view group() const {
        return name.substr(0, name.find('.'));
    }
};

// Every check of the kit, in the order of the run.
[[nodiscard]] const std::vector<Check>& all_checks();

// What is for every plugin: checks/all.cpp.
[[nodiscard]] std::vector<std::span<const Check>> groups();

// Suites of interfaces: suites/all.cpp.
[[nodiscard]] std::vector<std::span<const Check>> suites();

// Thrown by Context::skip and Context::require; caught by the runner.
struct Skipped : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Abandoned : std::runtime_error {
    using std::runtime_error::runtime_error;
};

}  // namespace tenon::conformance
