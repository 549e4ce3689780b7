// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/projection_sql.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

namespace tenon::engine {
namespace {

constexpr std::string_view k_order_columns =
    "order_id, account, instrument, side, type, time_in_force, status, price, quantity, "
    "quote_quantity, filled_quantity, filled_quote, created_real_ns, updated_real_ns, "
    "update_sequence, reject, client_id, cancel_client_id, stop_price, working_real_ns";

constexpr std::string_view k_trade_columns =
    "trade_id, order_id, account, instrument, side, is_maker, price, quantity, quote_amount, fee, "
    "fee_asset, time_real_ns, sequence";

std::string_view text_of(const tenon_client_id& id) noexcept {
    return {id.text, std::min<std::size_t>(id.length, sizeof id.text)};
}

tenon_client_id client_id_of(std::string_view text) {
    tenon_client_id id{};
    if (text.size() > sizeof id.text) {
        throw Error{TENON_CORRUPT, "a client id in the database is too long"};
    }
    id.length = static_cast<std::uint8_t>(text.size());
    std::memcpy(id.text, text.data(), text.size());
    return id;
}

tenon_order order_of(const Statement& row) {
    auto order = sized<tenon_order>();
    order.order_id = row.as<std::uint64_t>(0);
    order.account = row.as<std::uint64_t>(1);
    order.instrument = row.as<std::uint32_t>(2);
    order.side = row.as<std::uint8_t>(3);
    order.type = row.as<std::uint8_t>(4);
    order.time_in_force = row.as<std::uint8_t>(5);
    order.status = row.as<std::uint8_t>(6);
    order.price = row.integer(7);
    order.quantity = row.integer(8);
    order.quote_quantity = row.integer(9);
    order.filled_quantity = row.integer(10);
    order.filled_quote = row.integer(11);
    order.created_real_ns = row.integer(12);
    order.updated_real_ns = row.integer(13);
    order.update_sequence = row.as<std::uint64_t>(14);
    order.reject = row.as<std::uint32_t>(15);
    order.client_id = client_id_of(row.text(16));
    order.cancel_client_id = client_id_of(row.text(17));
    order.stop_price = row.integer(18);
    order.working_real_ns = row.integer(19);
    if (order.stop_price == 0 && order.working_real_ns == 0) {
        order.working_real_ns = order.created_real_ns;  // written before there were others
    }
    return order;
}

tenon_trade trade_of(const Statement& row) {
    auto trade = sized<tenon_trade>();
    trade.trade_id = row.as<std::uint64_t>(0);
    trade.order_id = row.as<std::uint64_t>(1);
    trade.account = row.as<std::uint64_t>(2);
    trade.instrument = row.as<std::uint32_t>(3);
    trade.side = row.as<std::uint8_t>(4);
    trade.is_maker = row.as<std::uint8_t>(5);
    trade.price = row.integer(6);
    trade.quantity = row.integer(7);
    trade.quote_amount = row.integer(8);
    trade.fee = row.integer(9);
    trade.fee_asset = row.as<std::uint32_t>(10);
    trade.time_real_ns = row.integer(11);
    trade.sequence = row.as<std::uint64_t>(12);
    return trade;
}

// A SELECT put together from conditions; values are bound in the order of adding.
class Select {
public:
    Select(std::string_view columns, std::string_view table) {
        sql_.append("SELECT ").append(columns).append(" FROM ").append(table);
    }

    template <class T>
    Select& where(std::string_view condition, T value) {
        values_.push_back(value_of(value));
        return where(condition);
    }

    Select& where(std::string_view condition) {
        sql_.append(first_ ? " WHERE " : " AND ").append(condition);
        first_ = false;
        return *this;
    }

    // The first `limit` rows from below, or the last ones.
    Select& order(std::string_view column, bool newest, std::int64_t limit) {
        sql_.append(" ORDER BY ").append(column).append(newest ? " DESC" : "").append(" LIMIT ?");
        values_.push_back(value_of(limit));
        newest_ = newest;
        return *this;
    }

