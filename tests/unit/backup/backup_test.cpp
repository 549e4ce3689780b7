// SPDX-License-Identifier: Apache-2.0
// Backups of a captured database: made, listed, checked, restored and pruned.
#include "plugins/backup/sqlite/store.hpp"
#include "tests/unit/capture/captured.hpp"

#include <fstream>

using tenon::backup_sqlite::Manifest;
using tenon::backup_sqlite::Store;
using tenon::test::Captured;
using tenon::test::content_of;
namespace fs = std::filesystem;

namespace {

const auto k_quiet = [](auto, auto, auto) {};
constexpr std::int64_t k_hour = 3'600'000'000'000;
constexpr std::int64_t k_start = 1'780'000'000'000'000'000;

struct Backups {
    explicit Backups(Captured& database)
        : folder{(database.backend.folder.path() / "backups").string()},
          to{(database.backend.folder.path() / "restored").string()},
          store{database.captures(), folder} {}

    [[nodiscard]] std::string restored(std::string_view id, const tenon::capture::Target& target) {
        (void)store.restore(id, target, to, k_quiet);
        const std::string content = content_of(to + "/tenon.db");
        fs::remove_all(to);
        return content;
    }

    std::string folder;
    std::string to;
    Store store;
};

std::string failure_of(const std::function<void()>& body) {
    try {
        body();
    } catch (const tenon::Error& e) {
        return e.what();
    }
    return "";
}

}  // namespace

TEST_CASE("a backup restores any commit in it, and later ones leave no gap", "[backup][S14]") {
    Captured database;
    database.wait_for_base();
    const std::uint64_t one = database.put(1, "one");
    const std::uint64_t two = database.put(2, "two");
    Backups backups{database};
    const Manifest first = backups.store.create("before", k_start, k_quiet);
    CHECK(first.to_txid == two);
    const std::uint64_t three = database.put(3, "three");
    const Manifest second = backups.store.create("", k_start + k_hour, k_quiet);
    CHECK(second.from_txid <= first.to_txid);
    CHECK(backups.store.list().size() == 2);
    CHECK(backups.store.list().front().label == "before");
    backups.store.verify(first.id, k_quiet);
    backups.store.verify(second.id, k_quiet);
    CHECK(backups.restored("", {one, 0}) == "ok,1,one,");
    CHECK(backups.restored(first.id, {}) == "ok,1,one,2,two,");
    CHECK(backups.restored("", {three, 0}) == "ok,1,one,2,two,3,three,");
    CHECK(backups.restored("", {0, first.to_ns}) == "ok,1,one,2,two,");
    CHECK(failure_of([&] {
              (void)backups.restored("", {three + 1, 0});
          }) == "no backup reaches the wanted state");
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
    database.put(1, "one");
    Backups backups{database};
    const Manifest made = backups.store.create("", k_start, k_quiet);
    REQUIRE(made.parts.size() >= 2);
    for (const auto& part : made.parts) {
        const std::string file = backups.folder + "/pieces/" + part.file;
        const std::string kept = file + ".kept";
        fs::copy_file(file, kept);
        const auto check = [&](const char* what) {
            CAPTURE(what, part.name);
            const std::string failure = failure_of([&] { backups.store.verify(made.id, k_quiet); });
            CHECK(failure.find(part.name) != std::string::npos);
            CHECK(failure_of([&] {
                      (void)backups.restored("", {});
                  }).find(part.name) != std::string::npos);
            fs::remove(file);
            fs::copy_file(kept, file);
        };
        {
            std::fstream stream{file, std::ios::in | std::ios::out | std::ios::binary};
            stream.seekp(static_cast<std::streamoff>(part.bytes / 2));
            const int byte = stream.peek();
            stream.seekp(static_cast<std::streamoff>(part.bytes / 2));
            stream.put(static_cast<char>(byte ^ 1));
        }
        check("flipped");
        fs::resize_file(file, part.bytes - 1);
        check("cut");
        const auto& other = &part == &made.parts.front() ? made.parts.back() : made.parts.front();
        fs::remove(file);
        fs::copy_file(backups.folder + "/pieces/" + other.file, file);
        check("swapped");
        fs::remove(file);
        check("missing");
        fs::remove(kept);
    }
    backups.store.verify(made.id, k_quiet);
    std::ofstream{backups.folder + "/" + made.id + ".json", std::ios::app} << "x";
    CHECK(failure_of([&] {
              backups.store.verify(made.id, k_quiet);
          }).find(made.id) != std::string::npos);
}

TEST_CASE("pruning keeps the newest and what they need", "[backup][S14]") {
    Captured database;
    database.wait_for_base();
    Backups backups{database};
    std::vector<Manifest> made;
    for (int i = 0; i < 4; ++i) {
        database.put(i, "row");
        made.push_back(backups.store.create("", k_start + i * k_hour, k_quiet));
    }
    std::ofstream{backups.folder + "/pieces/part"} << "of a run that was killed";
    CHECK(backups.store.prune(2, true) == std::vector{made[0].id, made[1].id});
    CHECK(backups.store.list().size() == 4);
    CHECK(backups.store.prune(2, false) == std::vector{made[0].id, made[1].id});
    CHECK(backups.store.list().size() == 2);
    CHECK_FALSE(fs::exists(backups.folder + "/pieces/part"));
    backups.store.verify(made[2].id, k_quiet);
    backups.store.verify(made[3].id, k_quiet);
    CHECK(backups.store.prune(1, false) == std::vector{made[2].id});
    CHECK(backups.restored("", {}) == "ok,0,row,1,row,2,row,3,row,");
}

TEST_CASE("a backup that is cancelled or has no source leaves nothing", "[backup][S14]") {
    Captured database;
    database.wait_for_base();
    Backups backups{database};
    const auto cancel = [&](auto, auto, auto) { backups.store.cancel(); };
    CHECK(failure_of([&] {
              (void)backups.store.create("", k_start, cancel);
          }) == "the work was cancelled");
    CHECK(backups.store.list().empty());
    backups.store.allow();
    Store nothing{database.captures() + "-none", backups.folder};
    CHECK(failure_of([&] {
              (void)nothing.create("", k_start, k_quiet);
          }).find("-none") != std::string::npos);
    CHECK(failure_of([&] {
              (void)backups.store.verify("../x", k_quiet);
          }) == "\"../x\" is no id of a backup");
}
