// SPDX-License-Identifier: Apache-2.0
// A database under load that is shipped, backed up, tried and pruned, killed at any step of it. The
// oracle is outside: what the rows are after commit n follows from n, and each commit's times are
// told over a pipe. Before each commit a command is in an engine's journal, and the commit says
// that the database has it.
#include "plugins/backup/sqlite/store.hpp"
#include "plugins/backup/sqlite/trial.hpp"
#include "sdk/vault/folder_place.hpp"
#include "tests/unit/backup/engine_files.hpp"
#include "tests/unit/capture/captured.hpp"

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <random>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

using tenon::Session;
using tenon::backup_sqlite::Manifest;
using tenon::backup_sqlite::Shipped;
using tenon::backup_sqlite::Shipper;
using tenon::backup_sqlite::Store;
using tenon::test::content_of;
using tenon::test::SqliteBackend;
namespace capture = tenon::capture;
namespace vault = tenon::vault;
namespace fs = std::filesystem;

namespace {

const auto k_quiet = [](auto, auto, auto) {};
constexpr std::int64_t k_rows = 40;

unsigned from_environment(const char* name, unsigned otherwise) {
    const char* const set = std::getenv(name);
    return set != nullptr ? static_cast<unsigned>(std::stoul(set)) : otherwise;
}

std::int64_t now_real_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

std::string text_of(std::int64_t number) {
    std::mt19937 random{static_cast<unsigned>(number)};
    std::string text(random() % 5000, ' ');
    for (char& c : text) {
        c = static_cast<char>('a' + random() % 26);
    }
    return text;
}

// As content_of() after commit `number`, which is in row 0.
std::string state_after(std::int64_t number) {
    std::string text = "ok,0," + std::to_string(number) + ",";
    for (std::int64_t id = 1; id <= k_rows; ++id) {
        const std::int64_t last = number - (number - id % k_rows + 10 * k_rows) % k_rows;
        if (last >= 1) {
            text += std::to_string(id) + "," + text_of(last) + ",";
        }
    }
    return text;
}

std::int64_t number_in(const std::string& content) {
    return content.substr(0, 5) == "ok,0," ? std::stoll(content.substr(5)) : 0;
}

// Ends the process at one of the steps that a store has.
class KillingPlace final : public vault::Place {
public:
    KillingPlace(std::string folder, unsigned& steps, unsigned kill_at)
        : folder_{folder}, place_{std::move(folder)}, steps_{steps}, kill_at_{kill_at} {}

    void put(const std::string& name, vault::View bytes) override {
        step();
        if (++steps_ == kill_at_) {  // as a folder's object is while it is written
            const fs::path file = fs::path{folder_} / name;
            fs::create_directories(file.parent_path());
            std::ofstream{file.parent_path() / (".unfinished-" + file.filename().string())}
                << "half";
            (void)::raise(SIGKILL);
        }
        place_.put(name, bytes);
        step();
    }

    [[nodiscard]] vault::Bytes get(const std::string& name) override {
        step();
        return place_.get(name);
    }

    [[nodiscard]] std::vector<vault::Object> list(const std::string& prefix) override {
        return place_.list(prefix);
    }

    [[nodiscard]] std::optional<std::uint64_t> size(const std::string& name) override {
        return place_.size(name);
    }

    void remove(const std::string& name) override {
        step();
        place_.remove(name);
        step();
    }

    void sweep() override {
        step();
        place_.sweep();
    }

    [[nodiscard]] std::string where(const std::string& name) const override {
        return place_.where(name);
    }

private:
    void step() const {
        if (++steps_ == kill_at_) {
            (void)::raise(SIGKILL);
        }
    }

    std::string folder_;
    vault::FolderPlace place_;
    unsigned& steps_;
    unsigned kill_at_;
};

struct Paths {
    explicit Paths(const fs::path& folder)
        : file{folder / "test.db"},
          captures{folder / "captured"},
          backups{folder / "backups"},
          scratch{folder / "scratch"},
          to{folder / "restored"},
          data{folder / "data"} {}

    std::string file, captures, backups, scratch, to, data;
};

struct Told {
    enum Kind : std::int64_t { committed, shipped, finished } kind;

