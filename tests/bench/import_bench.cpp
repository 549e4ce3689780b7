// SPDX-License-Identifier: Apache-2.0
// How fast rows of a bot's database come over, from a SQLite file into SQLite and PostgreSQL: each
// checked, converted and written with where it came from. Usage: import_bench [TRADES];
// interleaved.
#include "tests/integration/migrations/postgres_backend.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/migrations/import_fixture.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace {

using Clock = std::chrono::steady_clock;
using tenon::test::FreqtradeDatabase;
using tenon::test::ImportTarget;
using tenon::test::PostgresBackend;
using tenon::test::SqliteBackend;

constexpr int k_rounds = 3;

template <class Target>
void round_of(const char* name, Target& target, const std::string& file) {
    const std::string mapping = tenon::test::shipped_mapping("freqtrade");
    const auto began = Clock::now();
    const auto progress = target.import_file(file, mapping);
    const std::chrono::duration<double> spent = Clock::now() - began;
    std::int64_t rows = 0;
    for (const auto& table : progress.tables) {
        rows += table.imported;
    }
    std::printf(
        "%-10s %8lld rows  %8.0f rows/s\n",
        name,
        static_cast<long long>(rows),
        static_cast<double>(rows) / spent.count()
    );
    (void)std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
    const int trades = argc > 1 ? std::atoi(argv[1]) : 20'000;
    tenon::test::TemporaryFolder folder;
    const std::string file = (folder.path() / "bot.sqlite").string();
    const FreqtradeDatabase source{file, 1, trades};
    for (int round = 0; round < k_rounds; ++round) {
        ImportTarget<SqliteBackend> sqlite{true};
        round_of("sqlite", sqlite, file);
        ImportTarget<PostgresBackend> postgres{true, tenon::test::server().create_database()};
        round_of("postgres", postgres, file);
    }
    return 0;
}
