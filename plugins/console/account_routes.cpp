// SPDX-License-Identifier: Apache-2.0
#include "plugins/console/account_routes.hpp"

#include <tenon/structs.hpp>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <memory>
#include <utility>
#include <vector>

namespace tenon::console {
namespace {

namespace json = boost::json;

constexpr std::uint32_t k_trades_shown = 200, k_trades_counted = 1000;
constexpr std::size_t k_positions_max = 64;

[[nodiscard]] Refusal refusal_of(tenon_status status, std::string_view message) {
    switch (status) {
        case TENON_UNAVAILABLE:
            return {503, "unavailable", std::string{message}};
        case TENON_IN_DOUBT:
            return {500, "in_doubt", "the outcome is not known: look at the open orders"};
        default:
            return {500, "failed", std::string{message}};
    }
}

// Rows of one query; `done` gets them on the reactor, at once or later.
template <class Row>
struct Query {
    Desk& desk;
    std::uint64_t request;
    std::function<void(std::vector<Row>)> done;
    std::vector<Row> rows = {};

    static tenon_status put(void* ctx, const Row* row) noexcept {
        return guard(nullptr, [&] { static_cast<Query*>(ctx)->rows.push_back(*row); });
    }

    static void finish(void* ctx, tenon_status status, const tenon_err* err) noexcept {
        const std::unique_ptr<Query> mine{static_cast<Query*>(ctx)};
        mine->desk.settle(mine->request, [&] {
            if (status != TENON_OK && status != TENON_NOT_FOUND) {
                const std::string_view why =
                    err == nullptr ? std::string_view{} : std::string_view{err->msg, err->len};
                throw refusal_of(status, why);
            }
            mine->done(std::move(mine->rows));
        });
        mine->desk.in_flight().leave();
    }
};

template <class Row, class Call>
void ask(Desk& desk, std::uint64_t request, std::function<void(std::vector<Row>)> done, Call call) {
    auto query = std::make_unique<Query<Row>>(Query<Row>{desk, request, std::move(done)});
    desk.in_flight().enter();
    Query<Row>* const raw = query.release();
    ErrorBuffer err;
    const tenon_status status =
        call(raw, &Query<Row>::put, tenon_done{raw, &Query<Row>::finish}, &err);
    if (status != TENON_PENDING) {
        Query<Row>::finish(raw, status, &err);
    }
}

void ask_trades(
    Desk& desk,
    std::uint64_t request,
    const tenon_trade_query& query,
    std::function<void(std::vector<tenon_trade>)> done
) {
    const auto& trading = desk.services().trading;
    ask<tenon_trade>(
        desk,
        request,
        std::move(done),
        [&](void* ctx, auto* put, tenon_done finish, tenon_err* err) {
            return trading->trades(trading.self, &query, ctx, put, finish, err);
        }
    );
}

void ask_balances(
    Desk& desk,
    std::uint64_t request,
    std::uint64_t account,
    std::function<void(std::vector<tenon_balance>)> done
) {
    const auto& trading = desk.services().trading;
    ask<tenon_balance>(
        desk,
        request,
        std::move(done),
        [&](void* ctx, auto* put, tenon_done finish, tenon_err* err) {
            return trading->balances(trading.self, account, ctx, put, finish, err);
        }
    );
}

[[nodiscard]] const BoundAccount&
account_of(const Sessions::Session& session, std::string_view name) {
    const BoundAccount* const bound = session.who.account(name);
    if (bound == nullptr) {
        throw forbidden("this account is not yours");
    }
    return *bound;
}

[[nodiscard]] std::uint64_t readable_account(Desk& desk, const tenon_http_request& request) {
    const Sessions::Session& session = desk.require(request, k_right_account);
    return account_of(session, query_of(view(request.query), "account")).id;
}

template <class Row, class Render>
void answer_rows(
    Desk& desk,
    std::uint64_t request,
    std::string_view member,
    const std::vector<Row>& rows,
    Render render
) {
    json::array list;
    for (const Row& row : rows) {
        list.push_back(render(desk.services().catalogue, row));
    }
    desk.answer(request, {{member, std::move(list)}});
}

void balances(Desk& desk, const tenon_http_request& request) {
    const std::uint64_t handle = request.handle;
    ask_balances(desk, handle, readable_account(desk, request), [&desk, handle](auto rows) {
        answer_rows(desk, handle, "balances", rows, balance_json);
    });
}

void orders(Desk& desk, const tenon_http_request& request) {
    const std::uint64_t handle = request.handle;
    auto query = sized<tenon_order_query>();
    query.account = readable_account(desk, request);
    const std::string_view symbol = query_of(view(request.query), "symbol");
    // Those of one instrument, the closed ones too; else what is open in all of them.
    query.which = symbol.empty() ? TENON_ORDERS_OPEN : TENON_ORDERS_ALL;
    query.instrument =
        symbol.empty() ? TENON_ANY_INSTRUMENT : desk.services().catalogue.find(symbol).id;
    query.limit = k_trades_shown;
    const auto& trading = desk.services().trading;
    ask<tenon_order>(
        desk,
        handle,
        [&desk, handle](auto rows) { answer_rows(desk, handle, "orders", rows, order_json); },
        [&](void* ctx, auto* put, tenon_done finish, tenon_err* err) {
            return trading->orders(trading.self, &query, ctx, put, finish, err);
        }
    );
}

void trades(Desk& desk, const tenon_http_request& request) {
    const std::uint64_t handle = request.handle;
    auto query = sized<tenon_trade_query>();
    query.account = readable_account(desk, request);
    query.instrument = desk.services().catalogue.find(query_of(view(request.query), "symbol")).id;
    query.limit = k_trades_shown;
    ask_trades(desk, handle, query, [&desk, handle](auto rows) {
        answer_rows(desk, handle, "trades", rows, trade_json);
    });
}

// Asks for the fills of one instrument after the other.
struct PositionSearch : std::enable_shared_from_this<PositionSearch> {
    PositionSearch(Desk& owner, std::uint64_t handle, std::uint64_t of)
        : desk{owner}, request{handle}, account{of} {}

