// SPDX-License-Identifier: Apache-2.0
// A writer whose commits are captured and a follower of it, killed again and again. What the rows
// are after commit n follows from the seed and n alone, so an oracle needs nothing of either.
#include "tests/unit/capture/captured.hpp"

#include <cstdlib>
#include <iostream>
#include <random>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

using tenon::Session;
using tenon::test::content_of;
using tenon::test::SqliteBackend;
namespace capture = tenon::capture;

namespace {

unsigned from_environment(const char* name, unsigned otherwise) {
    const char* const set = std::getenv(name);
    return set != nullptr ? static_cast<unsigned>(std::stoul(set)) : otherwise;
}

// Row 0 holds the number of the newest commit.
class Model {
public:
    explicit Model(unsigned seed) : seed_{seed} {}

    struct Step {
        std::int64_t number;
        std::int64_t id;
        std::string text;
        bool removes;
    };

    [[nodiscard]] Step step(std::int64_t number) const {
        std::mt19937 random{seed_ + static_cast<unsigned>(number) * 2'654'435'761U};
        const auto id = static_cast<std::int64_t>(1 + random() % 60);
        const bool removes = random() % 7 == 0;
        std::string text(random() % 9000, static_cast<char>('a' + random() % 26));
        return {number, id, std::move(text), removes};
    }

    // As content_of(), of the rows alone.
    const std::string& after(std::int64_t number) {
        if (number < number_) {
            rows_.clear();
            number_ = 0;
        }
        while (number_ < number) {
            const Step next = step(++number_);
            if (next.removes) {
                rows_.erase(rows_.lower_bound(next.id), rows_.end());
            } else {
                rows_[next.id] = next.text;
            }
        }
        text_ = "0," + std::to_string(number) + ",";
        for (const auto& [id, text] : rows_) {
            text_.append(std::to_string(id)).append(",").append(text).append(",");
        }
        return text_;
    }

private:
    unsigned seed_;
    std::int64_t number_ = 0;
    std::map<std::int64_t, std::string> rows_;
    std::string text_;
};

std::string rows_of(SqliteBackend& backend) {
    std::string text;
    backend.storage().read(backend.deadline(), [&](Session& s) {
        text.clear();
        auto q = s.prepare("SELECT id, x FROM t ORDER BY id");
        while (q.step()) {
            text += std::to_string(q.integer(0)) + "," + std::string{q.text(1)} + ",";
        }
    });
    return text;
}

std::int64_t number_in(const std::string& rows) {
    return rows.substr(0, 2) == "0," ? std::stoll(rows.substr(2)) : 0;
}

struct Paths {
    std::string file;
    std::string captures;
    std::string copy;
};

void set_up(tenon::sqlite::Settings& s, const Paths& paths) {
    s.file = paths.file;
    s.page_size = 1024;
    s.wal_checkpoint_mb = 1;
    s.capture.folder = paths.captures;
    s.capture.before_acknowledge = true;
    s.capture.segment_mb = 1;
    s.capture.base_s = 2;
}

// Until it is killed: commit after commit, and a byte for each that was acknowledged.
[[noreturn]] void write_on(const Paths& paths, unsigned seed, int acknowledged) {
    SqliteBackend backend{[&](auto& s) { set_up(s, paths); }};
    const auto storage = backend.storage();
    storage.write(backend.deadline(), [](Session& s) {
        s.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, x TEXT) STRICT");
    });
    const Model model{seed};
    for (std::int64_t number = number_in(rows_of(backend)) + 1;; ++number) {
        const Model::Step step = model.step(number);
        storage.write(backend.deadline(), [&](Session& s) {
            s.prepare("INSERT OR REPLACE INTO t VALUES (0, ?)")
                .bind_all(std::to_string(number))
                .run();
            if (step.removes) {
                s.prepare("DELETE FROM t WHERE id >= ?").bind_all(step.id).run();
            } else {
                s.prepare("INSERT OR REPLACE INTO t VALUES (?, ?)")
                    .bind_all(step.id, step.text)
                    .run();
            }
        });
        if (::write(acknowledged, &number, sizeof number) != sizeof number) {
            ::_exit(2);
        }
    }
}

// Until it is killed: whatever it reads has to be some state of the oracle, and never an older one.
[[noreturn]] void follow_on(const Paths& paths, unsigned seed) {
    SqliteBackend backend{[&](auto& s) {
        s.file = paths.copy;
        s.source = paths.captures;
        s.wal_checkpoint_mb = 1;
    }};
    Model model{seed};
    std::int64_t newest = 0;
    for (;;) {
        std::string rows;
        try {
            rows = rows_of(backend);
        } catch (const tenon::StorageError&) {  // no base yet, or none of its tables
            std::this_thread::yield();
            continue;
        }
        const std::int64_t number = number_in(rows);
        if (number < newest || (number != 0 && rows != model.after(number))) {
            std::cerr << "follower: wrong at " << number << " after " << newest << std::endl;
            ::_exit(3);
        }
        newest = number;
    }
}

template <class Work>
pid_t start(Work&& work) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        try {
            work();
        } catch (const std::exception& e) {
            std::cerr << "child: " << e.what() << std::endl;
        }
        ::_exit(4);
    }
    return child;
}