    // Ascending.
    template <class Row, class Make>
    std::vector<Row> run(Session& session, Make make) {
        Statement statement = session.prepare(sql_);
        for (std::uint32_t i = 0; i < values_.size(); ++i) {
            const tenon_value& value = values_[i];
            statement.bind(i + 1, value.i);
        }
        std::vector<Row> rows;
        while (statement.step()) {
            rows.push_back(make(statement));
        }
        if (newest_) {
            std::reverse(rows.begin(), rows.end());
        }
        return rows;
    }

private:
    std::string sql_;
    std::vector<tenon_value> values_;  // integers only
    bool first_ = true;
    bool newest_ = false;
};

}  // namespace

struct ProjectionWriter::Newest {
    std::map<std::uint64_t, const tenon_order*> orders;
    std::
        map<std::pair<std::uint64_t, std::uint32_t>, std::pair<const tenon_balance*, std::uint64_t>>
            balances;
    std::vector<const tenon_trade*> trades;
};

void ProjectionWriter::forget() noexcept {
    accounts_.clear();
    assets_.clear();
    listed_.clear();
    assets_written_ = 0;
    instruments_written_ = 0;
}

std::uint64_t ProjectionWriter::write(
    Session& session,
    std::span<const std::vector<ProjectionEvent>> batch,
    Offsets offsets,
    std::int64_t now_real_ns
) {
    const std::uint64_t found = read_offset(session);
    if (found < offsets.expected) {
        forget();
        throw Error{
            TENON_CONFLICT,
            "the database is at command " + std::to_string(found) + ", behind " +
                std::to_string(offsets.expected) +
                " that was written: an older one was put in its place; a restart projects again"};
    }
    write_references(session);
    Newest newest;
    std::uint64_t offset = std::max(found, offsets.through);
    for (const auto& events : batch) {
        for (const ProjectionEvent& event : events) {
            if (event.sequence > found) {
                write_event(session, event, newest);
                offset = std::max(offset, event.sequence);
            }
        }
    }
    write_newest(session, newest);
    if (offset != found) {
        session
            .prepare(
                "INSERT INTO projection_offset (name, sequence, updated_real_ns) VALUES (?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET sequence = excluded.sequence, "
                "updated_real_ns = excluded.updated_real_ns"
            )
            .bind_all(k_projection_name, offset, std::max<std::int64_t>(now_real_ns, 0))
            .run();
    }
    return offset;
}

void ProjectionWriter::write_references(Session& session) {
    if (!instruments_) {
        return;
    }
    const auto count = instruments_->asset_count(instruments_.self);
    for (; assets_written_ < count; ++assets_written_) {
        const tenon_asset& asset = *instruments_->asset(instruments_.self, assets_written_);
        session
            .prepare(
                "INSERT INTO assets (id, name, scale) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE "
                "SET name = excluded.name, scale = excluded.scale"
            )
            .bind_all(asset.id, asset.name, asset.scale)
            .run();
        assets_.insert(asset.id);
    }
    const auto listed = instruments_->instrument_count(instruments_.self);
    for (; instruments_written_ < listed; ++instruments_written_) {
        const tenon_instrument& i =
            *instruments_->instrument(instruments_.self, instruments_written_);
        // The status of a row that is there is the engine's, newer than the list's.
        session
            .prepare(
                "INSERT INTO instruments (id, symbol, base, quote, price_scale, quantity_scale, "
                "status) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
                "symbol = excluded.symbol, base = excluded.base, quote = excluded.quote, "
                "price_scale = excluded.price_scale, quantity_scale = excluded.quantity_scale"
            )
            .bind_all(i.id, i.symbol, i.base, i.quote, i.price_scale, i.quantity_scale, i.status)
            .run();
        listed_.insert(i.id);
    }
}

// Rows that others refer to and nobody described: the id is what is known.
void ProjectionWriter::need_account(Session& session, std::uint64_t id) {
    if (accounts_.insert(id).second) {
        session.prepare("INSERT INTO accounts (id, name) VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind_all(id, "#" + std::to_string(id))
            .run();
    }
}

void ProjectionWriter::need_asset(Session& session, std::uint32_t id) {
    if (assets_.insert(id).second) {
        session
            .prepare("INSERT INTO assets (id, name, scale) VALUES (?, ?, 0) ON CONFLICT DO NOTHING")
            .bind_all(id, "#" + std::to_string(id))
            .run();
    }
}

void ProjectionWriter::need_instrument(Session& session, std::uint32_t id) {
    if (listed_.insert(id).second) {
        session.prepare("INSERT INTO instruments (id, symbol) VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind_all(id, "#" + std::to_string(id))
            .run();
    }
}

void ProjectionWriter::write_event(Session& session, const ProjectionEvent& event, Newest& newest) {
    if (const auto* o = std::get_if<ProjectedOrder>(&event.body)) {
        newest.orders[o->order.order_id] = &o->order;
        if (o->has_trade) {
            newest.trades.push_back(&o->trade);
        }
    } else if (const auto* b = std::get_if<tenon_balance>(&event.body)) {
        newest.balances[{b->account, b->asset}] = {b, event.sequence};
    } else if (const auto* l = std::get_if<ProjectedLedger>(&event.body)) {
        need_account(session, l->from);
        need_account(session, l->to);
        need_asset(session, l->asset);
        session
            .prepare(
                "INSERT INTO ledger_entries (sequence, event_index, from_account, to_account, "
                "asset, amount, reference, time_real_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT DO NOTHING"
            )
            .bind_all(
                event.sequence,
                event.index,
                l->from,
                l->to,
                l->asset,
                l->amount,
                l->reference,
                event.time_real_ns
            )
            .run();
    } else if (const auto* a = std::get_if<ProjectedAccount>(&event.body)) {
        session
            .prepare(
                "INSERT INTO accounts (id, name, enabled, created_real_ns, updated_real_ns) "
                "VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name, "
                "enabled = excluded.enabled, created_real_ns = excluded.created_real_ns, "
                "updated_real_ns = excluded.updated_real_ns"
            )
            .bind_all(a->id, a->name, a->enabled, a->created_real_ns, a->updated_real_ns)
            .run();
        accounts_.insert(a->id);
    } else if (const auto* k = std::get_if<ProjectedKey>(&event.body)) {
        need_account(session, k->account);
        session
            .prepare(
                "INSERT INTO api_credentials (key, account, kind, permissions, material, label, "
                "created_real_ns, revoked) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) "
                "DO UPDATE SET permissions = excluded.permissions, label = excluded.label, "
                "material = excluded.material, revoked = excluded.revoked"
            )
            .bind_all(
                k->key,
                k->account,
                k->kind,
                k->permissions,
                bytes(k->material),
                k->label,
                k->created_real_ns,
                k->revoked
            )
            .run();
    } else if (const auto* i = std::get_if<ProjectedInstrument>(&event.body)) {
        need_instrument(session, i->id);
        session.prepare("UPDATE instruments SET status = ? WHERE id = ?")
            .bind_all(i->status, i->id)
            .run();
    }
}

void ProjectionWriter::write_newest(Session& session, const Newest& newest) {
    for (const auto& [id, order] : newest.orders) {
        write_order(session, *order);
    }
    for (const tenon_trade* trade : newest.trades) {
        write_trade(session, *trade);
    }
    for (const auto& [key, balance] : newest.balances) {
        const auto& [row, sequence] = balance;
        need_account(session, row->account);
        need_asset(session, row->asset);
        session
            .prepare(
                "INSERT INTO balances (account, asset, free, locked, update_sequence) "
                "VALUES (?, ?, ?, ?, ?) ON CONFLICT (account, asset) DO UPDATE SET "
                "free = excluded.free, locked = excluded.locked, "
                "update_sequence = excluded.update_sequence"
            )
            .bind_all(row->account, row->asset, row->free, row->locked, sequence)
            .run();
    }
}

void ProjectionWriter::write_order(Session& session, const tenon_order& o) {
    static const std::string k_sql =
        "INSERT INTO orders (" + std::string{k_order_columns} +
        ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT "
        "(order_id) "
        "DO UPDATE SET status = excluded.status, quantity = excluded.quantity, "
        "filled_quantity = excluded.filled_quantity, filled_quote = excluded.filled_quote, "
        "updated_real_ns = excluded.updated_real_ns, update_sequence = excluded.update_sequence, "
        "reject = excluded.reject, cancel_client_id = excluded.cancel_client_id, "
        "working_real_ns = excluded.working_real_ns";
    need_account(session, o.account);
    need_instrument(session, o.instrument);
    session.prepare(k_sql)
        .bind_all(
            o.order_id,
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
            text_of(o.client_id),
            text_of(o.cancel_client_id),
            o.stop_price,
            o.working_real_ns
        )
        .run();
}

void ProjectionWriter::write_trade(Session& session, const tenon_trade& t) {
    static const std::string k_sql = "INSERT INTO trades (" + std::string{k_trade_columns} +
                                     ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                                     "ON CONFLICT DO NOTHING";
    need_account(session, t.account);
    need_instrument(session, t.instrument);
    need_asset(session, t.fee_asset);
    session.prepare(k_sql)
        .bind_all(
            t.trade_id,
            t.order_id,
            t.account,
            t.instrument,
            t.side,
            t.is_maker,
            t.price,
            t.quantity,
            t.quote_amount,
            t.fee,
            t.fee_asset,
            t.time_real_ns,
            t.sequence
        )
        .run();
}

std::uint64_t read_offset(Session& session) {
    Statement q = session.prepare("SELECT sequence FROM projection_offset WHERE name = ?");
    q.bind(1, k_projection_name);
    return q.step() ? q.as<std::uint64_t>(0) : 0;
}

std::vector<tenon_order> select_orders(Session& session, const tenon_order_query& query) {
    const bool open = query.which == TENON_ORDERS_OPEN;
    Select select{k_order_columns, "orders"};
    select.where("account = ?", query.account);
    if (query.instrument != TENON_ANY_INSTRUMENT) {
        select.where("instrument = ?", query.instrument);
    }
    if (open) {
        select.where("status <= 3");
    }
    if (query.from_order_id != 0) {
        select.where("order_id >= ?", query.from_order_id);
    }
    if (query.start_real_ns != 0) {
        select.where("created_real_ns >= ?", query.start_real_ns);
    }
    if (query.end_real_ns != 0) {
        select.where("created_real_ns <= ?", query.end_real_ns);
    }
    const bool newest = !open && query.from_order_id == 0 && query.start_real_ns == 0;
    select.order("order_id", newest, open ? INT64_MAX : std::int64_t{query.limit});
    return select.run<tenon_order>(session, order_of);
}

std::vector<tenon_trade> select_trades(Session& session, const tenon_trade_query& query) {
    Select select{k_trade_columns, "trades"};
    select.where("account = ?", query.account).where("instrument = ?", query.instrument);
    if (query.order_id != 0) {
        select.where("order_id = ?", query.order_id);
    }
    if (query.from_trade_id != 0) {
        select.where("trade_id >= ?", query.from_trade_id);
    }
    if (query.start_real_ns != 0) {
        select.where("time_real_ns >= ?", query.start_real_ns);
    }
    if (query.end_real_ns != 0) {
        select.where("time_real_ns <= ?", query.end_real_ns);
    }
    const bool newest = query.from_trade_id == 0 && query.start_real_ns == 0;
    select.order("trade_id", newest, query.limit);
    return select.run<tenon_trade>(session, trade_of);
}

std::optional<tenon_order> select_order(
    Session& session,
    std::uint64_t account,
    std::uint32_t instrument,
    std::uint64_t order_id,
    const tenon_client_id* client_id
) {
    static const std::string k_head =
        "SELECT " + std::string{k_order_columns} + " FROM orders WHERE account = ? AND ";
    Statement q = session.prepare(
        k_head + (order_id != 0 ? "order_id = ?" : "client_id = ?") +
        (instrument != TENON_ANY_INSTRUMENT ? " AND instrument = ?" : "") +
        " ORDER BY order_id DESC LIMIT 1"
    );
    q.bind(1, account);
    if (order_id != 0) {
        q.bind(2, order_id);
    } else if (client_id != nullptr) {
        q.bind(2, text_of(*client_id));
    } else {
        return std::nullopt;
    }
    if (instrument != TENON_ANY_INSTRUMENT) {
        q.bind(3, instrument);
    }
    return q.step() ? std::optional{order_of(q)} : std::nullopt;
}

}  // namespace tenon::engine
