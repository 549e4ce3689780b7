// SPDX-License-Identifier: Apache-2.0
// What goes wrong around the plugin becomes a status with a message.
#include "sdk/conformance/allocation.hpp"
#include "sdk/conformance/checks/all.hpp"
#include "sdk/conformance/context.hpp"

#include <algorithm>
#include <array>

namespace tenon::conformance {
namespace {

constexpr std::array<std::string_view, 4> k_bad = {
    "{",
    "[]",
    "{\"no-such-setting\":1}",
    "\"text\""};

// Every refusal that the lifecycle can be brought to.
template <class Look>
void provoke(Context& check, Look look) {
    Instance& plugin = check.created();
    for (const std::string_view bad : k_bad) {
        look(plugin.configure(bad, true), "configure with " + std::string{bad});
    }
    look(plugin.configure(check.config()), "configure with the defaults");
    look(plugin.start(), "start");
}

void messages(Context& check) {
    provoke(check, [&](const Answer& answer, const std::string& what) {
        if (answer.status > 0) {
            check.fail(what + " answers " + status_text(answer.status) + ", which it may not");
        }
        if (answer.status >= 0 || answer.threw) {
            return;
        }
        check.expect(
            answer.status >= TENON_IN_DOUBT,
            what + " answers " + std::to_string(answer.status) + ", which is no status of the ABI"
        );
        check.expect(!answer.message.empty(), what + " fails without a message");
        check.expect(is_utf8(answer.message), what + " fails with a message that is not UTF-8");
        check.expect(
            answer.err_len <= sizeof(tenon_err::msg),
            what + " says that its message has " + std::to_string(answer.err_len) + " bytes"
        );
        check.expect(
            answer.err_code == answer.status,
            what + " answers " + status_text(answer.status) + " and writes the code " +
                std::to_string(answer.err_code)
        );
    });
}

void nothing_thrown(Context& check) {
    provoke(check, [&](const Answer& answer, const std::string& what) {
        check.expect(!answer.threw, what + " threw an exception across the seam");
    });
}

// Life with the n-th failable call of the host failing.
void host_fails(Context& check) {
    Instance& sound = check.started();
    sound.host().collect();
    sound.stop();
    const std::int64_t calls = sound.host().failable_calls();
    sound.destroy();
    constexpr std::int64_t k_most = 60;
    constexpr std::chrono::seconds k_time{5};
    const auto began = std::chrono::steady_clock::now();
    for (std::int64_t n = 1; n <= std::min(calls, k_most); ++n) {
        if (std::chrono::steady_clock::now() - began > k_time) {
            check.note(
                "given up after " + std::to_string(n - 1) + " of " + std::to_string(calls) +
                " calls"
            );
            break;
        }
        check.host_options().fail_call = n;
        Instance& plugin = check.fresh();
        const std::string what = "with failing host call number " + std::to_string(n) + " ";
        Answer answer = plugin.create();
        if (answer.ok()) {
            answer = plugin.configure(check.config());
        }
        if (answer.ok()) {
            answer = plugin.start();
        }
        check.expect(answer.ok() || !answer.message.empty(), what + "it fails without a message");
        if (answer.ok()) {
            plugin.host().collect();
            plugin.stop();
        }
        if (plugin.raw() != nullptr) {
            plugin.destroy();
        }
    }
    check.note(std::to_string(calls) + " calls of the host that may fail");
}

struct Step {
    const char* name;
    Answer (*run)(Context&, Instance&);
};

// The n-th allocation of each step fails; with fewer than n allocations the step is done.
void memory_fails(Context& check) {
    if (!allocation_hook()) {
        Context::skip("this program does not count allocations (a build with a sanitizer)");
    }
    (void)check.started();
    constexpr std::array<Step, 3> k_steps = {
        {{"create", [](Context&, Instance& plugin) { return plugin.create(); }},
         {"configure", [](Context& c, Instance& plugin) { return plugin.configure(c.config()); }},
         {"start", [](Context&, Instance& plugin) { return plugin.start(); }}}};
    constexpr std::chrono::seconds k_time{2};
    for (std::size_t step = 0; step < k_steps.size(); ++step) {
        const auto began = std::chrono::steady_clock::now();
        for (std::uint64_t n = 1; std::chrono::steady_clock::now() - began < k_time;) {
            Instance& plugin = check.fresh();
            Answer answer;
            for (std::size_t before = 0; before < step && answer.ok(); ++before) {
                answer = k_steps[before].run(check, plugin);
            }
            const std::uint64_t sofar = allocations();
            fail_allocation(n);
            answer = k_steps[step].run(check, plugin);
            fail_allocation(0);
            const bool hit = allocations() - sofar >= n;
            check.expect(
                answer.ok() || !answer.message.empty(),
                std::string{k_steps[step].name} + " without memory fails without a message"
            );
            if (!hit) {
                break;
            }
            // Dense at first, where the plugin's own work is, then ever further apart.
            n += 1 + n / 16 + check.random().below(1 + n / 16);
        }
    }
}

constexpr Check k_checks[] = {
    {"errors.messages",
     "a failure has a known code and a message in UTF-8 within its bound",
     "",
     &messages},
    {"errors.throw", "no exception comes out of a call", "", &nothing_thrown},
    {"errors.host", "any call of the host may fail once: a status, no crash", "", &host_fails},
    {"errors.memory",
     "any allocation of create, configure and start may fail: a status",
     "",
     &memory_fails},
};

}  // namespace

std::span<const Check> errors_checks() {
    return k_checks;
}

}  // namespace tenon::conformance
