// SPDX-License-Identifier: Apache-2.0
// What is captured of a SQLite database, and what is restored from it.
#include "tests/unit/capture/captured.hpp"

#include <fstream>
#include <random>

using tenon::Session;
using tenon::test::Captured;
using tenon::test::content_of;
namespace capture = tenon::capture;
namespace fs = std::filesystem;

namespace {

// Random writes, and what the rows are after each commit.
class Load {
public:
    Load(Captured& database, unsigned seed) : database_{database}, random_{seed} {}

    void run(int writes) {
        for (int i = 0; i < writes; ++i) {
            const auto id = static_cast<std::int64_t>(random_() % 200);
            const std::string text(random_() % 3000, static_cast<char>('a' + random_() % 26));
            const bool removes = random_() % 5 == 0;
            const std::uint64_t txid = database_.write([&](Session& s) {
                if (removes) {
                    s.prepare("DELETE FROM t WHERE id >= ?").bind_all(id).run();
                } else {
                    s.prepare("INSERT OR REPLACE INTO t VALUES (?, ?)").bind_all(id, text).run();
                }
            });
            if (removes) {
                rows_.erase(rows_.lower_bound(id), rows_.end());
            } else {
                rows_[id] = text;
            }
            REQUIRE(txid >= last);  // a delete that finds nothing commits nothing
            last = txid;
            states[txid] = text_of();
        }
    }

    std::map<std::uint64_t, std::string> states;
    std::uint64_t last = 0;

private:
    [[nodiscard]] std::string text_of() const {
        std::string text = "ok,";
        for (const auto& [id, x] : rows_) {
            text += std::to_string(id) + "," + x + ",";
        }
        return text;
    }

    Captured& database_;
    std::mt19937 random_;
    std::map<std::int64_t, std::string> rows_;
};

unsigned seed() {
    const char* const set = std::getenv("TENON_TEST_SEED");
    const unsigned value =
        set != nullptr ? static_cast<unsigned>(std::stoul(set)) : std::random_device{}();
    UNSCOPED_INFO("TENON_TEST_SEED=" << value);
    return value;
}

void flip(const std::string& file, std::uint64_t offset) {
    std::fstream stream{file, std::ios::in | std::ios::out | std::ios::binary};
    stream.seekg(static_cast<std::streamoff>(offset));
    const int byte = stream.get();
    stream.seekp(static_cast<std::streamoff>(offset));
    stream.put(static_cast<char>(byte ^ 0x20));
    REQUIRE(stream.good());
}

std::string failure_of_restore(const std::string& folder, std::uint64_t txid, const fs::path& to) {
    try {
        (void)capture::restore(folder, {txid, 0}, to.string(), {});
    } catch (const tenon::Error& e) {
        return e.what();
    }
    return "";
}

}  // namespace

TEST_CASE(
    "every captured commit can be restored, across checkpoints and segments",
    "[capture][S14]"
) {
    const unsigned number = seed();
    CAPTURE(number);
    Captured database{[](auto& s) { s.capture.segment_mb = 1; }};
    database.wait_for_base();
    Load load{database, number};
    load.run(900);
    CHECK(database.backend.storage().stats().group_commits >= 900);
    std::size_t compared = 0;
    for (auto it = load.states.begin(); it != load.states.end(); ++it, ++compared) {
        if (compared % 29 == 0 || it->first == load.last) {
            CAPTURE(it->first, load.last);
            CHECK(database.restored(it->first) == it->second);
        }
    }
    CHECK(database.restored(0) == load.states.rbegin()->second);
}

TEST_CASE("a server that starts again goes on in the same epoch", "[capture][S14]") {
    Captured database;
    database.wait_for_base();
    Load load{database, 1};
    load.run(50);
    database.backend.close();
    database.backend.open();
    load.run(50);
    database.backend.close();
    database.backend.open();
    load.run(5);
    const auto all = capture::list(database.captures());
    CHECK(all.segments.back().epoch == 1);
    CHECK(database.restored(load.states.begin()->first) == load.states.begin()->second);
    CHECK(database.restored(load.last) == load.states.rbegin()->second);
}

TEST_CASE("what another connection commits is captured, and told", "[capture][S14]") {
    Captured database;
    database.wait_for_base();
    database.put(1, "ours");
    sqlite3* stranger = nullptr;
    REQUIRE(sqlite3_open(database.backend.settings.file.c_str(), &stranger) == SQLITE_OK);
    REQUIRE(
        sqlite3_exec(stranger, "INSERT INTO t VALUES (2, 'theirs')", nullptr, nullptr, nullptr) ==
        SQLITE_OK
    );
    const std::uint64_t txid = database.put(3, "ours");
    CHECK(database.restored(txid) == "ok,1,ours,2,theirs,3,ours,");
    CHECK(database.restored(txid - 1) == "ok,1,ours,2,theirs,");
    bool is_told = false;
    for (const auto& line : database.backend.host.log_lines()) {
        is_told = is_told || line.find("database_foreign_write") != std::string::npos;
    }
    CHECK(is_told);
    sqlite3_close(stranger);
}

