// SPDX-License-Identifier: Apache-2.0
// tenon.probe/1: an active check that ends in time and says what is wrong.
#include "sdk/conformance/suites/suites.hpp"

#include <tenon/abi/probe.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <string>
#include <vector>

namespace tenon::suites {
namespace {

constexpr std::int64_t k_ms = 1'000'000;
constexpr std::int64_t k_second = 1'000 * k_ms;

class Probe {
public:
    explicit Probe(Bench& bench) : bench_{bench}, instance_{bench.open()} {
        probe_ = instance_->service<tenon_probe_1>("tenon.probe/1");
    }

    struct Answer {
        tenon_status status;
        std::string reason;
        std::int64_t took_ns;
    };

    [[nodiscard]] Answer check(std::uint32_t deep, std::int64_t deadline_in_ns) const {
        ErrorBuffer err;
        const std::int64_t before = bench_.now_ns();
        const tenon_status status = probe_->check(probe_.self, deep, before + deadline_in_ns, &err);
        return {status, std::string{err.message()}, bench_.now_ns() - before};
    }

    [[nodiscard]] const Service<tenon_probe_1>& table() const noexcept { return probe_; }

    [[nodiscard]] Instance& instance() const noexcept { return *instance_; }

private:
    Bench& bench_;
    std::unique_ptr<Instance> instance_;
    Service<tenon_probe_1> probe_;
};

void passes(Bench& bench) {
    const Probe probe{bench};
    for (const std::uint32_t deep : {0U, 1U}) {
        for (int i = 0; i < 20; ++i) {
            const Probe::Answer answer = probe.check(deep, 20 * k_second);
            expect(
                answer.status == TENON_OK,
                deep != 0 ? "a deep" : "a shallow",
                " check of a component that has just started: ",
                status_name(answer.status),
                " (",
                answer.reason,
                ")"
            );
        }
    }
}

// Slow three times in a row: not the machine's fault.
void deadline(Bench& bench) {
    const Probe probe{bench};
    for (const std::uint32_t deep : {0U, 1U}) {
        for (const std::int64_t patience : {20 * k_ms, 200 * k_ms}) {
            const std::int64_t most = patience + 150 * k_ms;
            std::int64_t best = INT64_MAX;
            for (int i = 0; i < 3 && best > most; ++i) {
                best = std::min(best, probe.check(deep, patience).took_ns);
            }
            expect(
                best <= most,
                deep != 0 ? "a deep" : "a shallow",
                " check with a deadline in ",
                patience / k_ms,
                " ms took ",
                best / k_ms,
                " ms"
            );
        }
    }
}

// A deadline that has passed may be told or ignored; whatever fails says why.
void reason(Bench& bench) {
    const Probe probe{bench};
    const auto told = [](const Probe::Answer& answer, const std::string& what) {
        expect(
            answer.status <= TENON_OK,
            what,
            " answers ",
            status_name(answer.status),
            ", which is neither OK nor a failure"
        );
        expect(
            answer.status == TENON_OK || !answer.reason.empty(),
            what,
            " fails with ",
            status_name(answer.status),
            " and no reason"
        );
    };
    for (const std::uint32_t deep : {0U, 1U}) {
        told(probe.check(deep, -k_second), "a check whose deadline has passed");
        told(probe.check(deep, 0), "a check whose deadline is now");
        told(probe.check(deep, 10 * k_second), "a check");
    }
    const tenon_status status =
        probe.table()->check(probe.table().self, 0, bench.now_ns() + k_second, nullptr);
    expect(status <= TENON_OK, "a check without a place for the error: ", status_name(status));
}

void concurrent(Bench& bench) {
    constexpr std::size_t k_threads = 8;
    const Probe probe{bench};
    std::array<std::string, k_threads> failures;
    bench.in_parallel(k_threads, [&](std::size_t thread) {
        for (int i = 0; i < 25 && failures[thread].empty(); ++i) {
            const Probe::Answer answer = probe.check(thread % 2 == 0 ? 0U : 1U, 20 * k_second);
            if (answer.status != TENON_OK) {
                failures[thread] = text(status_name(answer.status), " (", answer.reason, ")");
            }
        }
    });
    for (const std::string& failure : failures) {
        expect(failure.empty(), "of ", k_threads, " threads that check at once one got ", failure);
    }
}

void again(Bench& bench) {
    const Probe probe{bench};
    for (int round = 0; round < 3; ++round) {
        probe.instance().stop();
        probe.instance().start();
        const Probe::Answer answer = probe.check(1, 20 * k_second);
        expect(
            answer.status == TENON_OK,
            "a deep check after stop and start: ",
            status_name(answer.status),
            " (",
            answer.reason,
            ")"
        );
    }
}

constexpr std::string_view k_probe = "tenon.probe/1";

constexpr Check k_checks[] = {
    {"monitor.passes", "a sound component passes, shallow and deep", k_probe, &checked<&passes>},
    {"monitor.deadline", "a check ends at its deadline", k_probe, &checked<&deadline>},
    {"monitor.reason", "a failure has a reason", k_probe, &checked<&reason>},
    {"monitor.concurrent", "checks may run at once", k_probe, &checked<&concurrent>},
    {"monitor.again", "a component that was stopped and started passes", k_probe, &checked<&again>},
};

}  // namespace
}  // namespace tenon::suites

namespace tenon::conformance {

std::span<const Check> monitor_checks() {
    return suites::k_checks;
}

}  // namespace tenon::conformance
