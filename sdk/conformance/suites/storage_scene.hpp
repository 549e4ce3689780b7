// SPDX-License-Identifier: Apache-2.0
// A storage under test, with tables that no other check, and no other user of the server, has.
#pragma once

#include "sdk/conformance/suites/suites.hpp"

#include <tenon/storage.hpp>

#include <string>
#include <unistd.h>
#include <vector>

namespace tenon::suites {

inline constexpr std::int64_t k_ms = 1'000'000;
inline constexpr std::int64_t k_patience = 20'000 * k_ms;
inline constexpr std::int64_t k_cleaning = 2'000 * k_ms;

// The SQL with each name in braces made a table's of this process alone, so that checks that run at
// once on one server stay apart, and nobody's table is touched: {t} is tenon_kit_PID_t.
[[nodiscard]] inline std::string operator""_sql(const char* text, std::size_t size) {
    static const std::string k_prefix = "tenon_kit_" + std::to_string(::getpid()) + "_";
    std::string sql;
    for (const char c : std::string_view{text, size}) {
        if (c == '{') {
            sql += k_prefix;
        } else if (c != '}') {
            sql += c;
        }
    }
    return sql;
}

// A started storage with the tables of a check, which are gone when it is.
class Database {
public:
    enum class Tables : std::uint8_t { none, fresh, left_by_another };

    explicit Database(Bench& bench, Tables tables = Tables::fresh)
        : bench_{bench}, instance_{bench.open()}, owner_{::getpid()} {
        storage_ = Storage{instance_->service<tenon_storage_1>("tenon.storage/1")};
        if (tables == Tables::fresh) {
            drop();
            write([](Session& s) {
                s.execute(
                    "CREATE TABLE {t} (id BIGINT PRIMARY KEY, name TEXT, amount BIGINT, "
                    "CONSTRAINT amount_not_negative CHECK (amount >= 0))"_sql
                );
            });
        }
    }

    ~Database() {
        if (owner_ != ::getpid()) {
            return;
        }
        try {
            drop();
        } catch (const Error&) {  // the check says what is wrong with the storage
        }
    }

    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    template <class Body>
    void write(Body&& body) const {
        storage_.write(deadline(), body);
    }

    template <class Body>
    void read(Body&& body) const {
        storage_.read(deadline(), body);
    }

    void insert(std::int64_t id, std::int64_t amount = 0) const {
        write([&](Session& s) {
            s.prepare("INSERT INTO {t} (id, name, amount) VALUES (?, ?, ?)"_sql)
                .bind_all(id, "row", amount)
                .run();
        });
    }

    // The first column of every row.
    [[nodiscard]] std::vector<std::int64_t> numbers(std::string_view sql) const {
        std::vector<std::int64_t> found;
        read([&](Session& s) {
            found.clear();
            auto query = s.prepare(sql);
            while (query.step()) {
                found.push_back(query.integer(0));
            }
        });
        return found;
    }

    [[nodiscard]] std::int64_t count() const {
        return numbers("SELECT count(*) FROM {t}"_sql).at(0);
    }

    [[nodiscard]] Lease lease(std::uint32_t intent) const {
        return storage_.lease(intent, deadline());
    }

    [[nodiscard]] std::int64_t deadline(std::int64_t in_ns = k_patience) const {
        return bench_.now_ns() + in_ns;
    }

    [[nodiscard]] const Storage& storage() const noexcept { return storage_; }

    [[nodiscard]] Instance& instance() const noexcept { return *instance_; }

private:
    void drop() const {
        storage_.write(deadline(k_cleaning), [](Session& s) {
            for (const auto& table : {"{t}"_sql, "{i}"_sql, "{v}"_sql, "{b}"_sql}) {
                s.execute("DROP TABLE IF EXISTS " + table);
            }
        });
    }

    Bench& bench_;
    std::unique_ptr<Instance> instance_;
    Storage storage_;
    pid_t owner_;
};

// The status that the body ends with, and what it said.
struct Ending {
    tenon_status status = TENON_OK;
    bool retryable = false;
    std::string message;
};

template <class Body>
[[nodiscard]] Ending ending_of(Body&& body) {
    try {
        body();
    } catch (const StorageError& e) {
        return {e.code(), e.retryable(), e.what()};
    } catch (const Error& e) {
        return {e.code(), false, e.what()};
    }
    return {};
}

}  // namespace tenon::suites
