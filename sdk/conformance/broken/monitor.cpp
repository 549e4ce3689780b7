// SPDX-License-Identifier: Apache-2.0
// A probe of a counter: the reference of the monitor suite, and what it looks like when a rule is
// broken.
#include "sdk/conformance/broken/fault.hpp"

#include <tenon/abi/probe.h>
#include <tenon/plugin.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace tenon::broken {
namespace {

class Probe : public Plugin {
public:
    explicit Probe(const tenon_host* raw) : Plugin{raw} {
        provide("tenon.probe/1", this, &k_table);
    }

    void configure(std::string_view, bool) override {}

    void start() override {
        clock_ = host().service<tenon_clock_1>("tenon.clock/1");
        ++starts_;
    }

private:
    static void wait(std::int64_t duration_ns) {
        std::mutex mutex;
        std::condition_variable never;
        std::unique_lock lock{mutex};
        never.wait_for(lock, std::chrono::nanoseconds{duration_ns});
    }

    tenon_status check(bool deep, std::int64_t deadline_ns, tenon_err* err) {
        const bool alone = ++inside_ == 1;
        wait(deep ? 1'000'000 : 100'000);
        const tenon_status status = result(deep, alone, deadline_ns, err);
        --inside_;
        return status;
    }

    tenon_status result(bool deep, bool alone, std::int64_t deadline_ns, tenon_err* err) {
        if (fault("monitor.deadline") && deep) {
            wait(500'000'000);
        }
        if (fault("monitor.passes") && deep) {
            return fail(err, TENON_UNAVAILABLE, "the deep check always fails");
        }
        if (fault("monitor.concurrent") && !alone) {
            return fail(err, TENON_CONFLICT, "another check runs");
        }
        if (fault("monitor.again") && starts_ > 1) {
            return fail(err, TENON_UNAVAILABLE, "still closed");
        }
        if (clock_->now_ns(clock_.self) > deadline_ns) {
            return fault("monitor.reason") ? TENON_TIMEOUT
                                           : fail(err, TENON_TIMEOUT, "the deadline has passed");
        }
        return TENON_OK;
    }

    static constexpr tenon_probe_1 k_table{
        sizeof(tenon_probe_1),
        0,
        [](void* self, std::uint32_t deep, std::int64_t deadline_ns, tenon_err* err) noexcept {
            return guard(err, [&] {
                return static_cast<Probe*>(self)->check(deep != 0, deadline_ns, err);
            });
        }};

    Service<tenon_clock_1> clock_;
    std::atomic<int> inside_{0};
    int starts_ = 0;
};

}  // namespace
}  // namespace tenon::broken

TENON_EXPORT_PLUGIN(tenon::broken::Probe)
