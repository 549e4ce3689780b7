// SPDX-License-Identifier: Apache-2.0
// Queries of the projection's tables.
#include "plugins/trading/engine/projection_columns.hpp"
#include "plugins/trading/engine/projection_sql.hpp"

#include <tenon/conditional_order.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

namespace tenon::engine {
namespace {

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
    order.list_id = row.as<std::uint64_t>(20);
    order.display_quantity = row.integer(21);
    order.prevented_quantity = row.integer(22);
    order.prevented_match_id = row.as<std::uint64_t>(23);
    order.trailing_delta = row.as<std::uint32_t>(24);
    order.stp_mode = row.as<std::uint32_t>(25);
    order.expires_real_ns = row.integer(26);
    if (!is_conditional(order.type) && order.working_real_ns == 0) {
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

tenon_prevented_match prevented_of(const Statement& row) {
    auto match = sized<tenon_prevented_match>();
    match.match_id = row.as<std::uint64_t>(0);
    match.instrument = row.as<std::uint32_t>(1);
    match.taker_order_id = row.as<std::uint64_t>(2);
    match.maker_order_id = row.as<std::uint64_t>(3);
    match.account = row.as<std::uint64_t>(4);
    match.stp_mode = row.as<std::uint32_t>(5);
    match.price = row.integer(6);
    match.taker_quantity = row.integer(7);
    match.maker_quantity = row.integer(8);
    match.time_real_ns = row.integer(9);
    match.sequence = row.as<std::uint64_t>(10);
    return match;
}

tenon_amendment amendment_of(const Statement& row) {
    auto amendment = sized<tenon_amendment>();
    amendment.order_id = row.as<std::uint64_t>(0);
    amendment.sequence = row.as<std::uint64_t>(1);
    amendment.account = row.as<std::uint64_t>(2);
    amendment.instrument = row.as<std::uint32_t>(3);
    amendment.old_client_id = client_id_of(row.text(4));
    amendment.client_id = client_id_of(row.text(5));
    amendment.old_quantity = row.integer(6);
    amendment.quantity = row.integer(7);
    amendment.time_real_ns = row.integer(8);
    return amendment;
}

// A list with the first of its orders.
tenon_order_list list_of(const Statement& row) {
    auto list = sized<tenon_order_list>();
    list.list_id = row.as<std::uint64_t>(0);
    list.account = row.as<std::uint64_t>(1);
    list.instrument = row.as<std::uint32_t>(2);
    list.contingency = row.as<std::uint32_t>(3);
    list.status = row.as<std::uint32_t>(4);
    list.created_real_ns = row.integer(5);
    list.updated_real_ns = row.integer(6);
    list.update_sequence = row.as<std::uint64_t>(7);
    list.client_id = client_id_of(row.text(8));
    list.order_count = 1;
    list.orders[0] = {row.as<std::uint64_t>(9), client_id_of(row.text(10))};
    return list;
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

    // These rows next to those of `other`, in the order of `columns`.
    Select& join(
        std::string_view columns,
        std::string_view other,
        std::string_view on,
        std::string_view by
    ) {
        std::string sql{"SELECT "};
        sql.append(columns).append(" FROM (").append(sql_).append(") AS a JOIN ").append(other);
        sql.append(" AS b ON ").append(on).append(" ORDER BY ").append(by);
        sql_ = std::move(sql);
        newest_ = false;
        return *this;
    }

    // Texts are bound where `?` stands for them.
    Select& where_text(std::string_view condition, std::string_view text) {
        values_.push_back(value_of(text));
        return where(condition);
    }

    // Ascending.
    template <class Row, class Make>
    std::vector<Row> run(Session& session, Make make) {
        Statement statement = session.prepare(sql_);
        for (std::uint32_t i = 0; i < values_.size(); ++i) {
            const tenon_value& value = values_[i];
            if (value.kind == TENON_VALUE_INT64) {
                statement.bind(i + 1, value.i);
            } else {
                statement.bind(i + 1, view(value.b));
            }
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
    std::vector<tenon_value> values_;  // texts are borrowed
    bool first_ = true;
    bool newest_ = false;
};

}  // namespace

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

std::vector<tenon_order_list> select_lists(Session& session, const tenon_list_query& query) {
    Select select{"*", "order_lists"};
    const bool open = query.which == TENON_ORDERS_OPEN;
    select.where("account = ?", query.account);
    if (open) {
        select.where("status = 1");
    }
    if (query.list_id != 0) {
        select.where("list_id = ?", query.list_id);
    }
    if (query.client_id.length != 0) {
        select.where_text("client_id = ?", text_of(query.client_id));
    }
    if (query.from_list_id != 0) {
        select.where("list_id >= ?", query.from_list_id);
    }
    if (query.start_real_ns != 0) {
        select.where("created_real_ns >= ?", query.start_real_ns);
    }
    if (query.end_real_ns != 0) {
        select.where("created_real_ns <= ?", query.end_real_ns);
    }
    const bool newest = !open && query.from_list_id == 0 && query.start_real_ns == 0;
    select.order("list_id", newest, open ? INT64_MAX : std::int64_t{query.limit});
    select.join(
        "a.list_id, a.account, a.instrument, a.contingency, a.status, a.created_real_ns, "
        "a.updated_real_ns, a.update_sequence, a.client_id, b.order_id, b.client_id",
        "order_list_orders",
        "b.list_id = a.list_id",
        "a.list_id, b.order_id"
    );
    std::vector<tenon_order_list> lists;
    for (const tenon_order_list& row : select.run<tenon_order_list>(session, list_of)) {
        if (lists.empty() || lists.back().list_id != row.list_id) {
            lists.push_back(row);
        } else if (lists.back().order_count < TENON_LIST_ORDERS_MAX) {
            lists.back().orders[lists.back().order_count++] = row.orders[0];
        }
    }
    return lists;
}

std::vector<tenon_prevented_match>
select_prevented(Session& session, const tenon_prevented_query& query) {
    Select select{k_prevented_columns, "prevented_matches"};
    select.where("account = ?", query.account).where("instrument = ?", query.instrument);
    if (query.match_id != 0) {
        select.where("match_id = ?", query.match_id);
    }
    if (query.order_id != 0) {
        select.where("? IN (taker_order_id, maker_order_id)", query.order_id);
    }
    if (query.from_match_id != 0) {
        select.where("match_id >= ?", query.from_match_id);
    }
    select.order("match_id", query.from_match_id == 0, query.limit);
    return select.run<tenon_prevented_match>(session, prevented_of);
}

std::vector<tenon_amendment>
select_amendments(Session& session, const tenon_amendment_query& query) {
    Select select{k_amendment_columns, "order_amendments"};
    select.where("order_id = ?", query.order_id)
        .where("account = ?", query.account)
        .where("instrument = ?", query.instrument);
    if (query.from_sequence != 0) {
        select.where("sequence >= ?", query.from_sequence);
    }
    select.order("sequence", query.from_sequence == 0, query.limit);
    return select.run<tenon_amendment>(session, amendment_of);
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
