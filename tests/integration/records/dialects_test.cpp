// SPDX-License-Identifier: Apache-2.0
// The schema as both dialects have it, read from the catalogues of a real database each.
#include "tests/unit/migrations/schema_shape.hpp"
#include "tests/unit/migrations/shipped_schema.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>

using tenon::test::SchemaShape;

namespace {

// The names of the rules that a dialect's files declare.
std::set<std::string> rules_of(const std::string& dialect) {
    std::set<std::string> names;
    const std::regex named{R"(CONSTRAINT (\w+))"};
    const std::filesystem::path folder{tenon::test::source_dir() + "/migrations"};
    for (const auto& entry : std::filesystem::directory_iterator{folder}) {
        if (!entry.path().native().ends_with("." + dialect + ".up.sql")) {
            continue;
        }
        std::ifstream file{entry.path()};
        const std::string text{std::istreambuf_iterator<char>{file}, {}};
        for (std::sregex_iterator it{text.begin(), text.end(), named}, end; it != end; ++it) {
            names.insert((*it)[1].str());
        }
    }
    return names;
}

}  // namespace

TEST_CASE("both dialects declare the same tables, columns, rules and indexes", "[migrations][S8]") {
    tenon::test::SqliteBackend sqlite;
    tenon::test::PostgresBackend postgres;
    tenon::test::shipped_schema(sqlite)->up();
    tenon::test::shipped_schema(postgres)->up();
    const SchemaShape a = tenon::test::shape_of(sqlite);
    const SchemaShape b = tenon::test::shape_of(postgres);
    CHECK(a.tables == b.tables);
    CHECK(a.tables.size() > 25);
    CHECK(a.indexes.size() == b.indexes.size());
    for (const auto& [name, index] : a.indexes) {
        CAPTURE(name);
        REQUIRE(b.indexes.count(name) == 1);
        CHECK(b.indexes.at(name).columns == index.columns);
        CHECK(b.indexes.at(name) == index);
    }
    CHECK(rules_of("sqlite") == rules_of("postgres"));
    CHECK(rules_of("sqlite").size() > 100);
}
