// SPDX-License-Identifier: Apache-2.0
// C++ side of tenon.storage/1: transactions as lambdas, statements with typed bind and columns.
//
//   Storage storage{host.require<tenon_storage_1>("tenon.storage/1")};
//   storage.write(deadline_ns, [&](Session& s) {
//       s.prepare("INSERT INTO t(a, b) VALUES (?, ?)").bind_all(1, "x").run();
//   });
//
// Everything here blocks: [io] threads only. Failures throw StorageError. A lambda may run more
// than once and on another thread: no effect but through the session.
#pragma once

#include <tenon/abi/storage.h>
#include <tenon/plugin.hpp>

#include <concepts>
#include <cstdint>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace tenon {

inline constexpr std::int64_t k_no_deadline = INT64_MAX;

// A failure of the storage. retryable(): the same transaction may be tried again.
class StorageError : public Error {
public:
    StorageError(tenon_status status, std::string message, bool retryable)
        : Error{status, std::move(message)}, retryable_{retryable} {}

    [[nodiscard]] bool retryable() const noexcept { return retryable_; }

private:
    bool retryable_;
};

namespace detail {

inline void storage_check(tenon_status status, const ErrorBuffer& err) {
    if (status < 0) {
        std::string message{err.message()};
        if (message.empty()) {
            message = "storage failed with status " + std::to_string(status);
        }
        throw StorageError{status, std::move(message), err.retryable()};
    }
}

}  // namespace detail

[[nodiscard]] inline tenon_value null_value() noexcept {
    return {};
}

[[nodiscard]] inline tenon_value value_of(std::nullptr_t) noexcept {
    return {};
}

template <std::integral Integer>
[[nodiscard]] tenon_value value_of(Integer i) {
    if constexpr (std::is_unsigned_v<Integer> && sizeof(Integer) == sizeof(std::int64_t)) {
        if (i > static_cast<Integer>(INT64_MAX)) {
            throw Error{TENON_INVALID, "an integer does not fit into 64 signed bits"};
        }
    }
    tenon_value value{};
    value.kind = TENON_VALUE_INT64;
    value.i = static_cast<std::int64_t>(i);
    return value;
}

[[nodiscard]] inline tenon_value value_of(double r) noexcept {
    tenon_value value{};
    value.kind = TENON_VALUE_REAL;
    value.r = r;
    return value;
}

[[nodiscard]] inline tenon_value value_of(std::string_view text) noexcept {
    tenon_value value{};
    value.kind = TENON_VALUE_TEXT;
    value.b = bytes(text);
    return value;
}

[[nodiscard]] inline tenon_value value_of(const char* text) noexcept {
    return value_of(std::string_view{text});
}

[[nodiscard]] inline tenon_value value_of(const std::string& text) noexcept {
    return value_of(std::string_view{text});
}

[[nodiscard]] inline tenon_value value_of(tenon_str text) noexcept {
    return value_of(view(text));
}

// A blob; text goes as text.
[[nodiscard]] inline tenon_value value_of(tenon_bytes blob) noexcept {
    tenon_value value{};
    value.kind = TENON_VALUE_BLOB;
    value.b = blob;
    return value;
}

template <class T>
[[nodiscard]] tenon_value value_of(const std::optional<T>& maybe) {
    return maybe ? value_of(*maybe) : tenon_value{};
}

// A prepared statement of a session's cache; a handle, valid until the end of the transaction.
class Statement {
public:
    Statement(const tenon_storage_1* table, tenon_statement* raw) : table_{table}, raw_{raw} {}

    // 1-based.
    template <class T>
    Statement& bind(std::uint32_t index, const T& value) {
        const tenon_value raw = value_of(value);
        ErrorBuffer err;
        detail::storage_check(table_->bind(raw_, index, &raw, &err), err);
        return *this;
    }

