// SPDX-License-Identifier: Apache-2.0
// What the tables must hold after events, folded in memory in the plainest way, and the same rows
// read from SQL.
#pragma once

#include <tenon/abi/trading.h>
#include <tenon/storage.hpp>

#include <map>
#include <string>
#include <vector>

namespace tenon::test {

class ProjectionModel {
public:
    // False: a row that is written once was there.
    [[nodiscard]] bool take(const tenon_execution_event& event) {
        if (event.order != nullptr) {
            put_order(*event.order);
        }
        bool fresh = true;
        if (event.trade != nullptr) {
            fresh = put_trade(*event.trade);
        }
        if (event.balance != nullptr) {
            const tenon_balance& b = *event.balance;
            rows_["balances"][{number(b.account), b.asset}] =
                row(b.account, b.asset, b.free, b.locked, event.sequence);
        }
        if (event.ledger != nullptr) {
            const tenon_ledger_entry& l = *event.ledger;
            auto& entry = rows_["ledger_entries"][{number(event.sequence), event.index}];
            fresh = fresh && entry.empty();
            entry =
                row(event.sequence,
                    event.index,
                    l.from,
                    l.to,
                    l.asset,
                    l.amount,
                    std::string{view(l.reference)},
                    event.time_real_ns);
        }
        return fresh;
    }

    // The tables' rows by primary key.
    [[nodiscard]] std::vector<std::string> rows() const {
        std::vector<std::string> all;
        for (const auto& [table, rows] : rows_) {
            for (const auto& [key, text] : rows) {
                all.push_back(table + text);
            }
        }
        return all;
    }

    [[nodiscard]] static std::vector<std::string> rows_of(Session& session) {
        std::vector<std::string> all;
        read(session, "balances", "account, asset, free, locked, update_sequence", "1, 2", all);
        read(
            session,
            "ledger_entries",
            "sequence, event_index, from_account, to_account, asset, amount, reference, "
            "time_real_ns",
            "1, 2",
            all
        );
        read(
            session,
            "orders",
            "order_id, account, instrument, side, type, time_in_force, status, price, quantity, "
            "quote_quantity, filled_quantity, filled_quote, created_real_ns, updated_real_ns, "
            "update_sequence, reject, client_id, cancel_client_id, stop_price, working_real_ns, "
            "list_id, display_quantity, prevented_quantity, prevented_match_id, trailing_delta, "
            "stp_mode, expires_real_ns",
            "1",
            all
        );
        read(
            session,
            "trades",
            "instrument, trade_id, side, order_id, account, is_maker, price, quantity, "
            "quote_amount, fee, fee_asset, time_real_ns, sequence",
            "1, 2, 3",
            all
        );
        return all;
    }

private:
    static std::int64_t number(std::uint64_t value) { return static_cast<std::int64_t>(value); }

    static std::string cell(const std::string& text) { return "|" + text; }

    static std::string cell(const tenon_client_id& id) {
        return "|" + std::string{id.text, id.length};
    }

    template <class Number>
    requires std::is_arithmetic_v<Number>

    static std::string cell(Number value) { return "|" + std::to_string(value); }

    template <class... T>
    static std::string row(const T&... cells) {
        return (cell(cells) + ...);
    }

    void put_order(const tenon_order& o) {
        rows_["orders"][{number(o.order_id)}] =
            row(o.order_id,
                o.account,
                o.instrument,
                o.side,
                o.type,
                o.time_in_force,
                o.status,
                o.price,
                o.quantity,
                o.quote_quantity,
                o.filled_quantity,
                o.filled_quote,
                o.created_real_ns,
                o.updated_real_ns,
                o.update_sequence,
                o.reject,
                o.client_id,
                o.cancel_client_id,
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

    bool put_trade(const tenon_trade& t) {
        auto& text = rows_["trades"][{t.instrument, number(t.trade_id), t.side}];
        const bool fresh = text.empty();
        text =
            row(t.instrument,
                t.trade_id,
                t.side,
                t.order_id,
                t.account,
                t.is_maker,
                t.price,
                t.quantity,
                t.quote_amount,
                t.fee,
                t.fee_asset,
                t.time_real_ns,
                t.sequence);
        return fresh;
    }

    static void read(
        Session& session,
        const std::string& table,
        const std::string& columns,
        const std::string& key,
        std::vector<std::string>& all
    ) {
        auto q = session.prepare("SELECT " + columns + " FROM " + table + " ORDER BY " + key);
        while (q.step()) {
            std::string text = table;
            for (std::uint32_t i = 0; i < q.column_count(); ++i) {
                const tenon_value v = q.value(i);
                text += v.kind == TENON_VALUE_INT64 ? cell(v.i) : cell(std::string{view(v.b)});
            }
            all.push_back(std::move(text));
        }
    }

    std::map<std::string, std::map<std::vector<std::int64_t>, std::string>> rows_;
};

}  // namespace tenon::test
