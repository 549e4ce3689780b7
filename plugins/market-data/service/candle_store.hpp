// SPDX-License-Identifier: Apache-2.0
// Candles of a minute and of an hour in the table `candles`. [io]
//
// A row is one candle with trades; others are folded from these, or flat.
#pragma once

#include "plugins/market-data/service/stored_instrument.hpp"

#include <tenon/abi/market_data.h>
#include <tenon/storage.hpp>

#include <cstdint>
#include <span>
#include <vector>

namespace tenon::market_data {

class CandleStore {
public:
    explicit CandleStore(Storage storage) : storage_{std::move(storage)} {}

    // The newest `limit` candles of TENON_INTERVAL_1M or _1H, ascending.
    [[nodiscard]] std::vector<tenon_candle> read(
        const StoredInstrument& instrument,
        std::uint32_t interval,
        std::size_t limit,
        std::int64_t deadline_ns
    ) const;

    // One transaction. A row that counts more trades than the candle stays: another server saw more
    // of that minute.
    void write(
        std::span<const StoredInstrument> instruments,
        std::span<const tenon_candle> candles,
        std::int64_t deadline_ns
    ) const;

    // Rows of one of the two intervals that opened earlier. Returns how many went.
    std::uint64_t
    prune(std::uint32_t interval, std::int64_t before_real_ns, std::int64_t deadline_ns) const;

private:
    Storage storage_;
};

}  // namespace tenon::market_data
