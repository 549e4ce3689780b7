// SPDX-License-Identifier: Apache-2.0
// What a client of the Binance gateway sends as query and form body of an order, a pair or a
// cancel.
//
// input := what u8 (0: a new order, 1: a cancel, 2: any parameter in any form, 3: a pair, 4: one in
// the older form), last price i64, text; the query ends at the first line end, the body follows
// Asserted: each outcome is a request or an error of Binance's. A request has one amount, above 0,
// the prices that its type needs, and each is exactly the number that was sent.
#include "plugins/gateway/binance/list_params.hpp"
#include "plugins/gateway/binance/order_params.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/fake_instruments.hpp"

#include <tenon/conditional_order.hpp>
#include <tenon/decimal.hpp>
#include <tenon/json.hpp>

#include <array>

using namespace tenon::binance;
using tenon::fuzz::Choices;
using tenon::fuzz::expect;

namespace {

constexpr std::uint64_t k_account = 16;

// Of an order, with ids that a cancel has and words of other requests.
constexpr std::array<std::string_view, 38> k_names{
    "symbol",
    "side",
    "type",
    "timeInForce",
    "quantity",
    "quoteOrderQty",
    "price",
    "stopPrice",
    "newClientOrderId",
    "orderId",
    "origClientOrderId",
    "cancelRestrictions",
    "newOrderRespType",
    "icebergQty",
    "trailingDelta",
    "strategyId",
    "selfTradePreventionMode",
    "limit",
    "startTime",
    "symbols",
    "recvWindow",
    "omitZeroBalances",
    "listClientOrderId",
    "aboveType",
    "abovePrice",
    "aboveStopPrice",
    "aboveTimeInForce",
    "aboveClientOrderId",
    "aboveIcebergQty",
    "belowType",
    "belowPrice",
    "belowStopPrice",
    "belowTimeInForce",
    "belowClientOrderId",
    "stopLimitPrice",
    "stopLimitTimeInForce",
    "stopClientOrderId",
    "limitClientOrderId"};

tenon::test::FakeInstruments& instruments() {
    static tenon::test::FakeInstruments one;
    return one;
}

void expect_error(const ApiError& error) {
    expect(error.code() <= -1000 && error.code() > -10000, "an error has a code of Binance's");
    expect(error.http_status() >= 400 && error.http_status() < 600, "an error has a status");
    std::string text;
    write_error(text, error);
    const tenon::Json json = tenon::Json::parse(text);
    expect(json.find("msg") != nullptr && json.find("code") != nullptr, "an error is JSON");
}

// The number at `scale`, where the parameter was sent.
void expect_exact(const Params& params, std::string_view name, std::int64_t value, int scale) {
    const auto sent = params.peek(name);
    if (!sent) {
        expect(value == 0, "what was not sent is 0");
        return;
    }
    const tenon::ParsedDecimal parsed = tenon::parse_decimal(*sent, scale);
    expect(parsed && parsed.value == value, "a number is exactly what was sent");
    expect(value > 0, "an amount is above 0");
}

void expect_order(const Params& params, const NewOrder& made) {
    const tenon_order_request& order = made.request;
    const tenon_instrument& rules = *made.market.instrument;
    expect(order.account == k_account && order.instrument == rules.id, "whose and of what");
    expect(order.side <= TENON_SIDE_SELL, "a side");
    expect((order.quantity > 0) != (order.quote_quantity > 0), "one amount, above 0");
    const bool at_market = tenon::working_type(order.type) == TENON_ORDER_MARKET;
    expect(at_market == (order.price == 0), "a price where the type has one");
    const bool waits = tenon::is_conditional(order.type);
    expect(waits == (order.stop_price != 0), "a stop price where the type has one");
    expect_exact(params, "price", order.price, rules.price_scale);
    expect_exact(params, "stopPrice", order.stop_price, rules.price_scale);
    expect_exact(params, "quantity", order.quantity, rules.quantity_scale);
    expect_exact(params, "quoteOrderQty", order.quote_quantity, made.market.quote->scale);
    expect(order.client_id.length <= TENON_CLIENT_ID_MAX, "a client id is bounded");
}

void read_order(Params& params, std::int64_t last_price) {
    const NewOrder order = read_new_order(params, instruments().service(), k_account);
    expect_order(params, order);
    check_filters(order.market, order.request, last_price);
    params.finish(k_names.size());
}

void expect_pair(const Params& params, const NewList& made) {
    const tenon_order_request& stop = made.orders[0];
    const tenon_order_request& target = made.orders[1];
    const tenon_instrument& rules = *made.market.instrument;
    expect(
        stop.type == TENON_ORDER_STOP_LOSS || stop.type == TENON_ORDER_STOP_LOSS_LIMIT, "a stop"
    );
    expect(
        target.type == TENON_ORDER_LIMIT_MAKER || target.type == TENON_ORDER_TAKE_PROFIT ||
            target.type == TENON_ORDER_TAKE_PROFIT_LIMIT,
        "a target"
    );
    for (const tenon_order_request& order : made.orders) {
        expect(order.account == k_account && order.instrument == rules.id, "whose and of what");
        expect(order.side == stop.side && order.quantity == stop.quantity, "one side and quantity");
        expect_exact(params, "quantity", order.quantity, rules.quantity_scale);
        const bool at_market = tenon::working_type(order.type) == TENON_ORDER_MARKET;
        expect(at_market == (order.price == 0), "a price where the type has one");
        const bool waits = tenon::is_conditional(order.type);
        expect(waits == (order.stop_price > 0), "a stop price where the type has one");
    }
}

void read_pair(Params& params, bool older) {
    const NewList list = older ? read_old_oco(params, instruments().service(), k_account)
                               : read_oco(params, instruments().service(), k_account);
    expect_pair(params, list);
    params.finish(k_names.size());
}

void read_cancel_of(Params& params) {
    const auto symbol = params.symbol();
    const CancelParams which =
        read_cancel(params, {"orderId", "origClientOrderId", "newClientOrderId"});
    const Market market = market_of(instruments().service(), symbol.value_or("BTCUSDT"));
    const tenon_cancel_request request = make_cancel(which, market, k_account);
    expect(request.order_id != 0 || request.client_id.length != 0, "a cancel says of which order");
    expect(request.client_id.length <= TENON_CLIENT_ID_MAX, "a client id is bounded");
}

// Each getter is to give a value of its range or to throw.
void read_any(Params& params) {
    for (const std::string_view name : k_names) {
        const auto attempt = [&](auto&& read) {
            try {
                read();
            } catch (const ApiError& error) {
                expect_error(error);
            }
        };
        attempt([&] { expect(params.integer(name).value_or(0) >= 0, "a whole number"); });
        attempt([&] { (void)params.decimal(name); });
        attempt([&] { (void)params.boolean(name); });
        attempt([&] { expect(params.time_from(name).value_or(1) > 0, "a time is above 0"); });
        attempt([&] { expect(params.time_to(name).value_or(1) > 0, "a time is above 0"); });
        attempt([&] { (void)params.symbols(name); });
        attempt([&] { (void)params.symbol(name); });
        attempt([&] { expect(params.client_id(name).value_or("").size() <= 36, "an id"); });
        attempt([&] { (void)params.mandatory(name); });
    }
    const std::uint32_t limit = params.limit(500, 1000);
    expect(limit >= 1 && limit <= 1000, "a page has a bound");
    params.finish(0);
}

}  // namespace

