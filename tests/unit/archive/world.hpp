// SPDX-License-Identifier: Apache-2.0
// A database with history of ten days and a folder for its archives, both on disk: what one process
// leaves there the next one finds.
#pragma once

#include "plugins/archive/retention.hpp"
#include "tests/support/in_child.hpp"
#include "tests/unit/migrations/shipped_schema.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace tenon::test {

class ArchiveWorld {
public:
    static constexpr std::int64_t k_today = 20'000;  // days since 1970
    static constexpr std::int64_t k_now_ns = k_today * archive::k_day_ns + 12 * 3'600'000'000'000;
    using Lines = std::map<std::string, std::multiset<std::string>>;  // by policy

    explicit ArchiveWorld(std::uint64_t seed, int rows_a_day = 20) {
        make<SchemaBackend>(seed, rows_a_day);
    }

    // A connection of its own to the database, for the length of the call.
    template <class Body>
    void with(Body&& body) const {
        SchemaBackend backend{[&](auto& settings) { choose(settings); }};
        body(backend);
    }

    [[nodiscard]] archive::Folder archives() const {
        return archive::Folder{(folder_.path() / "archive").string()};
    }

    [[nodiscard]] std::string path(const std::string& name) const {
        return (folder_.path() / name).string();
    }

    [[nodiscard]] static archive::RetentionOptions options() {
        archive::RetentionOptions options;
        for (const char* name : {"trades", "orders", "trade_logs", "news_items", "candles_1m"}) {
            options.policies.push_back({&archive::history_table(name), 5 * archive::k_day_ns});
        }
        options.rows_a_page = 8;
        options.rows_a_delete = 7;
        return options;
    }

    [[nodiscard]] archive::Retention
    retention(SchemaBackend& backend, archive::RetentionOptions options) const {
        return archive::Retention{
            {backend.storage(),
             archives(),
             [&backend] { return backend.host.reactor().now_ns(); },
             [] { return k_now_ns; },
             [] { return false; }},
            std::move(options)};
    }

    void run(const archive::RetentionOptions& wanted) const {
        with([&](SchemaBackend& backend) {
            archive::Retention work = retention(backend, wanted);
            while (work.step()) {}
        });
    }

    // Work that may be killed; its wait status.
    template <class Work>
    [[nodiscard]] int in_killed_child(Work&& work) const {
        const int status = in_child(std::forward<Work>(work));
        burn_name<SchemaBackend>();
        return status;
    }

    [[nodiscard]] Lines in_database() const {
        Lines lines;
        with([&](SchemaBackend& backend) {
            for (const archive::Policy& policy : options().policies) {
                backend.storage().read(backend.deadline(), [&](Session& s) {
                    auto& mine = lines[policy.table->name];
                    mine.clear();
                    const auto columns =
                        archive::columns_of(s, backend.storage().dialect(), policy.table->table);
                    archive::HistoryTable all = *policy.table;
                    if (all.has_cutoff) {
                        all.condition.clear();
                        all.has_cutoff = false;
                    }
                    const archive::Layout layout{all, columns};
                    for (auto& line : archive::read_lines(s, all, layout, {})) {
                        mine.insert(std::move(line.text));
                    }
                });
            }
        });
        return lines;
    }

    // What archives hold that may be relied on.
    [[nodiscard]] Lines in_archives() const {
        Lines lines;
        const archive::Folder folder = archives();
        for (const archive::Manifest& manifest : folder.list().archives) {
            if (manifest.state < archive::State::verified) {
                continue;
            }
            archive::ArchiveLines reader{
                folder.file_of(manifest), manifest, archive::history_table(manifest.policy)};
            for (auto batch = reader.next(1000); !batch.empty(); batch = reader.next(1000)) {
                for (auto& line : batch) {
                    lines[manifest.policy].insert(std::move(line.text));
                }
            }
        }
        return lines;
    }

    // How many of `all` are neither in the database nor in an archive.
    [[nodiscard]] std::size_t lost(const Lines& all) const {
        const Lines here = in_database(), there = in_archives();
        std::size_t count = 0;
        for (const auto& [policy, lines] : all) {
            for (const std::string& line : lines) {
                const auto has = [&](const Lines& place) {
                    const auto found = place.find(policy);
                    return found != place.end() && found->second.contains(line);
                };
                count += has(here) || has(there) ? 0U : 1U;
            }
        }
        return count;
    }

private:
    // The child made a database by the name that is this process's next one.
    template <class Backend>
    static void burn_name() {
        if constexpr (requires { Backend::server(); }) {
            try {
                Backend::server().drop_database(Backend::server().create_database());
            } catch (const std::exception& taken) {
                UNSCOPED_INFO(taken.what());
            }
        }
    }

