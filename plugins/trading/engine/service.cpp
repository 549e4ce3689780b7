// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/service.hpp"

namespace tenon::engine {
namespace {

constexpr std::uint32_t k_limit_max = 1000;

// Runs `body` with the service, with the exception barrier.
template <class Body>
tenon_status with(void* self, tenon_err* err, Body body) noexcept {
    return guard(err, [&]() -> tenon_status {
        auto* service = static_cast<TradingHandle*>(self)->service;
        if (service == nullptr) {
            return fail(err, TENON_UNAVAILABLE, "the engine is not configured");
        }
        return body(*service);
    });
}

template <class Struct>
bool well_sized(const Struct* in) noexcept {
    return in != nullptr && in->size >= sizeof(Struct);
}

tenon_status malformed(tenon_err* err, const char* what) noexcept {
    return fail(err, TENON_INVALID, what);
}

tenon_status
submit(void* self, const tenon_order_request* request, tenon_trading_done done, tenon_err* err) {
    return with(self, err, [&](TradingService& service) {
        const auto order = copy_in(request, offsetof(tenon_order_request, stop_price));
        return order ? service.intake().take(
                           trading::SubmitCommand{*order, {}}, Admission::order, done, err
                       )
                     : malformed(err, "order request: its size is too small");
    });
}

tenon_status
cancel(void* self, const tenon_cancel_request* request, tenon_trading_done done, tenon_err* err) {
    return with(self, err, [&](TradingService& service) {
        const auto cancel = copy_in(request, offsetof(tenon_cancel_request, restriction));
        return cancel ? service.intake().take(
                            trading::CancelCommand{*cancel}, Admission::relief, done, err
                        )
                      : malformed(err, "cancel request: its size is too small");
    });
}

tenon_status cancel_all(
    void* self,
    std::uint64_t account,
    std::uint32_t instrument,
    tenon_trading_done done,
    tenon_err* err
) {
    return with(self, err, [&](TradingService& service) {
        return service.intake().take(
            trading::CancelAllCommand{account, instrument}, Admission::relief, done, err
        );
    });
}

tenon_status
transfer(void* self, const tenon_ledger_entry* entry, tenon_trading_done done, tenon_err* err) {
    return with(self, err, [&](TradingService& service) {
        return entry != nullptr ? service.intake().take(
                                      trading::TransferCommand{*entry}, Admission::order, done, err
                                  )
                                : malformed(err, "ledger entry: missing");
    });
}

tenon_status account_open(void* self, tenon_str name, tenon_trading_done done, tenon_err* err) {
    return with(self, err, [&](TradingService& service) {
        return service.intake().take(
            trading::AccountOpenCommand{name}, Admission::order, done, err
        );
    });
}

tenon_status
key_add(void* self, const tenon_api_key* key, tenon_trading_done done, tenon_err* err) {
    return with(self, err, [&](TradingService& service) {
        return key != nullptr ? service.intake().take(
                                    trading::KeyAddCommand{*key}, Admission::order, done, err
                                )
                              : malformed(err, "key: missing");
    });
}

tenon_status key_revoke(void* self, tenon_str key, tenon_trading_done done, tenon_err* err) {
    return with(self, err, [&](TradingService& service) {
        return service.intake().take(trading::KeyRevokeCommand{key}, Admission::relief, done, err);
    });
}

tenon_status key_addresses(
    void* self,
    tenon_str key,
    tenon_str addresses,
    tenon_trading_done done,
    tenon_err* err
) {
    return with(self, err, [&](TradingService& service) {
        return service.intake().take(
            trading::KeyAddressesCommand{key, addresses}, Admission::relief, done, err
        );
    });
}

tenon_status instrument_status(
    void* self,
    std::uint32_t instrument,
    std::uint32_t status,
    tenon_trading_done done,
    tenon_err* err
) {
    return with(self, err, [&](TradingService& service) {
        return service.intake().take(
            trading::InstrumentStatusCommand{instrument, status}, Admission::relief, done, err
        );
    });
}

tenon_status order(
    void* self,
    std::uint64_t account,
    std::uint32_t instrument,
    std::uint64_t order_id,
    const tenon_client_id* client_id,
    void* ctx,
    tenon_status (*row)(void* ctx, const tenon_order*),
    tenon_done done,
    tenon_err* err
) {
    return with(self, err, [&](TradingService& service) {
        if (order_id == 0 && (client_id == nullptr || client_id->length == 0)) {
            return malformed(err, "order query: neither an order id nor a client id");
        }
        return service.queries().order(
            account,
            instrument,
            order_id,
            client_id != nullptr ? *client_id : tenon_client_id{},
            {ctx, row, done},
            err
        );
    });
}

tenon_status orders(
    void* self,
    const tenon_order_query* query,
    void* ctx,
    tenon_status (*row)(void* ctx, const tenon_order*),
    tenon_done done,
    tenon_err* err
) {
    return with(self, err, [&](TradingService& service) {
        if (!well_sized(query) ||
            (query->which != TENON_ORDERS_OPEN && query->which != TENON_ORDERS_ALL)) {
            return malformed(err, "order query: size or kind is wrong");
        }
        if (query->which == TENON_ORDERS_ALL && (query->instrument == TENON_ANY_INSTRUMENT ||
                                                 query->limit == 0 || query->limit > k_limit_max)) {
            return malformed(err, "order query: one instrument and a limit of 1 to 1000 expected");
        }
        return service.queries().orders(*query, {ctx, row, done}, err);
    });
}

tenon_status trades(
    void* self,
    const tenon_trade_query* query,
    void* ctx,
    tenon_status (*row)(void* ctx, const tenon_trade*),
    tenon_done done,
    tenon_err* err
) {
    return with(self, err, [&](TradingService& service) {
        if (!well_sized(query) || query->limit == 0 || query->limit > k_limit_max) {
            return malformed(err, "trade query: a limit of 1 to 1000 expected");
        }
        return service.queries().trades(*query, {ctx, row, done}, err);
    });
}

tenon_status balances(
    void* self,
    std::uint64_t account,
    void* ctx,
    tenon_status (*row)(void* ctx, const tenon_balance*),
    tenon_done done,
    tenon_err* err
) {
    return with(self, err, [&](TradingService& service) {
        return service.queries().balances(account, {ctx, row, done}, err);
    });
}

tenon_status accounts(
    void* self,
    void* ctx,
    tenon_status (*row)(void* ctx, const tenon_account*),
    tenon_err* err
) {
    return with(self, err, [&](TradingService& service) -> tenon_status {
        for (const trading::Account& account : service.engine().mirror().accounts()) {
            const tenon_account out{
                sizeof(tenon_account),
                account.enabled ? 1U : 0U,
                account.id,
                str(account.name),
                account.created_real_ns,
                account.updated_real_ns};
            if (const tenon_status status = row(ctx, &out); status != TENON_OK) {
                return status;
            }
        }
        return TENON_OK;
    });
}

tenon_status
keys(void* self, void* ctx, tenon_status (*row)(void* ctx, const tenon_api_key*), tenon_err* err) {
    return with(self, err, [&](TradingService& service) -> tenon_status {
        for (const trading::ApiKey& key : service.engine().mirror().keys()) {
            const tenon_api_key out{
                sizeof(tenon_api_key),
                key.revoked ? 1U : 0U,
                str(key.key),
                key.account,
                key.kind,
                key.permissions,
                bytes(key.material),
                str(key.label),
                key.created_real_ns,
                str(key.addresses)};
            if (const tenon_status status = row(ctx, &out); status != TENON_OK) {
                return status;
            }
        }
        return TENON_OK;
    });
}

std::uint32_t status_of(void* self, std::uint32_t instrument) {
    auto* service = static_cast<TradingHandle*>(self)->service;
    return service != nullptr ? service->engine().mirror().instrument_status(instrument)
                              : TENON_INSTRUMENT_BREAK;
}

tenon_status status(void* self, tenon_trading_status* out) {
    return with(self, nullptr, [&](TradingService& service) -> tenon_status {
        if (!well_sized(out)) {
            return TENON_INVALID;
        }
        // The text stays where it is until this thread asks again.
        static thread_local StatusCopy copy;
        copy = service.engine().mirror().status();
        *out = {
            out->size,
            copy.accepting ? 1U : 0U,
            copy.sequence,
            copy.durable_sequence,
            copy.projected_sequence,
            0,
            copy.open_orders,
            copy.accounts,
            str(copy.reason)};
        return TENON_OK;
    });
}

// Runs `body` on reactor 0, at once when the caller is there.
template <class Body>
void on_engine(Engine& engine, Body body) {
    const auto exec = engine.exec();
    if (exec->current_reactor(exec.self) == 0) {
        body();
    } else {
        call_on_reactor(exec, 0, body);
    }
}

tenon_status subscribe(
    void* self,
    void* ctx,
    void (*fn)(void* ctx, const tenon_execution_event* events, std::uint32_t count),
    std::uint64_t* handle
) {
    return with(self, nullptr, [&](TradingService& service) -> tenon_status {
        on_engine(service.engine(), [&] { *handle = service.engine().subscribe(ctx, fn); });
        return TENON_OK;
    });
}

void unsubscribe(void* self, std::uint64_t handle) {
    (void)with(self, nullptr, [&](TradingService& service) -> tenon_status {
        on_engine(service.engine(), [&] { service.engine().unsubscribe(handle); });
        return TENON_OK;
    });
}

tenon_status submit_list(
    void* self,
    const tenon_list_request* request,
    tenon_trading_done done,
    tenon_err* err
) {
    return with(self, err, [&](TradingService& service) {
        if (!well_sized(request) || request->order_count != TENON_LIST_ORDERS_MAX ||
            request->orders == nullptr) {
            return malformed(err, "list request: its size or its number of orders is wrong");
        }
        trading::ListOrders orders;
        for (std::size_t i = 0; i < orders.size(); ++i) {
            const auto order =
                copy_in(&at(request->orders, i), offsetof(tenon_order_request, stop_price));
            if (!order) {
                return malformed(err, "list request: an order's size is too small");
            }
            orders[i].order = *order;
        }
        return service.intake().take(
            trading::SubmitListCommand{request->contingency, request->client_id, &orders},
            Admission::order,
            done,
            err
        );
    });
}

tenon_status
cancel_list(void* self, const tenon_list_cancel* request, tenon_trading_done done, tenon_err* err) {
    return with(self, err, [&](TradingService& service) {
        return well_sized(request)
                   ? service.intake().take(
                         trading::CancelListCommand{*request}, Admission::relief, done, err
                     )
                   : malformed(err, "list cancel: its size is too small");
    });
}

tenon_status
amend(void* self, const tenon_amend_request* request, tenon_trading_done done, tenon_err* err) {
    return with(self, err, [&](TradingService& service) {
        return well_sized(request)
                   ? service.intake().take(
                         trading::AmendCommand{*request}, Admission::relief, done, err
                     )
                   : malformed(err, "amend request: its size is too small");
    });
}

tenon_status prevented(
    void* self,
    const tenon_prevented_query* query,
    void* ctx,
    tenon_status (*row)(void* ctx, const tenon_prevented_match*),
    tenon_done done,
    tenon_err* err
) {
    return with(self, err, [&](TradingService& service) {
        if (!well_sized(query) || query->limit == 0 || query->limit > k_limit_max) {
            return malformed(err, "prevented matches: a limit of 1 to 1000 expected");
        }
        return service.queries().prevented(*query, {ctx, row, done}, err);
    });
}

tenon_status amendments(
    void* self,
    const tenon_amendment_query* query,
    void* ctx,
    tenon_status (*row)(void* ctx, const tenon_amendment*),
    tenon_done done,
    tenon_err* err
) {
    return with(self, err, [&](TradingService& service) {
        if (!well_sized(query) || query->limit == 0 || query->limit > k_limit_max) {
            return malformed(err, "amendments: a limit of 1 to 1000 expected");
        }
        return service.queries().amendments(*query, {ctx, row, done}, err);
    });
}

std::uint32_t venue_takes(void* self, std::uint32_t instrument) {
    auto* service = static_cast<TradingHandle*>(self)->service;
    return service != nullptr ? service->engine().mirror().venue_takes(instrument) : 0;
}

tenon_status lists(
    void* self,
    const tenon_list_query* query,
    void* ctx,
    tenon_status (*row)(void* ctx, const tenon_order_list*),
    tenon_done done,
    tenon_err* err
) {
    return with(self, err, [&](TradingService& service) {
        if (!well_sized(query) ||
            (query->which != TENON_ORDERS_OPEN && query->which != TENON_ORDERS_ALL) ||
            (query->which == TENON_ORDERS_ALL && (query->limit == 0 || query->limit > k_limit_max)
            )) {
            return malformed(err, "list query: size, kind or a limit of 1 to 1000 is wrong");
        }
        return service.queries().lists(*query, {ctx, row, done}, err);
    });
}

}  // namespace

const tenon_trading_1 k_trading_table{
    sizeof(tenon_trading_1),
    0,
    &submit,
    &cancel,
    &cancel_all,
    &transfer,
    &account_open,
    &key_add,
    &key_revoke,
    &instrument_status,
    &order,
    &orders,
    &trades,
    &balances,
    &accounts,
    &keys,
    &status_of,
    &status,
    &subscribe,
    &unsubscribe,
    &submit_list,
    &cancel_list,
    &lists,
    &amend,
    &prevented,
    &amendments,
    &venue_takes,
    &key_addresses};

}  // namespace tenon::engine