tenon::fuzz::Corpus tenon::fuzz::corpus() {
    Corpus made;
    const std::string front(9, '\0');
    for (const std::string_view text :
         {"symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price=97000.5",
          "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=1.00000\nnewClientOrderId=a-1_Z",
          "symbol=ETHUSDT&side=BUY&type=MARKET&quoteOrderQty=10.5&newOrderRespType=ACK",
          "symbol=ETHUSDT&side=SELL\ntype=STOP_LOSS_LIMIT&timeInForce=IOC&quantity=1&price=1&"
          "stopPrice=2.00",
          "symbol=BTCUSDT&side=BUY&type=TAKE_PROFIT&quantity=1&stopPrice=92233720368547758.07",
          "symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=%31&price=99999999999",
          "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=FOK&quantity=0.00000001&price=1e5"}) {
        made.seeds.push_back(front + std::string{text});
    }
    for (const std::string_view text :
         {"symbol=BTCUSDT&orderId=12&cancelRestrictions=ONLY_NEW",
          "symbol=BTCUSDT&origClientOrderId=abc&newClientOrderId=d"}) {
        made.seeds.push_back("\1" + std::string(8, '\0') + std::string{text});
    }
    for (const std::string_view text :
         {"limit=5&startTime=1732233600000&omitZeroBalances=true",
          "symbols=%5B%22BTCUSDT%22,%22ETHUSDT%22%5D&startTime=1732233600000000",
          "orderId=99999999999999999999&startTime=9223372036854775807"}) {
        made.seeds.push_back("\2" + std::string(8, '\0') + std::string{text});
    }
    made.seeds.push_back(
        "\3" + std::string(8, '\0') +
        "symbol=BTCUSDT&side=SELL&quantity=1&aboveType=LIMIT_MAKER&abovePrice=99000&"
        "belowType=STOP_LOSS_LIMIT&belowStopPrice=95000&belowPrice=94999.5&belowTimeInForce=GTC"
    );
    made.seeds.push_back(
        "\3" + std::string(8, '\0') +
        "symbol=ETHUSDT&side=BUY&quantity=1\naboveType=STOP_LOSS&aboveStopPrice=5000&"
        "belowType=TAKE_PROFIT&belowStopPrice=3000&listClientOrderId=p"
    );
    made.seeds.push_back(
        "\4" + std::string(8, '\0') +
        "symbol=BTCUSDT&side=SELL&quantity=1&price=99000&stopPrice=95000&stopLimitPrice=94000&"
        "stopLimitTimeInForce=FOK&stopClientOrderId=s"
    );
    for (const std::string_view name : k_names) {
        made.words.push_back("&" + std::string{name} + "=");
    }
    made.words.insert(
        made.words.end(),
        {"MARKET", "LIMIT", "STOP_LOSS", "TAKE_PROFIT_LIMIT", "-", "%00", "\n", "0.0", "+"}
    );
    return made;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Choices choices{tenon::fuzz::text_of(data, size)};
    const std::size_t what = choices.below(5);
    // A last price is the engine's own, so within an order's bounds.
    const std::int64_t last_price = choices.number<std::int64_t>() & ((std::int64_t{1} << 53) - 1);
    const std::string_view text = choices.rest();
    const std::size_t end = std::min(text.find('\n'), text.size());
    Params params;
    try {
        params.parse(text.substr(0, end), text.substr(std::min(end + 1, text.size())));
        expect(params.count() <= Params::k_max, "parameters are bounded");
        if (what == 0) {
            read_order(params, last_price);
        } else if (what == 1) {
            read_cancel_of(params);
        } else if (what >= 3) {
            read_pair(params, what == 4);
        } else {
            read_any(params);
        }
    } catch (const ApiError& error) {
        expect_error(error);
    }
    return 0;
}
