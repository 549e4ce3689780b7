// SPDX-License-Identifier: Apache-2.0
// The engine's journal in backups: shipped, taken over, cut at a moment, damaged, lost.
#include "tests/unit/backup/backups.hpp"
#include "tests/unit/backup/engine_files.hpp"

#include <algorithm>
#include <fstream>
#include <random>

using tenon::Error;
using tenon::Session;
using tenon::backup_sqlite::JournalFolders;
using tenon::backup_sqlite::Shipped;
using tenon::backup_sqlite::Shipper;
using tenon::backup_sqlite::Store;
using tenon::test::Backups;
using tenon::test::begin_of;
using tenon::test::Captured;
using tenon::test::end_of;
using tenon::test::EngineFiles;
using tenon::test::failure_of;
using tenon::test::k_hour;
using tenon::test::k_quiet;
using tenon::test::k_start;
using tenon::test::restored_journal;
using tenon::test::RestoredJournal;
using tenon::vault::Manifest;
namespace capture = tenon::capture;
namespace journal = tenon::journal;
namespace vault = tenon::vault;
namespace fs = std::filesystem;

namespace {

// A folder that can be away.
class AwayPlace final : public vault::Place {
public:
    AwayPlace(std::string folder, const bool& is_away)
        : place_{std::move(folder)}, is_away_{is_away} {}

    void put(const std::string& name, vault::View bytes) override { there().put(name, bytes); }

    [[nodiscard]] vault::Bytes get(const std::string& name) override { return there().get(name); }

    [[nodiscard]] std::vector<vault::Object> list(const std::string& prefix) override {
        return there().list(prefix);
    }

    [[nodiscard]] std::optional<std::uint64_t> size(const std::string& name) override {
        return there().size(name);
    }

    void remove(const std::string& name) override { there().remove(name); }

    [[nodiscard]] std::string where(const std::string& name) const override {
        return place_.where(name);
    }

private:
    vault::FolderPlace& there() {
        if (is_away_) {
            throw Error{TENON_UNAVAILABLE, "the store is away"};
        }
        return place_;
    }

    vault::FolderPlace place_;
    const bool& is_away_;
};

// An engine, the database that follows from it, and a store of both.
struct World {
    explicit World(std::uint64_t held_bytes_max = 1U << 28U, const Captured::Tweak& tweak = {})
        : database{tweak},
          data{database.backend.folder.path()},
          engine{data},
          folder{(data / "backups").string()},
          to{(data / "restored").string()} {
        engine.folders.held_bytes_max = held_bytes_max;
        shipper = std::make_unique<Shipper>(database.captures(), vault(), engine.folders);
        store = std::make_unique<Store>(
            database.captures(),
            (data / "scratch").string(),
            vault(),
            [this] { shipper->backup_changed(); },
            engine.folders
        );
        database.write([](Session& s) {
            s.execute("CREATE TABLE projection_offset (name TEXT, sequence INTEGER) STRICT");
            s.execute("INSERT INTO projection_offset VALUES ('trading', 0)");
        });
        database.wait_for_base();
    }

