// SPDX-License-Identifier: Apache-2.0
#include "plugins/console/account_json.hpp"

#include "plugins/console/refusal.hpp"

#include <tenon/conditional_order.hpp>
#include <tenon/decimal.hpp>
#include <tenon/order_state.hpp>
#include <tenon/structs.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

namespace tenon::console {
namespace {

namespace json = boost::json;

using Name = std::pair<std::uint8_t, std::string_view>;

constexpr std::array<Name, 2> k_sides{{{TENON_SIDE_BUY, "BUY"}, {TENON_SIDE_SELL, "SELL"}}};
constexpr std::array<Name, 7> k_types{
    {{TENON_ORDER_LIMIT, "LIMIT"},
     {TENON_ORDER_MARKET, "MARKET"},
     {TENON_ORDER_LIMIT_MAKER, "LIMIT_MAKER"},
     {TENON_ORDER_STOP_LOSS, "STOP_LOSS"},
     {TENON_ORDER_STOP_LOSS_LIMIT, "STOP_LOSS_LIMIT"},
     {TENON_ORDER_TAKE_PROFIT, "TAKE_PROFIT"},
     {TENON_ORDER_TAKE_PROFIT_LIMIT, "TAKE_PROFIT_LIMIT"}}};
constexpr std::array<Name, 3> k_in_force{
    {{TENON_TIF_GTC, "GTC"}, {TENON_TIF_IOC, "IOC"}, {TENON_TIF_FOK, "FOK"}}};
constexpr std::array<Name, 7> k_statuses{
    {{TENON_STATUS_PENDING_NEW, "PENDING_NEW"},
     {TENON_STATUS_NEW, "NEW"},
     {TENON_STATUS_PARTIALLY_FILLED, "PARTIALLY_FILLED"},
     {TENON_STATUS_FILLED, "FILLED"},
     {TENON_STATUS_CANCELED, "CANCELED"},
     {TENON_STATUS_EXPIRED, "EXPIRED"},
     {TENON_STATUS_REJECTED, "REJECTED"}}};

template <std::size_t count>
std::string_view name_of(const std::array<Name, count>& names, std::uint8_t value) noexcept {
    for (const auto& [known, name] : names) {
        if (known == value) {
            return name;
        }
    }
    return "UNKNOWN";
}

template <std::size_t count>
std::uint8_t
value_of_name(const std::array<Name, count>& names, const std::string& text, std::string_view key) {
    std::string expected;
    for (const auto& [value, name] : names) {
        if (name == text) {
            return value;
        }
        expected.append(expected.empty() ? "" : ", ").append(name);
    }
    throw invalid(std::string{key} + ": one of " + expected + " expected");
}

std::string_view text_of(const tenon_client_id& id) noexcept {
    return {id.text, std::min<std::size_t>(id.length, TENON_CLIENT_ID_MAX)};
}

std::int64_t ms(std::int64_t real_ns) noexcept {
    return real_ns / 1'000'000;
}

std::optional<std::string> optional_text(const Json& body, std::string_view key) {
    const Json* const value = body.find(key);
    if (value == nullptr || value->is(Json::Kind::null) ||
        (value->is(Json::Kind::text) && value->text().empty())) {
        return std::nullopt;
    }
    if (!value->is(Json::Kind::text)) {
        throw invalid(std::string{key} + ": a text expected");
    }
    return value->text();
}

std::int64_t read_amount(const Json& body, std::string_view key, int scale) {
    const std::string text = text_member(body, key);
    const ParsedDecimal parsed = parse_decimal(text, scale);
    const std::string name{key};
    switch (parsed.status) {
        case DecimalStatus::ok:
            break;
        case DecimalStatus::precision:
            throw invalid(name + ": at most " + std::to_string(scale) + " decimals");
        case DecimalStatus::overflow:
            throw invalid(name + ": too large");
        case DecimalStatus::malformed:
            throw invalid(name + ": a number such as 12.5 expected");
    }
    if (parsed.value <= 0) {
        throw invalid(name + ": more than 0 expected");
    }
    return parsed.value;
}

void refuse_member(const Json& body, std::string_view key, std::string_view why) {
    if (optional_text(body, key)) {
        throw invalid(std::string{key} + ": " + std::string{why});
    }
}

tenon_client_id read_client_id(const std::string& text) {
    const bool good =
        text.size() <= TENON_CLIENT_ID_MAX && std::all_of(text.begin(), text.end(), [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   std::string_view{".:/_-"}.find(c) != std::string_view::npos;
        });
    if (!good) {
        throw invalid("client_id: at most 36 characters of a-z, A-Z, 0-9 and .:/_-");
    }
    tenon_client_id id{};
    id.length = static_cast<std::uint8_t>(text.size());
    std::copy(text.begin(), text.end(), id.text);
    return id;
}

void refuse_unknown(const Json& body, std::initializer_list<std::string_view> known) {
    if (!body.is(Json::Kind::object)) {
        throw invalid("a JSON object expected");
    }
    for (const std::string& key : body.keys()) {
        if (std::find(known.begin(), known.end(), key) == known.end()) {
            throw invalid("there is a member that is not known");
        }
    }
}

}  // namespace

std::uint32_t Catalogue::size() const noexcept {
    return service_ ? service_->instrument_count(service_.self) : 0;
}

const tenon_instrument& Catalogue::instrument(std::uint32_t id) const {
    const tenon_instrument* const found = service_->instrument(service_.self, id);
    if (found == nullptr) {
        throw invalid("there is no such instrument");
    }
    return *found;
}

const tenon_instrument& Catalogue::find(std::string_view symbol) const {
    std::uint32_t id = 0;
    if (service_->find_instrument(service_.self, str(symbol), &id) != TENON_OK) {
        throw invalid("symbol: there is no such instrument");
    }
    return instrument(id);
}

const tenon_asset& Catalogue::asset(std::uint32_t id) const {
    const tenon_asset* const found = service_->asset(service_.self, id);
    if (found == nullptr) {
        throw invalid("there is no such asset");
    }
    return *found;
}

std::string text_member(const Json& body, std::string_view key) {
    auto text = optional_text(body, key);
    if (!text) {
        throw invalid(std::string{key} + ": missing");
    }
    return std::move(*text);
}

json::object order_json(const Catalogue& catalogue, const tenon_order& order) {
    const tenon_instrument& instrument = catalogue.instrument(order.instrument);
    const int quote_scale = catalogue.asset(instrument.quote).scale;
    return {
        {"order_id", std::to_string(order.order_id)},
        {"client_id", text_of(order.client_id)},
        {"symbol", view(instrument.symbol)},
        {"side", name_of(k_sides, order.side)},
        {"type", name_of(k_types, order.type)},
        {"time_in_force", name_of(k_in_force, order.time_in_force)},
        {"status",
         is_expired_in_match(order) ? std::string_view{"EXPIRED_IN_MATCH"}
                                    : name_of(k_statuses, order.status)},
        {"price", decimal_text(order.price, instrument.price_scale)},
        {"stop_price", decimal_text(order.stop_price, instrument.price_scale)},
        {"quantity", decimal_text(order.quantity, instrument.quantity_scale)},
        {"quote_quantity", decimal_text(order.quote_quantity, quote_scale)},
        {"filled", decimal_text(order.filled_quantity, instrument.quantity_scale)},
        {"filled_quote", decimal_text(order.filled_quote, quote_scale)},
        {"created_ms", ms(order.created_real_ns)},
        {"updated_ms", ms(order.updated_real_ns)},
        {"reason",
         order.status == TENON_STATUS_REJECTED ? reject_text(order.reject) : std::string_view{}}};
}

json::object trade_json(const Catalogue& catalogue, const tenon_trade& trade) {
    const tenon_instrument& instrument = catalogue.instrument(trade.instrument);
    const tenon_asset& fee_asset = catalogue.asset(trade.fee_asset);
    return {
        {"trade_id", std::to_string(trade.trade_id)},
        {"order_id", std::to_string(trade.order_id)},
        {"symbol", view(instrument.symbol)},
        {"side", name_of(k_sides, trade.side)},
        {"maker", trade.is_maker != 0},
        {"price", decimal_text(trade.price, instrument.price_scale)},
        {"quantity", decimal_text(trade.quantity, instrument.quantity_scale)},
        {"amount", decimal_text(trade.quote_amount, catalogue.asset(instrument.quote).scale)},
        {"fee", decimal_text(trade.fee, fee_asset.scale)},
        {"fee_asset", view(fee_asset.name)},
        {"time_ms", ms(trade.time_real_ns)}};
}

json::object balance_json(const Catalogue& catalogue, const tenon_balance& balance) {
    const tenon_asset& asset = catalogue.asset(balance.asset);
    return {
        {"asset", view(asset.name)},
        {"free", decimal_text(balance.free, asset.scale)},
        {"locked", decimal_text(balance.locked, asset.scale)}};
}

json::object position_json(
    const Catalogue& catalogue,
    const tenon_instrument& instrument,
    const Position& position
) {
    const tenon_asset& base = catalogue.asset(instrument.base);
    const tenon_asset& quote = catalogue.asset(instrument.quote);
    return {
        {"symbol", view(instrument.symbol)},
        {"base", view(base.name)},
        {"quote", view(quote.name)},
        {"quantity", decimal_text(position.quantity(), base.scale)},
        {"cost", decimal_text(position.cost(), quote.scale)},
        {"realized", decimal_text(position.realized(), quote.scale)},
        {"sold_without_cost", decimal_text(position.sold_without_cost(), base.scale)},
        {"exact", position.whole()}};
}

tenon_order_request
read_order(const Catalogue& catalogue, const Json& body, std::uint64_t account) {
    refuse_unknown(
        body,
        {"account",
         "symbol",
         "side",
         "type",
         "time_in_force",
         "quantity",
         "price",
         "stop_price",
         "quote_quantity",
         "client_id"}
    );
    const tenon_instrument& instrument = catalogue.find(text_member(body, "symbol"));
    auto request = sized<tenon_order_request>();
    request.instrument = instrument.id;
    request.account = account;
    request.side = value_of_name(k_sides, text_member(body, "side"), "side");
    request.type = value_of_name(k_types, text_member(body, "type"), "type");
    request.time_in_force = TENON_TIF_GTC;
    if (is_conditional(request.type)) {
        request.stop_price = read_amount(body, "stop_price", instrument.price_scale);
    } else {
        refuse_member(body, "stop_price", "of stop-loss and take-profit orders only");
    }
    if (working_type(request.type) == TENON_ORDER_MARKET) {
        refuse_member(body, "price", "a market order has none");
        refuse_member(body, "time_in_force", "a market order has none");
        if (request.type == TENON_ORDER_MARKET && optional_text(body, "quote_quantity")) {
            refuse_member(body, "quantity", "not together with quote_quantity");
            request.quote_quantity =
                read_amount(body, "quote_quantity", catalogue.asset(instrument.quote).scale);
        } else {
            refuse_member(body, "quote_quantity", "of market orders only");
            request.quantity = read_amount(body, "quantity", instrument.quantity_scale);
        }
    } else {
        refuse_member(body, "quote_quantity", "of market orders only");
        request.price = read_amount(body, "price", instrument.price_scale);
        request.quantity = read_amount(body, "quantity", instrument.quantity_scale);
        if (const auto in_force = optional_text(body, "time_in_force")) {
            request.time_in_force = value_of_name(k_in_force, *in_force, "time_in_force");
        }
    }
    if (const auto id = optional_text(body, "client_id")) {
        request.client_id = read_client_id(*id);
    }
    return request;
}

tenon_cancel_request
read_cancel(const Catalogue& catalogue, const Json& body, std::uint64_t account) {
    refuse_unknown(body, {"account", "symbol", "order_id"});
    auto request = sized<tenon_cancel_request>();
    request.instrument = catalogue.find(text_member(body, "symbol")).id;
    request.account = account;
    const std::string text = text_member(body, "order_id");
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, request.order_id);
    if (error != std::errc{} || stop != end || request.order_id == 0) {
        throw invalid("order_id: the number of an order expected");
    }
    return request;
}

std::string_view reject_text(std::uint32_t reject) noexcept {
    constexpr std::array<std::string_view, 30> k_texts{
        "",
        "there is no such instrument",
        "the market is closed",
        "the price is outside the instrument's limits or off its tick",
        "the quantity is outside the instrument's limits or off its step",
        "the quantity is outside the limits for market orders",
        "the value of the order is outside the instrument's limits",
        "the price is too far from the last trade",
        "there are as many open orders as there may be",
        "the balance does not suffice",
        "an order with this client id exists already",
        "post-only, and it would have traded at once",
        "there is no such open order",
        "price times quantity is too large",
        "there is no such account",
        "the account is disabled",
        "the fields do not go together",
        "this kind of order is not supported",
        "the position would become larger than allowed",
        "there is nothing to price a market order against",
        "the venue refused the order",
        "there is no such asset",
        "the account exists already",
        "the key exists already",
        "there is no such key",
        "the server holds as much as it may",
        "the order certainly never reached the venue",
        "the last price is at the stop price already",
        "there are as many open conditional orders as there may be",
        "the order is not in the state that the cancel asks for"};
    return reject < k_texts.size() ? k_texts[reject] : "the engine refused it";
}

}  // namespace tenon::console
