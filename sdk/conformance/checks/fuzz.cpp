// SPDX-License-Identifier: Apache-2.0
// Chance, repeatable by its seed; and figures, which never fail.
#include "sdk/conformance/checks/all.hpp"
#include "sdk/conformance/context.hpp"

#include <algorithm>
#include <set>

namespace tenon::conformance {
namespace {

using SteadyClock = std::chrono::steady_clock;

// The self-test runs this on every broken plugin.
std::chrono::milliseconds budget(const Context& check) {
    return std::chrono::milliseconds{check.options().self_test ? 100 : 800};
}

std::string seed_text(const Context& check) {
    return "repeat with --reproduce " + std::to_string(check.seed());
}

std::string mutated(Random& random, std::string text) {
    for (std::uint64_t edits = 1 + random.below(8); edits > 0; --edits) {
        const std::size_t at = text.empty() ? 0 : random.below(text.size());
        switch (random.below(5)) {
            case 0:
                text.insert(at, random.bytes(1 + random.below(4)));
                break;
            case 1:
                text.erase(at, 1 + random.below(8));
                break;
            case 2:
                text.insert(at, 1, "{}[]\",:0-e\\n"[random.below(12)]);
                break;
            case 3:
                text.insert(at, text.substr(at, random.below(32)));
                break;
            default:
                if (!text.empty()) {
                    text[at] =
                        static_cast<char>(text[at] ^ static_cast<char>(1U << random.below(8)));
                }
        }
    }
    return text;
}

void fuzz_config(Context& check) {
    (void)check.configured();
    Instance& plugin = check.created();
    const std::string good = check.config();
    const auto began = SteadyClock::now();
    std::uint64_t rounds = 0;
    while (SteadyClock::now() - began < budget(check)) {
        const Answer answer = plugin.configure(mutated(check.random(), good), true);
        check.require(
            answer.ok() || (!answer.message.empty() && is_utf8(answer.message)),
            "a refusal without a message in UTF-8; " + seed_text(check)
        );
        ++rounds;
    }
    const Answer answer = plugin.configure(good);
    check.expect(
        answer.ok(), "afterwards the defaults answer " + answer.text() + "; " + seed_text(check)
    );
    check.note(std::to_string(rounds) + " configurations");
}

void fuzz_query(Context& check) {
    Instance& plugin = check.configured();
    Random& random = check.random();
    std::vector<std::string> ids = {"tenon.log/1", "tenon.x/1"};
    std::set<std::string> given;
    for (const manifest::Provision& provision : check.manifest().provides) {
        ids.push_back(provision.interface_id);
        tenon_iface out{};
        if (plugin.query(provision.interface_id, &out) == TENON_OK) {
            given.insert(provision.interface_id);
        }
    }
    const auto began = SteadyClock::now();
    std::uint64_t rounds = 0;
    while (SteadyClock::now() - began < budget(check) / 2) {
        const std::string id = random.below(4) == 0
                                   ? random.bytes(random.below(200))
                                   : mutated(random, ids[random.below(ids.size())]);
        tenon_iface out{};
        const tenon_status status = plugin.query(id, &out);
        const bool provided = given.contains(id);
        check.require(
            status == (provided ? TENON_OK : TENON_UNSUPPORTED),
            "query of a random id answers " + status_text(status) + "; " + seed_text(check)
        );
        ++rounds;
    }
    check.note(std::to_string(rounds) + " ids");
}

// Legal steps in random order, on up to three instances.
void fuzz_lifecycle(Context& check) {
    (void)check.started();
    Random& random = check.random();
    const auto began = SteadyClock::now();
    std::uint64_t rounds = 0;
    while (SteadyClock::now() - began < budget(check)) {
        check.host_options().environment["instance"] = "fuzz" + std::to_string(rounds);
        const auto data = check.folder() / std::to_string(rounds);
        std::filesystem::create_directory(data);
        check.host_options().environment["data_dir"] = data.string();
        Instance& plugin = check.created();
        for (std::uint64_t steps = 1 + random.below(12); steps > 0; --steps) {
            const State state = plugin.state();
            const std::uint64_t choice = random.below(4);
            if (state == State::started) {
                if (choice == 0) {
                    (void)plugin.drain(check.reactor().now_ns() + 50'000'000);
                } else if (choice == 1) {
                    plugin.stop();
                } else {
                    plugin.host().collect();
                    check.reactor().advance(static_cast<std::int64_t>(random.below(3'000'000'000)));
                }
            } else if (state == State::draining) {
                plugin.stop();
            } else if (state == State::created || choice == 0) {
                (void)plugin.configure(
                    choice == 3 ? mutated(random, check.config()) : check.config(), choice == 2
                );
            } else {
                const Answer answer = plugin.start();
                check.require(!answer.threw, "start threw; " + seed_text(check));
            }
        }
        if (plugin.state() == State::started || plugin.state() == State::draining) {
            plugin.stop();
        }
        plugin.destroy();
        std::error_code ignored;
        std::filesystem::remove_all(data, ignored);
        ++rounds;
    }
    check.note(std::to_string(rounds) + " lives");
}

std::string percentiles(std::vector<std::int64_t> values, std::string_view unit) {
    std::sort(values.begin(), values.end());
    const auto at = [&](std::size_t percent) {
        return std::to_string(values[(values.size() - 1) * percent / 100]);
    };
    return "p50 " + at(50) + ", p99 " + at(99) + " " + std::string{unit};
}

void bench_lifecycle(Context& check) {
    std::vector<std::int64_t> creates, configures, starts, stops;
    const auto timed = [](std::vector<std::int64_t>& out, const auto& body) {
        const auto began = SteadyClock::now();
        body();
        out.push_back((SteadyClock::now() - began) / std::chrono::microseconds{1});
    };
    (void)check.started();
    constexpr std::size_t k_rounds = 20;
    const auto began = SteadyClock::now();
    while (starts.size() < k_rounds &&
           (starts.empty() || SteadyClock::now() - began < budget(check))) {
        Instance& plugin = check.fresh();
        timed(creates, [&] { check.require(plugin.create().ok(), "create failed"); });
        timed(configures, [&] {
            check.require(plugin.configure(check.config()).ok(), "configure failed");
        });
        timed(starts, [&] { check.require(plugin.start().ok(), "start failed"); });
        timed(stops, [&] { plugin.stop(); });
        plugin.destroy();
    }
    check.note("create " + percentiles(creates, "µs"));
    check.note("configure " + percentiles(configures, "µs"));
    check.note("start " + percentiles(starts, "µs"));
    check.note("stop " + percentiles(stops, "µs"));
}

void bench_query(Context& check) {
    Instance& plugin = check.configured();
    constexpr int k_batch = 1000;
    for (const manifest::Provision& provision : check.manifest().provides) {
        std::vector<std::int64_t> batches;
        for (int round = 0; round < 100; ++round) {
            const auto began = SteadyClock::now();
            for (int i = 0; i < k_batch; ++i) {
                tenon_iface out{};
                (void)plugin.query(provision.interface_id, &out);
            }
            batches.push_back((SteadyClock::now() - began) / std::chrono::nanoseconds{k_batch});
        }
        check.note("query of " + provision.interface_id + ": " + percentiles(batches, "ns"));
    }
}

constexpr Check k_checks[] = {
    {"fuzz.config", "survives thousands of spoilt configurations", "", &fuzz_config},
    {"fuzz.query", "survives thousands of random interface ids", "", &fuzz_query},
    {"fuzz.lifecycle",
     "survives legal calls of the lifecycle in random order",
     "",
     &fuzz_lifecycle},
    {"bench.lifecycle",
     "reports how long the steps of the lifecycle take",
     "",
     &bench_lifecycle,
     false,
     true},
    {"bench.query", "reports what a query costs", "", &bench_query, false, true},
};

}  // namespace

std::span<const Check> fuzz_checks() {
    return k_checks;
}

}  // namespace tenon::conformance
