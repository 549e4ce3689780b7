// SPDX-License-Identifier: Apache-2.0
// instruments.list, instruments.halt, instruments.delist, instruments.resume: one instrument's
// trading, while the others go on.
#include "plugins/trading/engine/admin.hpp"
#include "plugins/trading/engine/admin_args.hpp"

#include <boost/json.hpp>

#include <array>
#include <vector>

namespace tenon::engine {

namespace json = boost::json;

namespace {

[[nodiscard]] std::string_view status_word(std::uint32_t status) {
    constexpr std::array<std::string_view, 3> k_words{"trading", "halt", "break"};
    return status >= 1 && status <= k_words.size() ? k_words[status - 1] : "unknown";
}

}  // namespace

std::string Admin::instruments_list(std::string_view args) {
    (void)parse_args(args, {});
    json::array out;
    call_on_reactor(engine_.exec(), 0, [&] {
        const auto instruments = engine_.instruments();
        const trading::Core& core = engine_.core();
        const std::uint32_t count = instruments->instrument_count(instruments.self);
        for (std::uint32_t id = 0; id < count; ++id) {
            const tenon_instrument& rules = *instruments->instrument(instruments.self, id);
            std::uint64_t orders = 0;
            for (const trading::Account& account : core.accounts()) {
                core.for_each_open_order(account.id, id, [&](const tenon_order&) { ++orders; });
            }
            out.push_back(
                {{"symbol", view(rules.symbol)},
                 {"venue", view(rules.venue)},
                 {"status", status_word(core.instrument_status(id))},
                 {"open_orders", orders}}
            );
        }
    });
    return json::serialize(out);
}

std::string Admin::instruments_halt(std::string_view args) {
    return switch_instrument(args, "instruments.halt", TENON_INSTRUMENT_HALT);
}

std::string Admin::instruments_delist(std::string_view args) {
    return switch_instrument(args, "instruments.delist", TENON_INSTRUMENT_BREAK);
}

std::string Admin::instruments_resume(std::string_view args) {
    return switch_instrument(args, "instruments.resume", TENON_INSTRUMENT_TRADING);
}

// Once it does not trade no order comes, so that what is open can be cancelled account by account;
// given again after a kill in between, the command cancels the rest.
std::string
Admin::switch_instrument(std::string_view args, std::string_view action, std::uint32_t status) {
    const bool ends = status != TENON_INSTRUMENT_TRADING;
    const json::object parsed = parse_args(args, {"symbol", ends ? "keep_orders" : "by", "by"});
    const std::string symbol = text(parsed, "symbol");
    const auto instruments = engine_.instruments();
    std::uint32_t id = 0;
    if (instruments->find_instrument(instruments.self, str(symbol), &id) != TENON_OK) {
        throw Error{TENON_NOT_FOUND, "args/symbol: there is no symbol \"" + symbol + "\""};
    }
    const json::value* const keep = parsed.if_contains("keep_orders");
    const bool cancels = ends && (keep == nullptr || *keep == json::value(false));
    record(parsed, action, symbol, "");
    tenon_trading_reply reply =
        send(trading::InstrumentStatusCommand{id, status}, Admission::relief);
    std::vector<std::uint64_t> accounts;
    call_on_reactor(engine_.exec(), 0, [&] {
        const trading::Core& core = engine_.core();
        for (const trading::Account& account : core.accounts()) {
            bool has = false;
            core.for_each_open_order(account.id, id, [&](const tenon_order&) { has = true; });
            if (cancels && has) {
                accounts.push_back(account.id);
            }
        }
    });
    std::uint64_t cancelled = 0;
    for (const std::uint64_t account : accounts) {
        reply = send(trading::CancelAllCommand{account, id}, Admission::relief);
        cancelled += reply.order_count;
    }
    return json::serialize(json::object{
        {"symbol", symbol},
        {"status", status_word(status)},
        {"orders_cancelled", cancelled},
        {"sequence", reply.sequence}});
}

}  // namespace tenon::engine