    void next() {
        if (at == instruments.size()) {
            desk.answer(
                request, {{"positions", std::move(found)}, {"complete", complete && all_fills}}
            );
            return;
        }
        auto query = sized<tenon_trade_query>();
        query.account = account;
        query.instrument = instruments[at];
        query.limit = k_trades_counted;
        ask_trades(desk, request, query, [self = shared_from_this()](auto fills) {
            self->take(fills);
            self->next();
        });
    }

    void take(const std::vector<tenon_trade>& fills) {
        const Catalogue& catalogue = desk.services().catalogue;
        const tenon_instrument& instrument = catalogue.instrument(instruments[at++]);
        if (fills.empty()) {
            return;
        }
        Position position{instrument, catalogue.asset(instrument.base).scale};
        for (const tenon_trade& fill : fills) {
            (void)position.add(fill);
        }
        json::object shown = position_json(catalogue, instrument, position);
        shown.emplace("fills", fills.size());
        // Older fills than these are not counted.
        all_fills = all_fills && fills.size() < k_trades_counted;
        found.push_back(std::move(shown));
    }

    Desk& desk;
    std::uint64_t request;
    std::uint64_t account;
    std::vector<std::uint32_t> instruments = {};
    std::size_t at = 0;
    bool complete = true, all_fills = true;
    json::array found = {};
};

void positions(Desk& desk, const tenon_http_request& request) {
    const std::uint64_t handle = request.handle;
    const std::uint64_t account = readable_account(desk, request);
    ask_balances(desk, handle, account, [&desk, handle, account](auto rows) {
        auto search = std::make_shared<PositionSearch>(desk, handle, account);
        const Catalogue& catalogue = desk.services().catalogue;
        // Who has traded an instrument has or had some of both of its assets.
        const auto has = [&](std::uint32_t asset) {
            return std::any_of(rows.begin(), rows.end(), [&](const tenon_balance& balance) {
                return balance.asset == asset;
            });
        };
        for (std::uint32_t id = 0; id < catalogue.size(); ++id) {
            const tenon_instrument& instrument = catalogue.instrument(id);
            if (!has(instrument.base) || !has(instrument.quote)) {
                continue;
            }
            if (search->instruments.size() == k_positions_max) {
                search->complete = false;
                break;
            }
            search->instruments.push_back(id);
        }
        search->next();
    });
}

// What a command came to; answers the request.
struct Command {
    Desk& desk;
    std::uint64_t request;

