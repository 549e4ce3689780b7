// SPDX-License-Identifier: Apache-2.0
// Two databases with the shipped schema, and somebody who writes to one of them.
#pragma once

#include "plugins/migrations/copy/compare.hpp"
#include "plugins/migrations/copy/copier.hpp"
#include "tests/integration/migrations/postgres_backend.hpp"
#include "tests/unit/migrations/shipped_schema.hpp"

#include <cstdint>
#include <memory>
#include <random>
#include <string>

namespace tenon::test {

// On SQLite or PostgreSQL, with all migrations applied; gone with the object.
template <class Backend>
class Shipped {
public:
    template <class... Argument>
    explicit Shipped(Argument&&... argument) : backend{std::forward<Argument>(argument)...} {
        shipped_schema(backend)->up();
    }

    [[nodiscard]] copy::Side side(std::string name) { return {backend.storage(), std::move(name)}; }

    void run(std::string_view sql) {
        backend.storage().write(backend.deadline(), [&](Session& session) {
            session.execute(sql);
        });
    }

    [[nodiscard]] std::int64_t number(std::string_view sql) {
        std::int64_t value = 0;
        backend.storage().read(backend.deadline(), [&](Session& session) {
            for (Statement row = session.prepare(sql); row.step();) {
                value = row.integer(0);
            }
        });
        return value;
    }

    Backend backend;
};

using ShippedSqlite = Shipped<SqliteBackend>;
using ShippedPostgres = Shipped<PostgresBackend>;

// Random transactions that keep every rule of the schema: rows come, change, go, change their keys
// and take over each other's unique names.
class RandomWriter {
public:
    explicit RandomWriter(std::uint64_t seed) : random_{seed} {}

    // What everything else refers to, with extremes in it.
    void begin(Session& session) {
        session.execute("INSERT INTO assets (id, name, scale) VALUES (0, 'USDT', 8), (1, 'BTC', 8)"
        );
        session.execute(
            "INSERT INTO instruments (id, symbol, base, quote) VALUES (0, 'BTCUSDT', 1, 0)"
        );
        session.execute(
            "INSERT INTO accounts (id, name) VALUES (9223372036854775807, 'Straße 北'), (7, 'bot')"
        );
        session.execute(
            "INSERT INTO balances (account, asset, free, locked, update_sequence) VALUES "
            "(1, 0, -9223372036854775807, 0, 1), (7, 0, 9223372036854775807, 0, 1)"
        );
        session.execute(
            "INSERT INTO projection_offset (name, sequence, updated_real_ns) VALUES ('p', 0, 0)"
        );
        const std::string material{"\0\x01\xff'\\x", 6};
        session
            .prepare(
                "INSERT INTO api_credentials (key, account, kind, permissions, material, label, "
                "created_real_ns) VALUES (?, 7, 1, 3, ?, '', 0)"
            )
            .bind_all("k\t\n\\N", tenon_bytes{material.data(), material.size()})
            .run();
        for (int i = 0; i < 10; ++i) {
            add_user(session);
        }
    }

    void transaction(Session& session) {
        const int statements = 1 + pick(4);
        for (int i = 0; i < statements; ++i) {
            switch (pick(8)) {
                case 0:
                    add_user(session);
                    break;
                case 1:
                    swap_names(session);
                    break;
                case 2:
                case 3:
                    add_order(session);
                    break;
                case 4:
                    change_order(session);
                    break;
                case 5:
                    erase_news(session);
                    break;
                default:
                    add_news(session);
            }
        }
        session.execute("UPDATE projection_offset SET sequence = sequence + 1");
    }

private:
    int pick(int below) { return static_cast<int>(random_() % static_cast<std::uint64_t>(below)); }

    void add_user(Session& session) {
        ++users_;
        session.prepare("INSERT INTO users (id, name, created_real_ns) VALUES (?, ?, 0)")
            .bind_all(users_, "user " + std::to_string(users_))
            .run();
    }

