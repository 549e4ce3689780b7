// SPDX-License-Identifier: Apache-2.0
// Hosts that are older or newer than the one that the plugin was built for.
#include "sdk/conformance/checks/all.hpp"
#include "sdk/conformance/context.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace tenon::conformance {
namespace {

// The whole life; what is refused must be refused with a status.
Answer live(Context& check, Instance& plugin) {
    Answer answer = plugin.create();
    if (!answer.ok()) {
        return answer;
    }
    answer = plugin.configure(check.config());
    if (answer.ok()) {
        answer = plugin.start();
    }
    if (answer.ok()) {
        plugin.host().collect();
        (void)plugin.drain(check.reactor().now_ns() + 1'000'000'000);
        plugin.stop();
    }
    plugin.destroy();
    return answer;
}

// The plugin works on the plain host: what it does elsewhere is then the host's doing.
void works_here(Context& check) {
    Instance& plugin = check.started();
    plugin.stop();
    plugin.destroy();
}

// Tables end where they ended in 1.0, or where this kit knows them to end, and poison follows.
void older_host(Context& check) {
    works_here(check);
    check.host_options().poisoned_tail = true;
    for (const Host::Known& service : Host::known_services()) {
        for (std::uint32_t size = service.oldest; size <= service.size; size += service.slot_size) {
            check.host_options().table_sizes = {{std::string{service.id}, size}};
            const Answer answer = live(check, check.fresh());
            check.expect(
                answer.ok(),
                "with " + std::string{service.id} + " of " + std::to_string(size) +
                    " bytes: " + answer.text()
            );
            if (service.oldest == service.size) {
                break;
            }
        }
    }
}

void newer_host(Context& check) {
    works_here(check);
    check.host_options().longer_tables = true;
    const Answer answer = live(check, check.fresh());
    check.expect(answer.ok(), "with tables longer than known: " + answer.text());
}

void unknown_flags(Context& check) {
    works_here(check);
    check.host_options().flags = 0x80000000U;
    const Answer answer = live(check, check.fresh());
    check.expect(answer.ok(), "with an unknown flag in every table: " + answer.text());
}

// Log and clock are always there; without another the plugin may refuse, and says why.
void missing_service(Context& check) {
    works_here(check);
    for (const Host::Known& service : Host::known_services()) {
        if (service.id == "tenon.log/1" || service.id == "tenon.clock/1") {
            continue;
        }
        check.host_options().without = {std::string{service.id}};
        const Answer answer = live(check, check.fresh());
        check.expect(
            answer.ok() || !answer.message.empty(),
            "without " + std::string{service.id} + " it fails and does not say why"
        );
        if (!answer.ok()) {
            check.note("needs " + std::string{service.id});
        }
    }
}

// A tenon_err cut after `room` bytes of message, and what must stay as it is behind it.
struct ShortError {
    explicit ShortError(std::uint32_t room) {
        std::memset(this, 0x5A, sizeof *this);
        err.size = static_cast<std::uint32_t>(offsetof(tenon_err, msg)) + room;
        err.code = 0;
        err.len = 0;
    }

    [[nodiscard]] bool overrun() const {
        const auto* const raw = reinterpret_cast<const unsigned char*>(&err);
        return std::any_of(raw + err.size, raw + sizeof err, [](unsigned char c) {
            return c != 0x5A;
        });
    }

    tenon_err err;
};

// Configurations that a plugin may refuse; the kernel would not send them.
constexpr std::array<std::string_view, 5> k_bad = {
    "{",
    "[]",
    "null",
    "{\"no-such-setting\":1}",
    "not JSON at all, and long enough for a message"};

void short_error(Context& check) {
    for (const std::uint32_t room : {0U, 8U, 100U}) {
        Instance& plugin = check.created();
        for (const std::string_view bad : k_bad) {
            ShortError error{room};
            const std::uint32_t size = error.err.size;
            plugin.set_error_buffer(&error.err);
            (void)plugin.configure(bad, true);
            plugin.set_error_buffer(nullptr);
            check.expect(
                error.err.size == size, "the plugin changed the size of the caller's tenon_err"
            );
            check.expect(
                error.err.size != size || !error.overrun(),
                "the plugin wrote beyond the size of a tenon_err with room for " +
                    std::to_string(room) + " bytes of message"
            );
            check.expect(
                error.err.len <= room,
                "len is " + std::to_string(error.err.len) + " with room for " + std::to_string(room)
            );
        }
    }
}

void no_error(Context& check) {
    Instance& plugin = check.created();
    plugin.give_no_error_buffer();
    for (const std::string_view bad : k_bad) {
        (void)plugin.configure(bad, true);
    }
    if (plugin.configure(check.config()).ok() && plugin.start().ok()) {
        plugin.stop();
    }
}

constexpr Check k_checks[] = {
    {"skew.older-host",
     "looks at the size of a host table before a slot that may be missing",
     "",
     &older_host},
    {"skew.newer-host", "works with host tables longer than it knows", "", &newer_host},
    {"skew.flags", "ignores flags that it does not know", "", &unknown_flags},
    {"skew.services",
     "does without a host service, or refuses with a reason",
     "",
     &missing_service},
    {"skew.short-error", "writes no more into a tenon_err than its size", "", &short_error},
    {"skew.no-error", "takes NULL for a tenon_err", "", &no_error},
};

}  // namespace

std::span<const Check> skew_checks() {
    return k_checks;
}

}  // namespace tenon::conformance
