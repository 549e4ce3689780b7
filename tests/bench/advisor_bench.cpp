// SPDX-License-Identifier: Apache-2.0
// What the index advisor predicts for planted needs, beside what its indexes then gain.
//
//   advisor_bench DIR     prints, for each proposal, milliseconds of its statements before and
//   after
#include "plugins/storage/advisor/advisor.hpp"
#include "plugins/storage/sqlite/database.hpp"
#include "tests/support/fake_host.hpp"

#include <tenon/storage.hpp>

#include <cstdio>
#include <map>
#include <string>

namespace {

using tenon::Session;
using tenon::advisor::Captured;

constexpr int k_calls = 200;
constexpr std::int64_t k_patience_ns = 300'000'000'000;

constexpr auto k_schema =
    "CREATE TABLE trades (id INTEGER PRIMARY KEY, user INTEGER, symbol INTEGER, ts INTEGER, pnl "
    "INTEGER, note TEXT) STRICT;"
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, account INTEGER, status TEXT, created INTEGER, "
    "note TEXT) STRICT;"
    "WITH RECURSIVE r(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM r WHERE i < 99999) INSERT INTO "
    "trades SELECT i, i % 500, i % 97, i * 7919 % 1000003, i % 1009, printf('%060d', i) FROM r;"
    "WITH RECURSIVE r(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM r WHERE i < 99999) INSERT INTO "
    "orders SELECT i, i % 1000, iif(i % 100 = 0, 'open', 'done'), i * 104729 % 1000003, "
    "printf('%060d', i) FROM r;";

void run(const tenon::Storage& storage) {
    storage.read(tenon::k_no_deadline, [](Session& s) {
        for (int i = 0; i < k_calls; ++i) {
            s.prepare("SELECT note FROM trades WHERE user = ? AND symbol = ?")
                .bind_all(i % 500, i % 97)
                .run();
            s.prepare("SELECT note FROM trades WHERE user = ? ORDER BY pnl, ts DESC LIMIT 20")
                .bind_all(i % 500)
                .run();
            s.prepare("SELECT pnl FROM trades WHERE symbol = ?").bind_all(i % 97).run();
            s.prepare("SELECT id FROM orders WHERE status = 'open' ORDER BY created LIMIT 50")
                .run();
            s.prepare("SELECT status FROM orders WHERE account = ?").bind_all(i).run();
        }
    });
}

std::map<std::string, std::int64_t> times(const tenon::Storage& storage) {
    std::map<std::string, std::int64_t> out;
    for (const Captured& one : tenon::advisor::read_captured(storage.statements())) {
        out.emplace(one.fingerprint, one.total_ns);
    }
    return out;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string folder = argc > 1 ? argv[1] : ".";
    tenon::test::FakeHost host;
    const tenon::Host plugin_host{host.raw()};
    tenon::sqlite::Telemetry telemetry;
    telemetry.clock = plugin_host.service<tenon_clock_1>("tenon.clock/1");
    tenon::sqlite::Settings settings;
    settings.file = folder + "/advisor.db";
    tenon::sqlite::DatabaseHolder holder;
    holder.database = std::make_unique<tenon::sqlite::Database>(settings, telemetry);
    const tenon::Storage storage{
        tenon::Service<tenon_storage_1>{&holder, &tenon::sqlite::storage_table()}};
    storage.write(tenon::k_no_deadline, [](Session& s) { s.execute(k_schema); });
    run(storage);
    const auto captured = times(storage);

    const auto now = [&] { return telemetry.now_ns(); };
    const tenon::advisor::Advisor advisor{storage, now};
    tenon::advisor::Limits limits;
    limits.deadline_ns = now() + k_patience_ns;
    const auto advice = advisor.indexes(limits);
    std::printf(
        "%zu statements, %zu candidates, %zu proposals in %.1f s\n",
        advice.statements,
        advice.candidates,
        advice.proposals.size(),
        static_cast<double>(now() - (limits.deadline_ns - k_patience_ns)) / 1e9
    );
    advisor.apply(advice.proposals, 0, now() + k_patience_ns);
    run(storage);  // compiles the statements again
    const auto applied = times(storage);
    run(storage);
    const auto after = times(storage);
    for (const auto& proposal : advice.proposals) {
        std::printf(
            "%s\n  predicted gain %9.2f ms of %zu statements\n",
            proposal.sql.c_str(),
            static_cast<double>(proposal.gain_ns) / 1e6,
            proposal.fingerprints.size()
        );
        double before_ns = 0;
        double after_ns = 0;
        for (const std::string& fingerprint : proposal.fingerprints) {
            before_ns += static_cast<double>(captured.at(fingerprint));
            after_ns += static_cast<double>(after.at(fingerprint) - applied.at(fingerprint));
        }
        std::printf(
            "  measured gain  %9.2f ms (%.2f -> %.2f, by all proposals together)\n",
            (before_ns - after_ns) / 1e6,
            before_ns / 1e6,
            after_ns / 1e6
        );
    }
    return 0;
}
