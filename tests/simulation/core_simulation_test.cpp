// SPDX-License-Identifier: Apache-2.0
// The core with the internal venue against the reference model, command by command.
// TENON_SEED and TENON_COMMANDS set seed and length.
#include "tests/simulation/command_generator.hpp"
#include "tests/simulation/core_world.hpp"
#include "tests/simulation/reference_model.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <iostream>

namespace {

using namespace tenon;
using namespace tenon::test;

[[nodiscard]] std::uint64_t from_environment(const char* name, std::uint64_t fallback) {
    const char* text = std::getenv(name);
    return text == nullptr || *text == '\0' ? fallback : std::strtoull(text, nullptr, 10);
}

[[nodiscard]] trading::CoreOptions small_bounds() {
    trading::CoreOptions options;
    options.open_orders_max = 90;
    options.accounts_max = 12;
    options.keys_max = 20;
    options.closed_ids_remembered = 50;
    options.references_remembered = 20;
    options.hash_seed = 4711;
    return options;
}

[[nodiscard]] ReferenceModel model_of(const CoreWorld& world, const trading::CoreOptions& options) {
    std::vector<tenon_instrument> instruments;
    for (std::uint32_t id = 0; id < world.catalogue.instrument_count(); ++id) {
        instruments.push_back(*world.catalogue.instrument(id));
    }
    std::vector<int> scales;
    for (std::uint32_t id = 0; id < world.catalogue.asset_count(); ++id) {
        scales.push_back(world.catalogue.asset(id)->scale);
    }
    return {
        instruments,
        scales,
        {options.open_orders_max,
         options.accounts_max,
         options.keys_max,
         options.closed_ids_remembered,
         options.references_remembered}};
}

[[nodiscard]] std::string text_of(const tenon_client_id& id) {
    return {id.text, id.length};
}

// Comparisons that say what differs, and cost nothing else: Catch's macros only at the end.
class Differences {
public:
    template <class A, class B>
    void same(const char* what, const A& core, const B& model) {
        if (text_.empty() && !(core == model)) {
            std::ostringstream out;
            out << what << ": core " << core << ", model " << model;
            text_ = out.str();
        }
    }

