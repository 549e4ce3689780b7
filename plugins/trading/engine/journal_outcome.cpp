// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/journal_outcome.hpp"

#include "plugins/trading/engine/journal_view.hpp"

#include <tenon/decimal.hpp>
#include <tenon/key_hash.hpp>

#include <boost/json.hpp>

#include <array>
#include <bit>

namespace tenon::engine {
namespace {

namespace json = boost::json;

[[nodiscard]] std::string name_of(const trading::Core& core, std::uint64_t account) {
    const trading::Account* const found = core.find_account(account);
    return found != nullptr ? found->name : std::to_string(account);
}

class Description {
public:
    Description(
        json::object& out,
        const trading::Core& core,
        const Service<tenon_instruments_1>& instruments
    )
        : out_{out}, core_{core}, instruments_{instruments} {}

    void operator()(const trading::SubmitCommand& c) { order(c.order); }

    void operator()(const trading::SubmitListCommand& c) { order((*c.orders)[0].order); }

    void operator()(const trading::CancelCommand& c) {
        of(c.request.account, c.request.instrument);
        out_["order_id"] = c.request.order_id;
    }

    void operator()(const trading::AmendCommand& c) {
        of(c.request.account, c.request.instrument);
        out_["order_id"] = c.request.order_id;
        amount("quantity", c.request.quantity, rules(c.request.instrument), true);
    }

    void operator()(const trading::CancelAllCommand& c) { of(c.account, c.instrument); }

    void operator()(const trading::CancelListCommand& c) {
        of(c.request.account, c.request.instrument);
    }

    void operator()(const trading::AccountStatusCommand& c) { of(c.account, TENON_ANY_INSTRUMENT); }

    void operator()(const trading::RiskLimitsCommand& c) { of(c.account, c.instrument); }

    void operator()(const trading::InstrumentStatusCommand& c) { of(0, c.instrument); }

    void operator()(const trading::TransferCommand& c) { of(c.entry.to, TENON_ANY_INSTRUMENT); }

    template <class Other>
    void operator()(const Other&) {}

private:
    [[nodiscard]] const tenon_instrument* rules(std::uint32_t instrument) const {
        return instrument < instruments_->instrument_count(instruments_.self)
                   ? instruments_->instrument(instruments_.self, instrument)
                   : nullptr;
    }

    void of(std::uint64_t account, std::uint32_t instrument) {
        if (account != 0) {
            out_["account"] = name_of(core_, account);
        }
        if (const tenon_instrument* const found = rules(instrument); found != nullptr) {
            out_["symbol"] = view(found->symbol);
        }
    }

    void
    amount(const char* name, std::int64_t value, const tenon_instrument* rules, bool is_quantity) {
        if (value != 0 && rules != nullptr) {
            out_[name] =
                decimal_text(value, is_quantity ? rules->quantity_scale : rules->price_scale);
        }
    }

    void order(const tenon_order_request& order) {
        of(order.account, order.instrument);
        const tenon_instrument* const found = rules(order.instrument);
        out_["side"] = order.side == TENON_SIDE_BUY ? "BUY" : "SELL";
        out_["type"] = order_type_word(order.type);
        amount("quantity", order.quantity, found, true);
        amount("price", order.price, found, false);
        amount("stop_price", order.stop_price, found, false);
        if (order.quote_quantity != 0 && found != nullptr) {
            out_["quote_quantity"] = decimal_text(
                order.quote_quantity, instruments_->asset(instruments_.self, found->quote)->scale
            );
        }
    }

    json::object& out_;
    const trading::Core& core_;
    const Service<tenon_instruments_1>& instruments_;
};

}  // namespace

Outcome outcome_of(std::uint64_t next_order_id, const trading::Output& output) noexcept {
    const trading::Result& result = output.results().back();
    std::uint64_t done = 0;
    const auto add = [&](auto... values) {
        const std::array words{done, static_cast<std::uint64_t>(values)...};
        done = key_hash({reinterpret_cast<const char*>(words.data()), sizeof words});
    };
    for (std::uint32_t i = 0; i < result.events.count; ++i) {
        const tenon_execution_event event = output.event(result, i);
        if (event.kind == TENON_EVENT_ORDER && event.order != nullptr) {
            const tenon_order& order = *event.order;
            add(order.order_id,
                order.status,
                order.quantity,
                order.filled_quantity,
                order.filled_quote,
                order.prevented_quantity);
            if (event.trade != nullptr) {
                add(event.trade->price, event.trade->quantity, event.trade->fee);
            }
        } else if (event.kind == TENON_EVENT_LIST && event.list != nullptr) {
            add(event.list->list_id, event.list->status);
        }
    }
    return {result.sequence, next_order_id, done, result.reject, 0};
}

void Tally::add(const trading::Command& command, const trading::Output& output) {
    ++commands_;
    const trading::Result& result = output.results().back();
    std::uint64_t account = 0;
    if (const auto* const submit = std::get_if<trading::SubmitCommand>(&command.body)) {
        account = submit->order.account;
    } else if (const auto* const list = std::get_if<trading::SubmitListCommand>(&command.body)) {
        account = (*list->orders)[0].order.account;
    }
    if (account != 0) {
        Row& row = accounts_[account];
        ++(result.reject == TENON_REJECT_NONE ? row.taken : row.refused);
    }
    for (std::uint32_t i = 0; i < result.events.count; ++i) {
        const tenon_execution_event event = output.event(result, i);
        if (event.kind == TENON_EVENT_ORDER && event.trade != nullptr) {
            ++accounts_[event.order->account].trades;
        }
    }
}

json::object Tally::json(const trading::Core& core, std::uint32_t assets) const {
    json::array accounts;
    for (const trading::Account& account : core.accounts()) {
        const auto found = accounts_.find(account.id);
        const Row row = found != accounts_.end() ? found->second : Row{};
        json::array balances;
        for (std::uint32_t asset = 0; asset < assets; ++asset) {
            if (core.balance_used(account.id, asset)) {
                const tenon_balance balance = core.balance(account.id, asset);
                balances.push_back(json::array{asset, balance.free + balance.locked});
            }
        }
        accounts.push_back(
            {{"id", account.id},
             {"name", account.name},
             {"orders_taken", row.taken},
             {"orders_refused", row.refused},
             {"trades", row.trades},
             {"balances", std::move(balances)}}
        );
    }
    return {
        {"commands", commands_},
        {"state_hash", std::to_string(core.state_hash())},
        {"open_orders", core.open_order_count()},
        {"accounts", std::move(accounts)}};
}

json::object describe(
    const trading::Command& command,
    const trading::Core& core,
    const Service<tenon_instruments_1>& instruments
) {
    json::object out{
        {"sequence", command.sequence},
        {"time", moment_text(command.time_real_ns)},
        {"command", trading::name(command.kind())}};
    std::visit(Description{out, core, instruments}, command.body);
    return out;
}

}  // namespace tenon::engine
