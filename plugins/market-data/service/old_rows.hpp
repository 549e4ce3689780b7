// SPDX-License-Identifier: Apache-2.0
// What the exchange told of the time before memory, in its own tables. [io]
//
// A stretch counts as known only when all of it was told; writing it again changes
// nothing.
#pragma once

#include "plugins/market-data/service/stored_instrument.hpp"

#include <tenon/history.hpp>
#include <tenon/storage.hpp>

#include <cstdint>
#include <utility>

namespace tenon::market_data {

// The first `limit` rows of a stretch. `from` and `to` are trade ids of trades, and times of
// aggregates and candles (a candle's is from its opening to its last nanosecond); both inclusive.
struct Stretch {
    std::uint32_t kind = 0;  // TENON_HISTORY_*
    std::uint32_t unit = 0;  // the interval of candles, else 0
    std::int64_t from = 0, to = 0;
    std::uint64_t from_id = 0;  // of aggregates: those from this trade on; `from` is not read
    std::uint32_t limit = 0;
};

class OldRows {
public:
    struct Found {
        HistoryRows rows;
        bool known = false;  // these are all that were asked for
    };

    explicit OldRows(Storage storage) : storage_{std::move(storage)} {}

    [[nodiscard]] Found
    read(const StoredInstrument& instrument, const Stretch& asked, std::int64_t deadline_ns) const;

    // One transaction: the rows, and that from `told.from` to `told.to` there are no others.
    void write(
        const StoredInstrument& instrument,
        const Stretch& told,
        const HistoryRows& rows,
        std::int64_t deadline_ns
    ) const;

    // All but the newest `kept` rows of a kind (and interval) go, and what was known of their time.
    // Returns how many went.
    std::uint64_t prune(
        std::uint32_t instrument,
        const Stretch& of,
        std::size_t kept,
        std::int64_t deadline_ns
    ) const;

private:
    Storage storage_;
};

}  // namespace tenon::market_data
