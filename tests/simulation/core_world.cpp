// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/core_world.hpp"

#include <tenon/decimal.hpp>

#include <cstring>
#include <stdexcept>

namespace tenon::test {
namespace {

[[nodiscard]] Service<tenon_instruments_1> service_of(instruments::Catalogue& catalogue) {
    return {&catalogue, &instruments::Catalogue::k_table};
}

[[nodiscard]] std::int64_t exact(std::string_view text, int scale) {
    const ParsedDecimal parsed = parse_decimal(text, scale);
    if (!parsed) {
        throw std::invalid_argument{"bad decimal in a test: " + std::string{text}};
    }
    return parsed.value;
}

}  // namespace

std::string_view world_instruments() {
    return R"({
      "instruments_version": 1,
      "assets": [{"name":"USDT","scale":8},{"name":"BTC","scale":8},{"name":"ETH","scale":8}],
      "instruments": [
        {"symbol":"BTCUSDT","base":"BTC","quote":"USDT","venue":"internal",
         "price_scale":2,"quantity_scale":5,
         "price":{"min":"0.01","max":"1000000","tick":"0.01"},
         "quantity":{"min":"0.00001","max":"9000","step":"0.00001"},
         "market_quantity":{"max":"120"},
         "notional":{"min":"5","max":"9000000","min_to_market":true},
         "percent_price":{"bid_up":"5","bid_down":"0.2","ask_up":"5","ask_down":"0.2"},
         "orders_max":20,"algo_orders_max":4,"fees":{"maker":"0.001","taker":"0.002"},"position_max":"50"},
        {"symbol":"ETHBTC","base":"ETH","quote":"BTC","venue":"internal",
         "price_scale":5,"quantity_scale":3,
         "price":{"tick":"0.00001"},"quantity":{"step":"0.001"},
         "fees":{"maker":"0","taker":"0.0005"}}
      ]})";
}

CoreWorld::CoreWorld(const trading::CoreOptions& options, std::string_view instruments)
    : catalogue{instruments::Catalogue::parse(instruments, "test")},
      venue{service_of(catalogue), "internal"},
      core{
          service_of(catalogue),
          {{"internal", {&venue, &internal::InternalVenue::k_table}}},
          options} {}

const trading::Result& CoreWorld::apply(trading::CommandBody body) {
    constexpr std::int64_t k_second_ns = 1'000'000'000;
    trading::Command command;
    command.sequence = core.sequence() + 1;
    command.time_real_ns = static_cast<std::int64_t>(command.sequence) * k_second_ns;
    command.body = body;
    output.clear();
    return core.apply(command, output);
}

std::uint64_t CoreWorld::open(std::string_view name) {
    return apply(trading::AccountOpenCommand{str(name)}).account;
}

void CoreWorld::deposit(
    std::uint64_t account,
    std::string_view asset_name,
    std::string_view amount
) {
    auto entry = tenon::sized<tenon_ledger_entry>();
    entry.from = TENON_ACCOUNT_EXTERNAL;
    entry.to = account;
    entry.asset = asset(asset_name);
    entry.amount = exact(amount, catalogue.asset(entry.asset)->scale);
    if (apply(trading::TransferCommand{entry}).reject != TENON_REJECT_NONE) {
        throw std::runtime_error{"a deposit in a test was refused"};
    }
}

std::uint32_t CoreWorld::asset(std::string_view name) const {
    std::uint32_t id = 0;
    if (!catalogue.find_asset(name, id)) {
        throw std::invalid_argument{"no such asset in a test"};
    }
    return id;
}

std::uint32_t CoreWorld::instrument(std::string_view symbol) const {
    std::uint32_t id = 0;
    if (!catalogue.find_instrument(symbol, id)) {
        throw std::invalid_argument{"no such instrument in a test"};
    }
    return id;
}

std::string CoreWorld::balance(std::uint64_t account, std::string_view asset_name) const {
    const tenon_balance row = core.balance(account, asset(asset_name));
    const int scale = catalogue.asset(row.asset)->scale;
    const std::string free = decimal_text(row.free, scale);
    return row.locked == 0 ? free : free + " locked " + decimal_text(row.locked, scale);
}

tenon_order_request CoreWorld::limit(
    std::uint64_t account,
    std::uint8_t side,
    std::string_view price,
    std::string_view quantity,
    std::string_view symbol
) const {
    const tenon_instrument* rules = catalogue.instrument(instrument(symbol));
    tenon_order_request order{};
    order.size = sizeof order;
    order.instrument = rules->id;
    order.account = account;
    order.side = side;
    order.type = TENON_ORDER_LIMIT;
    order.time_in_force = TENON_TIF_GTC;
    order.price = exact(price, rules->price_scale);
    order.quantity = exact(quantity, rules->quantity_scale);
    return order;
}

tenon_client_id client_id(std::string_view text) {
    tenon_client_id id{};
    id.length = static_cast<std::uint8_t>(text.size());
    std::memcpy(id.text, text.data(), text.size());
    return id;
}

trading::SubmitCommand submit(const tenon_order_request& order) {
    return {order, {}};
}

trading::CancelCommand
cancel(std::uint64_t account, std::uint32_t instrument, std::uint64_t order_id) {
    trading::CancelCommand command;
    command.request.size = sizeof command.request;
    command.request.account = account;
    command.request.instrument = instrument;
    command.request.order_id = order_id;
    return command;
}

}  // namespace tenon::test
