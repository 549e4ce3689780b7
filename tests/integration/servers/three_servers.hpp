// SPDX-License-Identifier: Apache-2.0
// Servers as they are deployed, each with a stack over a memory tier and the Redis tier and with
// storage of its own, beside one Redis and one PostgreSQL; and accounts that they all trade for.
//
// What a server does for an order is what every plugin does: one transaction, then the event, then
// the acknowledgement. Settings are the manifests' own, unless a test gives others.
#pragma once

#include "tests/integration/servers/history.hpp"
#include "tests/integration/servers/plugin_config.hpp"
#include "tests/support/fake_host.hpp"
#include "tests/support/loaded_plugin.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/redis_server.hpp"

#include <tenon/cache.hpp>
#include <tenon/storage.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

namespace tenon::test {

// Longer than a busy machine needs, short enough to end a test that hangs.
inline constexpr auto k_patience = std::chrono::seconds{30};

// What a view of an account says.
struct Seen {
    std::int64_t version = 0, amount = 0;
};

class TradingServer {
public:
    // `stack`: settings of the stack that are not the manifest's.
    TradingServer(
        const RedisServer& redis,
        const PostgresServer& postgres,
        const std::string& database,
        const boost::json::object& stack
    ) {
        host.set_environment("data_dir", folder_.path().string());
        host.set_environment("instance", "storage");
        storage_plugin_ = std::make_unique<LoadedPlugin>(
            host,
            "storage-postgres",
            config_of(
                "storage/postgres", {{"conninfo", postgres.conninfo(database)}, {"pool_size", 8}}
            )
        );
        storage_ =
            Storage{service_from<tenon_storage_1>(storage_plugin_->query("tenon.storage/1"))};
        memory_ = std::make_unique<LoadedPlugin>(host, "cache-memory", config_of("cache/memory"));
        shared_ = std::make_unique<LoadedPlugin>(
            host, "cache-redis", config_of("cache/redis", {{"url", redis.url()}})
        );
        host.bind("tenon.cache_tier/1", memory_->query("tenon.cache_tier/1"), "memory");
        host.bind("tenon.cache_tier/1", shared_->query("tenon.cache_tier/1"), "redis");
        stack_ =
            std::make_unique<LoadedPlugin>(host, "cache-stack", config_of("cache/stack", stack));
        host.bind("tenon.cache/1", stack_->query("tenon.cache/1"), "cache");
        cache_ = std::make_unique<Cache>(Host{host.raw()});
    }

    ~TradingServer() {
        cache_.reset();
        stack_->stop();
        shared_->stop();
        memory_->stop();
        storage_plugin_->stop();
    }

    TradingServer(const TradingServer&) = delete;
    TradingServer& operator=(const TradingServer&) = delete;

    // Places an order that fills; gives its version once every server may be asked about it.
    std::int64_t order(std::size_t account) {
        std::int64_t version = 0;
        transact([&](Session& session) {
            Statement row =
                session.prepare("SELECT version FROM balances WHERE account = ? FOR UPDATE");
            row.bind_all(account);
            if (!row.step()) {
                throw Error{TENON_CORRUPT, "the account is missing"};
            }
            version = row.integer(0) + 1;
            const std::int64_t quantity = quantity_of(account, version);
            session.prepare("INSERT INTO orders(account, version, quantity) VALUES (?, ?, ?)")
                .bind_all(account, version, quantity)
                .run();
            session
                .prepare("UPDATE balances SET version = ?, amount = amount - ? WHERE account = ?")
                .bind_all(version, quantity * k_price, account)
                .run();
            session
                .prepare("UPDATE positions SET version = ?, amount = amount + ? WHERE account = ?")
                .bind_all(version, quantity, account)
                .run();
        });
        cache_->event("order_placed", "user:" + std::to_string(account));
        return version;
    }

    // Through the cache.
    [[nodiscard]] Seen read(View view, std::size_t account) {
        const std::string user = std::to_string(account);
        const Keep keep{std::chrono::seconds{0}, {"user:" + user}};
        const char* const name = k_view_names.at(static_cast<std::size_t>(view));
        return cached(*cache_, name, user, keep, [&] { return load(view, account); });
    }

    FakeHost host;
    std::atomic<std::uint64_t> loads{0};

private:
    [[nodiscard]] Seen load(View view, std::size_t account) {
        static constexpr std::array k_sql{
            "SELECT version, amount FROM balances WHERE account = ?",
            "SELECT version, amount FROM positions WHERE account = ?",
            "SELECT count(*), coalesce(sum(quantity), 0)::bigint FROM orders WHERE account = ?"};
        Seen out;
        ++loads;
        storage_.read(deadline(), [&](Session& session) {
            Statement row = session.prepare(k_sql.at(static_cast<std::size_t>(view)));
            row.bind_all(account);
            if (!row.step()) {
                throw Error{TENON_CORRUPT, "the account is missing"};
            }
            out = {row.integer(0), row.integer(1)};
        });
        return out;
    }

    // Again until it is through: orders of one account that meet are one after the other.
    template <class Body>
    void transact(Body&& body) {
        const auto until = std::chrono::steady_clock::now() + k_patience;
        while (true) {
            try {
                storage_.write(deadline(), body);
                return;
            } catch (const StorageError& error) {
                if (!error.retryable() || std::chrono::steady_clock::now() > until) {
                    throw;
                }
            }
        }
    }

    [[nodiscard]] std::int64_t deadline() {
        return host.reactor().now_ns() + std::chrono::nanoseconds{k_patience}.count();
    }

    TemporaryFolder folder_;
    std::unique_ptr<LoadedPlugin> storage_plugin_, memory_, shared_, stack_;
    Storage storage_;
    std::unique_ptr<Cache> cache_;
};

// A database with accounts in it.
[[nodiscard]] inline std::string
database_with_accounts(PostgresServer& postgres, std::size_t accounts) {
    const std::string name = postgres.create_database();
    postgres.execute(
        "CREATE TABLE balances(account bigint PRIMARY KEY, version bigint, amount bigint);"
        "CREATE TABLE positions(account bigint PRIMARY KEY, version bigint, amount bigint);"
        "CREATE TABLE orders(account bigint, version bigint, quantity bigint,"
        " PRIMARY KEY(account, version));"
        "INSERT INTO balances SELECT n, 0, " +
            std::to_string(k_funds) + " FROM generate_series(0, " + std::to_string(accounts - 1) +
            ") n; INSERT INTO positions SELECT account, 0, 0 FROM balances",
        name
    );
    return name;
}

}  // namespace tenon::test
