// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/checks/all.hpp"
#include "sdk/conformance/context.hpp"
#include "sdk/conformance/process_state.hpp"

#include <atomic>
#include <thread>

namespace tenon::conformance {
namespace {

constexpr std::int64_t k_second_ns = 1'000'000'000;

// What was posted before has run when this returns.
void settle(Context& check) {
    check.on_reactor([] {});
}

void create_works(Context& check) {
    Instance& plugin = check.fresh();
    const Answer answer = plugin.create();
    check.require(answer.ok(), "L07 create answers " + answer.text());
}

void configure_works(Context& check) {
    Instance& plugin = check.created();
    const Answer answer = plugin.configure(check.config());
    check.require(
        answer.ok(), "L07 configure with " + check.config() + " answers " + answer.text()
    );
}

void start_works(Context& check) {
    Instance& plugin = check.configured();
    const Answer answer = plugin.start();
    check.require(answer.ok(), "L07 start answers " + answer.text());
}

void unused(Context& check) {
    check.created().destroy();
}

void configured_only(Context& check) {
    check.configured().destroy();
}

// A refused configure leaves a plugin that can be configured again, or destroyed.
void refused_configure(Context& check) {
    (void)check.configured();
    Instance& again = check.created();
    (void)again.configure("{\"no-such-setting\":", false);
    const Answer answer = again.configure(check.config());
    check.expect(answer.ok(), "after a refused configure a good one answers " + answer.text());
    again.destroy();
    Instance& gone = check.created();
    (void)gone.configure("{\"no-such-setting\":", false);
    gone.destroy();
}

void restarts(Context& check) {
    Instance& plugin = check.started();
    plugin.stop();
    Answer answer = plugin.start();
    check.require(answer.ok(), "start after stop answers " + answer.text());
    plugin.stop();
    answer = plugin.configure(check.config());
    check.require(answer.ok(), "configure after stop answers " + answer.text());
    answer = plugin.start();
    check.require(answer.ok(), "start after stop and configure answers " + answer.text());
}

// Each call of the host that may fail does so once in start; then start must work after configure.
void refused_start(Context& check) {
    Instance& sound = check.configured();
    const std::int64_t before = sound.host().failable_calls();
    if (!sound.start().ok()) {
        Context::skip("start failed; see lifecycle.start");
    }
    const std::int64_t after = sound.host().failable_calls();
    sound.stop();
    sound.destroy();
    constexpr std::int64_t k_most = 12;
    for (std::int64_t n = before + 1; n <= after && n <= before + k_most; ++n) {
        check.host_options().fail_call = n;
        Instance& plugin = check.created();
        check.host_options().fail_call = 0;
        if (plugin.configure(check.config()).ok() && !plugin.start().ok()) {
            Answer answer = plugin.configure(check.config());
            check.expect(answer.ok(), "configure after a failed start answers " + answer.text());
            answer = plugin.start();
            check.expect(answer.ok(), "start after a failed start answers " + answer.text());
        }
        if (plugin.state() == State::started) {
            plugin.stop();
        }
        plugin.destroy();
    }
}

void two_at_once(Context& check) {
    if (check.manifest().single_instance) {
        Context::skip("the manifest says that there is one instance only");
    }
    check.host_options().environment["instance"] = "first";
    check.host_options().environment["data_dir"] = (check.folder() / "first").string();
    std::filesystem::create_directory(check.folder() / "first");
    Instance& first = check.started();
    check.host_options().environment["instance"] = "second";
    check.host_options().environment["data_dir"] = (check.folder() / "second").string();
    std::filesystem::create_directory(check.folder() / "second");
    Instance& second = check.fresh();
    Answer answer = second.create();
    check.require(answer.ok(), "create of a second instance answers " + answer.text());
    check.expect(first.raw() != second.raw(), "two instances are one object");
    answer = second.configure(check.config());
    check.require(answer.ok(), "configure of a second instance answers " + answer.text());
    answer = second.start();
    if (answer.status == TENON_CONFLICT) {
        check.warn(
            "a second instance is refused: " + answer.text() +
            "; if that has to be, say \"instances\": \"one\" in the manifest's lifecycle"
        );
        return;
    }
    check.require(answer.ok(), "start of a second instance answers " + answer.text());
    for (const manifest::Provision& provision : check.manifest().provides) {
        tenon_iface one{};
        tenon_iface other{};
        if (first.query(provision.interface_id, &one) == TENON_OK &&
            second.query(provision.interface_id, &other) == TENON_OK) {
            check.expect(
                one.self != other.self, "two instances give the same " + provision.interface_id
            );
        }
    }
    first.stop();
    first.destroy();
    second.host().collect();
    second.stop();
}

void cycles(Context& check) {
    Instance& plugin = check.started();
    plugin.stop();
    constexpr int k_cycles = 100;
    constexpr int k_warm = 20;
    constexpr std::chrono::seconds k_time{4};
    const auto began = std::chrono::steady_clock::now();
    ProcessState before = process_state();
    std::int64_t memory = 0;
    int done = 0;
    while (done < k_cycles && (done < k_warm || std::chrono::steady_clock::now() - began < k_time)
    ) {
        const Answer answer = plugin.start();
        check.require(
            answer.ok(), "start number " + std::to_string(done + 2) + " answers " + answer.text()
        );
        plugin.stop();
        if (++done == k_warm) {
            memory = resident_bytes();
        }
    }
    settle(check);
    const ProcessState after = process_state();
    const std::string times = std::to_string(done) + " starts and stops";
    check.expect_own(
        before.fds.size() >= after.fds.size(), times + " leave fds: " + before.new_fds(after)
    );
    check.expect(
        before.threads.size() >= after.threads.size(),
        times + " leave threads: " + before.new_threads(after)
    );
    const std::int64_t grown = resident_bytes() - memory;
    check.note(
        times + "; memory grew by " + std::to_string(grown / 1024) + " KiB after the first 20"
    );
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    constexpr std::int64_t k_grown_max = std::int64_t{8} << 20U;
    check.expect(
        grown < k_grown_max, times + " let memory grow by " + std::to_string(grown / 1024) + " KiB"
    );
#endif
}

// query may come from any thread at any time before destroy, and so may a scrape.
void stop_in_flight(Context& check) {
    Instance& plugin = check.started();
    std::atomic<bool> going{true};
    std::atomic<std::uint64_t> calls{0};
    std::thread other{[&] {
        while (going) {
            for (const manifest::Provision& provision : check.manifest().provides) {
                tenon_iface iface{};
                (void)plugin.query(provision.interface_id, &iface);
            }
            tenon_iface none{};
            (void)plugin.query("org.example.unknown/1", &none);
            ++calls;
        }
    }};
    (void)check.eventually([&] { return calls > 100; });
    for (int i = 0; i < 5; ++i) {
        plugin.stop();
        if (!plugin.start().ok()) {
            break;
        }
    }
    going = false;
    other.join();
}

void drain_keeps_deadline(Context& check) {
    Instance& plugin = check.started();
    constexpr std::int64_t k_deadline_ns = k_second_ns / 5;
    constexpr std::int64_t k_late_ns = k_second_ns / 2;
    const std::int64_t began = check.reactor().now_ns();
    const Answer answer = plugin.drain(began + k_deadline_ns);
    const std::int64_t took = check.reactor().now_ns() - began;
    check.expect(
        answer.ok() || answer.status == TENON_TIMEOUT || answer.status == TENON_UNSUPPORTED,
        "drain answers " + answer.text()
    );
    check.expect(
        took < k_deadline_ns + k_late_ns,
        "drain with a deadline of 200 ms took " + std::to_string(took / 1'000'000) + " ms"
    );
    plugin.stop();
}

void done_fires_once(Context& check) {
    struct Done {
        std::atomic<int> fired{0};
        std::atomic<bool> returned{false};
        std::atomic<bool> inline_call{false};
    } done;

    Instance& plugin = check.started();
    const auto fire = [](void* ctx, tenon_status, const tenon_err*) {
        auto& mine = *static_cast<Done*>(ctx);
        mine.inline_call = mine.inline_call || !mine.returned;
        ++mine.fired;
    };
    plugin.host().set_state(State::draining);
    const std::int64_t deadline = check.reactor().now_ns() + k_second_ns / 5;
    const tenon_status status = plugin.raw()->vt->drain(plugin.raw(), deadline, {&done, fire});
    done.returned = true;
    if (status == TENON_PENDING) {
        (void)check.eventually([&] { return done.fired != 0; }, std::chrono::seconds{2});
    }
    plugin.stop();
    plugin.destroy();
    settle(check);
    const int wanted = status == TENON_PENDING ? 1 : 0;
    check.expect(!done.inline_call, "drain fires its done before it returned");
    check.expect(
        done.fired == wanted,
        "drain answers " + status_text(status) + " and fires its done " +
            std::to_string(done.fired) + " times"
    );
}

void leaves_no_thread(Context& check) {
    Instance& plugin = check.fresh();
    const ProcessState before = process_state();
    if (!plugin.create().ok() || !plugin.configure(check.config()).ok() || !plugin.start().ok()) {
        Context::skip("does not start; see lifecycle.start");
    }
    plugin.stop();
    plugin.destroy();
    // A joined thread may still be in the list for a moment.
    std::string left;
    (void)check.eventually([&] {
        left = before.new_threads(process_state());
        return left.empty();
    });
    check.expect(left.empty(), "after destroy there are threads: " + left);
}

void leaves_no_fd(Context& check) {
    Instance& plugin = check.fresh();
    const ProcessState before = process_state();
    if (!plugin.create().ok() || !plugin.configure(check.config()).ok() || !plugin.start().ok()) {
        Context::skip("does not start; see lifecycle.start");
    }
    plugin.stop();
    plugin.destroy();
    settle(check);
    const std::string left = before.new_fds(process_state());
    check.expect_own(left.empty(), "after destroy there are open file descriptors: " + left);
}

void leaves_no_registration(Context& check) {
    Instance& plugin = check.started();
    plugin.host().collect();
    plugin.stop();
    settle(check);
    // A job that has let go of the plugin is counted until its thread has come back to the pool.
    std::string running;
    (void)check.eventually([&] {
        running = plugin.host().account().runtime_text();
        return running.empty();
    });
    check.expect(running.empty(), "after stop the host still holds " + running);
    plugin.destroy();
    settle(check);
    const std::string left = plugin.host().account().lifetime_text();
    check.expect(left.empty() || left == running, "after destroy the host still holds " + left);
}

// The runner ends this process by exit(), with the plugin running.
void exits_cleanly(Context& check) {
    Instance& plugin = check.started();
    plugin.host().collect();
    check.keep_running();
}

void live_settings(Context& check) {
    bool live = false;
    const auto* const properties = check.manifest().config_schema.if_contains("properties");
    if (properties != nullptr && properties->is_object()) {
        for (const auto& [key, value] : properties->get_object()) {
            const auto* const reload =
                value.is_object() ? value.get_object().if_contains("x-reload") : nullptr;
            live = live || (reload != nullptr && *reload == "live");
        }
    }
    if (!live) {
        Context::skip("no setting is marked \"x-reload\": \"live\"");
    }
    Instance& plugin = check.started();
    Answer answer = plugin.configure(check.config(), true);
    check.expect(answer.ok(), "a dry run of configure while started answers " + answer.text());
    answer = plugin.configure(check.config());
    check.expect(answer.ok(), "configure while started answers " + answer.text());
    plugin.host().set_config(check.config(), true);
    plugin.host().collect();
}

constexpr Check k_checks[] = {
    {"lifecycle.create", "create gives a plugin (L07)", "", &create_works},
    {"lifecycle.configure", "configure takes the schema's defaults (L07)", "", &configure_works},
    {"lifecycle.start", "start works with the schema's defaults (L07)", "", &start_works},
    {"lifecycle.unused", "create, destroy", "", &unused},
    {"lifecycle.configured", "create, configure, destroy", "", &configured_only},
    {"lifecycle.refused-configure",
     "a refused configure does not spoil the instance",
     "",
     &refused_configure},
    {"lifecycle.restart",
     "start after stop works, with and without a new configure",
     "",
     &restarts},
    {"lifecycle.refused-start", "a start that failed can be repeated", "", &refused_start},
    {"lifecycle.two", "two instances live side by side", "", &two_at_once},
    {"lifecycle.cycles",
     "a hundred starts and stops leave fds, threads and memory flat",
     "",
     &cycles},
    {"lifecycle.in-flight", "stop copes with look-ups from another thread", "", &stop_in_flight},
    {"lifecycle.drain", "drain keeps its deadline", "", &drain_keeps_deadline},
    {"lifecycle.done",
     "drain's done fires once when pending, else never, and never inline",
     "",
     &done_fires_once},
    {"lifecycle.threads", "destroy leaves no thread", "", &leaves_no_thread},
    {"lifecycle.fds", "destroy leaves no open file descriptor", "", &leaves_no_fd},
    {"lifecycle.registrations",
     "stop and destroy leave nothing registered at the host",
     "",
     &leaves_no_registration},
    {"lifecycle.exit", "the process may end while the plugin runs", "", &exits_cleanly, true},
    {"lifecycle.live", "settings marked live are taken while it runs", "", &live_settings},
};

}  // namespace

std::span<const Check> lifecycle_checks() {
    return k_checks;
}

}  // namespace tenon::conformance
