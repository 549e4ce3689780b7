// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/sql/rehearsal.hpp"

#include "tests/unit/migrations/migrations_folder.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <sqlite3.h>

#include <memory>

namespace json = boost::json;
using Catch::Contains;
using tenon::Session;
using tenon::Storage;
using tenon::migrations::UpRequest;
using tenon::test::make_migrator;
using tenon::test::MigrationsFolder;
using tenon::test::put_three;
using tenon::test::SqliteBackend;

namespace {

// A backend that can be cloned, whatever SQLite's own storage does: VACUUM INTO another file.
class Clonable : public SqliteBackend {
public:
    Clonable() {
        current_ = this;
        table_.clone = &make_clone;
        table_.drop_clone = &drop_clone;
    }

    [[nodiscard]] Storage storage() {
        return Storage{tenon::Service<tenon_storage_1>{&holder, &table_}};
    }

    void run(std::string_view sql) {
        storage().write(deadline(), [&](Session& s) { s.execute(sql); });
    }

    int clones = 0;  // that are there now

private:
    static tenon_status
    make_clone(void*, std::uint32_t, std::int64_t, tenon_iface* out, tenon_err* err) noexcept {
        return tenon::guard(err, [&] {
            auto copy = std::make_unique<tenon::test::TemporaryFolder>();
            const std::string file = (copy->path() / "copy.db").string();
            sqlite3* db = nullptr;
            int code = sqlite3_open(current_->settings.file.c_str(), &db);
            if (code == SQLITE_OK) {
                const std::string sql = "VACUUM INTO '" + file + "'";
                code = sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr);
            }
            sqlite3_close(db);
            if (code != SQLITE_OK) {
                throw tenon::Error{TENON_INTERNAL, "no copy"};
            }
            current_->folder_ = std::move(copy);
            current_->copy_ = std::make_unique<SqliteBackend>([&](auto& s) { s.file = file; });
            ++current_->clones;
            *out = {&current_->copy_->holder, &tenon::sqlite::storage_table()};
        });
    }

    static void drop_clone(void*, tenon_iface) noexcept {
        current_->copy_.reset();
        --current_->clones;
    }

    static inline Clonable* current_ = nullptr;
    tenon_storage_1 table_ = tenon::sqlite::storage_table();
    std::unique_ptr<tenon::test::TemporaryFolder> folder_;
    std::unique_ptr<SqliteBackend> copy_;
};

}  // namespace

TEST_CASE("a dry run tells each statement and changes nothing", "[migrations][S12]") {
    MigrationsFolder folder;
    put_three(folder);
    Clonable backend;
    auto migrator = make_migrator(backend, folder.load());
    UpRequest first;
    first.to = 1;
    migrator->up(first);
    const auto before = tenon::test::schema_of(backend);
    const json::value report = json::parse(tenon::migrations::dry_run(*migrator, {}));
    CHECK(report.at("ok").as_bool());
    CHECK(report.at("from") == 1);
    CHECK(report.at("to") == 3);
    CHECK(report.at("schema_before") == report.at("schema_back"));
    CHECK(report.at("schema_before") != report.at("schema_after"));
    const json::array& statements = report.at("statements").as_array();
    REQUIRE(statements.size() == 6);  // three up, three down
    CHECK(statements[1].at("sql") == "INSERT INTO one VALUES (2)");
    CHECK(statements[1].at("migration") == "0002_two");
    CHECK(statements[5].at("direction") == "down");
    CHECK(tenon::test::schema_of(backend) == before);
    CHECK(backend.clones == 0);
}

TEST_CASE("a dry run finds a way back that does not lead back", "[migrations][S12]") {
    MigrationsFolder folder;
    put_three(folder);
    folder.put_pair("0004_four", "CREATE TABLE four (id INTEGER);\n", "SELECT 1;\n");
    folder.write_chain();
    Clonable backend;
    auto migrator = make_migrator(backend, folder.load());
    json::value report = json::parse(tenon::migrations::dry_run(*migrator, {}));
    CHECK_FALSE(report.at("ok").as_bool());
    CHECK_FALSE(report.at("reversible").as_bool());
    folder.put("0004_four.up.sql", "CREATE TABLE four (id INTEGER);\nINSERT INTO no VALUES (1);\n");
    folder.write_chain();
    migrator = make_migrator(backend, folder.load());
    report = json::parse(tenon::migrations::dry_run(*migrator, {}));
    CHECK_FALSE(report.at("ok").as_bool());
    CHECK_THAT(
        std::string{report.at("error").as_string()},
        Contains("migration 0004_four, line 2 (INSERT INTO no VALUES (1))")
    );
    CHECK(tenon::test::schema_of(backend).empty());
}

TEST_CASE("drift is told by object", "[migrations][S12]") {
    MigrationsFolder folder;
    put_three(folder);
    Clonable backend;
    auto migrator = make_migrator(backend, folder.load());
    migrator->up();
    json::value report = json::parse(tenon::migrations::drift(*migrator));
    CHECK(report.at("ok").as_bool());
    CHECK(report.at("schema") == report.at("expected"));
    backend.run(
        "DROP TABLE three; CREATE INDEX extra ON one (id); DROP TABLE two;"
        "CREATE TABLE two (id INTEGER, more TEXT)"
    );
    report = json::parse(tenon::migrations::drift(*migrator));
    CHECK_FALSE(report.at("ok").as_bool());
    std::map<std::string, std::string> states;
    for (const json::value& d : report.at("differences").as_array()) {
        states[std::string{d.at("object").as_string()}] = std::string{d.at("state").as_string()};
    }
    CHECK(
        states ==
        std::map<std::string, std::string>{
            {"table three", "missing"}, {"index extra", "unexpected"}, {"table two", "different"}}
    );
}

TEST_CASE("a baseline is taken of a schema that is the files'", "[migrations][S12]") {
    MigrationsFolder folder;
    put_three(folder);
    Clonable backend;
    auto migrator = make_migrator(backend, folder.load());
    backend.run("CREATE TABLE one (id INTEGER); INSERT INTO one VALUES (7)");
    const auto take = [&](std::uint32_t to, const std::string& reason) {
        migrator->baseline(to, tenon::migrations::expected_schema(*migrator, to), reason);
    };
    CHECK_THROWS_WITH(take(2, "made by hand"), Contains("table two is missing"));
    CHECK_THROWS_WITH(take(1, ""), Contains("/reason"));
    CHECK(migrator->state().applied.empty());
    take(1, "made by hand");
    CHECK(migrator->version() == 1);
    CHECK_THROWS_WITH(take(1, "again"), Contains("already has version 1"));
    migrator->up();
    CHECK(migrator->version() == 3);
    CHECK_THAT(migrator->report(), Contains(R"("action":"baseline","version":1)"));
}

TEST_CASE("without clones a dry run says so", "[migrations][S12]") {
    MigrationsFolder folder;
    put_three(folder);
    Clonable backend;
    auto table = tenon::sqlite::storage_table();
    table.clone = nullptr;
    const tenon::Host host{backend.host.raw()};
    tenon::migrations::Migrator migrator{
        Storage{tenon::Service<tenon_storage_1>{&backend.holder, &table}},
        host.service<tenon_clock_1>("tenon.clock/1"),
        host.log(),
        folder.load(),
        {}};
    CHECK_THROWS_WITH(tenon::migrations::dry_run(migrator, {}), Contains("no clone"));
}