    std::int64_t number;  // of the commit; finished: steps that there were
    std::int64_t before_ns, after_ns;
};

std::unique_ptr<vault::Vault> plain_vault(const Paths& paths) {
    return std::make_unique<vault::Vault>(
        std::make_shared<vault::FolderPlace>(paths.backups), vault::Options{1, {}, 65'536}
    );
}

// Writes, ships, backs up, tries, restores and prunes, a few times.
class Work {
public:
    Work(const Paths& paths, unsigned kill_at, int pipe)
        : paths_{paths},
          kill_at_{kill_at},
          pipe_{pipe},
          backend_{[&](auto& s) {
              s.file = paths.file;
              s.page_size = 1024;
              s.wal_checkpoint_mb = 1;
              s.capture.folder = paths.captures;
              s.capture.segment_mb = 1;
              s.capture.base_s = 1;
          }},
          engine_{paths.data},
          shipper_{paths.captures, killing_vault(), engine_.folders},
          store_{
              paths.captures,
              paths.scratch,
              killing_vault(),
              [this] { shipper_.backup_changed(); },
              engine_.folders} {}

    void run() {
        backend_.storage().write(backend_.deadline(), [](Session& s) {
            s.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, x TEXT) STRICT");
            s.execute("INSERT OR IGNORE INTO t VALUES (0, '0')");
            s.execute("CREATE TABLE IF NOT EXISTS projection_offset (sequence INTEGER) STRICT");
            s.execute(
                "INSERT INTO projection_offset SELECT 0 WHERE NOT EXISTS "
                "(SELECT 1 FROM projection_offset)"
            );
        });
        backend_.storage().read(backend_.deadline(), [&](Session& s) {
            auto q = s.prepare("SELECT x FROM t WHERE id = 0");
            number_ = q.step() ? std::stoll(std::string{q.text(0)}) : 0;
        });
        wait_for_base();
        for (int round = 0; round < 3; ++round) {
            write(20);
            ship();
            (void)store_.create("", now_real_ns(), k_quiet);
            write(20);
            ship();
            (void)store_.drill("", now_real_ns(), k_quiet);
            fs::remove_all(paths_.to);
            (void)store_.restore("", {}, paths_.to, k_quiet);
            (void)store_.prune({2, 0, 0, 0, 0}, false);
        }
        tell({Told::finished, steps_, 0, 0});
    }

private:
    [[nodiscard]] std::unique_ptr<vault::Vault> killing_vault() {
        return std::make_unique<vault::Vault>(
            std::make_shared<KillingPlace>(paths_.backups, steps_, kill_at_),
            vault::Options{1, {}, 65'536}
        );
    }

    // Of the epoch in force: a killed writer may have begun one.
    void wait_for_base() {
        const auto patience = backend_.host.reactor().now_ns() + 30'000'000'000;
        for (;;) {
            const capture::Listing all = capture::list(paths_.captures);
            if (!all.bases.empty() && all.bases.back().epoch == all.segments.back().epoch) {
                return;
            }
            if (backend_.host.reactor().now_ns() > patience) {
                throw std::runtime_error{"no base"};
            }
            std::this_thread::yield();
        }
    }

    void write(int commits) {
        for (int i = 0; i < commits; ++i) {
            const std::int64_t number = number_ + 1;
            const std::int64_t before = now_real_ns();
            const std::uint64_t sequence = engine_.append(before);
            backend_.storage().write(backend_.deadline(), [&](Session& s) {
                s.prepare("UPDATE projection_offset SET sequence = ?").bind_all(sequence).run();
                s.prepare("UPDATE t SET x = ? WHERE id = 0").bind_all(std::to_string(number)).run();
                const std::int64_t id = number % k_rows;
                s.prepare("INSERT OR REPLACE INTO t VALUES (?, ?)")
                    .bind_all(id == 0 ? k_rows : id, text_of(number))
                    .run();
            });
            number_ = number;
            tell({Told::committed, number, before, now_real_ns()});
            if (sequence % 50 == 0) {
                engine_.snapshot(sequence);
            }
        }
    }

    void ship() {
        if (shipper_.ship() == Shipped::all) {
            tell({Told::shipped, number_, 0, 0});
        }
    }

    void tell(const Told& told) const {
        if (::write(pipe_, &told, sizeof told) != sizeof told) {
            ::_exit(2);
        }
    }

    Paths paths_;
    unsigned steps_ = 0;
    unsigned kill_at_;
    int pipe_;
    std::int64_t number_ = 0;
    SqliteBackend backend_;
    tenon::test::EngineFiles engine_;
    Shipper shipper_;
    Store store_;
};

struct Run {
    std::vector<Told> told;
    int status = 0;
};

Run run(const Paths& paths, unsigned kill_at) {
    int ends[2] = {-1, -1};
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::close(ends[0]);
        try {
            Work{paths, kill_at, ends[1]}.run();
        } catch (const std::exception& e) {
            std::cerr << "child: " << e.what() << std::endl;
            ::_exit(4);
        }
        ::_exit(0);
    }
    ::close(ends[1]);
    Run made;
    Told told{};
    while (::read(ends[0], &told, sizeof told) == sizeof told) {
        made.told.push_back(told);
    }
    ::close(ends[0]);
    REQUIRE(::waitpid(child, &made.status, 0) == child);
    return made;
}

class Oracle {
public:
    void add(const Run& run) {
        for (const Told& told : run.told) {
            if (told.kind == Told::committed) {
                commits_[told.number] = told;
            } else if (told.kind == Told::shipped) {
                shipped = std::max(shipped, told.number);
            }
        }
    }

