// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/core_world.hpp"

#include <catch2/catch.hpp>

using namespace tenon;
using namespace tenon::test;

namespace {

constexpr std::uint8_t k_buy = TENON_SIDE_BUY;
constexpr std::uint8_t k_sell = TENON_SIDE_SELL;

// Two funded accounts: ann has USDT, bob has BTC.
struct Market : CoreWorld {
    explicit Market(const trading::CoreOptions& options = {}) : CoreWorld{options} {
        ann = open("ann");
        bob = open("bob");
        deposit(ann, "USDT", "100000");
        deposit(bob, "BTC", "2");
    }

    std::uint32_t place(const tenon_order_request& order) { return apply(submit(order)).reject; }

    tenon_order_request market(std::uint64_t account, std::uint8_t side) const {
        tenon_order_request order = limit(account, side, "1", "1");
        order.type = TENON_ORDER_MARKET;
        order.time_in_force = 0;
        order.price = 0;
        order.quantity = 0;
        return order;
    }

    std::uint64_t ann = 0, bob = 0;
};

}  // namespace

TEST_CASE("a resting buy locks price times quantity and a cancel gives it back", "[core][T2][T3]") {
    Market m;
    REQUIRE(m.place(m.limit(m.ann, k_buy, "50000.00", "0.5")) == TENON_REJECT_NONE);
    REQUIRE(m.reply().order_count == 1);
    const tenon_order order = m.reply().orders[0];
    CHECK(order.status == TENON_STATUS_NEW);
    CHECK(m.balance(m.ann, "USDT") == "75000 locked 25000");

    const auto& result = m.apply(cancel(m.ann, order.instrument, order.order_id));
    CHECK(result.reject == TENON_REJECT_NONE);
    CHECK(m.reply().orders[0].status == TENON_STATUS_CANCELED);
    CHECK(m.reply().orders[0].cancel_client_id.length > 0);
    CHECK(m.balance(m.ann, "USDT") == "100000");
    CHECK(m.core.open_order_count() == 0);
}

TEST_CASE("a buyer pays the maker's price, fees come off what is received", "[core][T2][T3]") {
    Market m;
    REQUIRE(m.place(m.limit(m.bob, k_sell, "40000", "1")) == TENON_REJECT_NONE);
    REQUIRE(m.place(m.limit(m.ann, k_buy, "50000", "0.5")) == TENON_REJECT_NONE);
    const tenon_trading_reply reply = m.reply();
    REQUIRE(reply.trade_count == 1);
    CHECK(reply.orders[0].status == TENON_STATUS_FILLED);
    CHECK(reply.trades[0].trade_id == 1);
    CHECK(reply.trades[0].is_maker == 0);
    CHECK(reply.trades[0].fee_asset == m.asset("BTC"));
    CHECK(m.balance(m.ann, "USDT") == "80000");  // 0.5 * 40000, the rest of the lock back
    CHECK(m.balance(m.ann, "BTC") == "0.499");   // taker 0.2 %
    CHECK(m.balance(m.bob, "USDT") == "19980");  // maker 0.1 %
    CHECK(m.balance(m.bob, "BTC") == "1 locked 0.5");
    CHECK(m.balance(TENON_ACCOUNT_FEES, "BTC") == "0.001");
    CHECK(m.balance(TENON_ACCOUNT_FEES, "USDT") == "20");
    CHECK(m.core.check_invariants().empty());
    CHECK(m.core.last_price(0) == 4'000'000);
}

