// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/core/output.hpp"

namespace tenon::trading {
namespace {

constexpr std::size_t k_rows_reserved = 1024;

}  // namespace

Output::Output() {
    results_.reserve(k_rows_reserved);
    events_.reserve(k_rows_reserved);
    orders_.reserve(k_rows_reserved);
    trades_.reserve(k_rows_reserved);
    maker_trades_.reserve(k_rows_reserved);
    balances_.reserve(k_rows_reserved);
}

void Output::clear() noexcept {
    results_.clear();
    events_.clear();
    orders_.clear();
    trades_.clear();
    maker_trades_.clear();
    balances_.clear();
    lists_.clear();
    prevented_.clear();
    amendments_.clear();
    text_.clear();
    ledger_.clear();
    accounts_.clear();
    keys_.clear();
}

Output::Text Output::keep(std::string_view text) {
    const auto first = static_cast<std::uint32_t>(text_.size());
    text_.append(text);
    return {first, static_cast<std::uint32_t>(text.size())};
}

tenon_trading_reply Output::reply(const Result& result) const noexcept {
    tenon_trading_reply reply{};
    reply.size = sizeof reply;
    reply.reject = result.reject;
    reply.sequence = result.sequence;
    reply.time_real_ns = result.time_real_ns;
    reply.orders = orders_.data() + result.orders.first;
    reply.order_count = result.orders.count;
    reply.trades = trades_.data() + result.trades.first;
    reply.trade_count = result.trades.count;
    reply.account = result.account;
    reply.lists = lists_.data() + result.lists.first;
    reply.list_count = result.lists.count;
    reply.prevented_count = result.prevented.count;
    reply.prevented = prevented_.data() + result.prevented.first;
    reply.amendment =
        result.amendments.count == 0 ? nullptr : &amendments_[result.amendments.first];
    return reply;
}

tenon_execution_event Output::event(const Result& result, std::uint32_t index) const noexcept {
    const Event& row = events_[result.events.first + index];
    auto event = sized<tenon_execution_event>();
    event.kind = row.kind;
    event.sequence = result.sequence;
    event.index = index;
    event.time_real_ns = result.time_real_ns;
    switch (row.kind) {
        case TENON_EVENT_ORDER:
            event.order = &orders_[row.row];
            event.instrument = event.order->instrument;
            if (row.trade != k_none) {
                event.trade = row.maker_trade ? &maker_trades_[row.trade] : &trades_[row.trade];
            }
            if (row.prevented != k_none) {
                event.prevented = &prevented_[row.prevented];
            }
            if (row.amendment != k_none) {
                event.amendment = &amendments_[row.amendment];
            }
            break;
        case TENON_EVENT_BALANCE:
            event.balance = &balances_[row.row];
            break;
        case TENON_EVENT_LIST:
            event.list = &lists_[row.row];
            event.instrument = event.list->instrument;
            break;
        case TENON_EVENT_LEDGER: {
            LedgerRow& ledger = ledger_[row.row];
            ledger.entry.reference = text(ledger.reference);
            event.ledger = &ledger.entry;
            break;
        }
        case TENON_EVENT_ACCOUNT: {
            AccountRow& account = accounts_[row.row];
            account.account.name = text(account.name);
            event.account = &account.account;
            break;
        }
        case TENON_EVENT_KEY: {
            KeyRow& key = keys_[row.row];
            key.key.key = text(key.name);
            key.key.label = text(key.label);
            key.key.addresses = text(key.addresses);
            const tenon_str material = text(key.material);
            key.key.material = {material.p, material.n};
            event.key = &key.key;
            break;
        }
        default:
            event.instrument = row.row;
            event.status = row.trade;
            break;
    }
    return event;
}

}  // namespace tenon::trading