    // Whether `number` may be the newest commit at that time: it had begun, and all that had ended
    // are in, but for those after `stored`, which were lost with the machine.
    void check(std::int64_t real_ns, std::int64_t number, std::int64_t stored) const {
        for (const auto& [one, told] : commits_) {
            CAPTURE(real_ns, number, one, told.before_ns, told.after_ns);
            if (told.after_ns <= real_ns && one <= stored) {
                REQUIRE(one <= number);
            }
            if (told.before_ns > real_ns) {
                REQUIRE(one > number);
            }
        }
    }

    [[nodiscard]] std::int64_t newest_ns() const { return commits_.rbegin()->second.after_ns; }

    std::int64_t shipped = 0;

private:
    std::map<std::int64_t, Told> commits_;
};

std::string restored(Store& store, const Paths& paths, const capture::Target& target) {
    fs::remove_all(paths.to);
    const auto at = store.restore("", target, paths.to, k_quiet);
    const auto journal = tenon::test::restored_journal(paths.to);
    const std::uint64_t projected =
        tenon::backup_sqlite::projected_sequence(paths.to + "/tenon.db");
    CAPTURE(target.real_ns, at.txid, projected, journal.first, journal.last, journal.last_ns);
    REQUIRE(journal.covers(projected));
    REQUIRE((target.real_ns == 0 || journal.last == projected || journal.last_ns <= target.real_ns)
    );
    return content_of(paths.to + "/tenon.db");
}

void check_all(const Paths& paths, const Oracle& oracle, std::mt19937& random, int instants) {
    Store store{paths.captures + "-lost", paths.scratch, plain_vault(paths)};
    const std::string newest = restored(store, paths, {});
    CHECK(number_in(newest) >= oracle.shipped);
    REQUIRE(newest == state_after(number_in(newest)));
    const std::int64_t first_ns = store.vault().list().front().from_ns;
    for (int i = 0; i < instants; ++i) {
        const std::int64_t at =
            first_ns + static_cast<std::int64_t>(std::uniform_int_distribution<std::int64_t>{
                           0, oracle.newest_ns() - first_ns}(random));
        const std::string content = restored(store, paths, {0, at});
        const std::int64_t number = number_in(content);
        if (content != "ok,") {  // before the first row
            REQUIRE(content == state_after(number));
        }
        oracle.check(at, number, number_in(newest));
    }
}

}  // namespace

TEST_CASE("restores to random instants are what an oracle outside says", "[backup][S14]") {
    const unsigned seed = from_environment("TENON_TEST_SEED", std::random_device{}());
    CAPTURE(seed);
    std::mt19937 random{seed};
    const tenon::test::TemporaryFolder folder;
    const Paths paths{folder.path()};
    const Run whole = run(paths, 0);
    REQUIRE(whole.status == 0);
    Oracle oracle;
    oracle.add(whole);
    check_all(paths, oracle, random, 50);
}

TEST_CASE("what is killed at any step loses nothing, and the next run goes on", "[backup][S14]") {
    const unsigned seed = from_environment("TENON_TEST_SEED", std::random_device{}());
    const unsigned rounds = from_environment("TENON_BACKUP_ROUNDS", 10);
    CAPTURE(seed, rounds);
    std::mt19937 random{seed};
    const tenon::test::TemporaryFolder folder;
    const Paths paths{folder.path()};
    Oracle oracle;
    const Run first = run(paths, 0);
    REQUIRE(first.status == 0);
    oracle.add(first);
    const auto steps = static_cast<unsigned>(first.told.back().number);
    unsigned killed = 0;
    for (unsigned round = 0; round < rounds; ++round) {
        const unsigned at = 1 + static_cast<unsigned>(random() % steps);
        CAPTURE(round, at, steps);
        const Run broken = run(paths, at);
        const bool was_killed = WIFSIGNALED(broken.status) && WTERMSIG(broken.status) == SIGKILL;
        REQUIRE((was_killed || broken.status == 0));  // a later run may have fewer steps
        killed += was_killed ? 1 : 0;
        oracle.add(broken);
        check_all(paths, oracle, random, 1);
    }
    const Run last = run(paths, 0);
    REQUIRE(last.status == 0);
    oracle.add(last);
    check_all(paths, oracle, random, 5);
    const auto store = plain_vault(paths);
    std::vector<std::string> damaged;
    for (const Manifest& one : store->list(&damaged)) {
        store->check(one, k_quiet);
    }
    CHECK(damaged.empty());
    for (const auto& entry : fs::recursive_directory_iterator{paths.backups}) {
        CHECK_FALSE(entry.path().filename().string().starts_with(".unfinished"));
    }
    CHECK_FALSE(fs::exists(paths.scratch));
    std::cout << "killed " << killed << " of " << rounds << " runs, " << steps << " steps, seed "
              << seed << std::endl;
}
