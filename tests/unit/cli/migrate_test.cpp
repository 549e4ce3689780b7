// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/migrate.hpp"

#include "plugins/migrations/sql/lint.hpp"
#include "tools/cli/copy.hpp"
#include "tools/cli/import.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/parse.hpp>
#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <stdlib.h>

using namespace tenon::cli;
namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

json::object options_of(const std::vector<std::string>& words) {
    return migrate_arguments(parse_arguments(words)).options;
}

struct Folder {
    Folder() {
        std::string pattern = (fs::temp_directory_path() / "tenon-XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        path = pattern;
    }

    ~Folder() {
        std::error_code ignored;
        fs::remove_all(path, ignored);
    }

    fs::path path;
};

}  // namespace

TEST_CASE("a version of migrate may stand without --to", "[cli][S12]") {
    CHECK(
        options_of({"migrate", "up", "3", "--allow-contract"}) ==
        json::object{{"allow_contract", true}, {"to", 3}}
    );
    CHECK(
        options_of({"migrate", "down", "--to", "0", "--confirm"}) ==
        json::object{{"to", 0}, {"confirm", true}}
    );
    CHECK(options_of({"migrate", "up"}).empty());
    CHECK(
        options_of({"migrate", "repair", "--version", "2", "--action", "accept"}) ==
        json::object{{"version", 2}, {"action", "accept"}}
    );
    for (const auto& wrong : std::vector<std::vector<std::string>>{
             {"migrate", "sideways"},
             {"migrate", "down"},
             {"migrate", "to"},
             {"migrate", "to", "three"},
             {"migrate", "to", "-1"},
             {"migrate", "up", "3", "4"},
             {"migrate", "up", "3", "--to", "3"},
             {"migrate", "status", "3"}}) {
        CAPTURE(wrong);
        CHECK_THROWS_AS(options_of(wrong), UsageError);
    }
}

TEST_CASE("the target of migrate copy is a name, and it takes one action", "[cli][S12]") {
    CHECK(
        options_of({"migrate", "copy", "--to", "target", "--verify"}) ==
        json::object{{"to", "target"}, {"verify", true}}
    );
    CHECK_THROWS_AS(options_of({"migrate", "copy", "target"}), UsageError);
    const json::value status = json::parse(
        R"({"phase":"copying","percent":42,"rows_copied":12,"rows_total":30,"rows_per_s":7,)"
        R"("changes_waiting":3,"error":""})"
    );
    CHECK(copy_progress(status) == "copying 42 %, 12 of 30 rows, 7 rows/s, 3 changes waiting");
}

TEST_CASE(
    "migrate import sends the mapping's text and a source that the server finds",
    "[cli][S12]"
) {
    const Folder folder;
    const std::string mapping = (folder.path / "map.json").string();
    std::ofstream{mapping} << "{\"a\": 1}";
    const auto request = [](const std::vector<std::string>& words) {
        return import_request(migrate_arguments(parse_arguments(words)));
    };
    CHECK(
        request(
            {"migrate", "import", "--mapping", mapping, "--source", "/a/../b.sqlite", "--dry-run"}
        ) ==
        json::object{
            {"mapping", "{\"a\": 1}"},
            {"mapping_file", mapping},
            {"source", "/b.sqlite"},
            {"dry_run", true}}
    );
    const auto source = [&](const std::string& word) {
        return request({"migrate", "import", "--mapping", mapping, "--source", word}).at("source");
    };
    CHECK(source("postgresql:host=db dbname=bot") == "postgresql:host=db dbname=bot");
    CHECK(source("postgresql://db/bot") == "postgresql://db/bot");
    CHECK(source("sqlite:/a/b.sqlite") == "/a/b.sqlite");
    CHECK(request({"migrate", "import", "--status"}) == json::object{{"status", true}});
    for (const auto& wrong : std::vector<std::vector<std::string>>{
             {"migrate", "import"},
             {"migrate", "import", "--mapping", mapping},
             {"migrate", "import", "--mapping", "/nowhere.json", "--source", "x"},
             {"migrate", "import", "--mapping", mapping, "--source", "x", "--dry-run", "--verify"},
             {"migrate", "import", "--mapping", mapping, "--source", "x", "--verify", "twice"},
             {"migrate", "import", "--status", "--verify"},
             {"migrate", "import", "--mapping", mapping, "--source", "x", "--sideways"}}) {
        CAPTURE(wrong);
        CHECK_THROWS_AS(request(wrong), UsageError);
    }
    const json::value status = json::parse(
        R"({"phase":"importing","percent":42,"rows_read":12,"rows_total":30,"rows_bad":2,)"
        R"("rows_different":0,"error":""})"
    );
    CHECK(import_progress(status) == "importing 42 %, 12 of 30 rows, 2 bad");
}

TEST_CASE("migrate new writes the next version, in order and chained", "[cli][S12]") {
    Folder folder;
    const auto make = [&](const std::string& name, const std::string& dialects) {
        std::string told;
        return migrate_new(
            parse_arguments(
                {"migrate", "new", name, "--dir", folder.path.string(), "--dialects", dialects}
            ),
            told
        );
    };
    CHECK(make("first_one", "both").at("version") == 1);
    CHECK(make("second", "one").at("version") == 2);
    for (const char* dialect : {"sqlite", "postgres"}) {
        const auto found = tenon::migrations::load_migrations(folder.path.string(), dialect);
        REQUIRE(found.size() == 2);
        CHECK(found[0].name == "first_one");
        CHECK(tenon::migrations::lint(found).empty());
    }
    CHECK_THROWS_AS(make("Bad Name", "both"), UsageError);
    CHECK_THROWS_AS(make("_x", "both"), UsageError);
    CHECK_THROWS_AS(make("x", "three"), UsageError);
}
