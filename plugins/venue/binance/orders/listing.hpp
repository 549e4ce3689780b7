// SPDX-License-Identifier: Apache-2.0
// What the order side knows of instruments and assets: names of the exchange, scales, bounds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tenon::binance_venue {

struct Market {
    std::uint32_t instrument = 0;
    std::string symbol;
    int price_scale = 0, quantity_scale = 0;
    int quote_scale = 0;
    std::int64_t price_tick = 1;
    std::int64_t price_max = 0;    // 0: none
    std::uint32_t bid_up_ppm = 0;  // highest price of a buy, of the reference; 0: none
};

struct Asset {
    std::uint32_t id = 0;
    int scale = 0;
};

// Entries stay as they are while the server runs.
class Listing {
public:
    virtual ~Listing() = default;

    [[nodiscard]] virtual std::optional<Market> market(std::uint32_t instrument) const = 0;
    [[nodiscard]] virtual std::optional<std::uint32_t> instrument(std::string_view symbol
    ) const = 0;
    [[nodiscard]] virtual std::optional<Asset> asset(std::string_view name) const = 0;
};

}  // namespace tenon::binance_venue