// It was killed by us, and had not ended before.
void end(pid_t child) {
    REQUIRE(::kill(child, SIGKILL) == 0);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
}

// Lets the writer acknowledge so many commits, then kills it; the newest number that it told.
std::int64_t write_and_kill(const Paths& paths, unsigned seed, unsigned commits) {
    int ends[2] = {-1, -1};
    REQUIRE(::pipe(ends) == 0);
    const pid_t writer = start([&] { write_on(paths, seed, ends[1]); });
    ::close(ends[1]);
    std::int64_t newest = 0;
    std::int64_t number = 0;
    for (unsigned i = 0; i < commits; ++i) {
        if (::read(ends[0], &number, sizeof number) != sizeof number) {
            break;
        }
        newest = number;
    }
    end(writer);
    while (::read(ends[0], &number, sizeof number) == sizeof number) {
        newest = number;
    }
    ::close(ends[0]);
    return newest;
}

bool has_base(const capture::Listing& all, std::uint64_t txid) {
    std::uint64_t epoch = 0;
    for (const auto& segment : all.segments) {
        epoch = segment.txid <= txid + 1 ? segment.epoch : epoch;
    }
    return std::any_of(all.bases.begin(), all.bases.end(), [&](const capture::Piece& base) {
        return base.epoch == epoch && base.txid <= txid;
    });
}

}  // namespace

TEST_CASE(
    "what is killed anywhere loses nothing and shows nothing wrong",
    "[capture][follower][S14][S6]"
) {
    const unsigned seed = from_environment("TENON_TEST_SEED", std::random_device{}());
    const unsigned rounds = from_environment("TENON_CAPTURE_ROUNDS", 12);
    CAPTURE(seed, rounds);
    std::mt19937 random{seed};
    const tenon::test::TemporaryFolder folder;
    const Paths paths{
        (folder.path() / "test.db").string(),
        (folder.path() / "captured").string(),
        (folder.path() / "copy.db").string()};
    std::int64_t acknowledged = 0;
    pid_t follower = 0;
    for (unsigned round = 0; round < rounds; ++round) {
        if (follower == 0) {
            follower = start([&] { follow_on(paths, seed); });
        }
        acknowledged = std::max(
            acknowledged, write_and_kill(paths, seed, static_cast<unsigned>(random() % 120))
        );
        if (random() % 2 == 0) {
            end(follower);
            follower = 0;
        }
    }
    if (follower != 0) {
        end(follower);
    }
    // From here on nobody is killed: the newest epoch gets its base.
    {
        SqliteBackend last{[&](auto& s) { set_up(s, paths); }};
        const auto patience = last.deadline();
        for (;;) {
            const capture::Listing now = capture::list(paths.captures);
            if (!now.bases.empty() && now.bases.back().epoch == now.segments.back().epoch) {
                break;
            }
            REQUIRE(last.host.reactor().now_ns() < patience);
            std::this_thread::yield();
        }
    }
    Model model{seed};
    const auto restored = [&](std::uint64_t txid) {
        const std::string file = (folder.path() / "restored.db").string();
        (void)capture::restore(paths.captures, {txid, 0}, file, {});
        const std::string content = content_of(file);
        std::filesystem::remove(file);
        REQUIRE(content.substr(0, 3) == "ok,");
        return content.substr(3);
    };
    // Captured before it was acknowledged: the end of the folder holds it, whatever became of the
    // rest.
    const std::string newest = restored(0);
    CHECK(number_in(newest) >= acknowledged);
    CHECK(newest == model.after(number_in(newest)));
    const capture::Listing all = capture::list(paths.captures);
    const std::uint64_t first = all.bases.front().txid;
    capture::Position last =
        capture::restore(paths.captures, {}, (folder.path() / "last.db").string(), {});
    REQUIRE(last.txid > first);
    for (int i = 0; i < 20; ++i) {
        const std::uint64_t txid = first + random() % (last.txid - first + 1);
        CAPTURE(i, txid, first, last.txid);
        if (!has_base(all, txid)) {
            continue;  // killed before the base of its epoch was there
        }
        const std::string rows = restored(txid);
        CHECK(rows == (rows.empty() ? "" : model.after(number_in(rows))));
    }
    // The follower's copy goes on from wherever it was killed.
    SqliteBackend backend{[&](auto& s) {
        s.file = paths.copy;
        s.source = paths.captures;
    }};
    const auto patience = backend.deadline();
    std::string rows;
    while (rows != newest) {
        REQUIRE(backend.host.reactor().now_ns() < patience);
        try {
            rows = rows_of(backend);
        } catch (const tenon::StorageError&) {
            std::this_thread::yield();
        }
    }
    UNSCOPED_INFO("epochs: " << all.segments.back().epoch);
}
