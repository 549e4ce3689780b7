// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/account_export.hpp"

#include "plugins/trading/engine/journal_view.hpp"
#include "plugins/trading/engine/projection_sql.hpp"

#include <tenon/csv.hpp>
#include <tenon/decimal.hpp>

#include <boost/json.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <utility>
#include <vector>

namespace tenon::engine {
namespace {

namespace json = boost::json;

// Where a row stands among all: by time, by command, then ledger entries before trades.
struct Place {
    std::int64_t time_real_ns = -1;
    std::int64_t sequence = -1;
    std::int64_t source = -1;                     // 0: ledger entry, 1: trade
    std::array<std::int64_t, 3> key{-1, -1, -1};  // event index; or instrument, trade id, side

    auto operator<=>(const Place&) const = default;
};

constexpr std::int64_t k_ledger = 0, k_trade = 1;

struct TradeRow {
    Place place;
    std::uint32_t instrument = 0, fee_asset = 0;
    bool is_buy = false, is_maker = false;
    std::int64_t trade_id = 0, order_id = 0, price = 0, quantity = 0, quote_amount = 0, fee = 0;
    std::string client_id;
};

struct LedgerRow {
    Place place;
    std::uint32_t asset = 0;
    std::int64_t amount = 0;
    std::uint64_t from = 0, to = 0;
    std::string reference;
};

struct Cursor {
    std::int64_t until_sequence = 0;  // later commands are not of this export
    Place place;
    std::map<std::uint32_t, std::int64_t> balances;  // by asset, in units; a statement's
};

[[nodiscard]] std::string text_of(const Cursor& cursor) {
    const Place& at = cursor.place;
    json::array balances;
    for (const auto& [asset, units] : cursor.balances) {
        balances.push_back(json::array{asset, units});
    }
    return json::serialize(json::array{
        cursor.until_sequence,
        at.time_real_ns,
        at.sequence,
        at.source,
        at.key[0],
        at.key[1],
        at.key[2],
        std::move(balances)});
}

[[nodiscard]] Cursor cursor_of(const std::string& text) {
    try {
        const json::value value = json::parse(text);
        const json::array& parts = value.as_array();
        const auto number = [&](std::size_t i) { return parts.at(i).to_number<std::int64_t>(); };
        Cursor out{
            number(0), {number(1), number(2), number(3), {number(4), number(5), number(6)}}, {}};
        for (const json::value& row : parts.at(7).as_array()) {
            out.balances[row.at(0).to_number<std::uint32_t>()] =
                row.at(1).to_number<std::int64_t>();
        }
        return out;
    } catch (const std::exception&) {
        throw Error{TENON_INVALID, "cursor: not one that a page of this export has given"};
    }
}

class Line {
public:
    explicit Line(std::string& out) : out_{out} {}

    Line& bare(std::string_view text) {
        out_.append(first_ ? "" : ",").append(text);
        first_ = false;
        return *this;
    }

    Line& text(std::string_view text) {
        out_.append(first_ ? "" : ",");
        first_ = false;
        append_csv_text(out_, text);
        return *this;
    }

    Line& number(std::int64_t value) { return bare(std::to_string(value)); }

    void end() { out_.append(k_csv_line_end); }

private:
    std::string& out_;
    bool first_ = true;
};

class Export {
public:
    Export(
        Session& session,
        const Service<tenon_instruments_1>& instruments,
        const ExportQuery& query
    )
        : session_{session}, instruments_{instruments}, query_{query} {}

    ExportPage trades() {
        ExportPage page;
        Cursor at;
        if (query_.cursor.empty()) {
            at.until_sequence = present().first;
            page.text =
                "time,symbol,side,order_id,client_order_id,trade_id,price,quantity,quote_amount,"
                "fee,fee_asset,role\r\n";
        } else {
            at = cursor_of(query_.cursor);
        }
        const std::vector<TradeRow> rows = trade_rows(at, query_.rows_max);
        for (const TradeRow& row : rows) {
            append(page.text, row);
        }
        if (rows.size() == query_.rows_max) {
            at.place = rows.back().place;
            page.cursor = text_of(at);
        }
        return page;
    }