    [[nodiscard]] const std::string& text() const { return text_; }

private:
    std::string text_;
};

void compare_order(Differences& d, const tenon_order& order, const ModelOrder& model) {
    d.same("order id", order.order_id, model.id);
    d.same("order account", order.account, model.account);
    d.same("order instrument", order.instrument, model.instrument);
    d.same("order side", int{order.side}, model.side);
    d.same("order type", int{order.type}, model.type);
    d.same("order time in force", int{order.time_in_force}, model.time_in_force);
    d.same("order status", int{order.status}, model.status);
    d.same("order price", order.price, model.price);
    d.same("order quantity", order.quantity, model.quantity);
    d.same("order quote quantity", order.quote_quantity, model.quote_quantity);
    d.same("order filled", order.filled_quantity, model.filled);
    d.same("order filled quote", order.filled_quote, model.filled_quote);
    d.same("order created", order.created_real_ns, model.created_ns);
    d.same("order updated", order.updated_real_ns, model.updated_ns);
    d.same("order sequence", order.update_sequence, model.update_sequence);
    d.same("order client id", text_of(order.client_id), model.client_id);
    d.same("order stop price", order.stop_price, model.stop_price);
    d.same("order working since", order.working_real_ns, model.working_ns);
    d.same("order list", order.list_id, model.list);
    d.same("order cancel id", text_of(order.cancel_client_id), model.cancel_client_id);
    d.same("order display quantity", order.display_quantity, model.display);
    d.same("order prevented quantity", order.prevented_quantity, model.prevented);
    d.same("order prevented match", order.prevented_match_id, model.prevented_match);
    d.same("order expiry", order.expires_real_ns, model.expires_ns);
    d.same("order trailing delta", order.trailing_delta, model.trailing_delta);
    d.same("order stp mode", order.stp_mode, static_cast<std::uint32_t>(model.stp_mode));
}

void compare_trade(Differences& d, const tenon_trade& trade, const ModelTrade& model) {
    d.same("trade id", trade.trade_id, model.trade_id);
    d.same("trade order", trade.order_id, model.order_id);
    d.same("trade account", trade.account, model.account);
    d.same("trade side", int{trade.side}, model.side);
    d.same("trade maker", trade.is_maker != 0, model.maker);
    d.same("trade price", trade.price, model.price);
    d.same("trade quantity", trade.quantity, model.quantity);
    d.same("trade quote", trade.quote_amount, model.quote);
    d.same("trade fee", trade.fee, model.fee);
    d.same("trade fee asset", trade.fee_asset, model.fee_asset);
}

void compare_list(Differences& d, const tenon_order_list& list, const ModelList& model) {
    d.same("list id", list.list_id, model.id);
    d.same("list account", list.account, model.account);
    d.same("list instrument", list.instrument, model.instrument);
    d.same("list client id", text_of(list.client_id), model.client_id);
    d.same("list done", list.status == TENON_LIST_ALL_DONE, model.done);
    for (std::size_t i = 0; i < model.orders.size(); ++i) {
        d.same("list order", list.orders[i].order_id, model.orders[i]);
    }
}

void compare_outcome(
    Differences& d,
    const trading::Output& output,
    const trading::Result& result,
    const ModelOutcome& model
) {
    d.same("reject", result.reject, model.reject);
    d.same("account", result.account, model.account);
    std::size_t orders = 0;
    std::size_t trades = 0;
    std::size_t lists = 0;
    for (std::uint32_t i = 0; i < result.events.count; ++i) {
        const tenon_execution_event event = output.event(result, i);
        d.same("event index", event.index, i);
        if (event.order != nullptr && orders < model.orders.size()) {
            compare_order(d, *event.order, model.orders[orders]);
        }
        if (event.trade != nullptr && trades < model.trades.size()) {
            compare_trade(d, *event.trade, model.trades[trades]);
        }
        if (event.list != nullptr && lists < model.lists.size()) {
            compare_list(d, *event.list, model.lists[lists]);
        }
        lists += event.list != nullptr ? 1U : 0U;
        orders += event.order != nullptr ? 1U : 0U;
        trades += event.trade != nullptr ? 1U : 0U;
    }
    d.same("list events", lists, model.lists.size());
    d.same("order events", orders, model.orders.size());
    d.same("trades", trades, model.trades.size());
    const tenon_trading_reply reply = output.reply(result);
    std::size_t own = 0;
    for (const ModelTrade& trade : model.trades) {
        own += trade.order_id == model.orders.front().id ? 1U : 0U;
    }
    d.same("trades in the reply", std::size_t{reply.trade_count}, own);
    d.same("prevented matches", std::size_t{reply.prevented_count}, model.prevented.size());
    for (std::uint32_t i = 0;
         i < std::min<std::size_t>(reply.prevented_count, model.prevented.size());
         ++i) {
        const tenon_prevented_match& match = tenon::at(reply.prevented, i);
        const ModelPrevented& expected = model.prevented[i];
        d.same("prevented match", match.match_id, expected.match_id);
        d.same("prevented taker", match.taker_order_id, expected.taker);
        d.same("prevented maker", match.maker_order_id, expected.maker);
        d.same("prevented price", match.price, expected.price);
        d.same("prevented of the taker", match.taker_quantity, expected.taker_quantity);
        d.same("prevented of the maker", match.maker_quantity, expected.maker_quantity);
    }
}

void compare_state(
    Differences& d,
    const trading::Core& core,
    const ReferenceModel& model,
    std::uint32_t assets,
    std::uint32_t instruments
) {
    d.same("accounts", core.accounts().size(), model.accounts().size());
    std::size_t seen = 0;
    for (const auto& [id, name] : model.accounts()) {
        const trading::Account* account = core.find_account(id);
        d.same("account there", account != nullptr, true);
        if (account == nullptr) {
            return;
        }
        d.same("account name", account->name, name);
        for (std::uint32_t asset = 0; asset < assets; ++asset) {
            const tenon_balance balance = core.balance(id, asset);
            const ModelBalance expected = model.balance(id, asset);
            d.same("free", balance.free, expected.free);
            d.same("locked", balance.locked, expected.locked);
        }
        core.for_each_open_order(id, TENON_ANY_INSTRUMENT, [&](const tenon_order& order) {
            ++seen;
            const auto found = model.open_orders().find(order.order_id);
            d.same("order open", true, found != model.open_orders().end());
            if (found != model.open_orders().end()) {
                compare_order(d, order, found->second);
            }
        });
    }
    d.same("open orders", seen, model.open_orders().size());
    d.same("open lists", core.order_lists().size(), model.lists().size());
    core.order_lists().for_each([&](const trading::OrderList& list) {
        const auto found = model.lists().find(list.row.list_id);
        d.same("list open", true, found != model.lists().end());
        if (found != model.lists().end()) {
            compare_list(d, list.row, found->second);
            d.same("list chosen", list.chosen, found->second.chosen);
            d.same("list locked", list.locked, found->second.locked);
        }
    });
    d.same("open order count", core.open_order_count(), model.open_orders().size());
    d.same("keys", core.keys().size(), model.keys().size());
    for (const auto& [name, key] : model.keys()) {
        const trading::ApiKey* found = core.find_key(name);
        d.same("key there", found != nullptr, true);
        if (found != nullptr) {
            d.same("key account", found->account, key.account);
            d.same("key material", found->material, key.material);
            d.same("key revoked", found->revoked, key.revoked);
            d.same("key addresses", found->addresses, key.addresses);
        }
    }
    d.same("halted", core.halted(), !model.is_enabled(0));
    for (const trading::Account& account : core.accounts()) {
        d.same("account enabled", account.enabled, model.is_enabled(account.id));
    }
    d.same("risk rows", core.risk().rows().size(), model.risk().size());
    for (const trading::RiskRow& row : core.risk().rows()) {
        const auto found = model.risk().find({row.account, row.instrument});
        d.same("risk row there", found != model.risk().end(), true);
        if (found != model.risk().end()) {
            d.same("limits", row.limits == found->second.limits, true);
            d.same("rates", row.full_at_ns == found->second.busy_until_ns, true);
        }
    }
    for (std::uint32_t id = 0; id < instruments; ++id) {
        d.same("status", core.instrument_status(id), model.status(id));
        d.same("last price", core.last_price(id), model.last_price(id));
    }
    d.same("invariants", core.check_invariants(), std::string{});
    d.same("anomalies", core.anomalies(), 0U);
}

}  // namespace

