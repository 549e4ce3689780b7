// SPDX-License-Identifier: Apache-2.0
// What is wrong with a mapping file, all at once and by pointer.
#include "plugins/migrations/import/mapping.hpp"
#include "tests/unit/migrations/shipped_schema.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <iterator>
#include <random>

using namespace tenon::importer;
using Catch::Contains;

namespace {

std::string problems_of(std::string_view text) {
    tenon::manifest::Problems problems;
    (void)parse_mapping(text, "map.json", problems);
    return lines_of(problems);
}

// A mapping of one table with these columns.
std::string with_columns(const std::string& columns, const std::string& target = "orders") {
    return R"({"import_version":1,"name":"x","tables":[{"name":"t","target":")" + target +
           R"(","table":"src","key":["id"],"columns":{)" + columns + "}}]}";
}

constexpr const char* k_order_columns =
    R"("account":{"constant":"a"},"instrument":"pair","side":"side","type":"type","status":"status",)"
    R"("created_real_ns":{"from":"at","unit":"ms"},"updated_real_ns":{"from":"at","unit":"ms"})";

}  // namespace

TEST_CASE("the mappings that are shipped have no mistake", "[import][S12]") {
    for (const std::string name : {"freqtrade", "hummingbot"}) {
        std::ifstream file{tenon::test::source_dir() + "/etc/imports/" + name + ".json"};
        const std::string text{std::istreambuf_iterator<char>{file}, {}};
        CAPTURE(name);
        CHECK(problems_of(text).empty());
        const Mapping mapping = parse_mapping(text, name);
        CHECK(mapping.name == name);
        CHECK(mapping.table("orders") != nullptr);
        CHECK(mapping.tables.front().target->name == "orders");
    }
}

TEST_CASE("every mistake of a mapping is told at once, with its pointer", "[import][S12]") {
    const std::string told = problems_of(with_columns(
        R"("account":{"constant":"a"},"instrument":{"from":"pair","round":"down"},"side":5,)"
        R"("typ":"type","status":{"from":"s","constant":"x"},"price":{"from":["a",""],"source_scale":99},)"
        R"("created_real_ns":{"from":"at"},"updated_real_ns":{"from":"at","unit":"ms","zone":"Mars"},)"
        R"("client_id":{"constant":1.5})"
    ));
    CHECK_THAT(told, Contains("/tables/0/columns/instrument/round"));
    CHECK_THAT(told, Contains("/tables/0/columns/side"));
    CHECK_THAT(
        told,
        Contains("/tables/0/columns/typ: no such column of orders") && Contains("expected type")
    );
    CHECK_THAT(told, Contains("/tables/0/columns/status: a column needs either"));
    CHECK_THAT(told, Contains("/tables/0/columns/price/source_scale"));
    CHECK_THAT(told, Contains("/tables/0/columns/created_real_ns: \"unit\" has to say"));
    CHECK_THAT(told, Contains("/tables/0/columns/updated_real_ns/zone"));
    CHECK_THAT(told, Contains("/tables/0/columns/client_id/constant"));
    CHECK_THAT(told, Contains("a column is not mapped") && Contains("expected type"));
    CHECK(problems_of(with_columns(k_order_columns)).empty());
}

TEST_CASE("a mapping's own shape is checked", "[import][S12]") {
    CHECK_THAT(problems_of("{"), Contains("map.json"));
    CHECK_THAT(
        problems_of(R"({"import_version":2,"name":"x","tables":[]})"),
        Contains("/import_version") && Contains("/tables")
    );
    CHECK_THAT(
        problems_of(R"({"import_version":1,"tables":[{}],"naem":1})"),
        Contains("naem") && Contains("name") && Contains("/tables/0")
    );
    CHECK_THAT(
        problems_of(R"({"import_version":1,"name":"x","name":"y","tables":[]})"), Contains("twice")
    );
    CHECK_THAT(
        problems_of(with_columns(k_order_columns, "balances")),
        Contains("no such target") && Contains("active_positions")
    );
    std::string both = with_columns(k_order_columns);
    both.insert(both.find("\"key\""), R"("select":"SELECT 1",)");
    CHECK_THAT(problems_of(both), Contains("either \"table\" or \"select\""));
}

TEST_CASE("a mapping that was damaged anywhere is read or refused", "[import][S12]") {
    const auto seed = Catch::rngSeed();
    std::mt19937_64 random{seed};
    std::ifstream file{tenon::test::source_dir() + "/etc/imports/freqtrade.json"};
    const std::string whole{std::istreambuf_iterator<char>{file}, {}};
    int refused = 0;
    for (int i = 0; i < 1'000; ++i) {
        std::string text = whole;
        for (std::uint64_t n = 1 + random() % 3; n > 0; --n) {
            const std::size_t at = random() % text.size();
            switch (random() % 3) {
                case 0:
                    text[at] = static_cast<char>(random());
                    break;
                case 1:
                    text.erase(at, random() % 40);
                    break;
                default:
                    text.insert(at, text.substr(random() % text.size(), random() % 40));
            }
        }
        CAPTURE(seed, i);
        tenon::manifest::Problems problems;
        const Mapping mapping = parse_mapping(text, "map.json", problems);
        refused += problems.empty() ? 0 : 1;
        REQUIRE((!problems.empty() || !mapping.tables.empty()));
    }
    CHECK(refused > 100);
}

TEST_CASE("a reference names a table of the mapping and its whole key", "[import][S12]") {
    const std::string trades =
        R"("account":{"constant":"a"},"instrument":"pair","side":"side","price":"p","quantity":"q",)"
        R"("quote_amount":"c","fee_asset":"fa","time_real_ns":{"from":"at","unit":"ms"},"order_id":)";
    CHECK_THAT(problems_of(with_columns(trades + R"("oid")", "trades")), Contains("row_of"));
    CHECK_THAT(
        problems_of(with_columns(trades + R"({"from":"oid","row_of":"t"})", "trades")),
        Contains("/row_of") && Contains("one with the target orders")
    );
    CHECK_THAT(
        problems_of(with_columns(std::string{k_order_columns} + R"(,"order_id":"x")")),
        Contains("no such column of orders")
    );
}
