// SPDX-License-Identifier: Apache-2.0
// A core with an internal venue and its instruments, for tests and benchmarks.
#pragma once

#include "plugins/trading/engine/core/core.hpp"
#include "plugins/trading/instruments/catalogue.hpp"
#include "plugins/venue/internal/venue.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace tenon::test {

// Assets USDT, BTC, ETH (scale 8) and two instruments on the venue "internal": BTCUSDT (price scale
// 2, quantity scale 5) with all filters, and ETHBTC (5, 3) with few.
[[nodiscard]] std::string_view world_instruments();

struct CoreWorld {
    explicit CoreWorld(
        const trading::CoreOptions& options = {},
        std::string_view instruments = world_instruments()
    );

    // Applies a command with the next sequence, a second after the one before.
    const trading::Result& apply(trading::CommandBody body);

    // Opens an account and gives it what it needs; its id.
    std::uint64_t open(std::string_view name);
    void deposit(std::uint64_t account, std::string_view asset, std::string_view amount);

    [[nodiscard]] std::uint32_t asset(std::string_view name) const;
    [[nodiscard]] std::uint32_t instrument(std::string_view symbol) const;
    // Free and locked, as "1.5 locked 0.5" without trailing zeros.
    [[nodiscard]] std::string balance(std::uint64_t account, std::string_view asset_name) const;

    // Decimals at the scales of the instrument.
    [[nodiscard]] tenon_order_request limit(
        std::uint64_t account,
        std::uint8_t side,
        std::string_view price,
        std::string_view quantity,
        std::string_view symbol = "BTCUSDT"
    ) const;

    // The last reply's order and trades.
    [[nodiscard]] tenon_trading_reply reply() const {
        return output.reply(output.results().back());
    }

    instruments::Catalogue catalogue;
    internal::InternalVenue venue;
    trading::Core core;
    trading::Output output;
};

[[nodiscard]] tenon_client_id client_id(std::string_view text);
[[nodiscard]] trading::SubmitCommand submit(const tenon_order_request& order);
[[nodiscard]] trading::CancelCommand
cancel(std::uint64_t account, std::uint32_t instrument, std::uint64_t order_id);

}  // namespace tenon::test
