// SPDX-License-Identifier: Apache-2.0
// A seeded history of commands with their events, and what the tables must hold after them.
#pragma once

#include <tenon/abi/trading.h>
#include <tenon/plugin.hpp>

#include <deque>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace tenon::test {

class ProjectionEvents {
public:
    ProjectionEvents(std::uint32_t seed, std::size_t commands) : random_{seed} {
        for (std::uint64_t a = TENON_ACCOUNT_FIRST; a < TENON_ACCOUNT_FIRST + 3; ++a) {
            begin_command();
            open_account(a);
            if (a == TENON_ACCOUNT_FIRST) {
                add_key(a);
            }
        }
        while (commands_.size() < commands) {
            begin_command();
            switch (random_() % 9) {
                case 8:
                    change_list();
                    break;
                case 0:
                    deposit();
                    break;
                case 1:
                    set_status();
                    break;
                case 2:
                case 3:
                    change_order();
                    break;
                default:
                    new_order();
            }
        }
    }

    [[nodiscard]] std::size_t size() const { return commands_.size(); }

    [[nodiscard]] std::span<const tenon_execution_event> command(std::size_t i) const {
        return commands_.at(i);
    }

    [[nodiscard]] std::uint64_t sequence(std::size_t i) const {
        return commands_.at(i).front().sequence;
    }

    [[nodiscard]] std::uint64_t last_sequence() const { return sequence(size() - 1); }

    [[nodiscard]] std::size_t index_after(std::uint64_t done) const {
        std::size_t i = 0;
        while (i < size() && sequence(i) <= done) {
            ++i;
        }
        return i;
    }

    [[nodiscard]] const tenon_order& order(std::uint64_t id) const { return orders_.at(id); }

    [[nodiscard]] std::vector<std::uint64_t>
    order_ids(std::uint64_t account, std::uint32_t instrument) const {
        std::vector<std::uint64_t> ids;
        for (const auto& [id, order] : orders_) {
            if (order.account == account && order.instrument == instrument) {
                ids.push_back(id);
            }
        }
        return ids;
    }

    [[nodiscard]] const std::map<std::uint64_t, tenon_order_list>& lists() const { return lists_; }

    // By order and sequence, by instrument and match id.
    [[nodiscard]] const auto& amendments() const { return amendments_; }

    [[nodiscard]] const auto& prevented() const { return prevented_; }

    [[nodiscard]] std::size_t trade_count(std::uint64_t account, std::uint32_t instrument) const {
        std::size_t count = 0;
        for (const auto& [key, trade] : trades_) {
            count += trade.account == account && trade.instrument == instrument ? 1U : 0U;
        }
        return count;
    }

    // As the test dumps the tables.
    [[nodiscard]] std::string expected_dump() const {
        std::string all =
            "accounts|1|external|null|1|0|0\naccounts|2|fees|null|1|0|0\n"
            "accounts|3|venues|null|1|0|0\n";
        for (const auto& a : accounts_) {
            all += "accounts|" + std::to_string(a.id) + "|" + std::string{view(a.name)} +
                   "|null|1|" + std::to_string(a.created_real_ns) + "|" +
                   std::to_string(a.updated_real_ns) + "\n";
        }
        for (const std::uint32_t i : instruments_) {
            const auto status = statuses_.find(i);
            all +=
                row("instruments",
                    i,
                    "#" + std::to_string(i),
                    "null",
                    "null",
                    0,
                    0,
                    status == statuses_.end() ? 1U : status->second);
        }
        for (const std::uint32_t a : assets_) {
            all += row("assets", a, "#" + std::to_string(a), 0);
        }
        for (const auto& k : keys_) {
            all +=
                row("api_credentials",
                    std::string{view(k.key)},
                    k.account,
                    k.kind,
                    k.permissions,
                    std::string{view(k.material)},
                    std::string{view(k.label)},
                    k.created_real_ns,
                    0);
        }
        for (const auto& [id, o] : orders_) {
            all +=
                row("orders",
                    o.order_id,
                    o.account,
                    o.instrument,
                    +o.side,
                    +o.type,
                    +o.time_in_force,
                    +o.status,
                    o.price,
                    o.quantity,
                    o.quote_quantity,
                    o.filled_quantity,
                    o.filled_quote,
                    o.created_real_ns,
                    o.updated_real_ns,
                    o.update_sequence,
                    o.reject,
                    std::string{o.client_id.text, o.client_id.length},
                    "",
                    o.stop_price,
                    o.working_real_ns,
                    o.list_id,
                    o.display_quantity,
                    o.prevented_quantity,
                    o.prevented_match_id,
                    o.trailing_delta,
                    o.stp_mode,
                    o.expires_real_ns);
        }
        for (const auto& [id, l] : lists_) {
            all +=
                row("order_lists",
                    l.list_id,
                    l.account,
                    l.instrument,
                    l.contingency,
                    l.status,
                    l.created_real_ns,
                    l.updated_real_ns,
                    l.update_sequence,
                    std::string{l.client_id.text, l.client_id.length});
        }
        for (const auto& [id, l] : lists_) {
            for (const auto& o : l.orders) {
                all +=
                    row("order_list_orders",
                        l.list_id,
                        o.order_id,
                        std::string{o.client_id.text, o.client_id.length});
            }
        }
        for (const auto& [key, a] : amendments_) {
            all +=
                row("order_amendments",
                    a.order_id,
                    a.sequence,
                    a.account,
                    a.instrument,
                    std::string{a.old_client_id.text, a.old_client_id.length},
                    std::string{a.client_id.text, a.client_id.length},
                    a.old_quantity,
                    a.quantity,
                    a.time_real_ns);
        }
        for (const auto& [key, m] : prevented_) {
            all +=
                row("prevented_matches",
                    m.instrument,
                    m.match_id,
                    m.taker_order_id,
                    m.maker_order_id,
                    m.account,
                    m.stp_mode,
                    m.price,
                    m.taker_quantity,
                    m.maker_quantity,
                    m.time_real_ns,
                    m.sequence);
        }
        for (const auto& [key, t] : trades_) {
            all +=
                row("trades",
                    t.instrument,
                    t.trade_id,
                    +t.side,
                    t.order_id,
                    t.account,
                    +t.is_maker,
                    t.price,
                    t.quantity,
                    t.quote_amount,
                    t.fee,
                    t.fee_asset,
                    t.time_real_ns,
                    t.sequence,
                    1);  // status: final, until a venue says otherwise
        }
        for (const auto& [key, b] : balances_) {
            all += row(
                "balances", b.first.account, b.first.asset, b.first.free, b.first.locked, b.second
            );
        }
        for (const auto& line : ledger_lines_) {
            all += line;
        }
        return all;
    }

private:
    static std::string cell(const std::string& text) { return text; }

