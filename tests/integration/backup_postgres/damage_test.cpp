// SPDX-License-Identifier: Apache-2.0
// Damage of what is stored is found, named, and gone round where another backup leads there.
#include "tests/integration/backup_postgres/cluster.hpp"

#include <utility>

using namespace tenon::test;  // NOLINT
namespace fs = std::filesystem;

namespace {

std::string content(const fs::path& file) {
    std::ifstream in{file, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

void write(const fs::path& file, const std::string& text) {
    std::ofstream{file, std::ios::binary | std::ios::trunc} << text;
}

// Does something before the next piece of a base is put.
class Hooked final : public pg::Pieces {
public:
    explicit Hooked(pg::Pieces& below) : below_{below} {}

    void put(const std::string& name, std::string_view content) override {
        if (name.starts_with("base/") && on_base) {
            std::exchange(on_base, {})();
        }
        below_.put(name, content);
    }

    std::string get(const std::string& name) override { return below_.get(name); }

    std::vector<std::string> list(const std::string& prefix) override {
        return below_.list(prefix);
    }

    void remove(const std::string& name) override { below_.remove(name); }

    void sweep() override { below_.sweep(); }

    std::function<void()> on_base;

private:
    pg::Pieces& below_;
};

}  // namespace

TEST_CASE(
    "a piece that is flipped, cut, swapped or missing is named, and another backup restores",
    "[backup][S14]"
) {
    std::mt19937_64 random{seed()};
    PostgresServer server{quick()};
    const TemporaryFolder folder;
    Cluster cluster{server, folder.path().string()};
    Load load{server};
    load.put_some(3);
    const pg::Manifest first = cluster.backups.create("", k_quiet);
    load.put_some(3);
    const pg::Manifest second = cluster.backups.create("", k_quiet);
    load.put_some(3);
    cluster.wait_stored();
    cluster.receiver.stop();
    cluster.backups.verify(first.id, k_quiet);
    cluster.backups.verify(second.id, k_quiet);
    const std::string victim = second.pieces.front().name;
    const fs::path file = folder.path() / victim;
    const std::string whole = content(file);
    std::string flipped = whole;
    flipped[random() % flipped.size()] ^= static_cast<char>(1U << (random() % 8));
    const std::string swapped = content(folder.path() / first.pieces.front().name);
    const std::vector<std::function<void()>> harms{
        [&] { write(file, flipped); },
        [&] { write(file, whole.substr(0, random() % whole.size())); },
        [&] { write(file, swapped); },
        [&] { fs::remove(file); }};
    for (const auto& harm : harms) {
        harm();
        const std::string told = failure_of([&] { cluster.backups.verify(second.id, k_quiet); });
        CHECK(told.find(victim) != std::string::npos);
        CHECK(told.find("there are also " + first.id) != std::string::npos);
        pg::Restored made;
        const auto there = restored(cluster.backups, {}, &made);
        CHECK(made.from.id == first.id);
        REQUIRE(made.passed_over.size() == 1);
        CHECK(made.passed_over.front().find(victim) != std::string::npos);
        CHECK(Load::rows_of(*there) == 9);
        CHECK(failure_of([&] {
                  (void)restored(cluster.backups, {}, nullptr, second.id);
              }).find(victim) != std::string::npos);
        write(file, whole);
    }
    cluster.backups.verify(second.id, k_quiet);
}

TEST_CASE(
    "a piece of the log that is damaged or missing is named, with what can still be restored",
    "[backup][S14]"
) {
    std::mt19937_64 random{seed()};
    PostgresServer server{quick()};
    const TemporaryFolder folder;
    Cluster cluster{server, folder.path().string()};
    Load load{server};
    const pg::Manifest made = cluster.backups.create("", k_quiet);
    for (int i = 0; i < 4; ++i) {
        load.put_some(2);
        const std::int64_t now = now_real_ns();
        cluster.wait_stored();
        wait_until("a mark", [&] { return cluster.backups.reached_real_ns() > now; });
    }
    cluster.receiver.stop();
    pg::WalStore wal{cluster.pieces};
    std::vector<pg::Stretch> after = wal.list();
    std::erase_if(after, [&](const pg::Stretch& one) { return one.from < made.end; });
    REQUIRE(after.size() >= 4);
    const pg::Stretch victim = after[after.size() - 2];
    const fs::path file = folder.path() / victim.name();
    const std::string whole = content(file);
    std::string flipped = whole;
    flipped[random() % flipped.size()] ^= static_cast<char>(1U << (random() % 8));
    write(file, flipped);
    CHECK(failure_of([&] {
              cluster.backups.verify(made.id, k_quiet);
          }).find(victim.name()) != std::string::npos);
    CHECK(failure_of([&] {
              (void)restored(cluster.backups, {});
          }).find(victim.name()) != std::string::npos);
    fs::remove(file);
    const std::string gap = "the log from " + pg::lsn_text(victim.from) + " to " +
                            pg::lsn_text(victim.to) + " of timeline 1 is missing";
    CHECK(cluster.backups.missing().starts_with(gap));
    CHECK(failure_of([&] {
              cluster.backups.verify(made.id, k_quiet);
          }).find(gap) != std::string::npos);
    const std::string told = failure_of([&] { (void)restored(cluster.backups, {}); });
    REQUIRE(told.find(gap) != std::string::npos);
    // The time that it names can be had.
    const std::size_t at = told.find("states up to ") + 13;
    pg::Target target;
    target.real_ns = pg::time_of_iso(told.substr(at, told.find(' ', at) - at)) - 1'000;
    const std::size_t there = Load::rows_of(*restored(cluster.backups, target));
    CHECK(there == load.committed_by(target.real_ns));
    CHECK(there < 8);
}

TEST_CASE(
    "under a key a backup restores; without it, or under another one, nothing is told",
    "[backup][S14]"
) {
    PostgresServer server{quick()};
    const TemporaryFolder folder;
    const auto under = [&](const std::string& digits) {
        return std::make_unique<pg::VaultPieces>(
            place_of(folder.path().string()),
            digits.empty() ? nullptr : tenon::vault::Key::parse(digits)
        );
    };
    const auto pieces = under(std::string(64, 'a'));
    pg::Receiver receiver{
        *pieces, {settings_of(server), "tenon_backup", std::chrono::milliseconds{100}}};
    pg::Backups backups{*pieces, &receiver, {settings_of(server), ""}};
    receiver.start();
    wait_until("the log comes", [&] { return receiver.state().streaming; });
    Load load{server};
    const pg::Manifest made = backups.create("", k_quiet);
    load.put_some(3);
    backups.wait_until_stored(pg::lsn_of(server.execute("SELECT pg_current_wal_flush_lsn()")));
    CHECK(Load::rows_of(*restored(backups, {})) == 3);
    for (const std::string& digits : {std::string{}, std::string(64, 'b')}) {
        const auto other = under(digits);
        pg::Backups blind{*other, nullptr, {settings_of(server), ""}};
        CHECK(failure_of([&] {
                  blind.verify(made.id, k_quiet);
              }).find("is encrypted under the key") != std::string::npos);
    }
}

TEST_CASE(
    "a damaged list of a backup hides no other, and nothing is thrown away meanwhile",
    "[backup][S14]"
) {
    PostgresServer server{quick()};
    const TemporaryFolder folder;
    Cluster cluster{server, folder.path().string()};
    const pg::Manifest first = cluster.backups.create("", k_quiet);
    const pg::Manifest second = cluster.backups.create("", k_quiet);
    cluster.backups.mark_proven(second.id, 1);
    write(folder.path() / ("backup/" + first.id), "rubbish");
    std::vector<std::string> damaged;
    CHECK(cluster.backups.list(&damaged).size() == 1);
    REQUIRE(damaged.size() == 1);
    CHECK(damaged.front().find("backup/" + first.id) != std::string::npos);
    CHECK(cluster.backups.prune({1}, false).empty());
    CHECK(fs::exists(folder.path() / first.pieces.front().name));
}

TEST_CASE("a base whose log was lost while it was made is no backup", "[backup][S14]") {
    PostgresServer server{quick()};
    const TemporaryFolder folder;

    Cluster cluster{server, folder.path().string()};
    Load load{server};
    load.put_some(2);
    const pg::Manifest first = cluster.backups.create("", k_quiet);
    Hooked pieces{cluster.pieces};
    pg::Backups backups{pieces, &cluster.receiver, {settings_of(server), ""}};
    std::string lost;
    pieces.on_base = [&] {
        for (int i = 0; i < 3; ++i) {
            load.put_some(1);
            cluster.wait_stored();
        }
        const std::vector<pg::Stretch> all = pg::WalStore{cluster.pieces}.list();
        REQUIRE(all.size() > 2);
        const pg::Stretch victim = all[all.size() - 2];
        lost = "the log from " + pg::lsn_text(victim.from);
        fs::remove(folder.path() / victim.name());
    };
    const std::string told = failure_of([&] { (void)backups.create("", k_quiet); });
    REQUIRE_FALSE(lost.empty());
    CHECK(told.find(lost) != std::string::npos);
    CHECK(told.find("it was lost while the base was made") != std::string::npos);
    CHECK(backups.list().size() == 1);
    const pg::Manifest again = backups.create("", k_quiet);  // the next one begins behind the gap
    backups.verify(again.id, k_quiet);
    CHECK(Load::rows_of(*restored(backups, {})) == 5);
}

TEST_CASE("pruning in another process leaves a base under way whole", "[backup][S14]") {
    PostgresServer server{quick()};
    const TemporaryFolder folder;
    Cluster cluster{server, folder.path().string()};
    Load load{server};
    load.put_some(1);
    const pg::Manifest first = cluster.backups.create("", k_quiet);
    cluster.backups.mark_proven(first.id, 1);
    pg::VaultPieces theirs{place_of(folder.path().string()), nullptr};
    pg::Backups others{theirs, nullptr, {settings_of(server), ""}};
    Hooked pieces{cluster.pieces};
    pg::Backups backups{pieces, &cluster.receiver, {settings_of(server), ""}};
    std::size_t put = 0;
    std::function<void()> prune = [&] {
        (void)others.prune({1}, false);
        if (++put < 2) {
            pieces.on_base = prune;  // and once more, when the first piece is there
        }
    };
    pieces.on_base = prune;
    const pg::Manifest made = backups.create("", k_quiet);
    REQUIRE(put == 2);
    backups.verify(made.id, k_quiet);
    // What a run that was killed has left goes when a later one is there.
    const std::string left = "base/" + first.id.substr(0, first.id.size() - 1) + "-000000";
    theirs.put(left, "of a base that was never published");
    (void)others.prune({1}, false);
    CHECK_FALSE(fs::exists(folder.path() / left));
    CHECK(Load::rows_of(*restored(backups, {}, nullptr, made.id)) == 1);
}

TEST_CASE("pruning keeps everything back to the newest backup that was proven", "[backup][S14]") {
    PostgresServer server{quick()};
    const TemporaryFolder folder;
    Cluster cluster{server, folder.path().string()};
    Load load{server};
    std::vector<pg::Manifest> made;
    for (int i = 0; i < 4; ++i) {
        load.put_some(2);
        made.push_back(cluster.backups.create("", k_quiet));
        (void)server.execute("SELECT pg_switch_wal()");
    }
    CHECK(cluster.backups.prune({1}, false).empty());  // none was proven
    cluster.backups.mark_proven(made[1].id, 1);
    CHECK(cluster.backups.prune({1}, true) == std::vector<std::string>{made[0].id});
    CHECK(cluster.backups.list().size() == 4);
    CHECK(cluster.backups.prune({1}, false) == std::vector<std::string>{made[0].id});
    CHECK_FALSE(fs::exists(folder.path() / made[0].pieces.front().name));
    cluster.wait_stored();
    for (std::size_t i = 1; i < made.size(); ++i) {
        cluster.backups.verify(made[i].id, k_quiet);
    }
    CHECK(Load::rows_of(*restored(cluster.backups, {}, nullptr, made[1].id)) == 8);
}

TEST_CASE(
    "a backup that another process prunes while it is restored is told, with what is left",
    "[backup][S14]"
) {
    PostgresServer server{quick()};
    const TemporaryFolder folder;
    Cluster cluster{server, folder.path().string()};
    Load load{server};
    load.put_some(2);
    const pg::Manifest first = cluster.backups.create("", k_quiet);
    load.put_some(2);
    const pg::Manifest second = cluster.backups.create("", k_quiet);
    cluster.wait_stored();
    cluster.backups.mark_proven(second.id, 1);
    REQUIRE(first.pieces.size() > 1);
    pg::VaultPieces theirs{place_of(folder.path().string()), nullptr};
    pg::Backups others{theirs, nullptr, {settings_of(server), ""}};
    const pg::Say prune = [&](std::string_view, std::uint64_t, std::uint64_t) {
        (void)others.prune({1}, false);
    };
    PostgresOptions options = quick();
    options.empty = true;
    const PostgresServer place{options};
    const std::string told = failure_of([&] {
        (void)cluster.backups.restore(first.id, {}, place.data_folder().string(), prune);
    });
    CHECK(told.find(first.id + " was pruned while it was restored") != std::string::npos);
    CHECK(told.find("there are also " + second.id) != std::string::npos);
    CHECK(Load::rows_of(*restored(cluster.backups, {})) == 4);
}

TEST_CASE(
    "a restore goes on when another process prunes parts of the log that have become one",
    "[backup][S14]"
) {
    PostgresServer server{quick()};
    const TemporaryFolder folder;
    Cluster cluster{server, folder.path().string()};
    Load load{server};
    const pg::Manifest made = cluster.backups.create("", k_quiet);
    cluster.backups.mark_proven(made.id, 1);
    for (int i = 0; i < 3; ++i) {
        load.put_some(1);
        cluster.wait_stored();
    }
    pg::VaultPieces theirs{place_of(folder.path().string()), nullptr};
    pg::Backups others{theirs, nullptr, {settings_of(server), ""}};
    PostgresOptions options = quick();
    options.empty = true;
    PostgresServer copy{options};
    bool is_pruned = false;
    std::size_t before = 0;
    const pg::Say prune = [&](std::string_view phase, std::uint64_t, std::uint64_t) {
        if (phase == "log" && !is_pruned) {
            is_pruned = true;
            before = pg::WalStore{theirs}.list().size();
            (void)server.execute("SELECT pg_switch_wal()");
            cluster.wait_stored();
            load.put_some(1);
            cluster.wait_stored();
            (void)others.prune({1}, false);
        }
    };
    (void)cluster.backups.restore("", {}, copy.data_folder().string(), prune);
    REQUIRE(is_pruned);
    CHECK(pg::WalStore{theirs}.list().size() < before);
    copy.start();
    wait_until("recovery has ended", [&] {
        return copy.execute("SELECT pg_is_in_recovery()") == "f";
    });
    CHECK(Load::rows_of(copy) >= 3);
}

TEST_CASE(
    "a store without room says so, and the log goes on where it ended when there is room again",
    "[backup][S14]"
) {
    PostgresServer server{quick()};
    const TemporaryFolder folder;

    // As a full disk: nothing more is taken, and nothing half is left.
    class Full final : public pg::Pieces {
    public:
        explicit Full(pg::Pieces& below) : below_{below} {}

        void put(const std::string& name, std::string_view content) override {
            if (full) {
                throw tenon::Error{
                    TENON_UNAVAILABLE, "cannot write " + name + ": No space left on device"};
            }
            below_.put(name, content);
        }

        std::string get(const std::string& name) override { return below_.get(name); }

        std::vector<std::string> list(const std::string& prefix) override {
            return below_.list(prefix);
        }

        void remove(const std::string& name) override { below_.remove(name); }

        void sweep() override { below_.sweep(); }

        std::atomic<bool> full{false};

    private:
        pg::Pieces& below_;
    };

    pg::VaultPieces below{place_of(folder.path().string()), nullptr};
    Full pieces{below};
    pg::Receiver receiver{
        pieces, {settings_of(server), "tenon_backup", std::chrono::milliseconds{100}}};
    pg::Backups backups{pieces, &receiver, {settings_of(server), ""}};
    receiver.start();
    wait_until("the log comes", [&] { return receiver.state().streaming; });
    Load load{server};
    const pg::Manifest made = backups.create("", k_quiet);
    pieces.full = true;
    load.put_some(5);
    wait_until("the full store is told", [&] {
        return receiver.state().problem.find("No space left") != std::string::npos;
    });
    CHECK(receiver.state().gap_seconds > 0);
    CHECK(failure_of([&] {
              (void)backups.create("", k_quiet);
          }).find("No space left") != std::string::npos);
    load.put_some(5);  // the database goes on
    pieces.full = false;
    backups.wait_until_stored(pg::lsn_of(server.execute("SELECT pg_current_wal_flush_lsn()")));
    wait_until("the problem is over", [&] { return receiver.state().problem.empty(); });
    CHECK(receiver.state().gaps == 0);
    backups.verify(made.id, k_quiet);
    CHECK(Load::rows_of(*restored(backups, {})) == 10);
}
