// SPDX-License-Identifier: Apache-2.0
// Backups of a captured database: made, listed, checked, restored and pruned.
#include "tests/unit/backup/backups.hpp"

#include <fstream>
#include <random>
#include <time.h>

using tenon::backup_sqlite::Manifest;
using tenon::backup_sqlite::Shipped;
using tenon::backup_sqlite::Shipper;
using tenon::backup_sqlite::Store;
using tenon::test::Backups;
using tenon::test::begin_of;
using tenon::test::Captured;
using tenon::test::content_of;
using tenon::test::end_of;
using tenon::test::failure_of;
using tenon::test::k_hour;
using tenon::test::k_quiet;
using tenon::test::k_start;
namespace fs = std::filesystem;

namespace {

std::int64_t now_real_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// A folder whose disk is full after some more objects.
class FullPlace final : public tenon::vault::Place {
public:
    FullPlace(std::string folder, int& room) : place_{std::move(folder)}, room_{room} {}

    void put(const std::string& name, tenon::vault::View bytes) override {
        if (room_-- <= 0) {
            room_ = 0;
            errno = ENOSPC;
            throw tenon::capture::file_error("write", where(name));
        }
        place_.put(name, bytes);
    }

    [[nodiscard]] tenon::vault::Bytes get(const std::string& name) override {
        return place_.get(name);
    }

    [[nodiscard]] std::vector<tenon::vault::Object> list(const std::string& prefix) override {
        return place_.list(prefix);
    }

    [[nodiscard]] std::optional<std::uint64_t> size(const std::string& name) override {
        return place_.size(name);
    }

    void remove(const std::string& name) override { place_.remove(name); }

    [[nodiscard]] std::string where(const std::string& name) const override {
        return place_.where(name);
    }

private:
    tenon::vault::FolderPlace place_;
    int& room_;
};

}  // namespace

