// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/orders/messages.hpp"

#include <tenon/conditional_order.hpp>
#include <tenon/decimal.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace tenon::binance_venue {
namespace {

constexpr int k_base = 36;
constexpr std::int64_t k_ms = 1'000'000;
constexpr std::array<std::string_view, 4> k_lives{"GTC", "GTC", "IOC", "FOK"};
// From TENON_ORDER_STOP_LOSS on.
// Those that this venue sends.
constexpr std::array<std::string_view, 4> k_stp_modes{
    "NONE",
    "EXPIRE_TAKER",
    "EXPIRE_MAKER",
    "EXPIRE_BOTH"};
constexpr std::array<std::string_view, 4> k_conditional_names{
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT"};

std::string base36(std::uint64_t value) {
    std::array<char, 16> text{};
    char* const end = std::to_chars(text.data(), text.data() + text.size(), value, k_base).ptr;
    return {text.data(), end};
}

[[nodiscard]] const Json* member(const Json& row, std::string_view key, Json::Kind kind) {
    const Json* const found = row.find(key);
    return found != nullptr && found->is(kind) ? found : nullptr;
}

[[nodiscard]] std::string text_of(const Json& row, std::string_view key) {
    const Json* const found = member(row, key, Json::Kind::text);
    return found == nullptr ? std::string{} : found->text();
}

[[nodiscard]] bool is_true(const Json& row, std::string_view key) {
    const Json* const found = member(row, key, Json::Kind::boolean);
    return found != nullptr && found->boolean();
}

// 0 or more; empty when it is missing or something else.
[[nodiscard]] std::optional<std::int64_t>
amount_of(const Json& row, std::string_view key, int scale) {
    const Json* const found = member(row, key, Json::Kind::text);
    if (found == nullptr) {
        return std::nullopt;
    }
    const ParsedDecimal parsed = parse_decimal(found->text(), scale);
    return parsed && parsed.value >= 0 ? std::optional{parsed.value} : std::nullopt;
}

[[nodiscard]] std::optional<std::int64_t> number_of(const Json& row, std::string_view key) {
    const Json* const found = member(row, key, Json::Kind::number);
    if (found == nullptr) {
        return std::nullopt;
    }
    const std::string& text = found->number();
    std::int64_t value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && stop == text.data() + text.size() ? std::optional{value}
                                                                     : std::nullopt;
}

[[nodiscard]] std::optional<Market>
market_of(const Json& row, std::string_view key, const Listing& listing) {
    const auto instrument = listing.instrument(text_of(row, key));
    return instrument ? listing.market(*instrument) : std::nullopt;
}

// False: not an amount at all.
bool read_commission(
    const std::string& amount,
    const std::string& name,
    const Listing& listing,
    Fill& fill
) {
    const std::optional<Asset> asset = listing.asset(name);
    const int scale = asset ? asset->scale : 0;
    ParsedDecimal parsed = parse_decimal(amount, scale);
    if (parsed.status == DecimalStatus::precision) {
        const std::size_t keep = amount.find('.') + static_cast<std::size_t>(scale) + 1;
        parsed =
            parse_decimal(scale == 0 ? amount.substr(0, keep - 1) : amount.substr(0, keep), scale);
        parsed.value += 1;
    }
    if (!parsed || parsed.value < 0) {
        return false;
    }
    if (asset) {
        fill.fee_asset = asset->id;
        fill.fee = parsed.value;
    }
    return true;
}

struct FillKeys {
    std::string_view trade, price, quantity, commission, asset, maker;
};

[[nodiscard]] std::optional<Fill>
read_fill(const Json& row, const FillKeys& keys, const Market& market, const Listing& listing) {
    const auto trade = number_of(row, keys.trade);
    const auto price = amount_of(row, keys.price, market.price_scale);
    const auto quantity = amount_of(row, keys.quantity, market.quantity_scale);
    if (!trade || *trade < 0 || price.value_or(0) <= 0 || quantity.value_or(0) <= 0) {
        return std::nullopt;
    }
    Fill fill;
    fill.trade_id = static_cast<std::uint64_t>(*trade);
    fill.price = *price;
    fill.quantity = *quantity;
    if (const Json* const maker = member(row, keys.maker, Json::Kind::boolean)) {
        fill.maker = maker->boolean();
    }
    const std::string amount = text_of(row, keys.commission);
    const bool charged = !amount.empty();
    if (charged && !read_commission(amount, text_of(row, keys.asset), listing, fill)) {
        return std::nullopt;
    }
    return fill;
}

// Their word for a state: accepted and perhaps ended, or refused. False: an unknown word.
bool read_status(std::string_view status, OrderNews& news) {
    news.accepted = true;
    if (status == "NEW" || status == "PARTIALLY_FILLED" || status == "PENDING_NEW" ||
        status == "PENDING_CANCEL") {
        return true;
    }
    if (status == "FILLED") {
        news.end = End::filled;
    } else if (status == "CANCELED") {
        news.end = End::canceled;
    } else if (status == "EXPIRED" || status == "EXPIRED_IN_MATCH") {
        news.end = End::expired;
    } else if (status == "REJECTED") {
        news.accepted = false;
        news.end = End::refused;
        news.reject = TENON_REJECT_VENUE;
    } else {
        return false;
    }
    return true;
}

// An end of an order that they had.
[[nodiscard]] bool had_end(End end) {
    return end == End::filled || end == End::canceled || end == End::expired;
}

[[nodiscard]] bool has(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

[[nodiscard]] std::uint32_t reject_of(std::int64_t code, std::string_view words) {
    struct Row {
        std::int64_t code;
        std::string_view part;
        std::uint32_t reject;
    };

    // The first row that fits: longer names before the ones that they contain.
    static constexpr std::array k_rows{
        Row{-1013, "PERCENT_PRICE", TENON_REJECT_PERCENT_PRICE},
        Row{-1013, "PRICE_FILTER", TENON_REJECT_PRICE_FILTER},
        Row{-1013, "MARKET_LOT_SIZE", TENON_REJECT_MARKET_LOT_SIZE},
        Row{-1013, "LOT_SIZE", TENON_REJECT_LOT_SIZE},
        Row{-1013, "NOTIONAL", TENON_REJECT_NOTIONAL},
        Row{-1013, "MAX_NUM_ALGO", TENON_REJECT_MAX_ALGO_ORDERS},
        Row{-1013, "MAX_NUM", TENON_REJECT_MAX_ORDERS},
        Row{-1013, "MAX_POSITION", TENON_REJECT_MAX_POSITION},
        Row{-1013, "TRAILING_DELTA", TENON_REJECT_TRAILING_DELTA},
        Row{-1013, "ICEBERG_PARTS", TENON_REJECT_ICEBERG_PARTS},
        Row{-2010, "insufficient balance", TENON_REJECT_BALANCE},
        Row{-2010, "immediately match", TENON_REJECT_WOULD_MATCH},
        Row{-2010, "would trigger", TENON_REJECT_WOULD_TRIGGER},
        Row{-2010, "Market is closed", TENON_REJECT_MARKET_CLOSED},
        Row{-2010, "disabled on this account", TENON_REJECT_ACCOUNT_DISABLED},
        Row{-1121, "", TENON_REJECT_UNKNOWN_INSTRUMENT},
        Row{-1112, "", TENON_REJECT_NO_LIQUIDITY},
        Row{-1003, "", TENON_REJECT_CAPACITY},
        Row{-1015, "", TENON_REJECT_CAPACITY},
    };
    const auto* const row = std::find_if(k_rows.begin(), k_rows.end(), [&](const Row& one) {
        return one.code == code && has(words, one.part);
    });
    return row == k_rows.end() ? TENON_REJECT_VENUE : row->reject;
}

// Codes by which the exchange says that it does not know what became of the request.
[[nodiscard]] bool in_doubt(std::int64_t code, std::string_view words) {
    return code == 0 || code == -1000 || code == -1001 || code == -1006 || code == -1007 ||
           code == -1008 || (code == -2010 && has(words, "Duplicate"));
}

}  // namespace

OrderIds::OrderIds(std::string_view tag) {
    const auto good = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    };
    if (tag.empty() || tag.size() > 8 || !std::all_of(tag.begin(), tag.end(), good)) {
        throw Error{TENON_INVALID, "the order tag must be 1 to 8 of [a-zA-Z0-9]"};
    }
    prefix_ = "tnn" + std::string{tag} + "-";
}

std::string OrderIds::id_of(const BookedOrder& booked) const {
    const std::int64_t ms = std::max<std::int64_t>(booked.submitted_real_ns, 0) / k_ms;
    return prefix_ + base36(booked.order.order_id) + "-" + base36(static_cast<std::uint64_t>(ms));
}

std::optional<std::uint64_t> OrderIds::order_of(std::string_view client_id) const {
    if (client_id.substr(0, prefix_.size()) != prefix_) {
        return std::nullopt;
    }
    const std::string_view rest = client_id.substr(prefix_.size());
    std::uint64_t id = 0;
    const char* const end = rest.data() + rest.size();
    const auto [stop, error] = std::from_chars(rest.data(), end, id, k_base);
    if (error != std::errc{} || stop == end || *stop != '-' || id == 0) {
        return std::nullopt;
    }
    return id;
}

std::string
place_query(const BookedOrder& booked, const Market& market, std::string_view client_id) {
    const tenon_venue_order& order = booked.order;
    std::string query = "symbol=" + market.symbol;
    query += order.side == TENON_SIDE_BUY ? "&side=BUY" : "&side=SELL";
    const bool market_order = working_type(order.type) == TENON_ORDER_MARKET && booked.limit == 0;
    if (is_conditional(order.type)) {
        query += "&type=";
        query += k_conditional_names.at(order.type - TENON_ORDER_STOP_LOSS);
        if (order.stop_price != 0) {
            query += "&stopPrice=" + decimal_text(order.stop_price, market.price_scale);
        }
        if (order.trailing_delta != 0) {
            query += "&trailingDelta=" + std::to_string(order.trailing_delta);
        }
        if (!market_order) {
            query += "&timeInForce=";
            query += k_lives.at(order.time_in_force & 3U);
        }
    } else if (market_order) {
        query += "&type=MARKET";
    } else if (order.type == TENON_ORDER_LIMIT_MAKER) {
        query += "&type=LIMIT_MAKER";
    } else {
        const bool bounded = order.type == TENON_ORDER_MARKET;
        query += "&type=LIMIT&timeInForce=";
        query += bounded ? "IOC" : k_lives[order.time_in_force & 3U];
    }
    if (order.quote_quantity != 0) {
        query += "&quoteOrderQty=" + decimal_text(order.quote_quantity, market.quote_scale);
    } else {
        query += "&quantity=" + decimal_text(order.quantity, market.quantity_scale);
    }
    if (!market_order) {
        query += "&price=" + decimal_text(booked.limit, market.price_scale);
    }
    if (order.display_quantity != 0) {
        query += "&icebergQty=" + decimal_text(order.display_quantity, market.quantity_scale);
    }
    if (order.stp_mode != TENON_STP_NONE) {
        query += "&selfTradePreventionMode=";
        query += k_stp_modes.at(order.stp_mode);
    }
    query += "&newClientOrderId=";
    query += client_id;
    query += "&newOrderRespType=FULL";
    return query;
}

std::string order_query(const Market& market, std::string_view client_id) {
    return "symbol=" + market.symbol + "&origClientOrderId=" + std::string{client_id};
}

std::string
trades_query(const Market& market, std::uint64_t exchange_id, std::uint64_t from_trade_id) {
    std::string query = "symbol=" + market.symbol + "&orderId=" + std::to_string(exchange_id);
    if (from_trade_id != 0) {
        query += "&fromId=" + std::to_string(from_trade_id);
    }
    return query + "&limit=" + std::to_string(k_trades_of_an_answer);
}

std::optional<Told> read_order(const Json& row, const Listing& listing) {
    const std::optional<Market> market = market_of(row, "symbol", listing);
    const auto id = number_of(row, "orderId");
    const auto status = text_of(row, "status");
    if (!market || id.value_or(0) <= 0) {
        return std::nullopt;
    }
    const auto executed = amount_of(row, "executedQty", market->quantity_scale);
    Told told;
    if (!executed || !read_status(status, told.news)) {
        return std::nullopt;
    }
    told.client_id = text_of(row, "origClientOrderId");
    if (told.client_id.empty()) {
        told.client_id = text_of(row, "clientOrderId");
    }
    told.news.exchange_id = static_cast<std::uint64_t>(*id);
    told.executed = *executed;
    told.news.executed = had_end(told.news.end) ? *executed : 0;
    told.news.working = told.news.accepted && is_true(row, "isWorking");
    if (const Json* const fills = member(row, "fills", Json::Kind::array)) {
        for (const Json& one : fills->items()) {
            const auto fill = read_fill(
                one,
                {"tradeId", "price", "qty", "commission", "commissionAsset", ""},
                *market,
                listing
            );
            if (!fill) {
                return std::nullopt;
            }
            told.news.fills.push_back(*fill);
        }
        if (told.news.fills.size() > k_fills_max) {
            told.news.fills.resize(k_fills_max);  // the rest is asked for
        }
    }
    return told;
}

std::optional<Told> read_report(const Json& event, const Listing& listing) {
    const std::optional<Market> market = market_of(event, "s", listing);
    const auto id = number_of(event, "i");
    if (!market || id.value_or(0) <= 0) {
        return std::nullopt;
    }
    const auto executed = amount_of(event, "z", market->quantity_scale);
    Told told;
    if (!executed || !read_status(text_of(event, "X"), told.news)) {
        return std::nullopt;
    }
    // Of a cancelled order C is its own id, and c the cancel's.
    told.client_id = text_of(event, "C");
    if (told.client_id.empty() || told.news.end != End::canceled) {
        told.client_id = text_of(event, "c");
    }
    told.news.exchange_id = static_cast<std::uint64_t>(*id);
    told.executed = *executed;
    told.news.executed = had_end(told.news.end) ? *executed : 0;
    told.news.working = told.news.accepted && is_true(event, "w");
    if (told.news.end == End::refused) {
        told.news.reason = text_of(event, "r").substr(0, k_reason_bytes_max);
    }
    if (text_of(event, "x") == "TRADE") {
        const auto fill = read_fill(event, {"t", "L", "l", "n", "N", "m"}, *market, listing);
        if (!fill) {
            return std::nullopt;
        }
        told.news.fills.push_back(*fill);
    }
    return told;
}

std::optional<Fill> read_trade(const Json& row, const Market& market, const Listing& listing) {
    return read_fill(
        row, {"id", "price", "qty", "commission", "commissionAsset", "isMaker"}, market, listing
    );
}

std::optional<std::map<std::uint32_t, std::int64_t>>
read_balances(const Json& account, const Listing& listing) {
    const Json* const rows = member(account, "balances", Json::Kind::array);
    if (rows == nullptr) {
        return std::nullopt;
    }
    std::map<std::uint32_t, std::int64_t> out;
    for (const Json& row : rows->items()) {
        const std::optional<Asset> asset = listing.asset(text_of(row, "asset"));
        if (!asset) {
            continue;
        }
        std::int64_t total = 0;
        for (const std::string_view part : {"free", "locked"}) {
            std::string amount = text_of(row, part);
            const std::size_t point = amount.find('.');
            if (point != std::string::npos) {
                const auto scale = static_cast<std::size_t>(asset->scale);
                amount.resize(std::min(amount.size(), scale == 0 ? point : point + 1 + scale));
            }
            const ParsedDecimal parsed = parse_decimal(amount, asset->scale);
            if (!parsed || parsed.value < 0 ||
                __builtin_add_overflow(total, parsed.value, &total)) {
                return std::nullopt;
            }
        }
        out[asset->id] = total;
    }
    return out;
}

std::optional<Json> read_json(std::string_view text) {
    try {
        return Json::parse(text);
    } catch (const Error&) {
        return std::nullopt;
    }
}

std::int64_t error_code(const RestReply& reply) {
    const std::optional<Json> json = read_json(reply.body);
    return json ? number_of(*json, "code").value_or(0) : 0;
}

Verdict judge(const RestReply& reply, const Listing& listing) {
    Verdict verdict;
    const std::optional<Json> json = read_json(reply.body);
    if (reply.status / 100 == 2) {
        std::optional<Told> told = json ? read_order(*json, listing) : std::nullopt;
        if (told && told->news.end != End::refused) {
            verdict.kind = Verdict::Kind::told;
            verdict.told = std::move(*told);
        } else {
            verdict.reason = "an answer that cannot be read";
        }
        return verdict;
    }
    const std::int64_t code = json ? number_of(*json, "code").value_or(0) : 0;
    const std::string words = json ? text_of(*json, "msg").substr(0, k_reason_bytes_max) : "";
    verdict.reason = words.empty() ? "HTTP status " + std::to_string(reply.status) : words;
    if (reply.status / 100 == 4 && !in_doubt(code, words)) {
        verdict.kind = Verdict::Kind::refused;
        verdict.reject = reject_of(code, words);
    }
    return verdict;
}

}  // namespace tenon::binance_venue