    static void done(
        void* ctx,
        tenon_status status,
        const tenon_trading_reply* reply,
        const tenon_err* err
    ) noexcept {
        const std::unique_ptr<Command> mine{static_cast<Command*>(ctx)};
        mine->desk.settle(mine->request, [&] { mine->answer(status, reply, err); });
        mine->desk.in_flight().leave();
    }

    void answer(tenon_status status, const tenon_trading_reply* reply, const tenon_err* err) const {
        if (status != TENON_OK || reply == nullptr) {
            const std::string_view why =
                err == nullptr ? std::string_view{} : std::string_view{err->msg, err->len};
            throw refusal_of(status, why);
        }
        if (reply->reject != TENON_REJECT_NONE) {
            throw Refusal{422, "rejected", std::string{reject_text(reply->reject)}};
        }
        const Catalogue& catalogue = desk.services().catalogue;
        json::array orders;
        for (std::uint32_t i = 0; i < reply->order_count; ++i) {
            orders.push_back(order_json(catalogue, tenon::at(reply->orders, i)));
        }
        json::array fills;
        for (std::uint32_t i = 0; i < reply->trade_count; ++i) {
            fills.push_back(trade_json(catalogue, tenon::at(reply->trades, i)));
        }
        desk.answer(request, {{"orders", std::move(orders)}, {"trades", std::move(fills)}});
    }
};

template <class Call>
void run_command(Desk& desk, std::uint64_t request, Call call) {
    auto command = std::make_unique<Command>(Command{desk, request});
    desk.in_flight().enter();
    Command* const raw = command.release();
    ErrorBuffer err;
    const tenon_status status = call(tenon_trading_done{raw, &Command::done}, &err);
    if (status == TENON_INVALID) {
        auto reply = sized<tenon_trading_reply>();
        reply.reject = TENON_REJECT_INVALID;
        Command::done(raw, TENON_OK, &reply, nullptr);
    } else if (status != TENON_PENDING) {
        Command::done(raw, status, nullptr, &err);
    }
}

[[nodiscard]] std::string detail_of(const Json& body) {
    json::object detail;
    for (const std::string_view key :
         {"symbol", "side", "type", "quantity", "price", "quote_quantity", "order_id"}) {
        const Json* const value = body.find(key);
        if (value != nullptr && value->is(Json::Kind::text)) {
            detail.emplace(key, value->text());
        }
    }
    return json::serialize(detail);
}

void place(Desk& desk, const tenon_http_request& request) {
    Json body;
    const Sessions::Session& session = desk.require_write(request, k_right_trade, body);
    const BoundAccount& account = account_of(session, text_member(body, "account"));
    const tenon_order_request order = read_order(desk.services().catalogue, body, account.id);
    const std::uint64_t handle = request.handle;
    desk.audited(
        {session.who.actor, "console.order_place", "account:" + account.name, detail_of(body)},
        handle,
        [&desk, handle, order] {
            const auto& trading = desk.services().trading;
            run_command(desk, handle, [&](tenon_trading_done done, tenon_err* err) {
                return trading->submit(trading.self, &order, done, err);
            });
        }
    );
}

void cancel(Desk& desk, const tenon_http_request& request) {
    Json body;
    const Sessions::Session& session = desk.require_write(request, k_right_trade, body);
    const BoundAccount& account = account_of(session, text_member(body, "account"));
    const tenon_cancel_request order = read_cancel(desk.services().catalogue, body, account.id);
    const std::uint64_t handle = request.handle;
    desk.audited(
        {session.who.actor, "console.order_cancel", "account:" + account.name, detail_of(body)},
        handle,
        [&desk, handle, order] {
            const auto& trading = desk.services().trading;
            run_command(desk, handle, [&](tenon_trading_done done, tenon_err* err) {
                return trading->cancel(trading.self, &order, done, err);
            });
        }
    );
}

}  // namespace

void mount_account_routes(Desk& desk) {
    const auto mount = [&](std::string_view method, std::string_view path, auto* handler) {
        desk.mount(method, path, [&desk, handler](const tenon_http_request& request) {
            handler(desk, request);
        });
    };
    mount("GET", "/api/console/balances", &balances);
    mount("GET", "/api/console/orders", &orders);
    mount("GET", "/api/console/trades", &trades);
    mount("GET", "/api/console/positions", &positions);
    mount("POST", "/api/console/orders", &place);
    mount("POST", "/api/console/orders/cancel", &cancel);
}

}  // namespace tenon::console