TEST_CASE("a log that somebody else emptied begins an epoch with a base", "[capture][S14]") {
    Captured database;
    database.wait_for_base();
    database.put(1, "ours");
    sqlite3* stranger = nullptr;
    REQUIRE(sqlite3_open(database.backend.settings.file.c_str(), &stranger) == SQLITE_OK);
    sqlite3_busy_timeout(stranger, 60'000);
    REQUIRE(
        sqlite3_exec(
            stranger,
            "INSERT INTO t VALUES (2, 'theirs'); PRAGMA wal_checkpoint(TRUNCATE)",
            nullptr,
            nullptr,
            nullptr
        ) == SQLITE_OK
    );
    sqlite3_close(stranger);
    (void)database.put(3, "ours");
    database.wait_for_base(2);
    const std::uint64_t txid = database.put(4, "ours");
    CHECK(capture::list(database.captures()).segments.back().epoch == 2);
    CHECK(database.restored(txid) == "ok,1,ours,2,theirs,3,ours,4,ours,");
}

TEST_CASE("a file that was changed while nobody ran begins an epoch", "[capture][S14]") {
    Captured database;
    database.wait_for_base();
    database.put(1, "ours");
    database.backend.close();
    sqlite3* stranger = nullptr;
    REQUIRE(sqlite3_open(database.backend.settings.file.c_str(), &stranger) == SQLITE_OK);
    REQUIRE(
        sqlite3_exec(stranger, "INSERT INTO t VALUES (2, 'theirs')", nullptr, nullptr, nullptr) ==
        SQLITE_OK
    );
    sqlite3_close(stranger);
    database.backend.open();
    database.wait_for_base(2);
    const std::uint64_t txid = database.put(3, "ours");
    CHECK(capture::list(database.captures()).segments.back().epoch == 2);
    CHECK(database.restored(txid) == "ok,1,ours,2,theirs,3,ours,");
}

TEST_CASE("a flipped, cut, swapped or missing piece is found and named", "[capture][S14]") {
    const unsigned number = seed();
    CAPTURE(number);
    std::mt19937 random{number};
    Captured database{[](auto& s) {
        s.capture.segment_mb = 1;
        s.capture.zstd_level = 0;
    }};
    database.wait_for_base();
    Load load{database, number};
    load.run(700);
    database.backend.close();
    auto all = capture::list(database.captures());
    std::erase_if(all.segments, [&](const capture::Piece& piece) {
        return piece.txid <= all.bases.front().txid;  // a restore does not read them
    });
    REQUIRE(all.segments.size() >= 3);
    const fs::path copy = database.backend.folder.path() / "copy";
    const fs::path to = database.backend.folder.path() / "to";
    const auto fresh = [&] {
        fs::remove_all(copy);
        fs::copy(database.captures(), copy);
    };
    const auto in_copy = [&](const capture::Piece& piece) {
        return (copy / fs::path{piece.file}.filename()).string();
    };
    for (int i = 0; i < 60; ++i) {
        fresh();
        const bool is_base = i % 4 == 0;
        const auto& piece =
            is_base ? all.bases.front() : all.segments[random() % all.segments.size()];
        const std::uint64_t offset = random() % piece.bytes;
        CAPTURE(i, piece.file, offset);
        flip(in_copy(piece), offset);
        const std::string failure = failure_of_restore(copy.string(), load.last, to);
        // Behind the last commit there may be the record of a checkpoint, which nothing depends on.
        if (failure.empty()) {
            CHECK(piece.file == all.segments.back().file);
            CHECK(content_of(to.string()) == load.states.rbegin()->second);
            fs::remove(to);
            continue;
        }
        CHECK(failure.find(fs::path{piece.file}.filename().string()) != std::string::npos);
        CHECK_FALSE(fs::exists(to));
    }
    fresh();
    fs::resize_file(in_copy(all.segments[1]), all.segments[1].bytes / 2);
    CHECK(
        failure_of_restore(copy.string(), load.last, to).find("is cut short") != std::string::npos
    );
    fresh();
    fs::remove(in_copy(all.segments[1]));
    CHECK(failure_of_restore(copy.string(), load.last, to).find("is missing") != std::string::npos);
    fresh();
    fs::rename(in_copy(all.segments[1]), copy / "x");
    fs::rename(in_copy(all.segments[2]), in_copy(all.segments[1]));
    fs::rename(copy / "x", in_copy(all.segments[2]));
    CHECK(
        failure_of_restore(copy.string(), load.last, to).find("does not follow") !=
        std::string::npos
    );
    CHECK_FALSE(fs::exists(to));
}

TEST_CASE(
    "a capture folder that cannot be written degrades, trades on and heals",
    "[capture][S14]"
) {
    Captured database;
    database.wait_for_base();
    database.put(1, "before");
    // What stands in the place of the next segment: it cannot be made.
    database.backend.close();
    const fs::path folder = database.captures();
    const fs::path aside = folder.string() + ".aside";
    fs::rename(folder, aside);
    std::ofstream{folder} << "not a folder";
    database.backend.open();
    database.put(2, "meanwhile");
    CHECK(database.backend.host.health_of("capture") == TENON_DEGRADED);
    fs::remove(folder);
    fs::rename(aside, folder);
    const auto patience = database.backend.deadline();
    std::uint64_t txid = 0;
    while ((txid = database.put(3, "after")) == 0) {
        REQUIRE(database.backend.host.reactor().now_ns() < patience);
    }
    CHECK(database.restored(txid) == "ok,1,before,2,meanwhile,3,after,");
    CHECK(capture::list(folder.string()).segments.back().epoch == 1);
}