    ExportPage statement() {
        ExportPage page;
        Cursor at;
        if (query_.cursor.empty()) {
            at = opening();
            page.text = "time,kind,asset,change,balance,symbol,order_id,trade_id,reference\r\n";
            bounds(page.text, "opening", at);
        } else {
            at = cursor_of(query_.cursor);
        }
        const std::vector<TradeRow> trades = trade_rows(at, query_.rows_max);
        const std::vector<LedgerRow> entries = ledger_rows(at, query_.rows_max);
        std::size_t trade = 0, entry = 0;
        while (trade + entry < query_.rows_max && (trade < trades.size() || entry < entries.size())
        ) {
            const bool is_entry =
                trade == trades.size() ||
                (entry < entries.size() && entries[entry].place < trades[trade].place);
            if (is_entry) {
                at.place = entries[entry].place;
                change(page.text, at, entries[entry++]);
            } else {
                at.place = trades[trade].place;
                change(page.text, at, trades[trade++]);
            }
        }
        if (trade + entry == query_.rows_max) {
            page.cursor = text_of(at);
        } else {
            bounds(page.text, "closing", at);
        }
        return page;
    }

private:
    // Up to where the database is, and what the account owns there: one statement, one state.
    [[nodiscard]] std::pair<std::int64_t, std::map<std::uint32_t, std::int64_t>> present() {
        std::pair<std::int64_t, std::map<std::uint32_t, std::int64_t>> out;
        Statement q = session_.prepare(
            "SELECT p.sequence, b.asset, b.free + b.locked FROM projection_offset p "
            "LEFT JOIN balances b ON b.account = ? WHERE p.name = ?"
        );
        q.bind_all(query_.account, k_projection_name);
        while (q.step()) {
            out.first = q.integer(0);
            if (q.value(1).kind != TENON_VALUE_NULL) {
                out.second[q.as<std::uint32_t>(1)] = q.integer(2);
            }
        }
        return out;
    }

    // What there was before the first change of the span: the present less all since.
    [[nodiscard]] Cursor opening() {
        Cursor at;
        std::tie(at.until_sequence, at.balances) = present();
        const auto back = [&](std::uint32_t asset, std::int64_t change) {
            at.balances[asset] -= change;
        };
        Cursor reading;
        reading.until_sequence = at.until_sequence;
        for (;;) {
            const auto rows = trade_rows(reading, query_.rows_max, INT64_MAX);
            for (const TradeRow& row : rows) {
                each_leg(row, [&](std::uint32_t asset, std::int64_t change, std::string_view) {
                    back(asset, change);
                });
            }
            if (rows.size() < query_.rows_max) {
                break;
            }
            reading.place = rows.back().place;
        }
        reading.place = {};
        for (;;) {
            const auto rows = ledger_rows(reading, query_.rows_max, INT64_MAX);
            for (const LedgerRow& row : rows) {
                back(row.asset, change_of(row));
            }
            if (rows.size() < query_.rows_max) {
                break;
            }
            reading.place = rows.back().place;
        }
        return at;
    }

