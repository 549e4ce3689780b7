// SPDX-License-Identifier: Apache-2.0
// kill -9 at random points of a copy, again and again, and once at each point of its end; the next
// run goes on.
#include "tests/integration/copy/databases.hpp"
#include "tests/support/in_child.hpp"

#include <catch2/catch.hpp>

#include <csignal>
#include <cstdlib>
#include <functional>
#include <sys/wait.h>
#include <unistd.h>

using tenon::Session;
using tenon::test::checks_of;
using tenon::test::in_child;
using tenon::test::make_copier;
using tenon::test::PostgresBackend;
using tenon::test::RandomWriter;
using tenon::test::server;
using tenon::test::ShippedPostgres;
using tenon::test::ShippedSqlite;
using tenon::test::small_steps;
using tenon::test::SqliteBackend;
using tenon::test::TemporaryFolder;

namespace {

// Both databases of a test, opened by every child anew: a copy to PostgreSQL, or from it.
struct Place {
    explicit Place(bool from_postgres) : is_from_postgres{from_postgres} {}

    const bool is_from_postgres;
    TemporaryFolder folder;
    std::string database = server().create_database();

    // Calls work(source, target).
    template <class Work>
    void with(const Work& work) const {
        ShippedSqlite sqlite{[this](tenon::sqlite::Settings& settings) {
            settings.file = (folder.path() / "copied.db").string();
        }};
        ShippedPostgres postgres{database};
        if (is_from_postgres) {
            work(postgres, sqlite);
        } else {
            work(sqlite, postgres);
        }
    }
};

// With a number of its own: PostgreSQL's own numbers begin where the filled ones are.
std::string late_user(const std::string& name) {
    return "INSERT INTO users (id, name, created_real_ns) SELECT max(id) + 1, '" + name +
           "', 0 FROM users";
}

using IsEnd = std::function<bool(std::string_view point)>;

// A copier that is killed at the point that is its end; writes come between its steps.
void run(const Place& place, std::uint64_t seed, int transactions, const IsEnd& is_end) {
    place.with([&](auto& source, auto& target) {
        auto options = small_steps();
        options.at = [&is_end](std::string_view point) {
            if (is_end(point)) {
                (void)::kill(::getpid(), SIGKILL);
            }
        };
        auto copier = make_copier(source.side("old"), target.side("new"), source.backend, options);
        try {
            copier->begin();
        } catch (const tenon::Error&) {
            if (copier->status().progress.phase == tenon::copy::Phase::finished) {
                return;  // killed after the target's last commit
            }
            throw;
        }
        std::mt19937_64 random{seed};
        const auto write = [&] {
            if (transactions-- <= 0 || copier->status().fenced) {
                return;
            }
            const std::int64_t row = static_cast<std::int64_t>(random() % 400);
            source.run(
                late_user("late " + std::to_string(random())) +
                "; UPDATE orders SET reject = reject + 1 WHERE order_id > " + std::to_string(row) +
                "; DELETE FROM news_items WHERE id % 40 = " + std::to_string(row % 40)
            );
        };
        write();  // also to a source that was about to be closed
        while (copier->advance()) {
            write();
        }
        copier->finish();
    });
}

void fill(const Place& place, std::uint64_t seed) {
    place.with([&](auto& source, auto&) {
        RandomWriter writer{seed};
        auto storage = source.backend.storage();
        storage.write(source.backend.deadline(), [&](Session& s) { writer.begin(s); });
        for (int i = 0; i < 120; ++i) {
            storage.write(source.backend.deadline(), [&](Session& s) { writer.transaction(s); });
        }
    });
}

// The target is the source, bound, and nothing is noted at the source any more.
void require_whole(const Place& place) {
    place.with([&](auto& source, auto& target) {
        for (const auto& check : checks_of(source, target)) {
            if (check.different != 0 || check.source_digest != check.target_digest) {
                throw tenon::Error{TENON_CORRUPT, check.table + " differs"};
            }
        }
        const std::string notes =
            place.is_from_postgres
                ? "SELECT (SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'tenon_copy_note_%') "
                  "+ (SELECT count(*) FROM pg_class WHERE relname = 'tenon_copy_changes')"
                : "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'tenon_copy_note_%' OR name "
                  "= 'tenon_copy_changes'";
        if (target.number("SELECT count(*) FROM tenon_copy_restore") != 0 ||
            target.number("SELECT count(*) FROM tenon_copy WHERE phase = 'finished'") != 1 ||
            source.number(notes) != 0 ||
            source.number("SELECT count(*) FROM users WHERE name LIKE 'late%'") == 0) {
            throw tenon::Error{TENON_CORRUPT, "the copy is not whole"};
        }
    });
}

}  // namespace

TEST_CASE("a copy that is killed anywhere goes on and ends the same", "[copy][kill][S12]") {
    const auto seed = Catch::rngSeed();
    INFO("seed " << seed);
    const bool is_long = std::getenv("TENON_LONG") != nullptr;
    std::mt19937_64 random{seed};
    for (int round = 0; round < (is_long ? 40 : 2); ++round) {
        const Place place{round % 2 == 1};
        const std::uint64_t data = random();
        REQUIRE(in_child([&] { fill(place, data); }) == 0);
        int kills = 0;
        for (bool more = true; more;) {
            int kill_at = 1 + static_cast<int>(random() % (20U * static_cast<unsigned>(kills + 1)));
            CAPTURE(round, place.is_from_postgres, kills, kill_at);
            const int status = in_child([&] {
                run(place, data + static_cast<std::uint64_t>(kills), 10, [&](std::string_view) {
                    return --kill_at == 0;
                });
            });
            more = WIFSIGNALED(status);
            REQUIRE((more ? WTERMSIG(status) == SIGKILL : status == 0));
            REQUIRE(++kills < 1000);
        }
        CHECK(kills > 3);
        CHECK(in_child([&] { require_whole(place); }) == 0);
        server().drop_database(place.database);
    }
}

TEST_CASE("a copy that is killed at a point of its end goes on", "[copy][kill][S12]") {
    const auto seed = Catch::rngSeed();
    const bool is_from_postgres = GENERATE(false, true);
    const std::string name = GENERATE(
        as<std::string>{},
        "last_changes_committed",
        "source_fenced",
        "target_bound",
        "target_opened",
        "capture_removed"
    );
    CAPTURE(seed, is_from_postgres, name);
    const Place place{is_from_postgres};
    REQUIRE(in_child([&] { fill(place, seed); }) == 0);
    const int status = in_child([&] {
        run(place, seed, 3, [&](std::string_view point) { return point == name; });
    });
    REQUIRE(WIFSIGNALED(status));
    REQUIRE(WTERMSIG(status) == SIGKILL);
    const bool is_open = name == "last_changes_committed";
    CHECK((in_child([&] {
               place.with([](auto& source, auto&) { source.run(late_user("late, after it")); });
           }) == 0) == is_open);
    // Without writes of its own, so that those above are what there is to bring over.
    CHECK(in_child([&] { run(place, seed, 0, [](std::string_view) { return false; }); }) == 0);
    CHECK(in_child([&] { require_whole(place); }) == 0);
    server().drop_database(place.database);
}
