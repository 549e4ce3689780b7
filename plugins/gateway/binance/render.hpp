// SPDX-License-Identifier: Apache-2.0
// Orders, trades, tickers, candles and books as Binance writes them. Order of fields and their
// types are those of rest-api.md and web-socket-streams.md.
#pragma once

#include "plugins/gateway/binance/json_writer.hpp"

#include <tenon/abi/instruments.h>
#include <tenon/abi/market_data.h>
#include <tenon/abi/trading.h>
#include <tenon/plugin.hpp>

#include <optional>
#include <string_view>

namespace tenon::binance {

// An instrument with its assets. Borrowed from tenon.instruments/1.
struct Market {
    const tenon_instrument* instrument = nullptr;
    const tenon_asset* base = nullptr;
    const tenon_asset* quote = nullptr;

    [[nodiscard]] std::string_view symbol() const noexcept { return view(instrument->symbol); }

    [[nodiscard]] std::uint32_t id() const noexcept { return instrument->id; }
};

// What a client asked for; a market order by quote quantity has what it got.
[[nodiscard]] std::int64_t shown_quantity(const tenon_order& order) noexcept;

// Throws ApiError -1121 when there is no such instrument.
[[nodiscard]] Market market_of(Service<tenon_instruments_1> instruments, std::uint32_t instrument);
[[nodiscard]] Market market_of(Service<tenon_instruments_1> instruments, std::string_view symbol);

[[nodiscard]] std::string_view side_name(std::uint32_t side) noexcept;
// False for one that waits for its venue's answer or for its stop price.
[[nodiscard]] bool is_working(const tenon_order& order) noexcept;
[[nodiscard]] std::string_view order_type_name(std::uint32_t type) noexcept;
[[nodiscard]] std::string_view time_in_force_name(const tenon_order& order) noexcept;
// PENDING_NEW: the venue has not said whether it has the order. It is not NEW, which would say that
// it works.
[[nodiscard]] std::string_view order_status_name(const tenon_order& order) noexcept;
[[nodiscard]] std::string_view stp_mode_name(std::uint32_t mode) noexcept;
[[nodiscard]] std::string_view instrument_status_name(std::uint32_t status) noexcept;
[[nodiscard]] std::string_view interval_name(std::uint32_t interval) noexcept;
[[nodiscard]] std::optional<std::uint32_t> find_interval(std::string_view name) noexcept;

// ticker/24hr, ticker/price, ticker/bookTicker.
enum class TickerForm : std::uint8_t { full, mini, price, book };

void write_ticker(JsonWriter& json, const Market& market, const tenon_ticker& t, TickerForm form);
void write_levels(
    JsonWriter& json,
    const Market& market,
    const tenon_level* levels,
    std::uint32_t count
);
void write_book(JsonWriter& json, const Market& market, const tenon_book& book);
void write_public_trade(JsonWriter& json, const Market& market, const tenon_public_trade& trade);
void write_agg_trade(JsonWriter& json, const Market& market, const tenon_agg_trade& trade);
void write_candle(JsonWriter& json, const Market& market, const tenon_candle& candle);

enum class ResponseType : std::uint8_t { ack, result, full };

// What Binance writes for an order of no list.
[[nodiscard]] std::int64_t shown_list_id(const tenon_order& order) noexcept;

// The answer to a new order; of all the reply's orders the one at `at`.
void write_placed(
    JsonWriter& json,
    Service<tenon_instruments_1> instruments,
    const tenon_trading_reply& reply,
    ResponseType type,
    std::uint32_t at = 0
);
// An order that a cancel closed.
void write_canceled(
    JsonWriter& json,
    const Market& market,
    const tenon_order& order,
    std::int64_t time_real_ns
);
// An order as queries show it.
void write_order(JsonWriter& json, const Market& market, const tenon_order& order);
// The answer to an amendment.
void write_amended(
    JsonWriter& json,
    const Market& market,
    const tenon_order& order,
    const tenon_amendment& amendment
);
void write_amendment(JsonWriter& json, const Market& market, const tenon_amendment& amendment);
void write_prevented(JsonWriter& json, const Market& market, const tenon_prevented_match& match);
void write_own_trade(
    JsonWriter& json,
    const Market& market,
    const tenon_trade& trade,
    const tenon_asset* fee_asset
);

[[nodiscard]] inline std::string_view text_of(const tenon_client_id& id) noexcept {
    return {id.text, id.length};
}

}  // namespace tenon::binance
