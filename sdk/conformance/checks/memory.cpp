// SPDX-License-Identifier: Apache-2.0
// Whose memory is touched when, and which calls the plugin makes of the host from where.
#include "sdk/conformance/checks/all.hpp"
#include "sdk/conformance/context.hpp"
#include "sdk/conformance/guarded.hpp"

#include <algorithm>

namespace tenon::conformance {
namespace {

// What is read beyond the end is memory.bounds' affair.
constexpr std::size_t k_slack = 64;
constexpr std::int64_t k_second_ns = 1'000'000'000;

void reads_within_bounds(Context& check) {
    Instance& plugin = check.created();
    for (const std::string& text : {check.config(), std::string{"{ }"}, std::string{"{\"a\":1"}}) {
        const Guarded json{text};
        (void)plugin.configure(json.str(), true);
    }
    const Guarded config{check.config()};
    if (!plugin.configure(config.str(), false).ok()) {
        return;
    }
    for (const manifest::Provision& provision : check.manifest().provides) {
        const Guarded id{provision.interface_id};
        const Guarded shorter{provision.interface_id.substr(0, provision.interface_id.size() - 1)};
        tenon_iface out{};
        const tenon_status usual = plugin.query(provision.interface_id, &out);
        check.expect(
            plugin.query(id.view(), &out) == usual,
            "query of " + provision.interface_id + " answers otherwise when no NUL follows the id"
        );
        (void)plugin.query(shorter.view(), &out);
    }
}

void keeps_no_input(Context& check) {
    Instance& plugin = check.created();
    Guarded config{check.config(), k_slack};
    if (!plugin.configure(config.str(), false).ok()) {
        Context::skip("configure failed; see lifecycle.configure");
    }
    config.take_away();
    tenon_iface out{};
    for (const manifest::Provision& provision : check.manifest().provides) {
        Guarded id{provision.interface_id, k_slack};
        (void)plugin.query(id.view(), &out);
        id.take_away();
        (void)plugin.query(provision.interface_id, &out);
    }
    if (plugin.start().ok()) {
        plugin.host().collect();
        (void)plugin.drain(check.reactor().now_ns() + k_second_ns / 5);
        plugin.stop();
    }
    plugin.destroy();
}

void takes_null_with_no_length(Context& check) {
    Instance& plugin = check.created();
    (void)plugin.configure(tenon_str{nullptr, 0}, true);
    (void)plugin.configure(check.config());
    tenon_iface out{};
    (void)plugin.query(std::string_view{nullptr, 0}, &out);
    (void)plugin.query(std::string_view{"a\0b", 3}, &out);
}

// What the plugin puts out goes through a sink; admin commands are the only ones that every plugin
// may have. They run on the pool, as the kernel runs them.
void copes_with_sinks(Context& check) {
    struct Sink {
        std::size_t room;
        std::size_t calls = 0;

        static tenon_status put(void* ctx, tenon_bytes chunk) {
            auto& mine = *static_cast<Sink*>(ctx);
            ++mine.calls;
            if (chunk.n > mine.room) {
                return TENON_UNAVAILABLE;
            }
            mine.room -= chunk.n;
            return TENON_OK;
        }
    };

    Instance& plugin = check.started();
    const std::vector<std::string> commands = plugin.host().commands();
    if (commands.empty()) {
        Context::skip("the plugin has no admin command");
    }
    for (const std::string& name : commands) {
        for (const std::size_t room : {std::size_t{0}, std::size_t{7}}) {
            Sink sink{room};
            ErrorBuffer err;
            const tenon_status status =
                plugin.host().run_command(name, "{}", {&sink, &Sink::put}, &err);
            check.expect(
                status != TENON_OK || sink.room < room || sink.calls == 0,
                "the command " + name + " answers TENON_OK though its output was refused"
            );
        }
    }
}

// A life as the kernel leads it, with every path that the host sees.
void whole_life(Context& check, Instance*& out) {
    Instance& plugin = check.created();
    out = &plugin;
    if (!plugin.configure(check.config()).ok() || !plugin.start().ok()) {
        Context::skip("does not start; see lifecycle.start");
    }
    plugin.host().collect();
    check.reactor().advance(2 * k_second_ns);
    check.on_reactor([] {});
    check.reactor().advance(60 * k_second_ns);
    check.on_reactor([] {});
    plugin.host().deliver("kit.event", "kit.event/1", "x");
    check.on_reactor([] {});
    (void)plugin.drain(check.reactor().now_ns() + k_second_ns / 5);
    plugin.stop();
    if (plugin.start().ok()) {
        plugin.stop();
    }
    plugin.destroy();
}

void tell_violations(Context& check, Fault fault) {
    Instance* plugin = nullptr;
    whole_life(check, plugin);
    for (const Violation& violation : plugin->host().violations()) {
        if (violation.fault == fault) {
            check.fail(violation.text);
        }
    }
}

void calls_in_state(Context& check) {
    tell_violations(check, Fault::state);
}

void calls_from_thread(Context& check) {
    tell_violations(check, Fault::thread);
}

void calls_with_sense(Context& check) {
    tell_violations(check, Fault::argument);
}

void declares_metrics(Context& check) {
    Instance* plugin = nullptr;
    whole_life(check, plugin);
    const std::vector<std::string>& declared = check.manifest().metrics;
    for (const std::string& name : plugin->host().metric_names()) {
        if (std::find(declared.begin(), declared.end(), name) == declared.end()) {
            check.warn("the metric " + name + " is not in the manifest's list");
        }
    }
}

constexpr Check k_checks[] = {
    {"memory.bounds", "reads its inputs no further than their length", "", &reads_within_bounds},
    {"memory.borrowed", "keeps no pointer into its inputs after the call", "", &keeps_no_input},
    {"memory.null",
     "takes NULL with length 0 and texts with a NUL in them",
     "",
     &takes_null_with_no_length},
    {"memory.sink", "stops when a sink takes no more, and says so", "", &copes_with_sinks},
    {"host.states", "calls the host in the states in which it may", "", &calls_in_state},
    {"host.threads", "calls the host from the threads from which it may", "", &calls_from_thread},
    {"host.arguments", "calls the host with arguments that make sense", "", &calls_with_sense},
    {"host.metrics", "its metrics are in the manifest's list", "", &declares_metrics},
};

}  // namespace

std::span<const Check> memory_checks() {
    return k_checks;
}

}  // namespace tenon::conformance
