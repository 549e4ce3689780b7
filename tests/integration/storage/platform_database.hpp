// SPDX-License-Identifier: Apache-2.0
// What asks the database in a server, over one backend: the native API, the engine's projection and
// the check of the daily sums, without the rest of the server. Two of them that are asked the same
// have to answer the same.
#pragma once

#include "plugins/storage/upkeep/views.hpp"
#include "plugins/trading/engine/projection_sql.hpp"
#include "plugins/trading/records/api.hpp"
#include "sdk/sealing/secret_box.hpp"
#include "tests/integration/storage/postgres_backend.hpp"
#include "tests/integration/storage/statement_coverage.hpp"
#include "tests/unit/migrations/shipped_schema.hpp"
#include "tests/unit/trading/projection_events.hpp"

#include <set>

namespace tenon::test {

template <class Backend>
class PlatformDatabase {
public:
    static constexpr std::uint64_t k_ann = 16, k_bob = 17, k_ops = 18, k_new = 19;
    static constexpr std::int64_t k_now_ns = 1'767'225'600'000'000'000;

    PlatformDatabase() {
        shipped_schema(backend)->up();
        backend.storage().write(backend.deadline(), [this](Session& s) {
            s.execute(
                "INSERT INTO assets VALUES (0, 'BTC', 8), (1, 'ETH', 8), (2, 'USDT', 8), (9, "
                "'J\xC2\xA5', 0);"
                "INSERT INTO instruments (id, symbol, base, quote, price_scale, quantity_scale) "
                "VALUES (0, 'BTCUSDT', 0, 2, 2, 5), (9, 'BTCJPY', 0, 9, 0, 0);"
                "INSERT INTO users (id, name, created_real_ns) VALUES (16, 'ann', 0), (17, 'bob', "
                "0), (18, 'ops', 0);"
                "INSERT INTO accounts (id, name, user_id) VALUES (16, 'ann', 16), (17, 'bob', 17), "
                "(18, 'ops', 18), (19, 'n\xC5\xBCw', NULL)"
            );
            if (is_postgres()) {
                s.execute("ALTER TABLE users ALTER COLUMN id RESTART WITH 19");
            }
        });
    }

    // "201 {…}".
    std::string ask(
        std::uint64_t account,
        const std::string& method,
        const std::string& path,
        const std::string& query,
        const std::string& body,
        std::int64_t now_ns = k_now_ns
    ) {
        records::Request r;
        r.method = method;
        r.path = path;
        r.query = query;
        r.body = body;
        r.caller = {account, true, true, account == k_ops};
        r.now_real_ns = now_ns;
        for (const bool with_id : {false, true}) {
            for (const records::Endpoint& endpoint : records::endpoints()) {
                const std::size_t id = endpoint.path.find("{id}");
                const bool fits = with_id ? id != std::string::npos &&
                                                path.compare(0, id, endpoint.path, 0, id) == 0
                                          : endpoint.path == path;
                if (!fits || endpoint.method != method) {
                    continue;
                }
                r.tail = with_id ? path.substr(id) : "";
                records::Api api{storage(), {k_patience_ns, secrets}};
                const records::Answer answer =
                    api.answer(endpoint, r, backend.host.reactor().now_ns());
                if (answer.status >= 400 && method != "GET") {
                    reuse_ids();
                }
                return std::to_string(answer.status) + " " + answer.body;
            }
        }
        throw Error{TENON_NOT_FOUND, "no endpoint for " + method + " " + path};
    }

    // Everything of a table but what is sealed with a random nonce.
    std::string dump(const std::string& table, const std::string& columns = "*") {
        std::multiset<std::string> all;
        storage().read(backend.deadline(), [&](Session& s) {
            all.clear();
            auto rows = s.prepare("SELECT " + columns + " FROM " + table);
            while (rows.step()) {
                std::string row;
                for (std::uint32_t i = 0; i < rows.column_count(); ++i) {
                    row += text_of(rows.value(i)) + "|";
                }
                all.insert(std::move(row));
            }
        });
        std::string out;
        for (const std::string& row : all) {
            out += row + "\n";
        }
        return out;
    }

    // What the walk over all days finds, and the sums made anew.
    std::string look_at_sums() {
        upkeep::Findings findings;
        std::string out;
        upkeep::Walk walk;
        for (bool more = true; more;) {
            storage().write(backend.deadline(), [&](Session& s) {
                more = walk.find(s);
                if (more) {
                    upkeep::rebuild_day(s, storage().dialect(), walk.view(), walk.day_ns());
                }
            });
            if (!more) {
                break;
            }
            storage().read(backend.deadline(), [&](Session& s) {
                upkeep::compare_day(s, walk.view(), walk.day_ns(), findings);
            });
            out += std::string{walk.view().table} + " " + std::to_string(walk.day_ns()) + "\n";
            walk.pass();
        }
        out += std::to_string(findings.days) + " days, " + std::to_string(findings.keys) +
               " keys, " + std::to_string(findings.different) + " different\n";
        for (const auto& one : findings.told) {
            out += one.view + " " + one.key + ": " + one.kept + " / " + one.rows + "\n";
        }
        return out;
    }

    [[nodiscard]] Storage storage() {
        return Storage{Recorder::around<Backend>(backend.storage().service())};
    }

    [[nodiscard]] bool is_postgres() { return backend.storage().dialect() == "postgres"; }

    static std::string text_of(const tenon_value& value) {
        switch (value.kind) {
            case TENON_VALUE_INT64:
                return std::to_string(value.i);
            case TENON_VALUE_REAL:
                return "real " + std::to_string(value.r);
            case TENON_VALUE_NULL:
                return "null";
            default:
                return (value.kind == TENON_VALUE_TEXT ? "'" : "x'") + std::string{view(value.b)} +
                       "'";
        }
    }

    Backend backend;
    TemporaryFolder folder;
    sealing::SecretBox box{folder.path(), true};
    records::Secrets secrets{&box, &sealing::SecretBox::table()};
    std::vector<std::string> credential_ids;  // in the order of their making

private:
    // A transaction that is rolled back keeps the ids that it took on PostgreSQL, and gives them
    // back on SQLite.
    void reuse_ids() {
        if (!is_postgres()) {
            return;
        }
        backend.storage().write(backend.deadline(), [](Session& s) {
            std::vector<std::pair<std::string, std::string>> counted;
            auto rows = s.prepare(
                "SELECT c.relname::text, a.attname::text FROM pg_attribute a JOIN pg_class c ON "
                "c.oid = a.attrelid WHERE a.attidentity <> '' AND c.relkind = 'r' AND "
                "c.relnamespace = current_schema()::regnamespace AND left(c.relname, 6) <> "
                "'tenon_' AND c.relname <> 'schema_event'"
            );
            while (rows.step()) {
                counted.emplace_back(rows.text(0), rows.text(1));
            }
            for (const auto& [table, column] : counted) {
                s.prepare(
                     "SELECT setval(pg_get_serial_sequence('" + table + "', '" + column +
                     "'), coalesce(max(" + column + "), 0) + 1, false) FROM " + table
                )
                    .run();
            }
        });
    }
};

}  // namespace tenon::test
