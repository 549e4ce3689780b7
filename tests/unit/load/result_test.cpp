// SPDX-License-Identifier: Apache-2.0
#include "tools/load/result.hpp"

#include "tests/support/temporary_folder.hpp"
#include "tools/load/comparison.hpp"
#include "tools/load/page.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <catch2/catch.hpp>

#include <string>

using namespace tenon::load;
namespace json = boost::json;

namespace {

// Ten rounds around a median latency, in ns.
Result made(std::int64_t median_ns, const std::string& target = "127.0.0.1:1") {
    Result result;
    result.question = {"market-data", target, "poisson", 1000, 1, 64, 10, 2, 7};
    result.operations = {"depth", "never asked"};
    result.run.window_ns = 1'000'000'000;
    for (int i = 0; i < 10; ++i) {
        Run run;
        run.planned = 100;
        run.measured_ns = 1'000'000'000;
        run.operations.resize(2);
        run.windows.resize(1);
        for (int k = 0; k < 100; ++k) {
            const std::int64_t ns = median_ns + (k - 50) * 1'000 + i * 100;
            for (Tally* tally : {&run.all, &run.operations[0], &run.windows[0]}) {
                tally->latency.record(ns);
                ++tally->statuses[200];
            }
            run.service.record(ns);
            run.lateness.record(1'000);
        }
        result.rounds.push_back(sample_of(run, 0.002));
        result.run.add(run);
    }
    return result;
}

json::object result_of(std::int64_t median_ns) {
    return to_json(made(median_ns), "2026-01-01T00:00:00Z");
}

}  // namespace

TEST_CASE("a result says what was asked, what came of it, and on what machine", "[load][P1]") {
    const json::object result = result_of(1'000'000);
    CHECK(result.at("format") == "tenon-load/1");
    CHECK(result.at("requests").at("planned") == 1'000);
    CHECK(result.at("requests").at("answered") == 1'000);
    CHECK(result.at("requests").at("statuses").at("200") == 1'000);
    CHECK(result.at("latency_us").at("p50").to_number<double>() == Approx(1'000).epsilon(0.01));
    CHECK(result.at("operations").as_array().size() == 1);
    CHECK(result.at("samples").at("of") == "rounds");
    CHECK(result.at("samples").at("p50_us").as_array().size() == 10);
    CHECK(result.at("server_cpu_us").to_number<double>() == Approx(20));
    CHECK(result.at("generator_saturated") == false);
    CHECK_FALSE(result.at("version").as_string().empty());
    CHECK(result.at("machine").as_object().contains("kernel"));
    CHECK(to_text(result).find("market-data on 127.0.0.1:1: 64 users, poisson, seed 7") == 0);
}

TEST_CASE("a generator that was late says so everywhere", "[load][P1]") {
    Result result = made(1'000'000);
    result.run.late = 10;
    CHECK_FALSE(saturated(result.run));
    result.run.late = 11;
    const json::object late = to_json(result, "");
    CHECK(late.at("generator_saturated") == true);
    CHECK(to_text(late).find("GENERATOR SATURATED") != std::string::npos);
    CHECK(to_page(late, nullptr).find("Generator saturated") != std::string::npos);
}

TEST_CASE("a tenth more is worse, and a twentieth less than that is not", "[load][P2]") {
    const json::object before = result_of(1'000'000);
    const auto verdict = [&](std::int64_t median_ns, const char* metric) {
        return std::string{
            compare_results(before, result_of(median_ns), metric, {}).at("verdict").as_string()};
    };
    CHECK(verdict(1'100'000, "p50_us") == "worse");
    CHECK(verdict(1'040'000, "p50_us") == "no difference");
    CHECK(verdict(900'000, "p50_us") == "better");
    CHECK(verdict(1'100'000, "auto") == "no difference");  // the server's CPU, which is the same
    CHECK_THROWS_AS(verdict(1'100'000, "speed"), std::invalid_argument);
    const json::object worse = compare_results(before, result_of(1'100'000), "p50_us", {});
    CHECK(comparison_text(worse).find("b is worse by p50_us: 1.100 of a") != std::string::npos);
    CHECK(to_page(before, &worse).find("b is worse") != std::string::npos);
}

TEST_CASE("results of other questions or machines are not compared", "[load][P2]") {
    const json::object one = result_of(1'000'000);
    json::object other = one;
    CHECK(not_comparable(one, other).empty());
    other["question"].as_object()["users"] = 65;
    CHECK(not_comparable(one, other) == "users is 64 in one and 65 in the other");
    other = one;
    other["requests"].as_object()["errors"] = 10;
    CHECK(not_comparable(one, other).empty());
    other["requests"].as_object()["errors"] = 50;
    CHECK(not_comparable(one, other) == "errors are 0.0 % in one and 5.0 % in the other");
    other = one;
    other["machine"].as_object()["cpus"] = 1'000;
    CHECK(not_comparable(one, other).find("the machines differ") == 0);
}

TEST_CASE("a stored result is read back, and what is none is refused", "[load][P2]") {
    const tenon::test::TemporaryFolder folder;
    const auto file = folder.path() / "result.json";
    const json::object result = result_of(1'000'000);
    write_file(file, json::serialize(result));
    CHECK(json::serialize(read_result(file)) == json::serialize(result));
    write_file(file, "{\"format\":\"other/1\"}");
    CHECK_THROWS_WITH(read_result(file), Catch::Contains("no result of tenon load"));
    write_file(file, "[");
    CHECK_THROWS_WITH(read_result(file), Catch::Contains("no result of tenon load"));
    CHECK_THROWS_WITH(read_result(folder.path() / "none"), Catch::Contains("cannot read"));
    CHECK_THROWS_WITH(write_file(folder.path() / "no/file", ""), Catch::Contains("cannot write"));
}

TEST_CASE("the page loads nothing and shows foreign text as text", "[load][P1]") {
    Result result = made(1'000'000, "<script>alert(1)</script>:80");
    result.operations[0] = "<img src=x>";
    const std::string page = to_page(to_json(result, ""), nullptr);
    CHECK(page.find("<script") == std::string::npos);
    CHECK(page.find("<img") == std::string::npos);
    CHECK(page.find("&lt;img src=x&gt;") != std::string::npos);
    CHECK(page.find("http") == page.find("http-equiv"));
    CHECK(page.find("default-src 'none'") != std::string::npos);
    CHECK(page.find("<polyline class=\"a\" points=\"") != std::string::npos);
    CHECK(page.find("nan,") == std::string::npos);
    Result nothing = made(1'000'000);
    nothing.run = {};
    CHECK(to_page(to_json(nothing, ""), nullptr).find("nan,") == std::string::npos);
}
