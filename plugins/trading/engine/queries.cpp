// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/queries.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <utility>

namespace tenon::engine {
namespace {

// Rows of memory, and where the others come from; nothing: memory has all.
template <class Row>
struct Found {
    tenon_status status = TENON_OK;
    std::string message;
    std::vector<Row> rows;
    std::function<void(std::vector<Row>& rows)> complete;  // [io], throws Error
};

template <class Row>
tenon_status give(const std::vector<Row>& rows, const RowTarget<Row>& target) {
    for (const Row& row : rows) {
        if (const tenon_status status = target.row(target.ctx, &row); status != TENON_OK) {
            return status;
        }
    }
    return TENON_OK;
}

// A query on its way between threads.
template <class Row>
struct Journey {
    Engine* engine;
    std::uint32_t origin;
    RowTarget<Row> target;
    Found<Row> found;

    static void finish(std::unique_ptr<Journey> self) {
        const auto exec = self->engine->exec();
        const auto deliver = [](void* ctx) {
            const std::unique_ptr<Journey> mine{static_cast<Journey*>(ctx)};
            Found<Row>& found = mine->found;
            if (found.status == TENON_OK) {
                found.status = give(found.rows, mine->target);
            }
            ErrorBuffer err;
            fail(&err, found.status, found.message);
            const tenon_done done = mine->target.done;
            done.fn(done.ctx, found.status, found.status == TENON_OK ? nullptr : &err);
        };
        if (exec->post(exec.self, self->origin, deliver, self.get()) == TENON_OK) {
            (void)self.release();
        }
    }