TEST_CASE("core and reference model agree after each of many commands", "[simulation][T5][T2]") {
    const std::uint64_t seed = from_environment("TENON_SEED", 20'261'122);
    const std::uint64_t commands = from_environment("TENON_COMMANDS", 150'000);
    std::cout << "seed " << seed << ", commands " << commands << std::endl;

    const trading::CoreOptions options = small_bounds();
    auto world = std::make_unique<CoreWorld>(options);
    ReferenceModel model = model_of(*world, options);
    const std::uint32_t assets = world->catalogue.asset_count();
    const std::uint32_t instruments = world->catalogue.instrument_count();
    CommandGenerator generator{seed, instruments, assets};
    std::map<std::uint32_t, std::uint64_t> rejects;
    std::uint64_t trades = 0;
    std::uint64_t triggered = 0;
    std::uint64_t lists_done = 0;
    std::uint64_t prevented = 0;
    std::uint64_t trailed = 0;
    std::uint64_t amended = 0;
    std::uint64_t expired = 0;
    std::string encoded;

    for (std::uint64_t sequence = 1; sequence <= commands; ++sequence) {
        trading::Command made;
        made.sequence = sequence;
        made.time_real_ns = static_cast<std::int64_t>(sequence * 1000);
        generator.at(made.time_real_ns);
        // As the engine does it.
        const bool over = world->core.next_expiry_real_ns() <= made.time_real_ns;
        made.body = over ? trading::CommandBody{trading::ExpireCommand{}} : generator.next();
        expired += over ? 1U : 0U;
        encoded.clear();
        trading::encode(made, encoded);
        trading::Command command;
        REQUIRE(trading::decode(encoded, command) == trading::DecodeStatus::ok);

        const bool check_hash = sequence % 64 == 0;
        const std::uint64_t before = check_hash ? world->core.state_hash() : 0;
        world->output.clear();
        const trading::Result result = world->core.apply(command, world->output);
        const ModelOutcome expected = model.apply(command);
        Differences d;
        compare_outcome(d, world->output, result, expected);
        compare_state(d, world->core, model, assets, instruments);
        if (check_hash && result.reject != TENON_REJECT_NONE) {
            d.same("hash after a refusal", world->core.state_hash(), before);
        }
        if (!d.text().empty()) {
            FAIL(
                "seed " << seed << ", command " << sequence << " (" << trading::name(command.kind())
                        << "): " << d.text()
            );
        }
        ++rejects[result.reject];
        const tenon_trading_reply reply = world->output.reply(result);
        for (std::uint32_t i = 0; i < reply.order_count; ++i) {
            generator.saw(tenon::at(reply.orders, i));
        }
        trades += expected.trades.size();
        prevented += expected.prevented.size();
        amended +=
            command.kind() == trading::CommandKind::amend && !expected.orders.empty() ? 1U : 0U;
        for (const ModelList& list : expected.lists) {
            lists_done += list.done ? 1U : 0U;
        }
        for (const ModelOrder& order : expected.orders) {
            const bool now = order.working_ns == made.time_real_ns;
            const bool first = order.type >= TENON_ORDER_STOP_LOSS && now && order.filled == 0;
            triggered += first ? 1U : 0U;
            trailed += first && order.trailing_delta != 0 ? 1U : 0U;
        }

        if (sequence % 5000 == 0) {  // go on in another core, from a snapshot
            std::string snapshot;
            world->core.snapshot_write(snapshot);
            auto next = std::make_unique<CoreWorld>(options);
            next->core.snapshot_read(snapshot);
            REQUIRE(next->core.state_hash() == world->core.state_hash());
            std::string again;
            next->core.snapshot_write(again);
            REQUIRE(again == snapshot);
            world = std::move(next);
        }
    }
    CHECK(triggered > commands / 1000);
    CHECK(lists_done > commands / 500);
    CHECK(prevented > commands / 300);
    CHECK(trailed > commands / 1000);
    CHECK(amended > commands / 1000);
    CHECK(expired > commands / 1000);
    std::cout << "trades " << trades << ", triggered " << triggered << " (trailing " << trailed
              << "), lists done " << lists_done << ", prevented " << prevented << ", amended "
              << amended << ", expiries " << expired << ", outcomes:";
    for (const auto& [reject, count] : rejects) {
        std::cout << ' ' << reject << 'x' << count;
    }
    std::cout << std::endl;
    // The campaign means something only when commands of all kinds came through.
    CHECK(trades > commands / 20);
    CHECK(rejects[TENON_REJECT_NONE] > commands / 4);
    CHECK(rejects.size() >= 24);
    for (const int reject :
         {TENON_REJECT_RISK_PRICE_BAND,
          TENON_REJECT_RISK_NOTIONAL,
          TENON_REJECT_RISK_POSITION,
          TENON_REJECT_RISK_EXPOSURE,
          TENON_REJECT_RISK_OPEN_ORDERS,
          TENON_REJECT_RISK_ORDER_RATE}) {
        CHECK(rejects[static_cast<std::uint32_t>(reject)] > 0);
    }
}

TEST_CASE("the same commands give the same state and the same bytes", "[simulation][T5]") {
    const std::uint64_t seed = from_environment("TENON_SEED", 20'261'122) + 1;
    std::cout << "seed " << seed << std::endl;
    std::string bytes[2];
    for (std::string& out : bytes) {
        trading::CoreOptions options = small_bounds();
        options.hash_seed = out.data() == bytes[0].data() ? 1 : 2;  // changes no result
        CoreWorld world{options};
        CommandGenerator generator{
            seed, world.catalogue.instrument_count(), world.catalogue.asset_count()};
        for (int i = 0; i < 20'000; ++i) {
            (void)world.apply(generator.next());
        }
        world.core.snapshot_write(out);
    }
    CHECK(bytes[0] == bytes[1]);
}