    [[nodiscard]] std::vector<TradeRow>
    trade_rows(const Cursor& after, std::size_t most, std::optional<std::int64_t> to = {}) {
        Statement q = session_.prepare(
            "SELECT t.time_real_ns, t.sequence, t.instrument, t.trade_id, t.side, t.order_id, "
            "coalesce(o.client_id, ''), t.is_maker, t.price, t.quantity, t.quote_amount, t.fee, "
            "t.fee_asset FROM trades t LEFT JOIN orders o ON o.order_id = t.order_id "
            "WHERE t.account = ? AND t.time_real_ns >= ? AND t.time_real_ns < ? "
            "AND t.sequence <= ? AND (CAST(? AS bigint) < 0 OR t.instrument = ?) "
            "AND (t.time_real_ns, t.sequence, t.instrument, t.trade_id, t.side) > (?, ?, ?, ?, ?) "
            "ORDER BY t.time_real_ns, t.sequence, t.instrument, t.trade_id, t.side LIMIT ?"
        );
        const Place& at = after.place;
        // Entries of a command come before its trades.
        const bool inside = at.source == k_trade;
        const std::int64_t instrument =
            query_.instrument ? std::int64_t{*query_.instrument} : std::int64_t{-1};
        q.bind_all(
            query_.account,
            std::max(query_.from_real_ns, at.time_real_ns),
            to.value_or(query_.to_real_ns),
            after.until_sequence,
            instrument,
            instrument,
            at.time_real_ns,
            at.sequence,
            inside ? at.key[0] : -1,
            inside ? at.key[1] : -1,
            inside ? at.key[2] : -1,
            static_cast<std::int64_t>(most)
        );
        std::vector<TradeRow> rows;
        while (q.step()) {
            TradeRow row;
            row.place = {
                q.integer(0), q.integer(1), k_trade, {q.integer(2), q.integer(3), q.integer(4)}};
            row.instrument = q.as<std::uint32_t>(2);
            row.trade_id = q.integer(3);
            row.is_buy = q.integer(4) == TENON_SIDE_BUY;
            row.order_id = q.integer(5);
            row.client_id = q.text(6);
            row.is_maker = q.integer(7) != 0;
            row.price = q.integer(8);
            row.quantity = q.integer(9);
            row.quote_amount = q.integer(10);
            row.fee = q.integer(11);
            row.fee_asset = q.as<std::uint32_t>(12);
            rows.push_back(std::move(row));
        }
        return rows;
    }

    [[nodiscard]] std::vector<LedgerRow>
    ledger_rows(const Cursor& after, std::size_t most, std::optional<std::int64_t> to = {}) {
        Statement q = session_.prepare(
            "SELECT time_real_ns, sequence, event_index, asset, amount, from_account, to_account, "
            "reference FROM ledger_entries WHERE (from_account = ? OR to_account = ?) "
            "AND time_real_ns >= ? AND time_real_ns < ? AND sequence <= ? "
            "AND (time_real_ns, sequence, event_index) > (?, ?, ?) "
            "ORDER BY time_real_ns, sequence, event_index LIMIT ?"
        );
        const Place& at = after.place;
        q.bind_all(
            query_.account,
            query_.account,
            std::max(query_.from_real_ns, at.time_real_ns),
            to.value_or(query_.to_real_ns),
            after.until_sequence,
            at.time_real_ns,
            at.sequence,
            at.source == k_trade ? INT64_MAX : at.key[0],
            static_cast<std::int64_t>(most)
        );
        std::vector<LedgerRow> rows;
        while (q.step()) {
            LedgerRow row;
            row.place = {q.integer(0), q.integer(1), k_ledger, {q.integer(2), 0, 0}};
            row.asset = q.as<std::uint32_t>(3);
            row.amount = q.integer(4);
            row.from = q.as<std::uint64_t>(5);
            row.to = q.as<std::uint64_t>(6);
            row.reference = q.text(7);
            rows.push_back(std::move(row));
        }
        return rows;
    }

    [[nodiscard]] const tenon_instrument& rules(std::uint32_t id) const {
        const tenon_instrument* const found = instruments_->instrument(instruments_.self, id);
        if (found == nullptr) {
            throw Error{
                TENON_CORRUPT, "the database has trades of an instrument that is not listed"};
        }
        return *found;
    }

    [[nodiscard]] const tenon_asset& asset_of(std::uint32_t id) const {
        const tenon_asset* const found = instruments_->asset(instruments_.self, id);
        if (found == nullptr) {
            throw Error{TENON_CORRUPT, "the database has money of an asset that is not listed"};
        }
        return *found;
    }

    [[nodiscard]] std::string amount(std::uint32_t asset, std::int64_t units) const {
        return decimal_text(units, asset_of(asset).scale);
    }

    [[nodiscard]] std::int64_t change_of(const LedgerRow& row) const {
        return row.to == query_.account ? row.amount : -row.amount;
    }

