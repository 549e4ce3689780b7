// SPDX-License-Identifier: Apache-2.0
// A storage on one SQLite file, a writer and a few readers, without group commit: the reference of
// the storage suite, and what it looks like when a rule is broken.
#include "sdk/conformance/broken/fault.hpp"

#include <tenon/storage.hpp>

#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

struct tenon_statement {
    tenon_session* session;
    sqlite3_stmt* raw;
};

struct tenon_session {
    sqlite3* db = nullptr;
    bool writes = false, open = false;
    std::map<std::string, tenon_statement, std::less<>> statements;
};

namespace tenon::broken {
namespace {

constexpr std::size_t k_readers = 4;

// What SQLite said, as the contract has it.
tenon_status sql_error(const tenon_session& session, tenon_err* err) {
    const int code = sqlite3_errcode(session.db);
    const char* const said = sqlite3_errmsg(session.db);
    if (code == SQLITE_CONSTRAINT) {
        const bool wrong = fault("storage.not-retryable");
        return fail(
            err,
            fault("storage.constraints") ? TENON_INTERNAL : TENON_CONFLICT,
            said,
            wrong ? TENON_ERR_RETRYABLE : 0
        );
    }
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED) {
        return fail(err, TENON_UNAVAILABLE, said, TENON_ERR_RETRYABLE);
    }
    if (code == SQLITE_ERROR || code == SQLITE_RANGE || code == SQLITE_MISUSE) {
        return fault("storage.bad-sql") ? TENON_INTERNAL : fail(err, TENON_INVALID, said);
    }
    return fail(err, code == SQLITE_READONLY ? TENON_DENIED : TENON_INTERNAL, said);
}

tenon_status run(tenon_session& session, const std::string& sql, tenon_err* err) {
    return sqlite3_exec(session.db, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK
               ? TENON_OK
               : sql_error(session, err);
}

void reset_all(tenon_session& session) {
    for (auto& [sql, statement] : session.statements) {
        sqlite3_reset(statement.raw);
    }
}

tenon_status end(tenon_session& session, const char* how, tenon_err* err) {
    reset_all(session);
    session.open = false;
    return run(session, how, err);
}

class Storage : public Plugin {
public:
    explicit Storage(const tenon_host* raw) : Plugin{raw} {
        provide("tenon.storage/1", this, &k_table);
    }

    void configure(std::string_view, bool) override {}

    void start() override {
        clock_ = host().service<tenon_clock_1>("tenon.clock/1");
        path_ = host().environment("data_dir") + "/reference.db";
        writer_ = open(true);
        free_.clear();
        all_.clear();
        for (std::size_t i = 0; i < k_readers; ++i) {
            all_.push_back(open(fault("storage.read-only")));
            free_.push_back(all_.back().get());
        }
        stats_ = {};
    }

    void stop() noexcept override {
        if (writer_ && writer_->open) {
            (void)end(*writer_, "COMMIT", nullptr);
        }
        for (auto& reader : all_) {
            close(*reader);
        }
        all_.clear();
        if (writer_) {
            close(*writer_);
            writer_.reset();
        }
        if (fault("storage.reopen")) {
            (void)std::remove(path_.c_str());
        }
    }

private:
    static Storage& of(void* self) noexcept { return *static_cast<Storage*>(self); }

    std::unique_ptr<tenon_session> open(bool writes) {
        auto session = std::make_unique<tenon_session>();
        session->writes = writes;
        if (sqlite3_open(path_.c_str(), &session->db) != SQLITE_OK) {
            throw Error{TENON_UNAVAILABLE, "cannot open " + path_};
        }
        sqlite3_busy_timeout(session->db, 10'000);
        const std::string pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; ";
        if (run(*session, pragmas + (writes ? "" : "PRAGMA query_only=1"), nullptr) != TENON_OK) {
            throw Error{TENON_UNAVAILABLE, "cannot set up " + path_};
        }
        return session;
    }

    static void close(tenon_session& session) {
        for (auto& [sql, statement] : session.statements) {
            sqlite3_finalize(statement.raw);
        }
        sqlite3_close(session.db);
    }

    // A free session of the kind; nullptr at the deadline.
    tenon_session* take(std::uint32_t intent, std::int64_t deadline_ns) {
        std::unique_lock lock{mutex_};
        const auto there = [&] {
            return intent == TENON_INTENT_WRITE ? !writer_taken_ : !free_.empty();
        };
        const std::int64_t left = deadline_ns - clock_->now_ns(clock_.self);
        const std::int64_t late = fault("storage.deadline") ? 4'000'000'000 : 0;
        const std::int64_t most = 3'600'000'000'000;
        const std::chrono::nanoseconds patience{std::clamp<std::int64_t>(left, 0, most) + late};
        if (!released_.wait_for(lock, patience, there)) {
            ++stats_.lease_timeouts;
            return nullptr;
        }
        stats_.leases += fault("storage.stats") ? 0U : 1U;
        ++stats_.in_use;
        if (intent == TENON_INTENT_WRITE) {
            writer_taken_ = true;
            return writer_.get();
        }
        tenon_session* const session = free_.back();
        free_.pop_back();
        return session;
    }

    void give_back(tenon_session* session) {
        const std::lock_guard lock{mutex_};
        --stats_.in_use;
        if (session == writer_.get()) {
            writer_taken_ = false;
        } else {
            free_.push_back(session);
        }
        released_.notify_all();
    }

    tenon_status transact(
        std::uint32_t intent,
        std::int64_t deadline_ns,
        tenon_transaction_fn fn,
        void* ctx,
        tenon_err* err
    ) {
        if (fault("storage.exclusive") && intent == TENON_INTENT_WRITE) {
            const auto own = open(true);
            const tenon_status status = fn(ctx, own.get(), err);
            close(*own);
            return status;
        }
        tenon_session* const session = take(intent, deadline_ns);
        if (session == nullptr) {
            return fail(err, TENON_TIMEOUT, "no session before the deadline");
        }
        // Several transactions as one, for the faults that acknowledge too early.
        const bool grouped = intent == TENON_INTENT_WRITE &&
                             (fault("storage.durable") || fault("storage.failures-alone"));
        tenon_status status = TENON_OK;
        if (!session->open) {
            status = begin(*session, err);
        }
        if (status == TENON_OK) {
            status = fn(ctx, session, err);
            const bool keep = status == TENON_OK || fault("storage.commit");
            ++group_;
            const bool due = fault("storage.durable") ? group_ == 1 : group_ % 16 == 0;
            if (!grouped || !keep || due) {
                ErrorBuffer why;
                const tenon_status ended = end(*session, keep ? "COMMIT" : "ROLLBACK", &why);
                status = status == TENON_OK && ended < 0 ? fail(err, ended, why.message()) : status;
            }
        }
        {
            const std::lock_guard lock{mutex_};
            stats_.transactions += fault("storage.stats") ? 0U : 1U;
        }
        give_back(session);
        return status;
    }

    static tenon_status begin(tenon_session& session, tenon_err* err) {
        if (fault("storage.snapshot") && !session.writes) {
            return TENON_OK;
        }
        const tenon_status status =
            run(session,
                session.writes && !fault("storage.read-only") ? "BEGIN IMMEDIATE" : "BEGIN",
                err);
        session.open = status == TENON_OK;
        return status;
    }

    static tenon_status
    prepare(tenon_session& session, std::string sql, tenon_statement** out, tenon_err* err) {
        if (fault("storage.ordered")) {
            sql = sql.substr(0, sql.find(" ORDER BY"));
        }
        auto found = session.statements.find(sql);
        if (found == session.statements.end()) {
            sqlite3_stmt* raw = nullptr;
            const char* tail = nullptr;
            const int size = static_cast<int>(sql.size());
            if (sqlite3_prepare_v2(session.db, sql.data(), size, &raw, &tail) != SQLITE_OK) {
                return sql_error(session, err);
            }
            const bool rest = tail != nullptr && tail != sql.data() + size;
            if (raw == nullptr || rest) {
                sqlite3_finalize(raw);
                return fail(err, TENON_INVALID, raw == nullptr ? "no SQL" : "two statements");
            }
            found = session.statements.emplace(sql, tenon_statement{&session, raw}).first;
        } else if (!fault("storage.prepared")) {
            sqlite3_reset(found->second.raw);
            sqlite3_clear_bindings(found->second.raw);
        }
        *out = &found->second;
        return TENON_OK;
    }

    static tenon_status bind(
        tenon_statement& statement,
        std::uint32_t index,
        const tenon_value& value,
        tenon_err* err
    ) {
        sqlite3_stmt* const raw = statement.raw;
        if (index == 0 || index > static_cast<std::uint32_t>(sqlite3_bind_parameter_count(raw))) {
            return fault("storage.bad-parameters") ? TENON_OK
                                                   : fail(err, TENON_INVALID, "no such parameter");
        }
        const int at = static_cast<int>(index);
        const auto* const bytes = static_cast<const char*>(value.b.p == nullptr ? "" : value.b.p);
        auto size = static_cast<int>(value.b.n);
        int code = SQLITE_OK;
        switch (value.kind) {
            case TENON_VALUE_INT64:
                code = sqlite3_bind_int64(
                    raw,
                    at,
                    fault("storage.integers")
                        ? static_cast<std::int64_t>(static_cast<double>(value.i / 2)) * 2
                        : value.i
                );
                break;
            case TENON_VALUE_REAL:
                code = sqlite3_bind_double(raw, at, value.r);
                break;
            case TENON_VALUE_TEXT:
                size = fault("storage.values") ? static_cast<int>(strnlen(bytes, value.b.n)) : size;
                code = size == 0 && fault("storage.empty-and-null")
                           ? sqlite3_bind_null(raw, at)
                           : sqlite3_bind_text(raw, at, bytes, size, SQLITE_TRANSIENT);
                break;
            case TENON_VALUE_BLOB:
                code = sqlite3_bind_blob(raw, at, bytes, size, SQLITE_TRANSIENT);
                break;
            default:
                code = sqlite3_bind_null(raw, at);
        }
        return code == SQLITE_OK ? TENON_OK : sql_error(*statement.session, err);
    }

    static tenon_status step(tenon_statement& statement, std::uint32_t* row, tenon_err* err) {
        const int code = sqlite3_step(statement.raw);
        *row = code == SQLITE_ROW ? 1 : 0;
        if (code == SQLITE_ROW) {
            return TENON_OK;
        }
        const tenon_status status =
            code == SQLITE_DONE ? TENON_OK : sql_error(*statement.session, err);
        sqlite3_reset(statement.raw);
        if (fault("storage.bindings-stay")) {
            sqlite3_clear_bindings(statement.raw);
        }
        return status;
    }

    static tenon_status column(tenon_statement& statement, std::uint32_t index, tenon_value* out) {
        if (index >= static_cast<std::uint32_t>(sqlite3_column_count(statement.raw))) {
            return TENON_INVALID;
        }
        const int at = static_cast<int>(index);
        *out = {};
        switch (sqlite3_column_type(statement.raw, at)) {
            case SQLITE_INTEGER:
                out->kind = TENON_VALUE_INT64;
                out->i = sqlite3_column_int64(statement.raw, at);
                break;
            case SQLITE_FLOAT:
                out->kind = TENON_VALUE_REAL;
                out->r = sqlite3_column_double(statement.raw, at);
                break;
            case SQLITE_TEXT:
                out->kind = TENON_VALUE_TEXT;
                out->b.p = sqlite3_column_text(statement.raw, at);
                break;
            case SQLITE_BLOB:
                out->kind = TENON_VALUE_BLOB;
                out->b.p = sqlite3_column_blob(statement.raw, at);
                break;
            default:
                return TENON_OK;
        }
        out->b.n = static_cast<std::size_t>(sqlite3_column_bytes(statement.raw, at));
        return TENON_OK;
    }

    static tenon_status bulk_insert(
        tenon_session& session,
        const std::string& table,
        const std::vector<std::string>& columns,
        const tenon_value* values,
        std::uint64_t rows,
        tenon_err* err
    ) {
        std::string names, marks;
        for (const std::string& column : columns) {
            names.append(names.empty() ? "" : ",").append(column);
            marks.append(marks.empty() ? "?" : ",?");
        }
        tenon_statement* insert = nullptr;
        tenon_status status = prepare(
            session,
            "INSERT INTO " + table + " (" + names + ") VALUES (" + marks + ")",
            &insert,
            err
        );
        rows -= fault("storage.bulk") ? 1U : 0U;
        for (std::uint64_t row = 0; row < rows && status == TENON_OK; ++row) {
            for (std::uint32_t i = 0; i < columns.size() && status == TENON_OK; ++i) {
                status = bind(*insert, i + 1, *values++, err);
            }
            std::uint32_t ignored = 0;
            status = status == TENON_OK ? step(*insert, &ignored, err) : status;
        }
        return status;
    }

    static tenon_status
    explain(tenon_session& session, std::string_view sql, tenon_sink sink, tenon_err* err) {
        tenon_statement* plan = nullptr;
        tenon_status status =
            prepare(session, "EXPLAIN QUERY PLAN " + std::string{sql}, &plan, err);
        std::uint32_t row = 0;
        while (status == TENON_OK && (status = step(*plan, &row, err)) == TENON_OK && row != 0) {
            tenon_value detail{};
            (void)column(*plan, 3, &detail);
            status = fault("storage.explain") ? TENON_OK : sink.put(sink.ctx, detail.b);
        }
        return status;
    }

    static const tenon_storage_1 k_table;

    Service<tenon_clock_1> clock_;
    std::string path_;
    std::mutex mutex_;
    std::condition_variable released_;
    std::unique_ptr<tenon_session> writer_;
    std::vector<std::unique_ptr<tenon_session>> all_;
    std::vector<tenon_session*> free_;
    bool writer_taken_ = false;
    std::uint64_t group_ = 0;
    tenon_storage_stats stats_{};
};

const tenon_storage_1 Storage::k_table{
    sizeof(tenon_storage_1),
    0,
    [](void*) noexcept { return str(fault("storage.dialect") ? "SQL" : "sqlite"); },
    [](void* self,
       std::uint32_t intent,
       std::int64_t deadline_ns,
       tenon_transaction_fn fn,
       void* ctx,
       tenon_err* err) noexcept {
        return guard(err, [&] { return of(self).transact(intent, deadline_ns, fn, ctx, err); });
    },
    [](void* self,
       std::uint32_t intent,
       std::int64_t deadline_ns,
       tenon_session** out,
       tenon_err* err) noexcept {
        return guard(err, [&]() -> tenon_status {
            *out = of(self).take(intent, deadline_ns);
            return *out == nullptr ? fail(err, TENON_TIMEOUT, "no session before the deadline")
                                   : TENON_OK;
        });
    },
    [](void* self, tenon_session* session) noexcept {
        if (session->open) {
            (void)end(*session, fault("storage.lease") ? "COMMIT" : "ROLLBACK", nullptr);
        }
        of(self).give_back(session);
    },
    [](tenon_session* session, tenon_err* err) noexcept { return begin(*session, err); },
    [](tenon_session* session, tenon_err* err) noexcept {
        return session->open ? end(*session, "COMMIT", err) : TENON_OK;
    },
    [](tenon_session* session, tenon_err* err) noexcept {
        return session->open ? end(*session, "ROLLBACK", err) : TENON_OK;
    },
    [](tenon_session* session, tenon_str sql, tenon_err* err) noexcept {
        return guard(err, [&] { return run(*session, std::string{view(sql)}, err); });
    },
    [](tenon_session* session, tenon_str sql, tenon_statement** out, tenon_err* err) noexcept {
        return guard(err, [&] { return prepare(*session, std::string{view(sql)}, out, err); });
    },
    [](tenon_statement* statement, std::uint32_t index, const tenon_value* value, tenon_err* err
    ) noexcept { return bind(*statement, index, *value, err); },
    [](tenon_statement* statement, std::uint32_t* row, tenon_err* err) noexcept {
        return step(*statement, row, err);
    },
    [](tenon_statement* statement) noexcept {
        return static_cast<std::uint32_t>(sqlite3_column_count(statement->raw));
    },
    [](tenon_statement* statement, std::uint32_t index) noexcept {
        const char* const name = sqlite3_column_name(statement->raw, static_cast<int>(index));
        return str(name == nullptr || fault("storage.columns") ? "" : name);
    },
    [](tenon_statement* statement, std::uint32_t index, tenon_value* out) noexcept {
        return column(*statement, index, out);
    },
    [](tenon_session* session) noexcept {
        return fault("storage.changes") ? std::uint64_t{0}
                                        : static_cast<std::uint64_t>(sqlite3_changes(session->db));
    },
    [](tenon_session* session,
       tenon_str table,
       const tenon_str* columns,
       std::uint32_t column_count,
       const tenon_value* values,
       std::uint64_t row_count,
       tenon_err* err) noexcept {
        return guard(err, [&] {
            std::vector<std::string> names;
            for (std::uint32_t i = 0; i < column_count; ++i) {
                names.emplace_back(view(columns[i]));
            }
            return bulk_insert(*session, std::string{view(table)}, names, values, row_count, err);
        });
    },
    [](tenon_session* session, tenon_str sql, tenon_sink sink, tenon_err* err) noexcept {
        return guard(err, [&] { return explain(*session, view(sql), sink, err); });
    },
    [](void* self, tenon_storage_stats* out) noexcept -> tenon_status {
        const std::lock_guard lock{of(self).mutex_};
        tenon_storage_stats now = of(self).stats_;
        now.size = out->size;
        now.limit = k_readers;
        now.idle = static_cast<std::uint32_t>(of(self).free_.size());
        std::memcpy(out, &now, std::min<std::size_t>(out->size, sizeof now));
        return TENON_OK;
    },
    nullptr,
    nullptr,
    nullptr,
    nullptr,
    nullptr,
    nullptr};

}  // namespace
}  // namespace tenon::broken

TENON_EXPORT_PLUGIN(tenon::broken::Storage)
