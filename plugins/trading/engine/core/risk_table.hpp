// SPDX-License-Identifier: Apache-2.0
// The risk limits that are set, by whom and what they are for.
//
// A row of limits is for one account or for each account on its own (account 0), and for one
// instrument or for each (TENON_ANY_INSTRUMENT). All rows that fit an order bind it, so that one
// for an account may be stricter than that for everybody, never looser.
//
// The rate of orders is a token bucket: it holds `order_rate` orders at most, and gets them back
// evenly within `order_rate_ms`. Kept as the time until which it is not full (the generic cell rate
// algorithm, ITU-T I.371, annex A), one number for each account.
#pragma once

#include "plugins/trading/engine/core/order_store.hpp"
#include "plugins/trading/engine/core/risk_limits.hpp"

#include <tenon/abi/instruments.h>
#include <tenon/byte_codec.hpp>

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <vector>

namespace tenon::trading {

struct RiskRow {
    std::uint64_t account = 0;  // 0: each
    std::uint32_t instrument = TENON_ANY_INSTRUMENT;
    RiskLimits limits{};
    std::map<std::uint64_t, std::int64_t> full_at_ns;  // by account: when its bucket is full again
};

// True when `orders` more may come at that time.
[[nodiscard]] bool
has_tokens(const RiskRow& row, std::uint64_t account, std::int64_t now_ns, std::int64_t orders);

class RiskTable {
public:
    [[nodiscard]] bool empty() const noexcept { return rows_.empty(); }

    // By account and instrument, ascending.
    [[nodiscard]] const std::vector<RiskRow>& rows() const noexcept { return rows_; }

    // nullptr when there is none.
    [[nodiscard]] const RiskRow* find(std::uint64_t account, std::uint32_t instrument)
        const noexcept;

    // Good limits replace those of the row; without any it goes. A bucket whose rate changes is
    // full. False, and nothing changed: there are too many rows.
    bool set(std::uint64_t account, std::uint32_t instrument, const RiskLimits& limits);

    // As in a snapshot (snapshot_format.hpp). Reading into an empty table is false when the rows do
    // not ascend or make no sense, or are for an account or instrument that there is not.
    void write(ByteWriter& out) const;
    [[nodiscard]] bool read(
        ByteReader& in,
        std::uint32_t instruments,
        const std::function<bool(std::uint64_t)>& is_account
    );
    void clear();

    // The rows that bind an order.
    [[nodiscard]] std::array<const RiskRow*, 4>
    binding(std::uint64_t account, std::uint32_t instrument) const noexcept {
        return {
            find(0, TENON_ANY_INSTRUMENT),
            find(0, instrument),
            find(account, TENON_ANY_INSTRUMENT),
            find(account, instrument)};
    }

    // Orders were taken.
    void charge(
        std::uint64_t account,
        std::uint32_t instrument,
        std::int64_t now_ns,
        std::int64_t orders
    );

private:
    [[nodiscard]] std::uint32_t at(std::uint64_t account, std::uint32_t instrument) const noexcept;
    void index();

    std::vector<RiskRow> rows_;
    TagTable places_;  // in rows_
};

}  // namespace tenon::trading
