// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/allocation.hpp"

#include "sdk/conformance/host/account.hpp"

#include <atomic>

namespace tenon::conformance {
namespace {

std::atomic<bool> g_hooked{false};
thread_local std::uint64_t t_count = 0;
thread_local std::uint64_t t_fail_in = 0;

}  // namespace

bool allocation_hook() noexcept {
    return g_hooked;
}

void set_allocation_hook() noexcept {
    g_hooked = true;
}

std::uint64_t allocations() noexcept {
    return t_count;
}

void fail_allocation(std::uint64_t n) noexcept {
    t_fail_in = n;
}

bool note_allocation() noexcept {
    if (!PluginScope::inside()) {
        return false;
    }
    ++t_count;
    if (t_fail_in == 0) {
        return false;
    }
    return --t_fail_in == 0;
}

}  // namespace tenon::conformance