TEST_CASE("each filter refuses with its own code and changes nothing", "[core][T3]") {
    Market m;
    REQUIRE(m.place(m.limit(m.bob, k_sell, "40000", "0.1")) == TENON_REJECT_NONE);
    REQUIRE(m.place(m.limit(m.ann, k_buy, "40000", "0.1")) == TENON_REJECT_NONE);  // last price
    const std::uint64_t before = m.core.state_hash();
    const auto refused = [&](tenon_order_request order, auto&& change) {
        change(order);
        const std::uint32_t reject = m.place(order);
        CHECK(m.core.state_hash() == before);
        CHECK(m.reply().order_count == 0);
        CHECK(m.output.event_count() == 0);
        return reject;
    };
    const tenon_order_request good = m.limit(m.ann, k_buy, "40000", "0.1");
    using Order = tenon_order_request;
    CHECK(refused(good, [](Order& o) { o.price = 200'000'000; }) == TENON_REJECT_PRICE_FILTER);
    CHECK(refused(good, [](Order& o) { o.price = 20'000'001; }) == TENON_REJECT_PERCENT_PRICE);
    CHECK(refused(good, [](Order& o) { o.price = 799'999; }) == TENON_REJECT_PERCENT_PRICE);
    CHECK(refused(good, [](Order& o) { o.quantity = 900'000'001; }) == TENON_REJECT_LOT_SIZE);
    CHECK(refused(good, [](Order& o) { o.quantity = 12; }) == TENON_REJECT_NOTIONAL);
    CHECK(refused(good, [](Order& o) { o.quantity = 30'000'000; }) == TENON_REJECT_NOTIONAL);
    CHECK(refused(good, [](Order& o) { o.quantity = 1'000'000; }) == TENON_REJECT_BALANCE);
    CHECK(refused(good, [](Order& o) { o.account = 99; }) == TENON_REJECT_UNKNOWN_ACCOUNT);
    CHECK(refused(good, [](Order& o) { o.account = 2; }) == TENON_REJECT_UNKNOWN_ACCOUNT);
    CHECK(refused(good, [](Order& o) { o.instrument = 9; }) == TENON_REJECT_UNKNOWN_INSTRUMENT);
    CHECK(refused(good, [](Order& o) { o.type = 8; }) == TENON_REJECT_INVALID);
    CHECK(refused(good, [](Order& o) { o.time_in_force = 0; }) == TENON_REJECT_INVALID);
    CHECK(refused(m.market(m.ann, k_buy), [](Order& o) {
              o.quantity = 12'000'001;
          }) == TENON_REJECT_MARKET_LOT_SIZE);
    CHECK(refused(m.market(m.ann, k_buy), [](Order& o) {
              o.quote_quantity = 499'999'999;
          }) == TENON_REJECT_NOTIONAL);
    CHECK(refused(m.limit(m.bob, k_sell, "0.1", "1", "ETHBTC"), [](Order& o) {
              o.quantity = INT64_MAX;
          }) == TENON_REJECT_OVERFLOW);
}

TEST_CASE("a post-only order that would take is refused to the last bit", "[core][T2]") {
    Market m;
    REQUIRE(m.place(m.limit(m.bob, k_sell, "40000", "1")) == TENON_REJECT_NONE);
    const std::uint64_t before = m.core.state_hash();
    tenon_order_request order = m.limit(m.ann, k_buy, "40000", "0.5");
    order.type = TENON_ORDER_LIMIT_MAKER;
    order.client_id = client_id("post");
    CHECK(m.place(order) == TENON_REJECT_WOULD_MATCH);
    CHECK(m.core.state_hash() == before);
    order.price -= 1;
    CHECK(m.place(order) == TENON_REJECT_NONE);  // the id is still free, the order id too
    CHECK(m.reply().orders[0].order_id == 2);
}

TEST_CASE("market orders spend no more than there is", "[core][T2]") {
    Market m;
    REQUIRE(m.place(m.limit(m.bob, k_sell, "40000", "1")) == TENON_REJECT_NONE);
    REQUIRE(m.place(m.limit(m.bob, k_sell, "90000", "1")) == TENON_REJECT_NONE);

    SECTION("by quote quantity, to the step") {
        tenon_order_request order = m.market(m.ann, k_buy);
        order.quote_quantity = 1'000'000'000;  // 10 USDT at 40000: 0.00025
        REQUIRE(m.place(order) == TENON_REJECT_NONE);
        CHECK(m.reply().orders[0].status == TENON_STATUS_FILLED);
        CHECK(m.reply().orders[0].quantity == 25);
        CHECK(m.balance(m.ann, "USDT") == "99990");
    }
    SECTION("by quantity, stopped by the funds") {
        tenon_order_request order = m.market(m.ann, k_buy);
        order.quantity = 200'000;  // 2 BTC: 40000 + 90000
        REQUIRE(m.place(order) == TENON_REJECT_NONE);
        CHECK(m.reply().orders[0].status == TENON_STATUS_EXPIRED);
        CHECK(m.reply().orders[0].filled_quantity == 166'666);
        CHECK(m.balance(m.ann, "USDT") == "0.6");
    }
    SECTION("on an empty book the order expires untouched") {
        tenon_order_request order = m.market(m.ann, k_buy);
        order.instrument = m.instrument("BTCUSDT");
        m.apply(trading::CancelAllCommand{m.bob, TENON_ANY_INSTRUMENT});
        order.quantity = 1000;
        REQUIRE(m.place(order) == TENON_REJECT_NONE);
        CHECK(m.reply().orders[0].status == TENON_STATUS_EXPIRED);
        CHECK(m.balance(m.ann, "USDT") == "100000");
    }
    CHECK(m.core.check_invariants().empty());
}

TEST_CASE("fill-or-kill fills whole or not at all, immediate-or-cancel what it can", "[core][T2]") {
    Market m;
    REQUIRE(m.place(m.limit(m.bob, k_sell, "40000", "0.3")) == TENON_REJECT_NONE);
    tenon_order_request order = m.limit(m.ann, k_buy, "40000", "0.5");
    order.time_in_force = TENON_TIF_FOK;
    REQUIRE(m.place(order) == TENON_REJECT_NONE);
    CHECK(m.reply().orders[0].status == TENON_STATUS_EXPIRED);
    CHECK(m.reply().trade_count == 0);
    order.time_in_force = TENON_TIF_IOC;
    REQUIRE(m.place(order) == TENON_REJECT_NONE);
    CHECK(m.reply().orders[0].status == TENON_STATUS_EXPIRED);
    CHECK(m.reply().orders[0].filled_quantity == 30'000);
    CHECK(m.balance(m.ann, "USDT") == "88000");
    CHECK(m.core.open_order_count() == 0);
}

TEST_CASE("a client id is taken while open and while remembered", "[core][T2]") {
    trading::CoreOptions options;
    options.closed_ids_remembered = 1;
    Market m{options};
    tenon_order_request order = m.limit(m.ann, k_buy, "40000", "0.1");
    order.client_id = client_id("mine");
    REQUIRE(m.place(order) == TENON_REJECT_NONE);
    CHECK(m.place(order) == TENON_REJECT_DUPLICATE_ID);
    const std::uint64_t id = m.core.open_order(m.ann, 0, 0, order.client_id)->order_id;
    m.apply(cancel(m.ann, 0, id));
    CHECK(m.place(order) == TENON_REJECT_DUPLICATE_ID);
    order.client_id = client_id("other");
    REQUIRE(m.place(order) == TENON_REJECT_NONE);
    m.apply(cancel(m.ann, 0, id + 1));  // "other" pushes "mine" out
    order.client_id = client_id("mine");
    CHECK(m.place(order) == TENON_REJECT_NONE);
    tenon_order_request his = m.limit(m.bob, k_sell, "50000", "0.1");
    his.client_id = client_id("mine");
    CHECK(m.place(his) == TENON_REJECT_NONE);  // ids are an account's own
}

TEST_CASE("a transfer with a known reference is done once", "[core][T13]") {
    Market m;
    auto entry = tenon::sized<tenon_ledger_entry>();
    entry.from = TENON_ACCOUNT_EXTERNAL;
    entry.to = m.bob;
    entry.asset = m.asset("USDT");
    entry.amount = 100'000'000;
    entry.reference = str("pay-1");
    CHECK(m.apply(trading::TransferCommand{entry}).reject == TENON_REJECT_NONE);
    CHECK(m.apply(trading::TransferCommand{entry}).reject == TENON_REJECT_NONE);
    CHECK(m.output.event_count() == 0);
    CHECK(m.balance(m.bob, "USDT") == "1");
    entry.amount = 1;
    CHECK(m.apply(trading::TransferCommand{entry}).reject == TENON_REJECT_DUPLICATE_ID);
    entry.reference = {};
    entry.from = m.bob;
    entry.to = m.ann;
    entry.amount = 100'000'001;
    CHECK(m.apply(trading::TransferCommand{entry}).reject == TENON_REJECT_BALANCE);
    entry.from = TENON_ACCOUNT_EXTERNAL;
    entry.amount = INT64_MAX;
    CHECK(m.apply(trading::TransferCommand{entry}).reject == TENON_REJECT_OVERFLOW);
    CHECK(m.core.check_invariants().empty());
}

TEST_CASE("a key's secret is sealed anew, and nothing else of it changes", "[core][S8]") {
    Market m;
    const std::string old_seal = "\1old", new_seal = "\2new", newer_seal = "\2newer";
    auto key = sized<tenon_api_key>();
    key.key = str("k1");
    key.account = m.ann;
    key.kind = TENON_KEY_HMAC_SHA256;
    key.permissions = TENON_PERMISSION_READ;
    key.material = bytes(old_seal);
    key.label = str("mine");
    const auto add = [&] { return m.apply(trading::KeyAddCommand{key}).reject; };
    REQUIRE(add() == TENON_REJECT_NONE);
    CHECK(add() == TENON_REJECT_DUPLICATE_KEY);
    key.material = bytes(new_seal);
    CHECK(add() == TENON_REJECT_NONE);
    CHECK(m.output.event_count() == 1);
    CHECK(add() == TENON_REJECT_DUPLICATE_KEY);
    REQUIRE(m.core.keys().size() == 1);
    CHECK(m.core.keys().front().material == new_seal);
    // A seal of the version before does not come back, and no other right or owner with a new one.
    key.material = bytes(old_seal);
    CHECK(add() == TENON_REJECT_DUPLICATE_KEY);
    key.material = bytes(newer_seal);
    key.permissions = TENON_PERMISSION_READ | TENON_PERMISSION_TRADE;
    CHECK(add() == TENON_REJECT_DUPLICATE_KEY);
    key.permissions = TENON_PERMISSION_READ;
    key.account = m.bob;
    CHECK(add() == TENON_REJECT_DUPLICATE_KEY);
    key.account = m.ann;
    key.label = str("other");
    CHECK(add() == TENON_REJECT_DUPLICATE_KEY);
    key.label = str("mine");
    m.apply(trading::KeyRevokeCommand{str("k1")});
    CHECK(add() == TENON_REJECT_DUPLICATE_KEY);
    CHECK(m.core.keys().front().material == new_seal);
    CHECK(m.core.keys().front().revoked);
}

TEST_CASE("a key in force is bound to addresses, and freed again", "[core][K14][T6]") {
    Market m;
    auto key = sized<tenon_api_key>();
    key.key = str("k1");
    key.account = m.ann;
    key.kind = TENON_KEY_HMAC_SHA256;
    key.material = bytes("m");
    key.addresses = str("192.0.2.1");  // not a matter of adding it
    REQUIRE(m.apply(trading::KeyAddCommand{key}).reject == TENON_REJECT_NONE);
    CHECK(m.core.keys().front().addresses.empty());
    const std::uint64_t unbound = m.core.state_hash();
    const auto bind = [&](std::string_view name, std::string_view addresses) {
        return m.apply(trading::KeyAddressesCommand{str(name), str(addresses)}).reject;
    };
    CHECK(bind("k2", "192.0.2.1") == TENON_REJECT_UNKNOWN_KEY);
    CHECK(bind("k1", "not an address") == TENON_REJECT_INVALID);
    CHECK(bind("k1", std::string(1025, '1')) == TENON_REJECT_INVALID);
    REQUIRE(bind("k1", "10.0.0.0/8,2001:db8::/32") == TENON_REJECT_NONE);
    CHECK(m.output.event_count() == 1);
    CHECK(m.core.keys().front().addresses == "10.0.0.0/8,2001:db8::/32");
    CHECK(m.core.state_hash() != unbound);
    CHECK(bind("k1", "10.0.0.0/8,2001:db8::/32") == TENON_REJECT_NONE);
    CHECK(m.output.event_count() == 0);
    std::string bytes;
    m.core.snapshot_write(bytes);
    Market other;
    other.core.snapshot_read(bytes);
    CHECK(other.core.keys().front().addresses == "10.0.0.0/8,2001:db8::/32");
    CHECK(other.core.state_hash() == m.core.state_hash());
    REQUIRE(bind("k1", "") == TENON_REJECT_NONE);
    CHECK(m.core.state_hash() == unbound);
    // Version 6 has no addresses: the text's length before the count of the risk limits is missing.
    bytes.clear();
    m.core.snapshot_write(bytes);
    constexpr std::size_t k_version_at = 4, k_count_bytes = 4;
    bytes.erase(bytes.find("internal") - 4 * k_count_bytes, k_count_bytes);
    bytes[k_version_at] = 6;
    other.core.snapshot_read(bytes);
    CHECK(other.core.state_hash() == unbound);
    m.apply(trading::KeyRevokeCommand{str("k1")});
    CHECK(bind("k1", "10.0.0.1") == TENON_REJECT_UNKNOWN_KEY);
}

TEST_CASE("orders of one account may meet and the balances stay right", "[core][T2]") {
    Market m;
    m.deposit(m.ann, "BTC", "1");
    REQUIRE(m.place(m.limit(m.ann, k_sell, "40000", "1")) == TENON_REJECT_NONE);
    REQUIRE(m.place(m.limit(m.ann, k_buy, "40000", "1")) == TENON_REJECT_NONE);
    CHECK(m.balance(m.ann, "USDT") == "99960");  // the maker's fee
    CHECK(m.balance(m.ann, "BTC") == "0.998");   // the taker's
    CHECK(m.core.check_invariants().empty());
}

TEST_CASE("a halted instrument takes no order and lets orders be cancelled", "[core][T3]") {
    Market m;
    REQUIRE(m.place(m.limit(m.ann, k_buy, "40000", "0.1")) == TENON_REJECT_NONE);
    m.apply(trading::InstrumentStatusCommand{0, TENON_INSTRUMENT_HALT});
    CHECK(m.core.instrument_status(0) == TENON_INSTRUMENT_HALT);
    CHECK(m.place(m.limit(m.ann, k_buy, "40000", "0.1")) == TENON_REJECT_MARKET_CLOSED);
    CHECK(m.apply(cancel(m.ann, 0, 1)).reject == TENON_REJECT_NONE);
}

TEST_CASE("a disabled account places nothing and has its orders cancelled", "[core][T3]") {
    Market m;
    m.deposit(m.bob, "BTC", "2");
    REQUIRE(m.place(m.limit(m.ann, k_buy, "40000", "0.1")) == TENON_REJECT_NONE);
    REQUIRE(m.place(m.limit(m.bob, k_sell, "50000", "0.1")) == TENON_REJECT_NONE);
    const auto status = [&](std::uint64_t account, bool on, bool cancels) {
        return m
            .apply(trading::AccountStatusCommand{
                account, static_cast<std::uint8_t>(on), static_cast<std::uint8_t>(cancels)})
            .reject;
    };
    CHECK(status(TENON_ACCOUNT_FEES, false, true) == TENON_REJECT_UNKNOWN_ACCOUNT);
    CHECK(status(m.ann, true, true) == TENON_REJECT_INVALID);
    CHECK(status(m.ann, false, true) == TENON_REJECT_NONE);
    REQUIRE(m.reply().order_count == 1);
    CHECK(m.reply().orders[0].status == TENON_STATUS_CANCELED);
    CHECK(m.core.open_order_count() == 1);
    CHECK(m.place(m.limit(m.ann, k_buy, "40000", "0.1")) == TENON_REJECT_ACCOUNT_DISABLED);
    CHECK(m.place(m.limit(m.bob, k_sell, "50000", "0.1")) == TENON_REJECT_NONE);
    CHECK(status(m.ann, true, false) == TENON_REJECT_NONE);
    CHECK(m.place(m.limit(m.ann, k_buy, "40000", "0.1")) == TENON_REJECT_NONE);
    // Those that are kept can be cancelled.
    CHECK(status(m.ann, false, false) == TENON_REJECT_NONE);
    CHECK(m.core.open_order_count() == 3);
    CHECK(m.apply(trading::CancelAllCommand{m.ann, 0}).reject == TENON_REJECT_NONE);
    CHECK(m.core.check_invariants().empty());
}

TEST_CASE("halted trading takes no order of anybody, also after a restart", "[core][T3][T5]") {
    Market m;
    REQUIRE(m.place(m.limit(m.ann, k_buy, "40000", "0.1")) == TENON_REJECT_NONE);
    const std::uint64_t before = m.core.state_hash();
    CHECK(m.apply(trading::AccountStatusCommand{0, 0, 0}).reject == TENON_REJECT_NONE);
    CHECK(m.core.state_hash() != before);
    CHECK(m.place(m.limit(m.ann, k_buy, "40000", "0.1")) == TENON_REJECT_MARKET_CLOSED);
    std::string halted;
    m.core.snapshot_write(halted);
    CHECK(m.apply(trading::AccountStatusCommand{0, 1, 0}).reject == TENON_REJECT_NONE);
    CHECK(m.core.state_hash() == before);
    m.core.snapshot_read(halted);
    CHECK(m.core.halted());
    CHECK(m.apply(trading::AccountStatusCommand{0, 0, 1}).reject == TENON_REJECT_NONE);
    CHECK(m.core.open_order_count() == 0);
}

TEST_CASE("snapshots of versions 1 to 5 are read", "[core][T5]") {
    Market m;
    REQUIRE(m.place(m.limit(m.ann, k_buy, "40000", "0.1")) == TENON_REJECT_NONE);
    const std::uint64_t before = m.core.state_hash();
    CHECK(m.apply(trading::AccountStatusCommand{0, 0, 0}).reject == TENON_REJECT_NONE);
    std::string bytes;
    m.core.snapshot_write(bytes);
    constexpr std::size_t k_version_at = 4, k_halted_at = 40;
    REQUIRE(bytes[k_version_at] == 7);
    REQUIRE(bytes[k_halted_at] == 1);
    constexpr std::size_t k_id_bytes = 8, k_count_bytes = 4;
    // Version 5 has no count of risk limits, one 0 less before the count of the venues.
    bytes.erase(bytes.find("internal") - 3 * k_count_bytes, k_count_bytes);
    bytes[k_version_at] = 5;
    m.core.snapshot_read(bytes);
    CHECK(m.core.halted());
    CHECK(m.core.risk().empty());
    // Version 4 knows no prevented matches, and nothing that came with them.
    for (const std::string_view symbol : {"BTCUSDT", "ETHBTC"}) {
        constexpr std::size_t k_status_price_trade_bytes = 4 + 8 + 8;
        const std::size_t at = bytes.find(symbol);
        REQUIRE(at != std::string::npos);
        bytes.erase(at + symbol.size() + k_status_price_trade_bytes, k_id_bytes);
    }
    // Version 3 knows no lists: neither an order's, nor those that are open (behind the orders and
    // no closed ids).
    const std::int64_t fields[] = {0, m.core.open_order(m.ann, 0, 1, {})->working_real_ns, 0};
    const std::string tail{reinterpret_cast<const char*>(fields), sizeof fields};
    const std::size_t tail_at = bytes.rfind(tail);
    REQUIRE(tail_at != std::string::npos);
    constexpr std::size_t k_extra_bytes = 4 * 8 + 2 * 4;
    bytes.erase(tail_at + tail.size(), k_extra_bytes);
    bytes[k_version_at] = 4;
    m.core.snapshot_read(bytes);
    CHECK(m.core.halted());
    CHECK(m.core.open_order(m.ann, 0, 1, {})->display_quantity == 0);
    bytes.erase(tail_at + tail.size() + k_count_bytes, k_count_bytes);
    bytes.erase(tail_at + tail.size() - k_id_bytes, k_id_bytes);
    bytes[k_version_at] = 3;
    m.core.snapshot_read(bytes);
    CHECK(m.core.halted());
    CHECK(m.core.open_order(m.ann, 0, 1, {})->list_id == 0);
    // An order of version 2 ends before its stop price and the time since when it works.
    bytes.erase(tail_at, tail.size() - k_id_bytes);
    bytes[k_version_at] = 2;
    m.core.snapshot_read(bytes);
    CHECK(m.core.halted());
    CHECK(m.core.open_order(m.ann, 0, 1, {})->working_real_ns == fields[1]);
    // One of version 1 does not say whether trading is halted.
    bytes[k_version_at] = 1;
    bytes.erase(k_halted_at, 1);
    m.core.snapshot_read(bytes);
    CHECK_FALSE(m.core.halted());
    CHECK(m.core.state_hash() == before);
}

TEST_CASE("a cancel is refused when the order is not in the state it asks for", "[core][T2]") {
    Market m;
    REQUIRE(m.place(m.limit(m.ann, k_buy, "40000", "0.2")) == TENON_REJECT_NONE);
    const auto cancel_if = [&](std::uint32_t restriction) {
        trading::CancelCommand command = cancel(m.ann, 0, 1);
        command.request.restriction = restriction;
        return m.apply(command).reject;
    };
    CHECK(cancel_if(3) == TENON_REJECT_INVALID);
    CHECK(cancel_if(TENON_CANCEL_ONLY_PARTIALLY_FILLED) == TENON_REJECT_CANCEL_RESTRICTED);
    REQUIRE(m.place(m.limit(m.bob, k_sell, "40000", "0.1")) == TENON_REJECT_NONE);
    CHECK(cancel_if(TENON_CANCEL_ONLY_NEW) == TENON_REJECT_CANCEL_RESTRICTED);
    CHECK(cancel_if(TENON_CANCEL_ONLY_PARTIALLY_FILLED) == TENON_REJECT_NONE);
    CHECK(m.reply().orders[0].status == TENON_STATUS_CANCELED);
}

TEST_CASE("cancel all closes the account's orders in order of their ids", "[core][T2]") {
    Market m;
    for (const char* price : {"30000", "31000", "29000"}) {
        REQUIRE(m.place(m.limit(m.ann, k_buy, price, "0.1")) == TENON_REJECT_NONE);
    }
    CHECK(m.apply(trading::CancelAllCommand{m.ann, 0}).reject == TENON_REJECT_NONE);
    REQUIRE(m.reply().order_count == 3);
    for (std::uint32_t i = 0; i < 3; ++i) {
        CHECK(m.reply().orders[i].order_id == i + 1);
        CHECK(m.reply().orders[i].status == TENON_STATUS_CANCELED);
    }
    CHECK(m.apply(trading::CancelAllCommand{m.ann, 0}).reject == TENON_REJECT_UNKNOWN_ORDER);
}

TEST_CASE("a damaged snapshot is refused with the place", "[core][T5]") {
    Market m;
    REQUIRE(m.place(m.limit(m.ann, k_buy, "40000", "0.1")) == TENON_REJECT_NONE);
    std::string snapshot;
    m.core.snapshot_write(snapshot);
    for (std::size_t size = 0; size < snapshot.size(); ++size) {
        CoreWorld other;
        CHECK_THROWS_AS(other.core.snapshot_read(snapshot.substr(0, size)), Error);
    }
    CoreWorld same;
    same.core.snapshot_read(snapshot);
    CHECK(same.core.state_hash() == m.core.state_hash());
    CHECK(same.core.sequence() == m.core.sequence());
    CHECK_THROWS_WITH(same.core.snapshot_read(snapshot + "x"), Catch::Contains("left over"));
}