    // All parameters from the first.
    template <class... T>
    Statement& bind_all(const T&... values) {
        std::uint32_t index = 0;
        (bind(++index, values), ...);
        return *this;
    }

    // True: a row is there.
    bool step() {
        ErrorBuffer err;
        std::uint32_t row = 0;
        detail::storage_check(table_->step(raw_, &row, &err), err);
        return row != 0;
    }

    // Steps to the end.
    void run() {
        while (step()) {}
    }

    [[nodiscard]] std::uint32_t column_count() const { return table_->column_count(raw_); }

    [[nodiscard]] std::string_view column_name(std::uint32_t index) const {
        return view(table_->column_name(raw_, index));
    }

    // 0-based; texts and blobs are borrowed until the next step.
    [[nodiscard]] tenon_value value(std::uint32_t index) const {
        tenon_value out{};
        const ErrorBuffer none;
        detail::storage_check(table_->column(raw_, index, &out), none);
        return out;
    }

    [[nodiscard]] bool is_null(std::uint32_t index) const {
        return value(index).kind == TENON_VALUE_NULL;
    }

    [[nodiscard]] std::int64_t integer(std::uint32_t index) const {
        return expect(index, TENON_VALUE_INT64).i;
    }

    template <std::integral Integer>
    [[nodiscard]] Integer as(std::uint32_t index) const {
        const std::int64_t wide = integer(index);
        if (!std::in_range<Integer>(wide)) {
            throw Error{TENON_CORRUPT, std::string{column_name(index)} + " is out of range"};
        }
        return static_cast<Integer>(wide);
    }

    [[nodiscard]] double real(std::uint32_t index) const {
        return expect(index, TENON_VALUE_REAL).r;
    }

    [[nodiscard]] std::string_view text(std::uint32_t index) const {
        return view(expect(index, TENON_VALUE_TEXT).b);
    }

    [[nodiscard]] std::string_view blob(std::uint32_t index) const {
        return view(expect(index, TENON_VALUE_BLOB).b);
    }

private:
    [[nodiscard]] tenon_value expect(std::uint32_t index, std::uint32_t kind) const {
        const tenon_value found = value(index);
        if (found.kind != kind) {
            throw Error{
                TENON_CORRUPT,
                "column " + std::string{column_name(index)} + " has kind " +
                    std::to_string(found.kind) + ", expected " + std::to_string(kind)};
        }
        return found;
    }

    const tenon_storage_1* table_;
    tenon_statement* raw_;
};

// A session as a handle: what a transaction's lambda gets, and what a Lease holds.
class Session {
public:
    Session(const tenon_storage_1* table, tenon_session* raw) : table_{table}, raw_{raw} {}

    [[nodiscard]] Statement prepare(std::string_view sql) {
        ErrorBuffer err;
        tenon_statement* statement = nullptr;
        detail::storage_check(table_->prepare(raw_, str(sql), &statement, &err), err);
        return {table_, statement};
    }

    void execute(std::string_view sql) {
        ErrorBuffer err;
        detail::storage_check(table_->execute(raw_, str(sql), &err), err);
    }

    void begin() {
        ErrorBuffer err;
        detail::storage_check(table_->begin(raw_, &err), err);
    }

    void commit() {
        ErrorBuffer err;
        detail::storage_check(table_->commit(raw_, &err), err);
    }

    void rollback() {
        ErrorBuffer err;
        detail::storage_check(table_->rollback(raw_, &err), err);
    }

    [[nodiscard]] std::uint64_t changes() const { return table_->changes(raw_); }

    // `values` is row-major.
    void bulk_insert(
        std::string_view table,
        std::span<const tenon_str> columns,
        std::span<const tenon_value> values
    ) {
        ErrorBuffer err;
        detail::storage_check(
            table_->bulk_insert(
                raw_,
                str(table),
                columns.data(),
                static_cast<std::uint32_t>(columns.size()),
                values.data(),
                columns.empty() ? 0 : values.size() / columns.size(),
                &err
            ),
            err
        );
    }