    // Asks SQL on the pool. False when the pool takes no more.
    static bool ask_sql(std::unique_ptr<Journey>& self) {
        auto shared = std::make_shared<std::unique_ptr<Journey>>(std::move(self));
        const bool queued = (*shared)->engine->jobs().run([shared] {
            Found<Row>& found = (*shared)->found;
            ErrorBuffer err;
            found.status = guard(&err, [&] { found.complete(found.rows); });
            found.message = err.message();
            finish(std::move(*shared));
        });
        if (!queued) {
            self = std::move(*shared);
        }
        return queued;
    }
};

constexpr const char* k_pool_full = "the database has too many questions waiting";

// `look` runs on reactor 0 and gives a Found<Row>.
template <class Row, class Look>
tenon_status run_query(Engine& engine, const RowTarget<Row>& target, tenon_err* err, Look look) {
    const auto exec = engine.exec();
    const std::int32_t reactor = exec->current_reactor(exec.self);
    if (reactor < 0) {
        return fail(err, TENON_INVALID, "queries are sent from a reactor");
    }
    const auto journey = [&engine, target, origin = static_cast<std::uint32_t>(reactor)] {
        return std::make_unique<Journey<Row>>(Journey<Row>{&engine, origin, target, {}});
    };
    if (reactor == 0) {
        if (const tenon_status status = engine.readable(err); status != TENON_OK) {
            return status;
        }
        Found<Row> found = look();
        if (found.status != TENON_OK) {
            return fail(err, found.status, found.message);
        }
        if (!found.complete) {
            return give(found.rows, target);
        }
        auto self = journey();
        self->found = std::move(found);
        return Journey<Row>::ask_sql(self)
                   ? TENON_PENDING
                   : fail(err, TENON_UNAVAILABLE, k_pool_full, TENON_ERR_RETRYABLE);
    }
    const auto on_engine = [&engine, journey, look] {
        auto self = journey();
        ErrorBuffer failure;
        if (const tenon_status status = engine.readable(&failure); status != TENON_OK) {
            self->found = {status, std::string{failure.message()}, {}, {}};
        } else {
            self->found = look();
        }
        if (!self->found.complete) {
            Journey<Row>::finish(std::move(self));
        } else if (!Journey<Row>::ask_sql(self)) {
            self->found = {TENON_UNAVAILABLE, k_pool_full, {}, {}};
            Journey<Row>::finish(std::move(self));
        }
    };
    post(exec, 0, [&engine, on_engine] { engine.after_commit(on_engine); });
    return TENON_PENDING;
}

// Ascending by id; memory wins. Then the query's limit: the newest rows, or the first.
template <class Row, class Id>
void merge(std::vector<Row>& memory, std::vector<Row> sql, Id id, bool newest, std::size_t limit) {
    std::vector<Row> all;
    all.reserve(memory.size() + sql.size());
    const auto before = [&](const Row& a, const Row& b) { return id(a) < id(b); };
    std::sort(memory.begin(), memory.end(), before);
    std::sort(sql.begin(), sql.end(), before);
    // set_union takes equal ones from its first range.
    std::set_union(
        memory.begin(), memory.end(), sql.begin(), sql.end(), std::back_inserter(all), before
    );
    if (all.size() > limit) {
        const auto surplus = static_cast<std::ptrdiff_t>(all.size() - limit);
        newest ? all.erase(all.begin(), all.begin() + surplus)
               : all.erase(all.end() - surplus, all.end());
    }
    memory = std::move(all);
}

std::uint64_t order_id_of(const tenon_order& order) {
    return order.order_id;
}

// A trade with both sides of one account is two rows with one id.
std::pair<std::uint64_t, std::uint64_t> trade_id_of(const tenon_trade& trade) {
    return {trade.trade_id, trade.order_id};
}

bool in_range(const tenon_order_query& query, const tenon_order& order) {
    return order.order_id >= query.from_order_id &&
           (query.start_real_ns == 0 || order.created_real_ns >= query.start_real_ns) &&
           (query.end_real_ns == 0 || order.created_real_ns <= query.end_real_ns);
}

// SQL can complete an answer only when it has what left the memory.
template <class Row>
bool sql_is_behind(Engine& engine, Found<Row>& found) {
    if (engine.projection()->projected_sequence() >= engine.history().evicted_sequence()) {
        return false;
    }
    found.status = TENON_UNAVAILABLE;
    found.message = "older orders and trades are not in the database yet";
    return true;
}

Found<tenon_order> look_for_order(
    Engine& engine,
    std::uint64_t account,
    std::uint32_t instrument,
    std::uint64_t order_id,
    const tenon_client_id& client_id
) {
    Found<tenon_order> found;
    const tenon_order* order = engine.core().open_order(account, instrument, order_id, client_id);
    if (order == nullptr) {
        order = engine.history().order(account, instrument, order_id, client_id);
    }
    if (order != nullptr) {
        found.rows.push_back(*order);
    } else if (engine.history().complete() || engine.projection() == nullptr) {
        found.status = TENON_NOT_FOUND;
        found.message = "there is no such order";
    } else if (!sql_is_behind(engine, found)) {
        found.complete = [&engine, account, instrument, order_id, client_id](auto& rows) {
            const auto older =
                engine.projection()->order(account, instrument, order_id, &client_id);
            if (!older) {
                throw Error{TENON_NOT_FOUND, "there is no such order"};
            }
            rows.push_back(*older);
        };
    }
    return found;
}

Found<tenon_order> look_for_orders(Engine& engine, const tenon_order_query& query) {
    Found<tenon_order> found;
    const auto add = [&](const tenon_order& order) { found.rows.push_back(order); };
    if (query.which == TENON_ORDERS_OPEN) {
        engine.core().for_each_open_order(query.account, query.instrument, add);
        return found;
    }
    const bool newest = query.from_order_id == 0 && query.start_real_ns == 0;
    const bool complete = engine.history().orders(query, found.rows);
    if (complete) {
        return found;
    }
    // Old ones that are still open may have left the history.
    std::vector<tenon_order> open;
    engine.core().for_each_open_order(query.account, query.instrument, [&](const auto& order) {
        if (in_range(query, order)) {
            open.push_back(order);
        }
    });
    merge(found.rows, std::move(open), order_id_of, newest, query.limit);
    if (engine.projection() != nullptr && !sql_is_behind(engine, found)) {
        found.complete = [&engine, query, newest](std::vector<tenon_order>& rows) {
            merge(rows, engine.projection()->orders(query), order_id_of, newest, query.limit);
        };
    }
    return found;
}

Found<tenon_trade> look_for_trades(Engine& engine, const tenon_trade_query& query) {
    Found<tenon_trade> found;
    const bool newest = query.from_trade_id == 0 && query.start_real_ns == 0;
    const bool complete = engine.history().trades(query, found.rows);
    if (!complete && engine.projection() != nullptr && !sql_is_behind(engine, found)) {
        found.complete = [&engine, query, newest](std::vector<tenon_trade>& rows) {
            merge(rows, engine.projection()->trades(query), trade_id_of, newest, query.limit);
        };
    }
    return found;
}

std::uint64_t list_id_of(const tenon_order_list& list) {
    return list.list_id;
}

Found<tenon_order_list> look_for_lists(Engine& engine, const tenon_list_query& query) {
    Found<tenon_order_list> found;
    std::vector<tenon_order_list> open;
    engine.core().order_lists().for_each([&](const trading::OrderList& list) {
        if (fits(query, list.row)) {
            open.push_back(list.row);
        }
    });
    if (query.which == TENON_ORDERS_OPEN) {
        found.rows = std::move(open);
        return found;
    }
    const bool newest = query.from_list_id == 0 && query.start_real_ns == 0;
    engine.history().lists(query, found.rows);
    merge(found.rows, std::move(open), list_id_of, newest, query.limit);
    if (!engine.history().complete() && engine.projection() != nullptr &&
        !sql_is_behind(engine, found)) {
        found.complete = [&engine, query, newest](std::vector<tenon_order_list>& rows) {
            merge(rows, engine.projection()->lists(query), list_id_of, newest, query.limit);
        };
    }
    return found;
}

Found<tenon_prevented_match>
look_for_prevented(Engine& engine, const tenon_prevented_query& query) {
    Found<tenon_prevented_match> found;
    const bool newest = query.from_match_id == 0;
    const auto id = [](const tenon_prevented_match& match) { return match.match_id; };
    engine.history().prevented(query, found.rows);
    merge(found.rows, {}, id, newest, query.limit);
    if (!engine.history().complete() && engine.projection() != nullptr &&
        !sql_is_behind(engine, found)) {
        found.complete = [&engine, query, newest, id](std::vector<tenon_prevented_match>& rows) {
            merge(rows, engine.projection()->prevented(query), id, newest, query.limit);
        };
    }
    return found;
}

Found<tenon_amendment> look_for_amendments(Engine& engine, const tenon_amendment_query& query) {
    Found<tenon_amendment> found;
    const bool newest = query.from_sequence == 0;
    const auto id = [](const tenon_amendment& amendment) { return amendment.sequence; };
    engine.history().amendments(query, found.rows);
    merge(found.rows, {}, id, newest, query.limit);
    if (!engine.history().complete() && engine.projection() != nullptr &&
        !sql_is_behind(engine, found)) {
        found.complete = [&engine, query, newest, id](std::vector<tenon_amendment>& rows) {
            merge(rows, engine.projection()->amendments(query), id, newest, query.limit);
        };
    }
    return found;
}

Found<tenon_balance> look_for_balances(Engine& engine, std::uint64_t account) {
    Found<tenon_balance> found;
    const trading::Core& core = engine.core();
    if (core.find_account(account) == nullptr) {
        found.status = TENON_NOT_FOUND;
        found.message = "there is no such account";
        return found;
    }
    const auto instruments = engine.instruments();
    const std::uint32_t assets = instruments->asset_count(instruments.self);
    for (std::uint32_t asset = 0; asset < assets; ++asset) {
        if (core.balance_used(account, asset)) {
            found.rows.push_back(core.balance(account, asset));
        }
    }
    return found;
}

}  // namespace

tenon_status Queries::order(
    std::uint64_t account,
    std::uint32_t instrument,
    std::uint64_t order_id,
    const tenon_client_id& client_id,
    const RowTarget<tenon_order>& target,
    tenon_err* err
) {
    return run_query<tenon_order>(engine_, target, err, [=, &engine = engine_] {
        return look_for_order(engine, account, instrument, order_id, client_id);
    });
}

tenon_status Queries::orders(
    const tenon_order_query& query,
    const RowTarget<tenon_order>& target,
    tenon_err* err
) {
    return run_query<tenon_order>(engine_, target, err, [query, &engine = engine_] {
        return look_for_orders(engine, query);
    });
}

tenon_status Queries::trades(
    const tenon_trade_query& query,
    const RowTarget<tenon_trade>& target,
    tenon_err* err
) {
    return run_query<tenon_trade>(engine_, target, err, [query, &engine = engine_] {
        return look_for_trades(engine, query);
    });
}

tenon_status Queries::lists(
    const tenon_list_query& query,
    const RowTarget<tenon_order_list>& target,
    tenon_err* err
) {
    return run_query<tenon_order_list>(engine_, target, err, [query, &engine = engine_] {
        return look_for_lists(engine, query);
    });
}

tenon_status Queries::prevented(
    const tenon_prevented_query& query,
    const RowTarget<tenon_prevented_match>& target,
    tenon_err* err
) {
    return run_query<tenon_prevented_match>(engine_, target, err, [query, &engine = engine_] {
        return look_for_prevented(engine, query);
    });
}

tenon_status Queries::amendments(
    const tenon_amendment_query& query,
    const RowTarget<tenon_amendment>& target,
    tenon_err* err
) {
    return run_query<tenon_amendment>(engine_, target, err, [query, &engine = engine_] {
        return look_for_amendments(engine, query);
    });
}

tenon_status
Queries::balances(std::uint64_t account, const RowTarget<tenon_balance>& target, tenon_err* err) {
    return run_query<tenon_balance>(engine_, target, err, [account, &engine = engine_] {
        return look_for_balances(engine, account);
    });
}

}  // namespace tenon::engine