    // Row by row through a third name, so that the order of the keys is not that of the writes.
    void swap_names(Session& session) {
        const std::int64_t a = 1 + pick(static_cast<int>(users_));
        const std::int64_t b = 1 + pick(static_cast<int>(users_));
        if (a == b) {
            return;
        }
        const auto rename = [&](std::int64_t id, const std::string& name) {
            session.prepare("UPDATE users SET name = ? WHERE id = ?").bind_all(name, id).run();
        };
        const auto name_of = [&](std::int64_t id) {
            std::string name;
            Statement row = session.prepare("SELECT name FROM users WHERE id = ?");
            row.bind_all(id);
            while (row.step()) {
                name = std::string{row.text(0)};
            }
            return name;
        };
        const std::string old_a = name_of(a);
        const std::string old_b = name_of(b);
        rename(a, "between");
        rename(b, old_a);
        rename(a, old_b);
    }

    void add_order(Session& session) {
        ++orders_;
        session
            .prepare(
                "INSERT INTO orders (order_id, account, instrument, side, type, time_in_force, "
                "status, price, quantity, quote_quantity, filled_quantity, filled_quote, "
                "created_real_ns, updated_real_ns, update_sequence, reject, client_id, "
                "cancel_client_id) VALUES (?, 7, 0, ?, 1, 0, 1, ?, 1000, 0, 0, 0, 0, 0, 1, 0, ?, "
                "'')"
            )
            .bind_all(
                orders_,
                std::int64_t{pick(2)},
                static_cast<std::int64_t>(random_() >> 1U),
                pick(3) == 0 ? std::string{} : "c'\\\"" + std::to_string(random_())
            )
            .run();
        session
            .prepare(
                "INSERT INTO trades (instrument, trade_id, side, order_id, account, is_maker, "
                "price, quantity, quote_amount, fee, fee_asset, time_real_ns, sequence) "
                "VALUES (0, ?, 0, ?, 7, 0, 1, 1, 1, 0, 0, 0, 1)"
            )
            .bind_all(orders_, orders_)
            .run();
    }

    void change_order(Session& session) {
        if (orders_ == 0) {
            return;
        }
        const std::int64_t id = 1 + pick(static_cast<int>(orders_));
        session.prepare("UPDATE orders SET status = 3, filled_quantity = 1000 WHERE order_id = ?")
            .bind_all(id)
            .run();
        session
            .prepare(
                "UPDATE trades SET trade_id = trade_id + 1000000, fee = 5 WHERE order_id = ? "
                "AND trade_id < 1000000"
            )
            .bind_all(id)
            .run();
    }

    void add_news(Session& session) {
        ++news_;
        session
            .prepare(
                "INSERT INTO news_items (id, source, external_id, title, summary, "
                "sentiment_score, published_real_ns, fetched_real_ns) "
                "VALUES (?, 'wire', ?, 'A title', ?, ?, 0, 0)"
            )
            .bind_all(
                news_,
                std::to_string(news_),
                std::string(static_cast<std::size_t>(pick(200)), 'x'),
                std::int64_t{pick(20'001) - 10'000}
            )
            .run();
    }

    void erase_news(Session& session) {
        if (news_ == 0) {
            return;
        }
        session.prepare("DELETE FROM news_items WHERE id = ?")
            .bind_all(std::int64_t{1 + pick(static_cast<int>(news_))})
            .run();
    }

    std::mt19937_64 random_;
    std::int64_t users_ = 0, orders_ = 0, news_ = 0;
};

inline copy::CopyOptions small_steps() {
    copy::CopyOptions options;
    options.batch.rows = 50;
    options.page = 30;
    return options;
}

// With the clock of either backend's host.
template <class Backend>
std::unique_ptr<copy::Copier> make_copier(
    copy::Side source,
    copy::Side target,
    Backend& clock_of,
    copy::CopyOptions options = small_steps()
) {
    const Host host{clock_of.host.raw()};
    return std::make_unique<copy::Copier>(
        std::move(source),
        std::move(target),
        host.service<tenon_clock_1>("tenon.clock/1"),
        std::move(options)
    );
}

// Schema, rows and digests of all tables; equal for equal databases.
template <class From, class To>
std::vector<copy::TableCheck> checks_of(From& from, To& to) {
    std::vector<copy::TableCheck> checks;
    const copy::Side a = from.side("a");
    const copy::Side b = to.side("b");
    const auto copier = make_copier(a, b, from.backend);
    copy::Transaction left{a, TENON_INTENT_READ};
    copy::Transaction right{b, TENON_INTENT_READ};
    for (const copy::Table& table : copier->tables()) {
        checks.push_back(copy::compare_table(table, {a, *left}, {b, *right}, {}));
    }
    return checks;
}

}  // namespace tenon::test
