// SPDX-License-Identifier: Apache-2.0
// Orders as the exchange writes them: parameters of requests, answers, events of the user stream.
//
// Reading takes any text: what is not as documented is no message, and nothing of it is used.
// Amounts are exact. A commission with more decimals than its asset has here is rounded up.
// Protocol: Binance Spot, REST and user data stream, as published on 2026-07-21.
#pragma once

#include "plugins/venue/binance/orders/evidence.hpp"
#include "plugins/venue/binance/orders/listing.hpp"
#include "plugins/venue/binance/orders/order_table.hpp"
#include "plugins/venue/binance/rest_client.hpp"

#include <tenon/json.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::binance_venue {

// Client order ids as the exchange sees them: "tnn", the tag, '-', order id, '-', the millisecond
// of its command; both in base 36. At most 35 of 36 characters. The time keeps ids apart when a
// server starts again with an empty journal; both parts are journalled, so that a restart finds
// the same id.
class OrderIds {
public:
    // `tag` names this server among those of one exchange account: 1 to 8 of [a-zA-Z0-9]. Throws
    // Error TENON_INVALID.
    explicit OrderIds(std::string_view tag);

    [[nodiscard]] std::string id_of(const BookedOrder& booked) const;
    // The order id in an id of this server; empty: not one of ours.
    [[nodiscard]] std::optional<std::uint64_t> order_of(std::string_view client_id) const;

private:
    std::string prefix_;
};

// Parameters, percent-encoded where needed (ids and numbers need it nowhere).
[[nodiscard]] std::string
place_query(const BookedOrder& booked, const Market& market, std::string_view client_id);
[[nodiscard]] std::string order_query(const Market& market, std::string_view client_id);
// Trades of one order from this trade id on; 0: all.
[[nodiscard]] std::string
trades_query(const Market& market, std::uint64_t exchange_id, std::uint64_t from_trade_id);

// Most rows of one answer with trades.
inline constexpr std::size_t k_trades_of_an_answer = 1'000;

// What one message says of one order. order_id of the news is still 0.
struct Told {
    OrderNews news;
    std::string client_id;      // of the order, not of its cancel
    std::int64_t executed = 0;  // filled in all, as of this message
};

// A row of an answer: POST, GET and DELETE /api/v3/order, openOrders.
[[nodiscard]] std::optional<Told> read_order(const Json& row, const Listing& listing);
// An executionReport of the user stream.
[[nodiscard]] std::optional<Told> read_report(const Json& event, const Listing& listing);
// A row of myTrades.
[[nodiscard]] std::optional<Fill>
read_trade(const Json& row, const Market& market, const Listing& listing);

// The answer to GET /api/v3/account: free and locked together, by asset; assets that are not listed
// here are left out, digits beyond an asset's scale cut off. Empty: it cannot be read.
[[nodiscard]] std::optional<std::map<std::uint32_t, std::int64_t>>
read_balances(const Json& account, const Listing& listing);

// What the answer to a new order is worth.
struct Verdict {
    enum class Kind : std::uint8_t { told, refused, unknown };

    Kind kind = Kind::unknown;
    Told told;                 // told
    std::uint32_t reject = 0;  // refused: TENON_REJECT_*
    std::string reason;        // refused: the exchange's words; unknown: what came instead
};

// `unknown` whenever the order might have been taken: statuses outside 2xx and 4xx, codes by which
// the exchange says that it does not know, answers that cannot be read, a duplicate id (the order
// of that id may be this one).
[[nodiscard]] Verdict judge(const RestReply& reply, const Listing& listing);

// The exchange's error code in an answer; 0: none can be read.
[[nodiscard]] std::int64_t error_code(const RestReply& reply);

// The JSON of an answered reply; empty when it is none.
[[nodiscard]] std::optional<Json> read_json(std::string_view text);

inline constexpr std::int64_t k_code_no_such_order = -2013;

}  // namespace tenon::binance_venue