    [[nodiscard]] std::string explain(std::string_view sql) {
        ErrorBuffer err;
        StringSink plan;
        detail::storage_check(table_->explain(raw_, str(sql), plan.sink(), &err), err);
        return std::move(plan.text());
    }

    [[nodiscard]] tenon_session* raw() const noexcept { return raw_; }

private:
    const tenon_storage_1* table_;
    tenon_session* raw_;
};

// A connection of one's own. Gives it back, with what is open rolled back.
class Lease {
public:
    Lease(Service<tenon_storage_1> service, tenon_session* raw)
        : service_{service}, session_{service.table, raw} {}

    Lease(Lease&& other) noexcept : service_{other.service_}, session_{other.session_} {
        other.service_ = {};
    }

    Lease& operator=(Lease&&) = delete;
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    ~Lease() {
        if (service_) {
            service_->release(service_.self, session_.raw());
        }
    }

    [[nodiscard]] Session& operator*() noexcept { return session_; }

    [[nodiscard]] Session* operator->() noexcept { return &session_; }

private:
    Service<tenon_storage_1> service_;
    Session session_;
};

class Storage {
public:
    Storage() = default;

    explicit Storage(Service<tenon_storage_1> service) : service_{service} {}

    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(service_); }

    [[nodiscard]] std::string_view dialect() const {
        return view(service_->dialect(service_.self));
    }

    // Runs body(Session&) in a transaction that is durable when this returns. An exception of the
    // body rolls back and comes out here.
    template <class Body>
    void write(std::int64_t deadline_ns, Body&& body) const {
        transact(TENON_INTENT_WRITE, deadline_ns, body);
    }

    template <class Body>
    void read(std::int64_t deadline_ns, Body&& body) const {
        transact(TENON_INTENT_READ, deadline_ns, body);
    }

    [[nodiscard]] Lease lease(std::uint32_t intent, std::int64_t deadline_ns) const {
        ErrorBuffer err;
        tenon_session* raw = nullptr;
        detail::storage_check(service_->lease(service_.self, intent, deadline_ns, &raw, &err), err);
        return {service_, raw};
    }

    [[nodiscard]] tenon_storage_stats stats() const {
        tenon_storage_stats stats{};
        stats.size = sizeof stats;
        const ErrorBuffer none;
        detail::storage_check(service_->stats(service_.self, &stats), none);
        return stats;
    }

    [[nodiscard]] Service<tenon_storage_1> service() const noexcept { return service_; }

private:
    template <class Body>
    void transact(std::uint32_t intent, std::int64_t deadline_ns, Body& body) const {
        struct Call {
            Body& body;
            const tenon_storage_1* table;
            std::exception_ptr failure;
        } call{body, service_.table, nullptr};

        const auto run = [](void* ctx, tenon_session* raw, tenon_err* err
                         ) noexcept -> tenon_status {
            auto& mine = *static_cast<Call*>(ctx);
            mine.failure = nullptr;
            try {
                Session session{mine.table, raw};
                mine.body(session);
                return TENON_OK;
            } catch (const StorageError& e) {
                mine.failure = std::current_exception();
                return fail(err, e.code(), e.what(), e.retryable() ? TENON_ERR_RETRYABLE : 0);
            } catch (const Error& e) {
                mine.failure = std::current_exception();
                return fail(err, e.code(), e.what());
            } catch (...) {
                mine.failure = std::current_exception();
                return fail(err, TENON_INTERNAL, "the transaction threw");
            }
        };
        ErrorBuffer err;
        const tenon_status status =
            service_->transact(service_.self, intent, deadline_ns, run, &call, &err);
        if (status < 0 && call.failure) {
            std::rethrow_exception(call.failure);
        }
        detail::storage_check(status, err);
    }

    Service<tenon_storage_1> service_;
};

}  // namespace tenon
