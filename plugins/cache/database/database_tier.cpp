// SPDX-License-Identifier: Apache-2.0
#include "plugins/cache/database/database_tier.hpp"

#include <algorithm>
#include <string>

namespace tenon::database_cache {
namespace {

constexpr std::string_view k_make_sqlite =
    "CREATE TABLE IF NOT EXISTS tenon_cache_entries (key BLOB PRIMARY KEY, value BLOB NOT NULL, "
    "expires_real_ns INTEGER NOT NULL) STRICT";
constexpr std::string_view k_make_postgres =
    "CREATE UNLOGGED TABLE IF NOT EXISTS tenon_cache_entries (key bytea PRIMARY KEY, "
    "value bytea NOT NULL, expires_real_ns bigint NOT NULL)";
constexpr std::string_view k_make_index =
    "CREATE INDEX IF NOT EXISTS tenon_cache_entries_expiry ON tenon_cache_entries "
    "(expires_real_ns)";
constexpr std::string_view k_get =
    "SELECT value, expires_real_ns FROM tenon_cache_entries WHERE key = ? AND expires_real_ns > ?";
constexpr std::string_view k_put =
    "INSERT INTO tenon_cache_entries (key, value, expires_real_ns) VALUES (?, ?, ?) "
    "ON CONFLICT (key) DO UPDATE SET value = excluded.value, "
    "expires_real_ns = excluded.expires_real_ns";
constexpr std::string_view k_erase = "DELETE FROM tenon_cache_entries WHERE key = ?";
constexpr std::string_view k_clear_all =
    "DELETE FROM tenon_cache_entries WHERE key IN (SELECT key FROM tenon_cache_entries LIMIT ?)";
constexpr std::string_view k_clear_from =
    "DELETE FROM tenon_cache_entries WHERE key IN (SELECT key FROM tenon_cache_entries "
    "WHERE key >= ? LIMIT ?)";
constexpr std::string_view k_clear_between =
    "DELETE FROM tenon_cache_entries WHERE key IN (SELECT key FROM tenon_cache_entries "
    "WHERE key >= ? AND key < ? LIMIT ?)";
constexpr std::string_view k_expire =
    "DELETE FROM tenon_cache_entries WHERE key IN (SELECT key FROM tenon_cache_entries "
    "WHERE expires_real_ns <= ? ORDER BY expires_real_ns LIMIT ?)";
constexpr std::string_view k_count = "SELECT count(*) FROM tenon_cache_entries";
constexpr std::string_view k_evict =
    "DELETE FROM tenon_cache_entries WHERE key IN (SELECT key FROM tenon_cache_entries "
    "ORDER BY expires_real_ns LIMIT ?)";

// The first text after all that begin with the prefix; empty: there is none.
std::string after_prefix(std::string_view prefix) {
    std::string next{prefix};
    while (!next.empty() && static_cast<unsigned char>(next.back()) == 0xff) {
        next.pop_back();
    }
    if (!next.empty()) {
        next.back() = static_cast<char>(static_cast<unsigned char>(next.back()) + 1);
    }
    return next;
}

}  // namespace

DatabaseTier::DatabaseTier(Storage storage, Service<tenon_clock_1> clock, TierOptions options)
    : storage_{storage},
      clock_{clock},
      options_{options},
      ahead_ns_{clock_->now_real_ns(clock_.self) - clock_->now_ns(clock_.self)} {}

std::int64_t DatabaseTier::deadline_ns() const noexcept {
    return clock_->now_ns(clock_.self) + std::chrono::nanoseconds{options_.timeout}.count();
}

std::int64_t DatabaseTier::real_ns() const noexcept {
    return clock_->now_real_ns(clock_.self);
}

std::int64_t DatabaseTier::stored_ns(std::int64_t now_ns) const noexcept {
    return options_.shared ? real_ns() : now_ns + ahead_ns_;
}

template <class Body>
void DatabaseTier::write(Body body) const {
    auto options = sized<tenon_transaction_options>();
    options.intent = TENON_INTENT_WRITE;
    options.deadline_ns = deadline_ns();
    options.durability = TENON_DURABILITY_LOCAL;
    (void)storage_.transact(options, body);
}

template <class... Values>
std::uint64_t DatabaseTier::delete_all(std::string_view sql, Values... values) const {
    std::uint64_t sum = 0;
    for (;;) {
        std::uint64_t deleted = 0;
        write([&](Session& session) {
            session.prepare(sql).bind_all(values..., options_.batch).run();
            deleted = session.changes();
        });
        sum += deleted;
        if (deleted < options_.batch) {
            return sum;
        }
    }
}

void DatabaseTier::make_table() {
    if (made_.load()) {
        return;
    }
    const std::lock_guard lock{making_};
    if (made_.load()) {
        return;
    }
    const bool postgres = storage_.dialect() == "postgres";
    for (bool again = false;; again = true) {
        try {
            write([&](Session& session) {
                session.execute(postgres ? k_make_postgres : k_make_sqlite);
                session.execute(k_make_index);
            });
            break;
        } catch (const StorageError& e) {
            // Two servers may make it at once; PostgreSQL refuses one of them.
            if (again || !postgres || e.failure() != Failure::constraint) {
                throw;
            }
        }
    }
    made_.store(true);
}

std::optional<std::int64_t>
DatabaseTier::get(std::string_view key, std::int64_t now_ns, const Reader& reader) {
    make_table();
    std::optional<std::int64_t> expires_ns;
    std::string value;
    const std::int64_t now_real_ns = stored_ns(now_ns);
    auto options = sized<tenon_transaction_options>();
    options.intent = TENON_INTENT_READ;  // of the newest rows: a replica may not have an erase yet
    options.deadline_ns = deadline_ns();
    (void)storage_.transact(options, [&](Session& session) {
        auto statement = session.prepare(k_get);
        statement.bind_all(bytes(key), now_real_ns);
        expires_ns.reset();
        if (statement.step()) {
            value = statement.blob(0);
            expires_ns = now_ns + (statement.integer(1) - now_real_ns);
        }
    });
    if (!expires_ns) {
        counters_.misses.fetch_add(1, std::memory_order_relaxed);
        return std::nullopt;
    }
    counters_.hits.fetch_add(1, std::memory_order_relaxed);
    reader(value);
    return expires_ns;
}

void DatabaseTier::put(
    std::string_view key,
    std::string_view value,
    std::int64_t now_ns,
    std::int64_t ttl_ns
) {
    if (value.size() > options_.value_bytes_max) {
        throw Error{
            TENON_INVALID,
            "a value of " + std::to_string(value.size()) + " bytes, at most " +
                std::to_string(options_.value_bytes_max) + " are kept"};
    }
    make_table();
    const std::int64_t now_real_ns = stored_ns(now_ns);
    const std::int64_t expires_ns =
        ttl_ns > INT64_MAX - now_real_ns ? INT64_MAX : now_real_ns + ttl_ns;
    write([&](Session& session) {
        session.prepare(k_put).bind_all(bytes(key), bytes(value), expires_ns).run();
    });
    counters_.puts.fetch_add(1, std::memory_order_relaxed);
}

bool DatabaseTier::erase(std::string_view key) {
    make_table();
    std::uint64_t erased = 0;
    write([&](Session& session) {
        session.prepare(k_erase).bind_all(bytes(key)).run();
        erased = session.changes();
    });
    counters_.erased.fetch_add(erased, std::memory_order_relaxed);
    return erased != 0;
}

void DatabaseTier::clear(std::string_view prefix) {
    make_table();
    const std::string end = after_prefix(prefix);
    const std::uint64_t erased = prefix.empty() ? delete_all(k_clear_all)
                                 : end.empty()
                                     ? delete_all(k_clear_from, bytes(prefix))
                                     : delete_all(k_clear_between, bytes(prefix), bytes(end));
    counters_.erased.fetch_add(erased, std::memory_order_relaxed);
}

void DatabaseTier::sweep() {
    make_table();
    counters_.expired.fetch_add(delete_all(k_expire, real_ns()), std::memory_order_relaxed);
    std::uint64_t entries = 0;
    storage_.read(deadline_ns(), [&](Session& session) {
        auto statement = session.prepare(k_count);
        entries = statement.step() ? statement.as<std::uint64_t>(0) : 0;
    });
    while (entries > options_.entries_max) {
        const std::uint64_t batch =
            std::min<std::uint64_t>(entries - options_.entries_max, options_.batch);
        std::uint64_t deleted = 0;
        write([&](Session& session) {
            session.prepare(k_evict).bind_all(batch).run();
            deleted = session.changes();
        });
        counters_.evicted.fetch_add(deleted, std::memory_order_relaxed);
        if (deleted == 0) {
            break;
        }
        entries -= std::min(entries, deleted);
    }
    counters_.entries.store(entries, std::memory_order_relaxed);
}

}  // namespace tenon::database_cache
