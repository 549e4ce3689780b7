// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/gate.hpp"

#include <utility>

namespace tenon::postgres {

Gate::~Gate() {
    (void)close();
    for (const auto& database : left_) {
        if (database->stop(0) != 0) {
            // Somebody may come back to it.
            (void)new std::shared_ptr<Database>{database};
        }
    }
}

void Gate::open(std::shared_ptr<Database> database) {
    behind_ = std::move(database);
}

std::uint32_t Gate::close(std::int64_t patience_ns) noexcept {
    const std::shared_ptr<Database> database = behind();
    if (!database) {
        return 0;
    }
    {
        const std::lock_guard lock{mutex_};
        left_.push_back(database);  // its sessions come back meanwhile
    }
    behind_.store(nullptr);
    const std::uint32_t out = database->stop(patience_ns);
    const std::lock_guard lock{mutex_};
    std::erase_if(left_, [](const auto& one) { return one->stop(0) == 0; });
    return out;
}

std::shared_ptr<Database> Gate::database() const {
    std::shared_ptr<Database> database = behind();
    if (!database) {
        throw StorageError{TENON_UNAVAILABLE, "the database is not open", Failure::permanent};
    }
    return database;
}

StorageSession& Gate::lease(std::uint32_t intent, std::int64_t deadline_ns) {
    return database()->lease(intent, deadline_ns);
}

void Gate::release(StorageSession& session) noexcept {
    std::shared_ptr<Database> lender = behind();
    if (!lender || !lender->owns(session)) {
        lender.reset();
        const std::lock_guard lock{mutex_};
        for (const auto& database : left_) {
            lender = database->owns(session) ? database : lender;
        }
    }
    if (lender) {
        lender->release(session);
    }
}

void Gate::stats(tenon_storage_stats& out) {
    database()->stats(out);
}

tenon_status Gate::transact(
    std::uint32_t intent,
    std::int64_t deadline_ns,
    tenon_transaction_fn fn,
    void* ctx,
    tenon_err* err
) {
    return database()->transact(intent, deadline_ns, fn, ctx, err);
}

tenon_status Gate::transact_with(
    const tenon_transaction_options& options,
    tenon_transaction_fn fn,
    void* ctx,
    tenon_sink position,
    tenon_err* err
) {
    return database()->transact_with(options, fn, ctx, position, err);
}

tenon_status
Gate::run_query(const tenon_query& query, tenon_row_fn row, void* ctx, tenon_err* err) {
    return database()->run_query(query, row, ctx, err);
}

std::string Gate::statements() {
    return database()->statements();
}

tenon_iface Gate::clone(bool with_rows, std::int64_t deadline_ns) {
    return database()->clone(with_rows, deadline_ns);
}

void Gate::drop_clone(tenon_iface clone) noexcept {
    if (const auto database = behind()) {  // else it went with the stop
        database->drop_clone(clone);
    }
}

void Gate::check(bool deep, std::int64_t deadline_ns) {
    database()->check(deep, deadline_ns);
}

}  // namespace tenon::postgres
