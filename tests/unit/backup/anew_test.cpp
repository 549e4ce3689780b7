// SPDX-License-Identifier: Apache-2.0
// What is shipped when the capture begins anew, is lost, or a commit of it fails half-way.
#include "tests/support/loaded_plugin.hpp"
#include "tests/unit/backup/backups.hpp"

#include <boost/json.hpp>

using tenon::backup_sqlite::Shipped;
using tenon::backup_sqlite::Shipper;
using tenon::test::Backups;
using tenon::test::begin_of;
using tenon::test::Captured;
using tenon::test::content_of;
using tenon::test::end_of;
using tenon::test::failure_of;
using tenon::test::k_hour;
using tenon::test::k_quiet;
using tenon::test::k_start;
using tenon::vault::Manifest;
namespace capture = tenon::capture;
namespace fs = std::filesystem;

namespace {

// Another program writes and empties the log: what is captured from then on is another epoch.
void write_and_empty_log(Captured& database, const char* row) {
    sqlite3* stranger = nullptr;
    REQUIRE(sqlite3_open(database.backend.settings.file.c_str(), &stranger) == SQLITE_OK);
    sqlite3_busy_timeout(stranger, 60'000);
    const std::string sql =
        "INSERT INTO t VALUES (" + std::string{row} + "); PRAGMA wal_checkpoint(TRUNCATE)";
    REQUIRE(sqlite3_exec(stranger, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(stranger);
}

// Waits for a state; it is looked at again and again.
void wait_for(const std::function<bool()>& is_there) {
    const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds{60};
    while (!is_there()) {
        REQUIRE(std::chrono::steady_clock::now() < patience);
        std::this_thread::yield();
    }
}

std::string config_of(const Captured& database, std::int64_t every_s) {
    const std::string folder = database.backend.folder.path().string();
    return boost::json::serialize(boost::json::object{
        {"source", database.captures()},
        {"folder", folder + "/store"},
        {"scratch", folder + "/scratch"},
        {"every_s", every_s},
        {"keep", 28},
        {"keep_hourly", 0},
        {"keep_daily", 0},
        {"keep_weekly", 0},
        {"keep_monthly", 0},
        {"drill", true},
        {"ship_ms", 5},
        {"key", ""},
        {"s3_url", ""},
        {"s3_bucket", "b"},
        {"s3_prefix", ""},
        {"s3_region", "r"},
        {"s3_access_key_id", ""},
        {"s3_secret_access_key", ""},
        {"s3_ca_file", ""}});
}

}  // namespace

TEST_CASE("after the capture began anew nothing counts until a backup is made", "[backup][S14]") {
    Captured database;
    database.wait_for_base();
    database.put(1, "one");
    Backups backups{database};
    const Manifest first = backups.store.create("", k_start, k_quiet);
    database.put(2, "two");
    CHECK(backups.shipper.ship() == Shipped::all);
    database.put(3, "not shipped yet");
    write_and_empty_log(database, "4, 'theirs'");
    database.put(5, "five");
    CHECK(backups.shipper.ship() != Shipped::all);
    // What the epoch before had is brought all the same.
    CHECK(backups.restored("", {}).find("ok,1,one,2,two,3,not shipped yet,") == 0);
    database.wait_for_base(2);
    CHECK(backups.shipper.ship() == Shipped::needs_backup);
    const Manifest second = backups.store.create("", k_start + k_hour, k_quiet);
    CHECK(begin_of(second) <= end_of(first));
    CHECK(backups.shipper.ship() == Shipped::all);
    database.put(6, "six");
    CHECK(backups.shipper.ship() == Shipped::all);
    CHECK(backups.restored("", {}) == "ok,1,one,2,two,3,not shipped yet,4,theirs,5,five,6,six,");
}

TEST_CASE("what was shipped of a capture that was lost stays until it is pruned", "[backup][S14]") {
    Captured lost;
    lost.wait_for_base();
    lost.put(1, "one");
    Backups old{lost};
    const Manifest first = old.store.create("", k_start, k_quiet);
    lost.put(2, "two");
    CHECK(old.shipper.ship() == Shipped::all);
    // Another folder has the same names for other things.
    Captured database;
    database.wait_for_base();
    database.put(7, "seven");
    Shipper shipper{database.captures(), Backups::vault_in(old.folder)};
    CHECK(shipper.ship() == Shipped::needs_backup);
    tenon::backup_sqlite::Store store{
        database.captures(), old.scratch, Backups::vault_in(old.folder), [&] {
            shipper.backup_changed();
        }};
    CHECK(old.restored("", {}) == "ok,1,one,2,two,");
    const Manifest second = store.create("", k_start + k_hour, k_quiet);
    database.put(8, "eight");
    CHECK(shipper.ship() == Shipped::all);
    CHECK(old.restored("", {}) == "ok,7,seven,8,eight,");
    // Between the two nothing is known, but what was shipped is there.
    const std::int64_t between = second.from_ns - 1;
    const std::string failure = failure_of([&] { (void)old.restored("", {0, between}); });
    CHECK(failure.find("no backup reaches that moment: " + first.id + " ends at ") == 0);
    CHECK_FALSE(fs::exists(old.to));
    CHECK(old.restored(first.id, {0, between}) == "ok,1,one,2,two,");
    CHECK(store.drill("", k_start, k_quiet) == second.id);
    CHECK(store.prune({1, 0, 0, 0, 0}, false) == std::vector{first.id});
    for (const auto& tail : tenon::backup_sqlite::tails(store.vault())) {
        CHECK(tail.capture == tenon::backup_sqlite::capture_of(second));
    }
    CHECK(old.restored("", {}) == "ok,7,seven,8,eight,");
}

TEST_CASE("a restore into what was pruned is refused", "[backup][S14]") {
    Captured database{[](auto& s) { s.capture.base_s = 1; }};
    database.wait_for_base();
    database.put(1, "one");
    Backups backups{database};
    const Manifest first = backups.store.create("", k_start, k_quiet);
    const std::uint64_t lost = database.put(2, "lost");
    database.put(2, "and more");
    database.wait_for_base(2);
    database.put(3, "three");
    // The capture has given up what lies between, as it does when nothing was backed up for days.
    const capture::Listing all = capture::list(database.captures());
    for (const capture::Piece& base : all.bases) {
        if (base.txid != all.bases.back().txid) {
            fs::remove(base.file);
        }
    }
    for (const capture::Piece& segment : all.segments) {
        if (segment.txid <= all.bases.back().txid) {
            fs::remove(segment.file);
        }
    }
    const Manifest second = backups.store.create("", k_start + k_hour, k_quiet);
    REQUIRE(begin_of(second) > end_of(first));
    CHECK(failure_of([&] {
              (void)backups.restored("", {0, second.from_ns - 1});
          }).find("no backup reaches that moment: " + first.id + " ends at ") == 0);
    CHECK(failure_of([&] {
              (void)backups.restored("", {lost, 0});
          }).find("no backup reaches commit " + std::to_string(lost)) == 0);
    CHECK_FALSE(fs::exists(backups.to));
    CHECK(backups.restored("", {0, first.to_ns}) == "ok,1,one,");
    CHECK(backups.restored("", {}) == "ok,1,one,2,and more,3,three,");
}

TEST_CASE("of a commit that fails half-way nothing is shipped or backed up", "[backup][S14]") {
    Captured database;
    database.wait_for_base();
    database.put(1, "one");
    Backups backups{database};
    // The folder as a writer of our own goes on with it.
    const std::string folder = backups.scratch + "-captured";
    fs::copy(database.captures(), folder);
    capture::SegmentTip tip{capture::list(folder).segments.back().file};
    tip.advance();
    const std::string file = capture::list(folder).segments.back().file;
    capture::SegmentWriter writer{file, tip.bytes(), tip.chain(), 0};
    Shipper shipper{folder, Backups::vault_in(backups.folder)};
    tenon::backup_sqlite::Store store{
        folder, backups.scratch, Backups::vault_in(backups.folder), [&] {
            shipper.backup_changed();
        }};
    const Manifest first = store.create("", k_start, k_quiet);
    std::uint64_t txid = end_of(first);
    CHECK(shipper.ship() == Shipped::all);
    const auto page = [](unsigned char c) { return capture::Bytes(1024, c); };
    const auto fail_half_way = [&](unsigned char c) {
        const std::uint64_t before = fs::file_size(file);
        for (std::uint32_t number = 1; fs::file_size(file) == before; ++number) {
            writer.add_page(number, page(c));
        }
    };
    const auto commit = [&](std::uint32_t pages) {
        for (std::uint32_t number = 1; number <= pages; ++number) {
            writer.add_page(number, page(static_cast<unsigned char>(txid)));
        }
        writer.commit({++txid, tenon::test::k_start, pages, {}});
    };
    fail_half_way(1);
    CHECK(shipper.ship() == Shipped::all);
    const Manifest second = store.create("", k_start + k_hour, k_quiet);
    CHECK(end_of(second) == txid);
    CHECK(shipper.ship() == Shipped::all);
    writer.give_up();
    commit(8);
    CHECK(shipper.ship() == Shipped::all);
    fail_half_way(2);
    CHECK(shipper.ship() == Shipped::all);
    writer.give_up();
    commit(5000);
    CHECK(shipper.ship() == Shipped::all);
    store.verify(second.id, k_quiet);
    const auto at = store.restore("", {}, backups.to, k_quiet);
    CHECK(at.txid == txid);
    CHECK(at.pages == 5000);
    CHECK(fs::file_size(backups.to + "/tenon.db") == 5000 * 1024);
}

TEST_CASE(
    "the first backup comes by itself, and another when the capture begins anew",
    "[backup][S14]"
) {
    Captured database;
    tenon::test::FakeHost host;
    tenon::test::LoadedPlugin plugin{host, "backup-sqlite", config_of(database, 21'600)};
    const auto backups = [&] {
        return boost::json::parse(host.admin("backup.list", "{}")).as_array().size();
    };
    wait_for([&] { return backups() == 1; });
    wait_for([&] { return host.health_of("shipping") == TENON_HEALTHY; });
    database.put(1, "one");
    write_and_empty_log(database, "2, 'theirs'");
    database.put(3, "three");
    wait_for([&] { return backups() >= 2; });
    wait_for([&] { return host.health_of("shipping") == TENON_HEALTHY; });
    wait_for([&] { return host.metric("tenon_backup_ship_lag_seconds") == 0; });
    const std::string to = database.backend.folder.path().string() + "/restored";
    wait_for([&] {
        try {
            (void)host.admin("backup.restore", R"({"folder":")" + to + R"("})");
            return true;
        } catch (const tenon::Error&) {
            return false;
        }
    });
    CHECK(content_of(to + "/tenon.db") == "ok,1,one,2,theirs,3,three,");
}

TEST_CASE("while there is no backup to follow, the lag grows and says why", "[backup][S14]") {
    Captured database;
    database.wait_for_base();
    tenon::test::FakeHost host;
    tenon::test::LoadedPlugin plugin{host, "backup-sqlite", config_of(database, 0)};
    wait_for([&] { return host.metric("tenon_backup_ship_lag_seconds") > 0; });
    CHECK(host.health_of("shipping") == TENON_DEGRADED);
    (void)host.admin("backup.create", "{}");
    wait_for([&] { return host.health_of("shipping") == TENON_HEALTHY; });
    wait_for([&] { return host.metric("tenon_backup_ship_lag_seconds") == 0; });
}

TEST_CASE("what is cancelled ends in every phase and leaves nothing", "[backup][S14]") {
    Captured database;
    database.wait_for_base();
    database.put(1, "one");
    Backups backups{database};
    const Manifest made = backups.store.create("", k_start, k_quiet);
    database.put(2, "two");
    using Body = std::function<void(const tenon::vault::Say&)>;
    const Body create = [&](const auto& say) {
        (void)backups.store.create("", k_start + k_hour, say);
    };
    const Body verify = [&](const auto& say) { backups.store.verify(made.id, say); };
    const Body restore = [&](const auto& say) {
        (void)backups.store.restore("", {}, backups.to, say);
    };
    const Body drill = [&](const auto& say) { (void)backups.store.drill("", k_start, say); };
    const std::vector<std::pair<std::string, Body>> phases{
        {"copy", create},
        {"verify", verify},
        {"fetch", verify},
        {"fetch", restore},
        {"restore", restore},
        {"fetch", drill},
        {"restore", drill},
        {"check", drill}};
    for (std::size_t i = 0; i < phases.size(); ++i) {
        const auto& [phase, body] = phases[i];
        CAPTURE(i, phase);
        bool is_reached = false;
        const auto say = [&, wanted = phase](std::string_view at, auto, auto) {
            if (at == wanted) {
                is_reached = true;
                backups.store.cancel();
            }
        };
        try {
            body(say);
            FAIL_CHECK("it went on to its end");
        } catch (const tenon::Error& e) {
            CHECK(e.code() == TENON_UNAVAILABLE);
        }
        CHECK(is_reached);
        backups.store.allow();
        CHECK(backups.store.vault().list().size() == 1);
        CHECK(backups.store.vault().proof(made.id).failed_ns == 0);
        CHECK_FALSE(fs::exists(backups.scratch));
        CHECK_FALSE(fs::exists(backups.to));
    }
    CHECK(backups.store.drill("", k_start, k_quiet) == made.id);
}

TEST_CASE("a stop cancels the backup under way, and the next start makes it", "[backup][S14]") {
    Captured database;
    database.wait_for_base();
    for (int i = 0; i < 50; ++i) {
        database.put(i, std::string(100'000, 'x') + std::to_string(i));
    }
    const auto is_running = [](tenon::test::FakeHost& host) {
        const auto told = boost::json::parse(host.admin("backup.progress", "{}"));
        return told.at("running").as_bool() && told.at("work").as_string() == "create";
    };
    const auto backups = [](tenon::test::FakeHost& host) {
        return boost::json::parse(host.admin("backup.list", "{}")).as_array().size();
    };
    {
        tenon::test::FakeHost host;
        tenon::test::LoadedPlugin plugin{host, "backup-sqlite", config_of(database, 21'600)};
        wait_for([&] { return is_running(host) || backups(host) == 1; });
        plugin.stop();
        CHECK(host.metric("tenon_backup_failures_total") == 0);
        CHECK(host.metric("tenon_backup_drill_failures_total") == 0);
    }
    tenon::test::FakeHost host;
    tenon::test::LoadedPlugin plugin{host, "backup-sqlite", config_of(database, 21'600)};
    wait_for([&] { return backups(host) == 1; });
    wait_for([&] {
        try {
            (void)host.admin("backup.verify", "{}");
            return true;
        } catch (const tenon::Error& e) {
            REQUIRE(e.code() == TENON_UNAVAILABLE);  // the drill is under way
            return false;
        }
    });
}