    template <class Backend>
    void make(std::uint64_t seed, int rows_a_day) {
        if constexpr (requires { Backend::server(); }) {
            // Filled once, then copied by the server.
            static std::map<std::pair<std::uint64_t, int>, std::string> filled;
            static int copies = 0;
            std::string& base = filled[{seed, rows_a_day}];
            if (base.empty()) {
                base = Backend::server().create_database();
                database_ = Backend::server().conninfo(base);
                fill(seed, rows_a_day);
            }
            const std::string name = "world" + std::to_string(++copies);
            (void)Backend::server().execute("CREATE DATABASE " + name + " TEMPLATE " + base);
            database_ = Backend::server().conninfo(name);
        } else {
            database_ = (folder_.path() / "history.db").string();
            fill(seed, rows_a_day);
        }
    }

    void fill(std::uint64_t seed, int rows_a_day) const {
        with([&](SchemaBackend& backend) {
            shipped_schema(backend)->up();
            backend.storage().write(backend.deadline(), [&](Session& s) {
                fill(s, seed, rows_a_day);
            });
        });
    }

    template <class Settings>
    void choose(Settings& settings) const {
        if constexpr (requires { settings.conninfo; }) {
            settings.conninfo = database_;
        } else {
            settings.file = database_;
        }
    }

    static void fill(Session& s, std::uint64_t seed, int rows_a_day) {
        std::mt19937_64 random{seed};
        s.execute(
            "INSERT INTO users (id, name, created_real_ns) VALUES (1, 'u', 0);"
            "INSERT INTO assets (id, name, scale) VALUES (1, 'A', 8), (2, 'B', 8);"
            "INSERT INTO instruments (id, symbol) VALUES (1, 'AB');"
            "INSERT INTO accounts (id, name) VALUES (10, 'a');"
        );
        const std::vector<std::string> texts{
            "", "plain", "a,b\r\n\"c\"", "\\x00", "\u00e4\u20ac\U0001F600", "NULL", " 1 ", "-7"};
        std::int64_t id = 0;
        for (std::int64_t day = k_today - 9; day <= k_today; ++day) {
            for (int i = 0; i < rows_a_day; ++i) {
                const std::int64_t at = day * archive::k_day_ns +
                                        static_cast<std::int64_t>(random() % archive::k_day_ns);
                put(s, ++id, at, i, texts[random() % texts.size()]);
            }
        }
    }

    static void put(Session& s, std::int64_t id, std::int64_t at, int i, const std::string& text) {
        s.prepare(
             "INSERT INTO orders (order_id, account, instrument, side, type, time_in_force, "
             "status, price, quantity, quote_quantity, filled_quantity, filled_quote, "
             "created_real_ns, updated_real_ns, update_sequence, reject, client_id, "
             "cancel_client_id) VALUES (?, 10, 1, 0, 1, 0, ?, ?, 5, 0, 0, 0, ?, ?, ?, 0, ?, "
             "'')"
        )
            .bind_all(id, i % 5 == 0 ? 1 : 4, INT64_MAX, at, at, id, text)
            .run();
        s.prepare(
             "INSERT INTO trades (instrument, trade_id, side, order_id, account, is_maker, "
             "price, quantity, quote_amount, fee, fee_asset, time_real_ns, sequence) VALUES "
             "(1, ?, 0, ?, 10, 1, ?, 1, 0, 0, 1, ?, ?)"
        )
            .bind_all(id, id, INT64_MAX - id, at, id)
            .run();
        s.prepare(
             "INSERT INTO trade_logs (id, user_id, exchange, account_type, instrument, "
             "strategy, side, quantity, entry_price, exit_price, entry_real_ns, "
             "exit_real_ns, pnl, exit_reason) VALUES (?, 1, 'x', 'demo', 1, ?, 0, 1, 1, 1, "
             "0, ?, ?, 'manual')"
        )
            .bind_all(id, text, at, i % 2 == 0 ? INT64_MAX : -INT64_MAX)
            .run();
        s.prepare(
             "INSERT INTO news_items (id, source, external_id, title, summary, "
             "published_real_ns, fetched_real_ns) VALUES (?, 's', ?, 't', ?, ?, ?)"
        )
            .bind_all(id, std::to_string(id), text, at, at)
            .run();
        for (const int interval : {60, 3600}) {
            s.prepare(
                 "INSERT INTO candles (instrument, interval_s, open_real_ns, open, high, low, "
                 "close, volume, quote_volume, trades) VALUES (1, ?, ?, 2, 3, 1, 2, 0, 0, 0) "
                 "ON CONFLICT DO NOTHING"
            )
                .bind_all(interval, at - at % 1'000'000'000)
                .run();
        }
    }

    TemporaryFolder folder_;
    std::string database_;
};

}  // namespace tenon::test
