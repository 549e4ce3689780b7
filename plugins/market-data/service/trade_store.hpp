// SPDX-License-Identifier: Apache-2.0
// The newest public trades in the table `public_trades`. [io]
#pragma once

#include "plugins/market-data/service/stored_instrument.hpp"
#include "plugins/market-data/service/tape.hpp"

#include <tenon/storage.hpp>

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace tenon::market_data {

class TradeStore {
public:
    explicit TradeStore(Storage storage) : storage_{std::move(storage)} {}

    // The newest `limit`, ascending, without the part of an aggregate that the limit cuts off.
    [[nodiscard]] std::vector<TapedTrade>
    read(const StoredInstrument& instrument, std::size_t limit, std::int64_t deadline_ns) const;

    // One transaction. `afresh`: the ids began again, what is stored is of another history and
    // goes.
    void write(
        const StoredInstrument& instrument,
        std::span<const TapedTrade> trades,
        bool afresh,
        std::int64_t deadline_ns
    ) const;

    // All but about the newest `kept`: an aggregate stays whole. Returns how many went.
    std::uint64_t prune(std::uint32_t instrument, std::size_t kept, std::int64_t deadline_ns) const;

private:
    Storage storage_;
};

}  // namespace tenon::market_data
