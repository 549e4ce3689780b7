// SPDX-License-Identifier: Apache-2.0
// What a command came to, in a form that two replays of it can be compared by; and what a replay
// came to as a whole.
#pragma once

#include "plugins/trading/engine/core/core.hpp"

#include <boost/json/object.hpp>

#include <cstdint>
#include <map>
#include <string>

namespace tenon::engine {

// A row of the file that one half of a replay writes and the other reads: bytes as in memory.
struct Outcome {
    std::uint64_t sequence = 0;
    std::uint64_t next_order_id = 0;  // before the command
    std::uint64_t done = 0;           // a hash of what happened to orders, trades and lists
    std::uint32_t reject = TENON_REJECT_NONE;
    std::uint32_t reserved = 0;
};

// Of the last result in `output`. Balances and the ids of trades are no part of `done`: once one
// trade differs they are others for ever.
[[nodiscard]] Outcome
outcome_of(std::uint64_t next_order_id, const trading::Output& output) noexcept;

// What one half did and where it ended.
class Tally {
public:
    void add(const trading::Command& command, const trading::Output& output);

    // {"commands","state_hash","open_orders","accounts":[{"id","name","orders_taken",
    // "orders_refused","trades","balances":[[asset, units],…]}]}; free and locked together, in
    // units of the asset.
    [[nodiscard]] boost::json::object json(const trading::Core& core, std::uint32_t assets) const;

private:
    struct Row {
        std::uint64_t taken = 0, refused = 0, trades = 0;
    };

    std::uint64_t commands_ = 0;
    std::map<std::uint64_t, Row> accounts_;
};

// {"time","sequence","command"} and, as the command has it, account, symbol, side, type, quantity,
// quote_quantity, price, order_id.
[[nodiscard]] boost::json::object describe(
    const trading::Command& command,
    const trading::Core& core,
    const Service<tenon_instruments_1>& instruments
);

}  // namespace tenon::engine
