// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/load.hpp"

#include "tools/cli/load_options.hpp"

#include <catch2/catch.hpp>

using namespace tenon::cli;

namespace {

LoadOptions typed(std::vector<std::string> words, const std::string& scenario = "market-data") {
    return load_options(parse_arguments(words), scenario);
}

}  // namespace

TEST_CASE("a load test is what was typed, and else what the help says", "[cli][P1]") {
    const LoadOptions absent = typed({"load", "market-data"});
    CHECK(absent.question.rate == 1000);
    CHECK(absent.question.users == 64);
    CHECK(absent.question.arrivals == "poisson");
    CHECK(absent.bars.p == 0.01);
    const LoadOptions all = typed(
        {"load",
         "get",
         "--path",
         "/a",
         "--path",
         "/b",
         "--rate",
         "50.5",
         "--times=10",
         "--users",
         "1000",
         "--seed",
         "7",
         "--duration",
         "0.5",
         "--quiet"},
        "get"
    );
    CHECK(all.paths == std::vector<std::string>{"/a", "/b"});
    CHECK(all.question.rate == 50.5);
    CHECK(all.question.times == 10);
    CHECK(all.question.users == 1000);
    CHECK(all.question.seed == 7);
    CHECK(all.quiet);
    CHECK(typed({"load", "--rate", "max"}).question.arrivals == "closed");
}

TEST_CASE("a load test that was typed wrongly is refused with the reason", "[cli][P1]") {
    const auto refused = [](std::vector<std::string> words, const std::string& why) {
        CHECK_THROWS_WITH(typed(words), Catch::Contains(why));
    };
    refused({"load", "--rate", "fast"}, "--rate: found \"fast\"");
    refused({"load", "--users", "0"}, "--users: found \"0\"");
    refused({"load", "--users", "1.5"}, "--users must be a whole number");
    refused({"load", "--seed", "-1"}, "--seed: found \"-1\"");
    refused({"load", "--key", "k"}, "--key and --secret belong together");
    refused({"load", "--path", "/"}, "--path belongs to the scenario get");
    refused({"load", "--usres", "5"}, "no option --usres");
    refused({"load", "--duration", "1", "--duration", "2"}, "--duration may be given once");
    refused({"load", "--quiet=yes"}, "--quiet takes no value");
    refused({"load", "--timeout"}, "--timeout needs a value");
    CHECK_THROWS_WITH(typed({"load"}, "everything"), Catch::Contains("scenario: found"));
    CHECK(run_load(parse_arguments({"load", "--help"})) == k_exit_ok);
}
