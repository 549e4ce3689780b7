// SPDX-License-Identifier: Apache-2.0
// A load that is under way, and who waits for it.
//
// Who began it may be given whatever it finds. Who joined asked later: when something that the
// value depends on was invalidated since the flight began, perhaps before they asked, they ask
// again. Nobody joins a flight whose key was erased.
#pragma once

#include "plugins/cache/stack/locked_store.hpp"
#include "plugins/cache/stack/stamps.hpp"

#include <tenon/abi/cache.h>
#include <tenon/in_flight.hpp>
#include <tenon/plugin.hpp>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace tenon::cache_stack {

// What state the key was in before the load began.
struct Token {
    Tier* tier = nullptr;
    std::uint64_t state = 0;
};

// What was entered is left at the end of the block, however that comes.
class Leaving {
public:
    explicit Leaving(InFlight& of) noexcept : of_{of} {}

    ~Leaving() { of_.leave(); }

    Leaving(const Leaving&) = delete;
    Leaving& operator=(const Leaving&) = delete;

private:
    InFlight& of_;
};

struct Flight : std::enable_shared_from_this<Flight> {
    Flight() = default;
    Flight(const Flight&) = delete;
    Flight& operator=(const Flight&) = delete;

    ~Flight() {
        if (secret) {
            wipe(value);
        }
    }

    // Called once, on the thread that ends the flight.
    using Waiter = std::function<void(const Flight&)>;

    std::int64_t sequence = 0;   // when it began
    std::int64_t ends_ns = 0;    // by when it was to be over
    std::weak_ptr<Flight> late;  // the one that should have been over when this began
    std::mutex mutex;            // of what is below, until done
    std::condition_variable ended;
    bool done = false;
    bool spoiled = false;             // erased since it began: not to be kept
    bool passed = false;              // not for who joined; constant once done
    std::uint32_t joined = 0;         // how many; under the lock of the flights
    std::vector<Scope> scopes;        // what the value depends on; of the thread that flies
    std::vector<Hold> holds;          // of shared tiers, from before the load
    std::vector<Token> tokens;        // the same, where entries go by their time
    bool early = false;               // loads though there is an entry that counts
    bool secret = false;              // the value is overwritten in the end
    bool strict = false;              // the holds count for who joined, too
    std::vector<std::uint64_t> hint;  // scopes of the tags that the key's last entry had
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