    // fn(asset, change, kind) for what a trade does to the account's money.
    template <class Fn>
    void each_leg(const TradeRow& row, Fn&& fn) const {
        const tenon_instrument& instrument = rules(row.instrument);
        const std::int64_t base = base_units(instrument, row.quantity);
        fn(instrument.base, row.is_buy ? base : -base, row.is_buy ? "bought" : "sold");
        fn(instrument.quote,
           row.is_buy ? -row.quote_amount : row.quote_amount,
           row.is_buy ? "paid" : "received");
        if (row.fee != 0) {
            fn(row.fee_asset, -row.fee, "fee");
        }
    }

    // A quantity in units of the base asset.
    [[nodiscard]] std::int64_t base_units(const tenon_instrument& instrument, std::int64_t quantity)
        const {
        return quantity * power_of_ten(asset_of(instrument.base).scale - instrument.quantity_scale);
    }

    void append(std::string& out, const TradeRow& row) const {
        const tenon_instrument& instrument = rules(row.instrument);
        Line line{out};
        line.bare(moment_text(row.place.time_real_ns))
            .text(view(instrument.symbol))
            .bare(row.is_buy ? "BUY" : "SELL")
            .number(row.order_id)
            .text(row.client_id)
            .number(row.trade_id)
            .bare(decimal_text(row.price, instrument.price_scale))
            .bare(decimal_text(row.quantity, instrument.quantity_scale))
            .bare(amount(instrument.quote, row.quote_amount))
            .bare(amount(row.fee_asset, row.fee))
            .text(view(asset_of(row.fee_asset).name))
            .bare(row.is_maker ? "maker" : "taker")
            .end();
    }

    [[nodiscard]] bool is_wanted(std::uint32_t asset) const {
        return !query_.asset || *query_.asset == asset;
    }

    void bounds(std::string& out, std::string_view kind, const Cursor& at) const {
        const bool is_opening = kind == "opening";
        const std::int64_t time = is_opening ? query_.from_real_ns : query_.to_real_ns;
        for (const auto& [asset, units] : at.balances) {
            if (is_wanted(asset)) {
                Line{out}
                    .bare(time == 0 || time == INT64_MAX ? std::string{} : moment_text(time))
                    .bare(kind)
                    .text(view(asset_of(asset).name))
                    .bare("")
                    .bare(amount(asset, units))
                    .bare("")
                    .bare("")
                    .bare("")
                    .bare("")
                    .end();
            }
        }
    }

    void change(std::string& out, Cursor& at, const LedgerRow& row) const {
        const std::int64_t change = change_of(row);
        at.balances[row.asset] += change;
        if (!is_wanted(row.asset)) {
            return;
        }
        const bool in = change > 0;
        const bool outside = (in ? row.from : row.to) == TENON_ACCOUNT_EXTERNAL;
        Line{out}
            .bare(moment_text(row.place.time_real_ns))
            .bare(outside ? (in ? "deposit" : "withdrawal") : (in ? "transfer_in" : "transfer_out"))
            .text(view(asset_of(row.asset).name))
            .bare(amount(row.asset, change))
            .bare(amount(row.asset, at.balances[row.asset]))
            .bare("")
            .bare("")
            .bare("")
            .text(row.reference)
            .end();
    }

    void change(std::string& out, Cursor& at, const TradeRow& row) const {
        each_leg(row, [&](std::uint32_t asset, std::int64_t change, std::string_view kind) {
            at.balances[asset] += change;
            if (!is_wanted(asset)) {
                return;
            }
            Line{out}
                .bare(moment_text(row.place.time_real_ns))
                .bare(kind)
                .text(view(asset_of(asset).name))
                .bare(amount(asset, change))
                .bare(amount(asset, at.balances[asset]))
                .text(view(rules(row.instrument).symbol))
                .number(row.order_id)
                .number(row.trade_id)
                .bare("")
                .end();
        });
    }

    Session& session_;
    const Service<tenon_instruments_1>& instruments_;
    const ExportQuery& query_;
};

}  // namespace

ExportPage export_trades(
    Session& session,
    const Service<tenon_instruments_1>& instruments,
    const ExportQuery& query
) {
    return Export{session, instruments, query}.trades();
}

ExportPage export_statement(
    Session& session,
    const Service<tenon_instruments_1>& instruments,
    const ExportQuery& query
) {
    return Export{session, instruments, query}.statement();
}

}  // namespace tenon::engine