    [[nodiscard]] std::unique_ptr<vault::Vault> vault() {
        return std::make_unique<vault::Vault>(
            std::make_shared<AwayPlace>(folder, is_away), vault::Options{1, {}, 16'384}
        );
    }

    void trade(int orders) {
        for (int i = 0; i < orders; ++i) {
            engine.append(time_ns += 1'000);
        }
    }

    // The database has all there is; gives the number of the commit.
    std::uint64_t project() {
        projected = engine.sequence();
        return database.write([&](Session& s) {
            s.prepare("UPDATE projection_offset SET sequence = ?").bind_all(projected).run();
        });
    }

    // All that there is, and what the database has.
    RestoredJournal restored(std::string_view id = "", const capture::Target& target = {}) {
        fs::remove_all(to);
        at = store->restore(id, target, to, k_quiet);
        REQUIRE(at.journal);
        const RestoredJournal found = restored_journal(to);
        CHECK(at.journal->sequence == found.last);
        CHECK(at.journal->real_ns == found.last_ns);
        return found;
    }

    // Objects whose name begins so; the bytes are files of the store.
    [[nodiscard]] std::vector<fs::path> files(const char* kind) const {
        std::vector<fs::path> found;
        for (const auto& entry : fs::recursive_directory_iterator{fs::path{folder} / kind}) {
            if (entry.is_regular_file()) {
                found.push_back(entry.path());
            }
        }
        std::sort(found.begin(), found.end());
        return found;
    }

    [[nodiscard]] std::vector<std::uint64_t> held() {
        return journal::list_segments(engine.disk(), engine.folders.journal + "/held");
    }

    Captured database;
    fs::path data;
    EngineFiles engine;
    std::string folder, to;
    bool is_away = false;
    std::unique_ptr<Shipper> shipper;
    std::unique_ptr<Store> store;
    std::int64_t time_ns = k_start;
    std::uint64_t projected = 0;
    tenon::backup_sqlite::Restored at;
};

}  // namespace

TEST_CASE("what the engine deletes between backups is restored", "[backup][journal][S14]") {
    World world;
    world.trade(10);
    const Manifest first = world.store->create("", k_start, k_quiet);
    std::map<std::uint64_t, std::uint64_t> commits;  // and what the database has then
    for (int round = 0; round < 6; ++round) {
        world.trade(60);
        commits[world.project()] = world.projected;
        world.trade(5);
        world.engine.snapshot(world.projected);
        CHECK(world.shipper->ship() == Shipped::all);
        if (round == 3) {
            (void)world.store->create("", k_start + k_hour, k_quiet);
            CHECK(world.shipper->ship() == Shipped::all);
        }
    }
    REQUIRE(journal::list_segments(world.engine.disk(), world.engine.folders.journal).front() > 3);
    const RestoredJournal newest = world.restored();
    CHECK(newest.last == 400);
    CHECK(newest.covers(world.projected));
    for (const auto& [commit, projected] : commits) {
        CAPTURE(commit, projected);
        CHECK(world.restored("", {commit, 0}).covers(projected));
        CHECK(world.at.txid == commit);
    }
    CHECK(world.restored(first.id).last == 10);
    world.store->verify(world.store->vault().list().back().id, k_quiet);
    world.store->verify(first.id, k_quiet);
    CHECK_FALSE(world.store->drill("", k_start, k_quiet).empty());
    fs::remove_all(world.engine.folders.journal);  // and with nothing but the store
    fs::remove_all(world.engine.folders.snapshots);
    CHECK(world.restored().last == 400);
}

TEST_CASE("a backup begins no earlier than its database needs", "[backup][journal][S14]") {
    World world{1U << 28U, [](auto& s) { s.capture.base_s = 1; }};
    std::map<std::uint64_t, std::uint64_t> projected;  // by commit
    std::size_t most = 0;
    for (int round = 0; round < 12; ++round) {
        world.trade(60);
        projected[world.project()] = world.projected;
        world.engine.snapshot(world.projected);
        const Manifest one = world.store->create("", k_start + round * k_hour, k_quiet);
        CHECK(world.shipper->ship() == Shipped::all);
        const auto part = tenon::backup_sqlite::journal_of(one);
        REQUIRE(part);
        CHECK(part->sequence == world.engine.sequence());
        most = std::max(most, part->points.size());
        CHECK(world.restored(one.id).covers(world.projected));
        const auto then = projected.upper_bound(begin_of(one));
        if (then != projected.begin()) {
            CHECK(world.restored(one.id, {begin_of(one), 0}).covers(std::prev(then)->second));
        }
        // The newest of the database's bases is what a later backup begins with.
        if (round % 3 == 2) {
            const auto bases = capture::list(world.database.captures()).bases.size();
            world.database.wait_for_base(bases + 1);
        }
    }
    CHECK(most <= 6);
}

TEST_CASE("a restore ends with the last command of its moment", "[backup][journal][S14]") {
    World world;
    world.trade(1);
    (void)world.store->create("", k_start, k_quiet);
    std::mt19937 random{7};
    // Times of commits are the clock's, so those of commands are set before and behind them.
    world.time_ns = world.store->vault().list().back().to_ns + 1'000'000;
    const std::int64_t begin_ns = world.time_ns;
    world.trade(200);
    CHECK(world.shipper->ship() == Shipped::all);
    for (int i = 0; i < 20; ++i) {
        const std::int64_t order = 1 + static_cast<std::int64_t>(random() % 199);
        const std::int64_t then_ns =
            begin_ns + order * 1'000 + static_cast<std::int64_t>(random() % 1'000);
        const RestoredJournal found = world.restored("", {0, then_ns});
        CHECK(found.last == 1 + static_cast<std::uint64_t>(order));
        CHECK(found.last_ns <= then_ns);
    }
    // What the database has is kept, whatever the clock said.
    world.time_ns = begin_ns + 900 * k_hour;
    world.trade(20);
    const std::uint64_t commit = world.project();
    world.trade(20);
    CHECK(world.shipper->ship() == Shipped::all);
    CHECK(world.restored("", {commit, 0}).last == world.projected);
    CHECK(world.restored().last == world.projected + 20);
}

TEST_CASE(
    "every piece of the journal that is flipped, cut or missing is named",
    "[backup][journal][S14]"
) {
    World world;
    world.trade(150);
    (void)world.project();
    world.engine.snapshot(0);  // so that no segment goes
    const Manifest one = world.store->create("", k_start, k_quiet);
    for (int i = 0; i < 10; ++i) {
        world.trade(12);
        CHECK(world.shipper->ship() == Shipped::all);
    }
    (void)world.restored();
    std::set<std::string> of_journal;
    for (const vault::File& file : one.files) {
        for (const vault::Ref& piece : file.pieces) {
            if (tenon::backup_sqlite::is_of_journal(file.name) ||
                tenon::backup_sqlite::is_of_snapshots(file.name)) {
                of_journal.insert(piece.sum);
            }
        }
    }
    std::vector<fs::path> all = world.files("journal");
    REQUIRE(all.size() >= 10);
    const fs::path last = all.back();
    for (const fs::path& piece : world.files("pieces")) {
        if (of_journal.count(piece.filename().string()) != 0) {
            all.push_back(piece);
        }
    }
    REQUIRE(of_journal.size() >= 4);
    std::mt19937 random{11};
    const fs::path aside = world.data / "aside";
    const auto fails_with = [&](const fs::path& file, const std::string& what) {
        CAPTURE(file, what);
        const std::string failure = failure_of([&] { (void)world.restored(); });
        CHECK(failure.find(what) != std::string::npos);
        CHECK_FALSE(fs::exists(world.to));
        if (file.string().find("/pieces/") != std::string::npos) {
            const std::string found = failure_of([&] { world.store->verify(one.id, k_quiet); });
            CHECK(found.find(what) != std::string::npos);
            CHECK(found.find(one.id) != std::string::npos);
        }
    };
    for (const fs::path& file : all) {
        fs::copy_file(file, aside, fs::copy_options::overwrite_existing);
        const auto size = fs::file_size(file);
        for (int i = 0; i < 4; ++i) {
            const auto at = static_cast<std::streamoff>(random() % size);
            std::fstream content{file, std::ios::in | std::ios::out | std::ios::binary};
            content.seekg(at);
            const char was = static_cast<char>(content.get());
            content.seekp(at).put(static_cast<char>(was ^ (1 << random() % 8)));
            content.close();
            fails_with(file, file.filename().string());
            fs::copy_file(aside, file, fs::copy_options::overwrite_existing);
        }
        fs::resize_file(file, random() % size);
        fails_with(file, file.filename().string());
        fs::remove(file);
        if (file != last) {
            // A tail that is missing shows by the next one, of the last segment or another.
            fails_with(
                file,
                file.string().find("/pieces/") != std::string::npos ? file.filename().string()
                                                                    : ".seg"
            );
        }
        fs::copy_file(aside, file, fs::copy_options::overwrite_existing);
    }
    const fs::path other = world.files("journal")[1];
    fs::copy_file(other, aside, fs::copy_options::overwrite_existing);
    fs::copy_file(last, other, fs::copy_options::overwrite_existing);
    fails_with(other, other.filename().string());
    fs::copy_file(aside, other, fs::copy_options::overwrite_existing);
    CHECK(world.restored().last == 270);
}

TEST_CASE("a database that is ahead of the journal is not restored", "[backup][journal][S14]") {
    World world;
    world.trade(20);
    (void)world.store->create("", k_start, k_quiet);
    CHECK(world.shipper->ship() == Shipped::all);
    world.trade(20);
    (void)world.project();
    CHECK(world.shipper->ship() == Shipped::all);
    CHECK(world.restored().last == 40);
    fs::remove(world.files("journal").back());
    const std::string failure = failure_of([&] { (void)world.restored(); });
    CHECK(
        failure.find("the journal that is stored ends with record 20, it had 40 when the database "
                     "was written") != std::string::npos
    );
}

TEST_CASE(
    "what was stored of the database is never ahead of the journal",
    "[backup][journal][S14]"
) {
    World world;
    world.trade(1);
    (void)world.store->create("", k_start, k_quiet);
    CHECK(world.shipper->ship() == Shipped::all);
    // The journal grows while it is shipped: what is seen of the database was before.
    std::mt19937 random{3};
    for (int i = 0; i < 30; ++i) {
        world.trade(1 + static_cast<int>(random() % 20));
        (void)world.project();
        CHECK(world.shipper->ship() == Shipped::all);
        CHECK(world.restored().covers(world.projected));
    }
}

TEST_CASE("a store that is away fills the disk up to a bound only", "[backup][journal][S14]") {
    World world{5 * 65'536};
    world.trade(10);
    (void)world.project();
    (void)world.store->create("", k_start, k_quiet);
    CHECK(world.shipper->ship() == Shipped::all);
    world.is_away = true;
    for (int round = 0; round < 10; ++round) {
        world.trade(60);
        (void)world.project();
        world.engine.snapshot(world.projected);
        // As soon as something was lost only a backup helps.
        std::optional<Shipped> shipped;
        const std::string failure = failure_of([&] { shipped = world.shipper->ship(); });
        CHECK((failure == "the store is away" || (round > 1 && shipped == Shipped::needs_backup)));
        CHECK(world.shipper->journal_behind_bytes() > 0);
        const auto live = journal::list_segments(world.engine.disk(), world.engine.folders.journal);
        const auto held = world.held();
        CHECK(std::count_if(held.begin(), held.end(), [&](auto one) {
                  return one < live.front();
              }) <= 5);
    }
    world.is_away = false;
    CHECK(world.shipper->ship() == Shipped::needs_backup);
    (void)world.store->create("", k_start + k_hour, k_quiet);
    CHECK(world.shipper->ship() != Shipped::needs_backup);
    world.trade(5);
    (void)world.shipper->ship();
    const RestoredJournal found = world.restored();
    CHECK(found.last == world.engine.sequence());
    CHECK(found.covers(world.projected));
}

TEST_CASE(
    "half of what may be held wants a backup, which lets go of it",
    "[backup][journal][S14]"
) {
    World world{8 * 65'536};
    world.trade(10);
    (void)world.store->create("", k_start, k_quiet);
    CHECK(world.shipper->ship() == Shipped::all);
    Shipped last = Shipped::all;
    for (int round = 0; round < 8 && last == Shipped::all; ++round) {
        world.trade(60);
        (void)world.project();
        world.engine.snapshot(world.projected);
        last = world.shipper->ship();
    }
    CHECK(last == Shipped::all_but_due);
    CHECK(world.restored().last == world.engine.sequence());
    (void)world.store->create("", k_start + k_hour, k_quiet);
    CHECK(world.shipper->ship() == Shipped::all);
    const auto live = journal::list_segments(world.engine.disk(), world.engine.folders.journal);
    CHECK(world.held().front() == live.front());
    CHECK(world.restored().last == world.engine.sequence());
}

TEST_CASE("with little room on the disk nothing is held", "[backup][journal][S14]") {
    World world{std::uint64_t{1} << 62U};
    world.trade(10);
    (void)world.store->create("", k_start, k_quiet);
    CHECK(world.shipper->ship() == Shipped::all);
    world.trade(60);
    CHECK(world.shipper->ship() == Shipped::all);
    (void)world.project();
    world.engine.snapshot(world.projected);
    CHECK(world.shipper->ship() == Shipped::all);  // it was stored before
    const auto live = journal::list_segments(world.engine.disk(), world.engine.folders.journal);
    CHECK(world.held().front() == live.front());
    CHECK(world.restored().last == 70);
}

TEST_CASE("what is put anew may overlap what is not removed yet", "[backup][journal][S14]") {
    World world;
    world.trade(10);
    (void)world.store->create("", k_start, k_quiet);
    for (int i = 0; i < 20; ++i) {
        world.trade(6);
        CHECK(world.shipper->ship() == Shipped::all);
    }
    const std::vector<fs::path> before = world.files("journal");
    const fs::path aside = world.data / "aside";
    fs::copy(fs::path{world.folder} / "journal", aside, fs::copy_options::recursive);
    world.trade(3);
    world.shipper =
        std::make_unique<Shipper>(world.database.captures(), world.vault(), world.engine.folders);
    CHECK(world.shipper->ship() == Shipped::all);
    const std::vector<fs::path> anew = world.files("journal");
    REQUIRE(anew.size() > 1);
    REQUIRE(anew.size() < before.size());
    fs::copy(
        aside,
        fs::path{world.folder} / "journal",
        fs::copy_options::recursive | fs::copy_options::skip_existing
    );
    CHECK(world.restored().last == 133);
    // Killed behind the first that it put anew.
    for (const fs::path& file : anew) {
        if (std::find(before.begin(), before.end(), file) == before.end()) {
            fs::remove(file);
        }
    }
    CHECK(world.restored().last == 130);
}

TEST_CASE("a journal that was cut counts again with the next backup", "[backup][journal][S14]") {
    World world;
    world.trade(10);
    (void)world.store->create("", k_start, k_quiet);
    world.trade(10);
    CHECK(world.shipper->ship() == Shipped::all);
    // After a power failure the last commands were not on disk, and others came in their place.
    const std::string file = world.engine.folders.journal + "/" + journal::segment_name(1);
    const auto cut_after = [&](std::uint64_t sequence) {
        journal::SegmentCursor cursor{world.engine.disk(), world.engine.folders.journal, 1};
        journal::Record record;
        while (cursor.next(record) == journal::SegmentCursor::Step::record &&
               record.sequence < sequence) {}
        fs::resize_file(file, cursor.offset());
        fs::resize_file(file, 65'536);
        world.engine.start();
    };
    cut_after(15);
    world.time_ns += k_hour;
    CHECK_THAT(
        failure_of([&] { (void)world.shipper->ship(); }), Catch::Contains("was cut before offset")
    );
    world.trade(1);
    CHECK(world.shipper->ship() == Shipped::all);
    CHECK(world.restored().last == 16);
    CHECK(world.restored().last_ns == world.time_ns);
    // Behind what a backup has: it is made anew.
    cut_after(5);
    world.trade(1);
    CHECK(failure_of([&] { (void)world.shipper->ship(); }) != "");
    CHECK(world.shipper->ship() == Shipped::needs_backup);
    (void)world.store->create("", k_start + k_hour, k_quiet);
    CHECK(world.shipper->ship() == Shipped::all);
    CHECK(world.restored().last == 6);
}

TEST_CASE("a journal that comes later counts with the next backup", "[backup][journal][S14]") {
    World world;
    (void)world.store->create("", k_start, k_quiet);
    CHECK(world.shipper->ship() == Shipped::all);
    fs::remove_all(world.to);
    CHECK_FALSE(world.store->restore("", {}, world.to, k_quiet).journal);
    world.trade(3);
    CHECK(world.shipper->ship() == Shipped::needs_backup);
    (void)world.store->create("", k_start + k_hour, k_quiet);
    CHECK(world.shipper->ship() == Shipped::all);
    CHECK(world.restored().last == 3);
}
