// SPDX-License-Identifier: Apache-2.0
// A load that is under way, and who waits for it.
#pragma once

#include <tenon/abi/cache.h>
#include <tenon/plugin.hpp>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace tenon::cache_stack {

struct Flight : std::enable_shared_from_this<Flight> {
    // Called once, on the thread that ends the flight.
    using Waiter = std::function<void(const Flight&)>;

    std::int64_t sequence = 0;  // when it began
    std::mutex mutex;           // of what is below, until done
    std::condition_variable ended;
    bool done = false;
    bool spoiled = false;  // erased since it began: not to be kept
    std::vector<Waiter> waiters;
    // The outcome, constant once done.
    tenon_status status = TENON_INTERNAL;
    ErrorBuffer error;
    std::string value;
    std::uint32_t source = TENON_CACHE_LOADED;
    std::uint32_t tier = 0;
    std::int64_t expires_ns = 0;
};

}  // namespace tenon::cache_stack
