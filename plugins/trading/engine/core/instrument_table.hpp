// SPDX-License-Identifier: Apache-2.0
// The instruments as the core uses them: filters copied flat, factors worked out, and the trading
// state that belongs to each instrument.
#pragma once

#include <tenon/abi/instruments.h>
#include <tenon/plugin.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::trading {

inline constexpr std::uint32_t k_no_venue = 0xffffffffU;

struct Instrument {
    tenon_instrument rules{};     // symbol and venue point into the provider's memory
    std::int64_t base_unit = 1;   // quantity * base_unit = units of the base asset
    std::int64_t quote_unit = 1;  // price * quantity * quote_unit = units of the quote asset
    std::uint32_t venue = k_no_venue;

    // State, in the snapshot.
    std::uint32_t status = TENON_INSTRUMENT_TRADING;
    std::int64_t last_price = 0;
    std::uint64_t next_trade_id = 1;
    std::uint64_t next_prevented_id = 1;
};

class InstrumentTable {
public:
    // Copies what the provider lists. Throws Error when scales break the contract.
    explicit InstrumentTable(Service<tenon_instruments_1> provider);

    [[nodiscard]] std::uint32_t asset_count() const noexcept {
        return static_cast<std::uint32_t>(assets_.size());
    }

    [[nodiscard]] std::uint32_t size() const noexcept {
        return static_cast<std::uint32_t>(instruments_.size());
    }

    // nullptr when out of range.
    [[nodiscard]] const Instrument* find(std::uint32_t id) const noexcept {
        return id < instruments_.size() ? &instruments_[id] : nullptr;
    }

    [[nodiscard]] Instrument& operator[](std::uint32_t id) noexcept { return instruments_[id]; }

    [[nodiscard]] const Instrument& operator[](std::uint32_t id) const noexcept {
        return instruments_[id];
    }

    [[nodiscard]] const std::string& asset_name(std::uint32_t id) const noexcept {
        return assets_[id];
    }

    [[nodiscard]] std::uint64_t fingerprint() const noexcept { return fingerprint_; }

private:
    std::vector<std::string> assets_;
    std::vector<Instrument> instruments_;
    std::uint64_t fingerprint_ = 0;
};

}  // namespace tenon::trading
