// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/gate.hpp"

namespace tenon::postgres {

Gate::~Gate() {
    (void)close();
    for (auto& database : all_) {
        if (database->stop(0) != 0) {
            (void)database.release();
        }
    }
}

void Gate::open(std::unique_ptr<Database> database) {
    const std::lock_guard lock{mutex_};
    all_.push_back(std::move(database));
    behind_ = all_.back().get();
}

std::uint32_t Gate::close(std::int64_t patience_ns) noexcept {
    Database* const database = behind_.exchange(nullptr);
    return database != nullptr ? database->stop(patience_ns) : 0;
}

Database& Gate::database() const {
    Database* const database = behind();
    if (database == nullptr) {
        throw StorageError{TENON_UNAVAILABLE, "the database is not open", Failure::permanent};
    }
    return *database;
}

StorageSession& Gate::lease(std::uint32_t intent, std::int64_t deadline_ns) {
    return database().lease(intent, deadline_ns);
}

void Gate::release(StorageSession& session) noexcept {
    Database* lender = behind();
    if (lender == nullptr || !lender->owns(session)) {
        lender = nullptr;
        const std::lock_guard lock{mutex_};
        for (const auto& database : all_) {
            lender = database->owns(session) ? database.get() : lender;
        }
    }
    if (lender != nullptr) {
        lender->release(session);
    }
}

void Gate::stats(tenon_storage_stats& out) {
    database().stats(out);
}

tenon_status Gate::transact(
    std::uint32_t intent,
    std::int64_t deadline_ns,
    tenon_transaction_fn fn,
    void* ctx,
    tenon_err* err
) {
    return database().transact(intent, deadline_ns, fn, ctx, err);
}

tenon_status Gate::transact_with(
    const tenon_transaction_options& options,
    tenon_transaction_fn fn,
    void* ctx,
    tenon_sink position,
    tenon_err* err
) {
    return database().transact_with(options, fn, ctx, position, err);
}

tenon_status
Gate::run_query(const tenon_query& query, tenon_row_fn row, void* ctx, tenon_err* err) {
    return database().run_query(query, row, ctx, err);
}

std::string Gate::statements() {
    return database().statements();
}

tenon_iface Gate::clone(bool with_rows, std::int64_t deadline_ns) {
    return database().clone(with_rows, deadline_ns);
}

void Gate::drop_clone(tenon_iface clone) noexcept {
    if (Database* const database = behind()) {  // else it went with the stop
        database->drop_clone(clone);
    }
}

void Gate::check(bool deep, std::int64_t deadline_ns) {
    database().check(deep, deadline_ns);
}

}  // namespace tenon::postgres
