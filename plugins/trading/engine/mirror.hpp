// SPDX-License-Identifier: Apache-2.0
// Copies of what any thread may ask: accounts, keys, instrument states, counts. Updated by the
// engine when a batch is durable.
#pragma once

#include "plugins/trading/engine/core/core.hpp"

#include <tenon/abi/trading.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace tenon::engine {

struct StatusCopy {
    bool accepting = false;
    std::string reason;
    std::uint64_t sequence = 0, durable_sequence = 0, projected_sequence = 0;
    std::uint64_t open_orders = 0, accounts = 0;
};

class Mirror {
public:
    // [reactor 0] Everything anew.
    void load(const trading::Core& core, std::uint32_t instrument_count) {
        const std::lock_guard lock{mutex_};
        accounts_ = core.accounts();
        keys_ = core.keys();
        instrument_status_.resize(instrument_count);
        venue_takes_.resize(instrument_count);
        for (std::uint32_t id = 0; id < instrument_count; ++id) {
            instrument_status_[id] = core.instrument_status(id);
            venue_takes_[id] = core.venue_takes(id);
        }
    }

    // [reactor 0]
    void set_status(const StatusCopy& status) {
        const std::lock_guard lock{mutex_};
        status_ = status;
    }

    // [any]
    [[nodiscard]] StatusCopy status() const {
        const std::lock_guard lock{mutex_};
        return status_;
    }

    [[nodiscard]] std::vector<trading::Account> accounts() const {
        const std::lock_guard lock{mutex_};
        return accounts_;
    }

    [[nodiscard]] std::vector<trading::ApiKey> keys() const {
        const std::lock_guard lock{mutex_};
        return keys_;
    }

    [[nodiscard]] std::uint32_t instrument_status(std::uint32_t id) const {
        const std::lock_guard lock{mutex_};
        return id < instrument_status_.size() ? instrument_status_[id] : TENON_INSTRUMENT_BREAK;
    }

    [[nodiscard]] std::uint32_t venue_takes(std::uint32_t id) const {
        const std::lock_guard lock{mutex_};
        return id < venue_takes_.size() ? venue_takes_[id] : 0;
    }

private:
    mutable std::mutex mutex_;
    std::vector<trading::Account> accounts_;
    std::vector<trading::ApiKey> keys_;
    std::vector<std::uint32_t> instrument_status_, venue_takes_;
    StatusCopy status_;
};

}  // namespace tenon::engine