    static std::string cell(const char* text) { return text; }

    template <class Number>

    requires std::is_arithmetic_v<Number>

    static std::string cell(Number number) { return std::to_string(number); }

    template <class... T>
    static std::string row(const std::string& table, const T&... cells) {
        std::string line = table;
        ((line += "|" + cell(cells)), ...);
        return line + "\n";
    }

    std::int64_t pick(std::int64_t from, std::int64_t to) {
        return from +
               static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(to - from + 1));
    }

    template <class T>
    const T* keep(std::deque<T>& store, T value) {
        store.push_back(value);
        return &store.back();
    }

    tenon_str text(std::string value) {
        texts_.push_back(std::move(value));
        return str(texts_.back());
    }

    void begin_command() {
        sequence_ += static_cast<std::uint64_t>(pick(1, 3));  // refused commands have no events
        now_ += pick(1, 1000);
        commands_.emplace_back();
    }

    tenon_execution_event& add(std::uint32_t kind) {
        auto event = tenon::sized<tenon_execution_event>();
        event.kind = kind;
        event.sequence = sequence_;
        event.index = static_cast<std::uint32_t>(commands_.back().size());
        event.time_real_ns = now_;
        commands_.back().push_back(event);
        return commands_.back().back();
    }

    void open_account(std::uint64_t id) {
        auto account = tenon::sized<tenon_account>();
        account.id = id;
        account.name = text("account-" + std::to_string(id));
        account.enabled = 1;
        account.created_real_ns = now_;
        account.updated_real_ns = now_;
        accounts_.push_back(account);
        add(TENON_EVENT_ACCOUNT).account = &accounts_.back();
    }

    void add_key(std::uint64_t account) {
        auto key = tenon::sized<tenon_api_key>();
        key.key = text(std::string(64, 'k'));
        key.account = account;
        key.kind = TENON_KEY_HMAC_SHA256;
        key.permissions = TENON_PERMISSION_READ | TENON_PERMISSION_TRADE;
        key.material = bytes(view(text("sealed \xff bytes")));
        key.label = text("for tests");
        key.created_real_ns = now_;
        keys_.push_back(key);
        add(TENON_EVENT_KEY).key = &keys_.back();
    }

    void set_balance(std::uint64_t account, std::uint32_t asset) {
        auto balance = tenon::sized<tenon_balance>();
        balance.account = account;
        balance.asset = asset;
        balance.free = pick(0, 1'000'000);
        balance.locked = pick(0, 1'000'000);
        assets_.insert(asset);
        balances_[{account, asset}] = {balance, sequence_};
        add(TENON_EVENT_BALANCE).balance = keep(balance_rows_, balance);
    }

    void deposit() {
        const auto account =
            static_cast<std::uint64_t>(pick(TENON_ACCOUNT_FIRST, TENON_ACCOUNT_FIRST + 2));
        const auto asset = static_cast<std::uint32_t>(pick(0, 2));
        auto entry = tenon::sized<tenon_ledger_entry>();
        entry.from = TENON_ACCOUNT_EXTERNAL;
        entry.to = account;
        entry.asset = asset;
        entry.amount = pick(1, 1000);
        entry.reference = text(random_() % 2 == 0 ? "deposit" : "");
        assets_.insert(asset);
        auto& event = add(TENON_EVENT_LEDGER);
        event.ledger = keep(ledger_rows_, entry);
        ledger_lines_.push_back(
            row("ledger_entries",
                sequence_,
                event.index,
                entry.from,
                entry.to,
                entry.asset,
                entry.amount,
                std::string{view(entry.reference)},
                now_)
        );
        set_balance(account, asset);
    }

    void set_status() {
        const auto instrument = static_cast<std::uint32_t>(pick(0, 1));
        const auto status = static_cast<std::uint32_t>(pick(1, 3));
        auto& event = add(TENON_EVENT_INSTRUMENT);
        event.instrument = instrument;
        event.status = status;
        instruments_.insert(instrument);
        statuses_[instrument] = status;
    }

    void publish(const tenon_order& order, const tenon_trade* trade) {
        orders_[order.order_id] = order;
        auto& event = add(TENON_EVENT_ORDER);
        event.order = keep(order_rows_, order);
        event.trade = trade == nullptr ? nullptr : keep(trade_rows_, *trade);
    }

    void new_order() {
        auto order = tenon::sized<tenon_order>();
        order.order_id = ++order_id_;
        order.account =
            static_cast<std::uint64_t>(pick(TENON_ACCOUNT_FIRST, TENON_ACCOUNT_FIRST + 2));
        order.instrument = static_cast<std::uint32_t>(pick(0, 1));
        order.side = static_cast<std::uint8_t>(pick(0, 1));
        order.type = TENON_ORDER_LIMIT;
        order.time_in_force = TENON_TIF_GTC;
        order.status = TENON_STATUS_NEW;
        order.price = pick(1, 1000);
        order.quantity = pick(10, 1000);
        order.created_real_ns = now_;
        order.working_real_ns = now_;
        order.updated_real_ns = now_;
        order.update_sequence = sequence_;
        const std::string id = "client-" + std::to_string(order.order_id);
        order.client_id.length = static_cast<std::uint8_t>(id.size());
        std::memcpy(order.client_id.text, id.data(), id.size());
        instruments_.insert(order.instrument);
        publish(order, nullptr);
        set_balance(order.account, 0);
    }

    // A new one of two orders that nobody else knows, or the end of one that is there.
    void change_list() {
        if (!lists_.empty() && lists_.rbegin()->second.status == TENON_LIST_EXECUTING) {
            tenon_order_list& list = lists_.rbegin()->second;
            list.status = TENON_LIST_ALL_DONE;
            list.updated_real_ns = now_;
            list.update_sequence = sequence_;
            add(TENON_EVENT_LIST).list = keep(list_rows_, list);
            return;
        }
        auto list = tenon::sized<tenon_order_list>();
        list.list_id = ++list_order_id_;
        list.account =
            static_cast<std::uint64_t>(pick(TENON_ACCOUNT_FIRST, TENON_ACCOUNT_FIRST + 2));
        list.instrument = static_cast<std::uint32_t>(pick(0, 1));
        list.contingency = TENON_CONTINGENCY_OCO;
        list.status = TENON_LIST_EXECUTING;
        list.order_count = TENON_LIST_ORDERS_MAX;
        list.created_real_ns = list.updated_real_ns = now_;
        list.update_sequence = sequence_;
        const auto name = [](const std::string& text) {
            tenon_client_id id{};
            id.length = static_cast<std::uint8_t>(text.size());
            std::memcpy(id.text, text.data(), text.size());
            return id;
        };
        list.client_id = name("list-" + std::to_string(list.list_id));
        for (tenon_list_order& order : list.orders) {
            order.order_id = list_order_id_++;
            order.client_id = name("leg-" + std::to_string(order.order_id));
        }
        instruments_.insert(list.instrument);
        lists_[list.list_id] = list;
        add(TENON_EVENT_LIST).list = keep(list_rows_, list);
    }

    void change_order() {
        if (order_id_ == 0) {
            new_order();
            return;
        }
        tenon_order order =
            orders_.at(static_cast<std::uint64_t>(pick(1, static_cast<std::int64_t>(order_id_))));
        order.updated_real_ns = now_;
        order.update_sequence = sequence_;
        const std::int64_t left = order.quantity - order.filled_quantity;
        if (order.status >= TENON_STATUS_FILLED || left == 0) {
            set_balance(order.account, 1);
            return;
        }
        if (random_() % 3 == 0) {
            order.status = TENON_STATUS_CANCELED;
            publish(order, nullptr);
            return;
        }
        if (left > 1 && random_() % 4 == 0) {
            amend(order);
            return;
        }
        if (left > 1 && random_() % 4 == 0) {
            prevent(order);
            return;
        }
        auto trade = tenon::sized<tenon_trade>();
        trade.trade_id = ++trade_ids_[order.instrument];
        trade.order_id = order.order_id;
        trade.account = order.account;
        trade.instrument = order.instrument;
        trade.side = order.side;
        trade.is_maker = static_cast<std::uint8_t>(pick(0, 1));
        trade.price = order.price;
        trade.quantity = pick(1, left);
        trade.quote_amount = trade.price * trade.quantity;
        trade.fee_asset = 2;
        assets_.insert(2);
        trade.time_real_ns = now_;
        trade.sequence = sequence_;
        order.filled_quantity += trade.quantity;
        order.filled_quote += trade.quote_amount;
        order.status = order.filled_quantity == order.quantity ? TENON_STATUS_FILLED
                                                               : TENON_STATUS_PARTIALLY_FILLED;
        trades_[{trade.instrument, trade.trade_id}] = trade;
        publish(order, &trade);
        set_balance(order.account, 1);
    }

    // All but one of what is left, and another client id.
    void amend(tenon_order order) {
        auto amendment = tenon::sized<tenon_amendment>();
        amendment.instrument = order.instrument;
        amendment.order_id = order.order_id;
        amendment.account = order.account;
        amendment.old_client_id = order.client_id;
        amendment.old_quantity = order.quantity;
        const std::string id = "amended-" + std::to_string(sequence_);
        order.client_id = {};
        order.client_id.length = static_cast<std::uint8_t>(id.size());
        std::memcpy(order.client_id.text, id.data(), id.size());
        --order.quantity;
        amendment.client_id = order.client_id;
        amendment.quantity = order.quantity;
        amendment.time_real_ns = now_;
        amendment.sequence = sequence_;
        amendments_[{order.order_id, sequence_}] = amendment;
        publish(order, nullptr);
        commands_.back().back().amendment = keep(amendment_rows_, amendment);
    }

    // One of what is left, against an order that nobody knows.
    void prevent(tenon_order order) {
        auto match = tenon::sized<tenon_prevented_match>();
        match.instrument = order.instrument;
        match.match_id = ++match_ids_[order.instrument];
        match.taker_order_id = order.order_id;
        match.maker_order_id = order.order_id + 5'000'000;
        match.account = order.account;
        match.stp_mode = TENON_STP_DECREMENT;
        match.price = order.price;
        match.taker_quantity = match.maker_quantity = 1;
        match.time_real_ns = now_;
        match.sequence = sequence_;
        --order.quantity;  // so that a trade of all that is left fills it
        order.prevented_quantity += 1;
        order.prevented_match_id = match.match_id;
        prevented_[{order.instrument, match.match_id}] = match;
        publish(order, nullptr);
        commands_.back().back().prevented = keep(prevented_rows_, match);
    }

    std::mt19937 random_;
    std::uint64_t sequence_ = 0, order_id_ = 0;
    std::int64_t now_ = 1'000'000;
    std::vector<std::vector<tenon_execution_event>> commands_;
    // What the events point to: deques do not move what they hold.
    std::deque<std::string> texts_;
    std::deque<tenon_account> accounts_;
    std::deque<tenon_api_key> keys_;
    std::deque<tenon_order> order_rows_;
    std::deque<tenon_trade> trade_rows_;
    std::deque<tenon_balance> balance_rows_;
    std::deque<tenon_order_list> list_rows_;
    std::deque<tenon_amendment> amendment_rows_;
    std::deque<tenon_prevented_match> prevented_rows_;
    std::deque<tenon_ledger_entry> ledger_rows_;
    // The model.
    std::map<std::uint64_t, tenon_order> orders_;
    std::map<std::uint64_t, tenon_order_list> lists_;
    std::uint64_t list_order_id_ = 1'000'000;
    std::map<std::pair<std::uint32_t, std::uint64_t>, tenon_trade> trades_;
    std::map<std::pair<std::uint64_t, std::uint32_t>, std::pair<tenon_balance, std::uint64_t>>
        balances_;
    std::map<std::uint32_t, std::uint32_t> statuses_;
    std::map<std::uint32_t, std::uint64_t> trade_ids_, match_ids_;
    std::map<std::pair<std::uint64_t, std::uint64_t>, tenon_amendment> amendments_;
    std::map<std::pair<std::uint32_t, std::uint64_t>, tenon_prevented_match> prevented_;
    std::set<std::uint32_t> instruments_, assets_;
    std::vector<std::string> ledger_lines_;
};

}  // namespace tenon::test
