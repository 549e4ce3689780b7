// SPDX-License-Identifier: Apache-2.0
// kill -9 at random points of an import, again and again; the next run goes on, and in the end
// every row is there once.
#include "tests/integration/migrations/postgres_backend.hpp"
#include "tests/support/in_child.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/migrations/import_fixture.hpp"

#include <catch2/catch.hpp>

#include <csignal>
#include <cstdlib>
#include <functional>
#include <sys/wait.h>
#include <unistd.h>

using namespace tenon::importer;
using tenon::test::FreqtradeDatabase;
using tenon::test::ImportTarget;
using tenon::test::in_child;
using tenon::test::PostgresBackend;
using tenon::test::replaced;
using tenon::test::server;
using tenon::test::shipped_mapping;
using tenon::test::SqliteBackend;
using tenon::test::TemporaryFolder;

namespace {

// Both databases of a round, opened by every child anew: a parent has no threads to fork.
struct SqlitePlace {
    TemporaryFolder folder;

    template <class Work>
    void with(bool make_schema, Work&& work) const {
        ImportTarget<SqliteBackend> target{make_schema, [this](tenon::sqlite::Settings& settings) {
                                               settings.file =
                                                   (folder.path() / "target.db").string();
                                           }};
        work(target);
    }
};

struct PostgresPlace {
    TemporaryFolder folder;
    std::string database = server().create_database();

    template <class Work>
    void with(bool make_schema, Work&& work) const {
        ImportTarget<PostgresBackend> target{make_schema, database};
        work(target);
    }
};

template <class Place>
void round_of_kills(std::uint64_t seed) {
    const Place place;
    std::mt19937_64 random{seed};
    const std::string file = (place.folder.path() / "bot.sqlite").string();
    tenon::test::Totals totals;
    {
        const FreqtradeDatabase source{file, seed, 80};
        totals = source.totals;
    }
    const std::string mapping = shipped_mapping("freqtrade");
    REQUIRE(in_child([&] { place.with(true, [](auto&) {}); }) == 0);
    int kills = 0;
    for (bool more = true; more;) {
        // Longer and longer: a run checks all rows before it goes on.
        int left = 1 + static_cast<int>(random() % (60U + 20U * static_cast<unsigned>(kills)));
        CAPTURE(seed, kills, left);
        const int status = in_child([&] {
            place.with(false, [&](auto& target) {
                ImportOptions options;
                options.batch_rows = 20;
                options.at = [&left](std::string_view) {
                    if (--left == 0) {
                        (void)::kill(::getpid(), SIGKILL);
                    }
                };
                (void)target.import_file(file, mapping, options);
            });
        });
        more = WIFSIGNALED(status);
        REQUIRE((more ? WTERMSIG(status) == SIGKILL : status == 0));
        REQUIRE(++kills < 200);
    }
    CAPTURE(seed, kills);
    CHECK(in_child([&] {
              place.with(false, [&](auto& target) {
                  if (!(target.totals() == totals)) {
                      throw tenon::Error{TENON_CORRUPT, "the sums differ"};
                  }
                  if (target.verify_file(file, mapping).different != 0) {
                      throw tenon::Error{TENON_CORRUPT, "rows differ"};
                  }
                  if (target.number("SELECT count(*) FROM imports WHERE status = 'done'") != 1) {
                      throw tenon::Error{TENON_CORRUPT, "the import is not done"};
                  }
              });
          }) == 0);
}

}  // namespace

TEST_CASE("an import that is killed anywhere goes on and ends the same", "[import][kill][S12]") {
    const auto seed = Catch::rngSeed();
    const bool is_long = std::getenv("TENON_LONG") != nullptr;
    for (std::uint64_t round = 0; round < (is_long ? 25U : 1U); ++round) {
        round_of_kills<SqlitePlace>(seed + round);
        round_of_kills<PostgresPlace>(seed + round);
    }
}