TEST_CASE(
    "a full disk fails what needs room, writes go on, and space comes back",
    "[backup][S14]"
) {
    Captured database;
    database.wait_for_base();
    const std::string folder = (database.backend.folder.path() / "full").string();
    const std::string to = (database.backend.folder.path() / "restored").string();
    int room = 0;
    const auto vault = [&] {
        return std::make_unique<tenon::vault::Vault>(
            std::make_shared<FullPlace>(folder, room), tenon::vault::Options{1, {}, 65'536}
        );
    };
    Shipper shipper{database.captures(), vault()};
    Store store{
        database.captures(), folder + "-scratch", vault(), [&] { shipper.backup_changed(); }};
    std::int64_t row = 0;
    const auto write = [&] {
        ++row;
        database.put(row, std::string(100'000, 'x') + std::to_string(row));
    };
    const auto is_full = [](const std::string& failure) {
        return failure.find("No space left on device") != std::string::npos;
    };
    // Every number of objects that fit before the first backup is whole.
    int failures = 0;
    for (int fits = 0;; ++fits) {
        room = fits;
        write();
        const std::string failure =
            failure_of([&] { (void)store.create("", k_start + fits, k_quiet); });
        if (failure.empty()) {
            break;
        }
        CHECK(is_full(failure));
        CHECK(store.vault().list().empty());
        ++failures;
        REQUIRE(failures < 100);
    }
    CHECK(failures >= 2);
    room = 0;
    write();
    CHECK(is_full(failure_of([&] { (void)shipper.ship(); })));
    CHECK(is_full(failure_of([&] { (void)store.drill("", k_start, k_quiet); })));
    write();
    room = 1000;
    CHECK(shipper.ship() == Shipped::all);
    CHECK(store.drill("", k_start, k_quiet) == store.vault().list().back().id);
    (void)store.restore("", {}, to, k_quiet);
    CHECK(
        content_of(to + "/tenon.db").find("," + std::string(100'000, 'x') + std::to_string(row)) !=
        std::string::npos
    );
    // What failed runs left goes.
    (void)store.prune({1, 0, 0, 0, 0}, false);
    std::size_t needed = 0;
    const auto kept = store.vault().list();
    for (const auto& file : kept.front().files) {
        needed += file.pieces.size();
    }
    CHECK(store.vault().place().list("pieces/").size() <= needed);
}

TEST_CASE("a backup restores any commit in it, and later ones leave no gap", "[backup][S14]") {
    Captured database;
    database.wait_for_base();
    const std::uint64_t one = database.put(1, "one");
    const std::uint64_t two = database.put(2, "two");
    Backups backups{database};
    const Manifest first = backups.store.create("before", k_start, k_quiet);
    CHECK(end_of(first) == two);
    const std::uint64_t three = database.put(3, "three");
    const Manifest second = backups.store.create("", k_start + k_hour, k_quiet);
    CHECK(begin_of(second) <= end_of(first));
    CHECK(backups.store.vault().list().size() == 2);
    CHECK(backups.store.vault().list().front().label == "before");
    backups.store.verify(first.id, k_quiet);
    backups.store.verify(second.id, k_quiet);
    CHECK(backups.restored("", {one, 0}) == "ok,1,one,");
    CHECK(backups.restored(first.id, {}) == "ok,1,one,2,two,");
    CHECK(backups.restored("", {three, 0}) == "ok,1,one,2,two,3,three,");
    CHECK(backups.restored("", {0, first.to_ns}) == "ok,1,one,2,two,");
    CHECK(failure_of([&] {
              (void)backups.restored("", {three + 1, 0});
          }).find("no backup reaches commit " + std::to_string(three + 1)) == 0);
    CHECK_FALSE(fs::exists(backups.to));
}

TEST_CASE("a restore touches no folder that holds something", "[backup][S14]") {
    Captured database;
    database.wait_for_base();
    Backups backups{database};
    (void)backups.store.create("", k_start, k_quiet);
    fs::create_directory(backups.to);
    std::ofstream{backups.to + "/precious"} << "mine";
    CHECK(failure_of([&] {
              (void)backups.store.restore("", {}, backups.to, k_quiet);
          }) == backups.to + " is not an empty folder");
    CHECK(std::distance(fs::directory_iterator{backups.to}, {}) == 1);
}

TEST_CASE("verify names the piece that is flipped, cut, swapped or missing", "[backup][S14]") {
    Captured database;
    database.wait_for_base();
    for (int i = 0; i < 40; ++i) {
        database.put(i, std::string(3000, static_cast<char>('a' + i % 26)));
    }
    Backups backups{database};
    const Manifest made = backups.store.create("", k_start, k_quiet);
    REQUIRE(made.files.size() >= 2);
    std::vector<fs::path> pieces;
    for (const auto& entry : fs::directory_iterator{backups.folder + "/pieces"}) {
        pieces.push_back(entry.path());
    }
    REQUIRE(pieces.size() >= 2);
    for (const fs::path& piece : pieces) {
        const fs::path kept = backups.folder + "/.kept";
        fs::copy_file(piece, kept, fs::copy_options::overwrite_existing);
        const auto check = [&](const char* what) {
            CAPTURE(what, piece);
            const std::string failure = failure_of([&] { backups.store.verify(made.id, k_quiet); });
            CHECK(failure.find(piece.filename()) != std::string::npos);
            CHECK(failure.find("no other backup reaches it") != std::string::npos);
            CHECK_FALSE(failure_of([&] { (void)backups.restored(made.id, {}); }).empty());
            CHECK_FALSE(fs::exists(backups.to));
            fs::copy_file(kept, piece, fs::copy_options::overwrite_existing);
        };
        {
            const auto middle = static_cast<std::streamoff>(fs::file_size(piece) / 2);
            std::fstream stream{piece, std::ios::in | std::ios::out | std::ios::binary};
            stream.seekg(middle);
            const int byte = stream.get();
            stream.seekp(middle);
            stream.put(static_cast<char>(byte ^ 1));
        }
        check("flipped");
        fs::resize_file(piece, fs::file_size(piece) - 1);
        check("cut");
        fs::copy_file(
            piece == pieces[0] ? pieces[1] : pieces[0], piece, fs::copy_options::overwrite_existing
        );
        check("swapped");
        fs::remove(piece);
        check("missing");
    }
    backups.store.verify(made.id, k_quiet);
    std::ofstream{backups.folder + "/backups/" + made.id, std::ios::app} << "x";
    CHECK(failure_of([&] {
              backups.store.verify(made.id, k_quiet);
          }).find(made.id) != std::string::npos);
}

TEST_CASE(
    "a damaged backup offers another generation, and is healed by the next",
    "[backup][S14]"
) {
    Captured database;
    database.wait_for_base();
    database.put(1, "one");
    Backups backups{database};
    const Manifest first = backups.store.create("", k_start, k_quiet);
    database.put(2, "two");
    const Manifest second = backups.store.create("", k_start + k_hour, k_quiet);
    // What only the second has: its newest segment.
    const std::string piece = backups.folder + "/pieces/" + second.files.back().pieces.back().sum;
    std::ofstream{piece, std::ios::app} << "x";
    CHECK(failure_of([&] {
              backups.store.verify(second.id, k_quiet);
          }).find("; the backup " + first.id + " is whole") != std::string::npos);
    CHECK_FALSE(failure_of([&] { (void)backups.store.drill("", k_start + k_hour, k_quiet); }
    ).empty());
    CHECK_FALSE(fs::exists(backups.scratch));
    CHECK_FALSE(backups.store.vault().proof(second.id).reason.empty());
    const Manifest third = backups.store.create("", k_start + 2 * k_hour, k_quiet);
    CHECK(backups.store.drill("", k_start + 2 * k_hour, k_quiet) == third.id);
    backups.store.verify(second.id, k_quiet);
    CHECK_FALSE(fs::exists(backups.scratch));
    CHECK(tenon::backup_sqlite::newest_proof_ns(backups.store.vault()) == k_start + 2 * k_hour);
}

TEST_CASE("what is shipped after a backup is restored too", "[backup][S14]") {
    Captured database{[](auto& s) { s.capture.segment_mb = 1; }};
    database.wait_for_base();
    database.put(1, "one");
    Backups backups{database};
    CHECK(backups.shipper.ship() == Shipped::needs_backup);
    (void)backups.store.create("", k_start, k_quiet);
    std::string expected = "ok,1,one,";
    std::mt19937 random{7};
    std::vector<std::pair<std::uint64_t, std::string>> oracle;
    for (int i = 2; i < 120; ++i) {
        std::string noise;
        for (int n = 0; n < 20'000; ++n) {
            noise += static_cast<char>('!' + random() % 90);
        }
        const std::uint64_t txid = database.put(i, noise);
        expected += std::to_string(i) + "," + noise + ",";
        oracle.emplace_back(txid, expected);
        if (i % 3 == 0) {
            CHECK(backups.shipper.ship() == Shipped::all);
        }
    }
    CHECK(backups.shipper.ship() == Shipped::all);
    CHECK(backups.restored("", {}) == expected);
    for (int i = 0; i < 8; ++i) {
        const auto& [txid, content] = oracle[random() % oracle.size()];
        CHECK(backups.restored("", {txid, 0}) == content);
    }
    // A new one holds them; the tails go.
    const Manifest second = backups.store.create("", k_start + k_hour, k_quiet);
    CHECK(backups.shipper.ship() == Shipped::all);
    CHECK(tenon::backup_sqlite::tails(backups.store.vault()).size() <= 1);
    CHECK(backups.restored(second.id, {}) == expected);
    // A tail that is damaged is named.
    database.put(500, "late");
    CHECK(backups.shipper.ship() == Shipped::all);
    const auto tail = tenon::backup_sqlite::tails(backups.store.vault()).back().object;
    std::ofstream{backups.folder + "/" + tail, std::ios::app} << "x";
    CHECK(failure_of([&] { (void)backups.restored("", {}); }).find(tail) != std::string::npos);
    CHECK(backups.restored(second.id, {}) == expected);
}

TEST_CASE("a restore to an order ends with the first commit that has it", "[backup][S14]") {
    Captured database;
    database.wait_for_base();
    database.write([](tenon::Session& s) {
        s.execute("CREATE TABLE orders (order_id INTEGER PRIMARY KEY, created_real_ns INTEGER)");
    });
    Backups backups{database};
    std::map<std::uint64_t, std::uint64_t> commits;
    std::string rows = "ok,";
    std::map<std::uint64_t, std::string> contents;
    for (std::uint64_t order = 1; order <= 30; ++order) {
        if (order == 10) {
            (void)backups.store.create("", k_start, k_quiet);
        }
        const auto id = static_cast<std::int64_t>(order);
        // Its clock may be behind or before the commit's.
        const std::int64_t placed = now_real_ns() + (order % 3 == 0 ? 1'000'000'000 : 0);
        commits[order] = database.write([&](tenon::Session& s) {
            s.prepare("INSERT INTO orders VALUES (?, ?)").bind_all(id, placed).run();
            s.prepare("INSERT INTO t VALUES (?, 'x')").bind_all(id).run();
        });
        rows += std::to_string(order) + ",x,";
        contents[order] = rows;
    }
    (void)backups.shipper.ship();
    for (const std::uint64_t order : {1U, 2U, 9U, 10U, 18U, 29U, 30U}) {
        CAPTURE(order);
        const auto at = backups.store.restore_order(order, backups.to, k_quiet);
        CHECK(at.txid == commits[order]);
        CHECK(content_of(backups.to + "/tenon.db") == contents[order]);
        fs::remove_all(backups.to);
    }
    CHECK(failure_of([&] {
              (void)backups.store.restore_order(31, backups.to, k_quiet);
          }) == "no backup has the order 31");
    CHECK_FALSE(fs::exists(backups.scratch));
    CHECK_FALSE(fs::exists(backups.to));
}

TEST_CASE("a trial finds a database that is not whole", "[backup][S14]") {
    Captured database;
    database.wait_for_base();
    database.write([](tenon::Session& s) {
        s.execute(
            "CREATE TABLE balances (account INTEGER, asset INTEGER, free INTEGER, locked INTEGER)"
        );
        s.execute("INSERT INTO balances VALUES (1, 7, -5, 0), (2, 7, 3, 2), (2, 8, 0, 0)");
    });
    Backups backups{database};
    const Manifest made = backups.store.create("", k_start, k_quiet);
    CHECK(backups.store.drill("", k_start, k_quiet) == made.id);
    database.write([](tenon::Session& s) {
        s.execute("UPDATE balances SET free = 4 WHERE free = 3");
    });
    const Manifest bad = backups.store.create("", k_start + k_hour, k_quiet);
    const std::string failure =
        failure_of([&] { (void)backups.store.drill("", k_start + k_hour, k_quiet); });
    CHECK(failure.find("the sum of balances: asset=7 off=1") != std::string::npos);
    CHECK(failure.find(bad.id) != std::string::npos);
    CHECK_FALSE(backups.store.vault().proof(bad.id).is_proven());
    CHECK(backups.store.vault().proof(made.id).is_proven());
    CHECK_FALSE(fs::exists(backups.scratch));
}

TEST_CASE("pruning keeps the newest, what they need, and what no proof covers", "[backup][S14]") {
    Captured database;
    database.wait_for_base();
    Backups backups{database};
    std::vector<Manifest> made;
    for (int i = 0; i < 4; ++i) {
        database.put(i, "row");
        made.push_back(backups.store.create("", k_start + i * k_hour, k_quiet));
    }
    std::ofstream{backups.folder + "/pieces/.unfinished-x"} << "of a run that was killed";
    std::ofstream{backups.folder + "/pieces/abc"} << "of another";
    const tenon::vault::Retention two{2, 0, 0, 0, 0};
    CHECK(backups.store.prune(two, true).empty());
    CHECK(backups.store.drill(made[2].id, k_start, k_quiet) == made[2].id);
    CHECK(backups.store.prune(two, true) == std::vector{made[0].id, made[1].id});
    CHECK(backups.store.vault().list().size() == 4);
    CHECK(backups.store.prune(two, false) == std::vector{made[0].id, made[1].id});
    CHECK(backups.store.vault().list().size() == 2);
    CHECK_FALSE(fs::exists(backups.folder + "/pieces/.unfinished-x"));
    CHECK_FALSE(fs::exists(backups.folder + "/pieces/abc"));
    backups.store.verify(made[2].id, k_quiet);
    backups.store.verify(made[3].id, k_quiet);
    CHECK(backups.restored("", {}) == "ok,0,row,1,row,2,row,3,row,");
}

TEST_CASE(
    "a backup that another process prunes while it is restored is told, with what is left",
    "[backup][S14]"
) {
    Captured database;
    database.wait_for_base();
    Backups backups{database};
    database.put(1, "one");
    const Manifest first = backups.store.create("", k_start, k_quiet);
    database.put(2, "two");
    const Manifest second = backups.store.create("", k_start + k_hour, k_quiet);
    CHECK(backups.store.drill(second.id, k_start, k_quiet) == second.id);
    const auto theirs = Backups::vault_in(backups.folder);
    bool is_pruned = false;
    const auto prune = [&](auto, auto, auto) {
        is_pruned = true;
        (void)theirs->prune({1, 0, 0, 0, 0}, false);
    };
    const std::string told =
        failure_of([&] { (void)backups.store.restore(first.id, {}, backups.to, prune); });
    REQUIRE(is_pruned);
    CHECK(told.find(first.id + " was pruned while it was read") != std::string::npos);
    CHECK(told.find("there are also " + second.id + " (") != std::string::npos);
    CHECK_FALSE(fs::exists(backups.to));
    CHECK(backups.restored("", {}) == "ok,1,one,2,two,");
}

TEST_CASE("a backup that is cancelled or has no source leaves nothing", "[backup][S14]") {
    Captured database;
    database.wait_for_base();
    Backups backups{database};
    const auto cancel = [&](auto, auto, auto) { backups.store.cancel(); };
    CHECK(failure_of([&] {
              (void)backups.store.create("", k_start, cancel);
          }) == "the work was cancelled");
    backups.store.allow();
    CHECK(backups.store.vault().list().empty());
    Store nothing{
        database.captures() + "-none", backups.scratch, Backups::vault_in(backups.folder)};
    CHECK(failure_of([&] {
              (void)nothing.create("", k_start, k_quiet);
          }).find("-none") != std::string::npos);
    CHECK(failure_of([&] {
              (void)backups.store.verify("../x", k_quiet);
          }) == "\"../x\" is no id of a backup");
}
