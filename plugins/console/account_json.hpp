// SPDX-License-Identifier: Apache-2.0
// Orders, fills, balances and positions as the console's JSON: money as text, exact, times in
// milliseconds. And an order as the page asks for it.
#pragma once

#include "plugins/console/positions.hpp"

#include <tenon/abi/instruments.h>
#include <tenon/abi/trading.h>
#include <tenon/json.hpp>
#include <tenon/plugin.hpp>

#include <boost/json/object.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::console {

// The instruments of the server with their assets, to render and to parse with.
class Catalogue {
public:
    Catalogue() = default;

    explicit Catalogue(Service<tenon_instruments_1> service) : service_{service} {}

    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(service_); }

    [[nodiscard]] std::uint32_t size() const noexcept;
    // Both throw Refusal 400 for what is not there.
    [[nodiscard]] const tenon_instrument& instrument(std::uint32_t id) const;
    [[nodiscard]] const tenon_instrument& find(std::string_view symbol) const;
    [[nodiscard]] const tenon_asset& asset(std::uint32_t id) const;

private:
    Service<tenon_instruments_1> service_;
};

[[nodiscard]] boost::json::object order_json(const Catalogue& catalogue, const tenon_order& order);
[[nodiscard]] boost::json::object trade_json(const Catalogue& catalogue, const tenon_trade& trade);
[[nodiscard]] boost::json::object
balance_json(const Catalogue& catalogue, const tenon_balance& balance);
[[nodiscard]] boost::json::object position_json(
    const Catalogue& catalogue,
    const tenon_instrument& instrument,
    const Position& position
);

// {"symbol","side","type","time_in_force"?,"quantity"?,"price"?,"quote_quantity"?,"client_id"?},
// the numbers as text; `account` is read by the caller. Throws Refusal 400 that names the member.
[[nodiscard]] tenon_order_request
read_order(const Catalogue& catalogue, const Json& body, std::uint64_t account);
// {"symbol","order_id"}
[[nodiscard]] tenon_cancel_request
read_cancel(const Catalogue& catalogue, const Json& body, std::uint64_t account);

// Why the engine refused, for people.
[[nodiscard]] std::string_view reject_text(std::uint32_t reject) noexcept;

// A member that is a text, not empty. Throws Refusal 400.
[[nodiscard]] std::string text_member(const Json& body, std::string_view key);

}  // namespace tenon::console
