// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/projection_sql.hpp"

#include "plugins/trading/engine/projection_columns.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

namespace tenon::engine {

struct ProjectionWriter::Newest {
    std::map<std::uint64_t, const tenon_order*> orders;
    std::
        map<std::pair<std::uint64_t, std::uint32_t>, std::pair<const tenon_balance*, std::uint64_t>>
            balances;
    std::vector<const tenon_trade*> trades;
    std::map<std::uint64_t, const tenon_order_list*> lists;
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
        if (o->prevented) {
            write_prevented(session, *o->prevented);
        }
        if (o->amendment) {
            write_amendment(session, *o->amendment);
        }
    } else if (const auto* b = std::get_if<tenon_balance>(&event.body)) {
        newest.balances[{b->account, b->asset}] = {b, event.sequence};
    } else if (const auto* list = std::get_if<tenon_order_list>(&event.body)) {
        newest.lists[list->list_id] = list;
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
    for (const auto& [id, list] : newest.lists) {
        write_list(session, *list);
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
        ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
        "?) "
        "ON CONFLICT (order_id) DO UPDATE SET status = excluded.status, quantity = "
        "excluded.quantity, "
        "filled_quantity = excluded.filled_quantity, filled_quote = excluded.filled_quote, "
        "updated_real_ns = excluded.updated_real_ns, update_sequence = excluded.update_sequence, "
        "reject = excluded.reject, cancel_client_id = excluded.cancel_client_id, "
        "working_real_ns = excluded.working_real_ns, client_id = excluded.client_id, "
        "display_quantity = excluded.display_quantity, "
        "prevented_quantity = excluded.prevented_quantity, "
        "prevented_match_id = excluded.prevented_match_id";
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
            o.working_real_ns,
            o.list_id,
            o.display_quantity,
            o.prevented_quantity,
            o.prevented_match_id,
            o.trailing_delta,
            o.stp_mode,
            o.expires_real_ns
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

void ProjectionWriter::write_prevented(Session& session, const tenon_prevented_match& m) {
    static const std::string k_sql = "INSERT INTO prevented_matches (" +
                                     std::string{k_prevented_columns} +
                                     ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                                     "ON CONFLICT DO NOTHING";
    need_account(session, m.account);
    need_instrument(session, m.instrument);
    session.prepare(k_sql)
        .bind_all(
            m.match_id,
            m.instrument,
            m.taker_order_id,
            m.maker_order_id,
            m.account,
            m.stp_mode,
            m.price,
            m.taker_quantity,
            m.maker_quantity,
            m.time_real_ns,
            m.sequence
        )
        .run();
}

void ProjectionWriter::write_amendment(Session& session, const tenon_amendment& a) {
    static const std::string k_sql = "INSERT INTO order_amendments (" +
                                     std::string{k_amendment_columns} +
                                     ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
    need_account(session, a.account);
    need_instrument(session, a.instrument);
    session.prepare(k_sql)
        .bind_all(
            a.order_id,
            a.sequence,
            a.account,
            a.instrument,
            text_of(a.old_client_id),
            text_of(a.client_id),
            a.old_quantity,
            a.quantity,
            a.time_real_ns
        )
        .run();
}

void ProjectionWriter::write_list(Session& session, const tenon_order_list& l) {
    need_account(session, l.account);
    need_instrument(session, l.instrument);
    session
        .prepare(
            "INSERT INTO order_lists (list_id, account, instrument, contingency, status, "
            "created_real_ns, updated_real_ns, update_sequence, client_id) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (list_id) DO UPDATE SET "
            "status = excluded.status, updated_real_ns = excluded.updated_real_ns, "
            "update_sequence = excluded.update_sequence"
        )
        .bind_all(
            l.list_id,
            l.account,
            l.instrument,
            l.contingency,
            l.status,
            l.created_real_ns,
            l.updated_real_ns,
            l.update_sequence,
            text_of(l.client_id)
        )
        .run();
    for (std::uint32_t i = 0; i < l.order_count; ++i) {
        session
            .prepare(
                "INSERT INTO order_list_orders (list_id, order_id, client_id) "
                "VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
            )
            .bind_all(l.list_id, l.orders[i].order_id, text_of(l.orders[i].client_id))
            .run();
    }
}

}  // namespace tenon::engine
