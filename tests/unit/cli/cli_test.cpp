// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/arguments.hpp"
#include "tools/cli/http_client.hpp"
#include "tools/cli/output.hpp"
#include "tools/cli/verify.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <catch2/catch.hpp>

using namespace tenon::cli;
namespace json = boost::json;

TEST_CASE("words are the command, options its arguments", "[cli][K4]") {
    const Arguments arguments = parse_arguments(
        {"keys",
         "create",
         "--account",
         "demo",
         "--permissions",
         "trade,read",
         "--public-key=a=b",
         "--confirm",
         "--json",
         "--data-dir",
         "d"}
    );
    CHECK(arguments.command() == "keys.create");
    CHECK(
        arguments.options ==
        json::object{
            {"account", "demo"},
            {"permissions", json::array{"trade", "read"}},
            {"public_key", "a=b"},
            {"confirm", true}}
    );
    CHECK(arguments.json);
    CHECK(arguments.data_dir == "d");
}

TEST_CASE("--to is a version for migrate and a name elsewhere", "[cli][K4]") {
    const Arguments migrate = parse_arguments({"migrate", "down", "--to", "3"});
    CHECK(migrate.options == json::object{{"to", 3}});
    const Arguments transfer = parse_arguments({"accounts", "transfer", "--to", "3"});
    CHECK(transfer.options == json::object{{"to", "3"}});
    CHECK(
        parse_arguments({"accounts", "transfer", "--to", "bob"}).options ==
        json::object{{"to", "bob"}}
    );
}

TEST_CASE("a key in PEM is a value, though it starts with dashes", "[cli][K4]") {
    const std::string pem = "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----";
    const Arguments arguments =
        parse_arguments({"keys", "create", "--public-key", pem, "--type", "ed25519"});
    CHECK(arguments.options == json::object{{"public_key", pem}, {"type", "ed25519"}});
}

TEST_CASE("money stays text, and a repeated option is a list", "[cli][K4]") {
    const Arguments arguments =
        parse_arguments({"x", "--amount", "0.10", "--amount", "-5", "--flag"});
    CHECK(arguments.options == json::object{{"amount", json::array{"0.10", "-5"}}, {"flag", true}});
}

TEST_CASE("wrong usage is refused", "[cli][K4]") {
    CHECK_THROWS_AS(parse_arguments({"x", "-y"}), UsageError);
    CHECK_THROWS_AS(parse_arguments({"x", "--data-dir"}), UsageError);
    CHECK_THROWS_AS(parse_arguments({"migrate", "down", "--to", "three"}), UsageError);
}

TEST_CASE("answers are readable and cannot steer a terminal", "[cli][K4]") {
    CHECK(
        readable(json::parse(R"([{"a":1,"b":"x"},{"a":22,"c":null}])")) ==
        "a   b  c\n1   x\n22     -\n"
    );
    CHECK(readable(json::parse(R"({"name":"n","list":[{"k":1}]})")) == "name  n\nlist\n  k\n  1\n");
    CHECK(readable(json::parse(R"({"t":"\u001b[2J"})")) == "t   [2J\n");
    CHECK(readable(json::array{}) == "none\n");
    CHECK(
        readable(json::parse(R"({"rate":0.0,"list":["a","b"],"no":[]})")) ==
        "rate  0\nlist  a, b\nno    none\n"
    );
}

TEST_CASE("a long cell of a table is cut between characters", "[cli][K4]") {
    std::string text;
    std::string start;
    for (int i = 0; i < 80; ++i) {
        text.append("ż");
        start.append(i < 71 ? "ż" : "");
    }
    const json::value rows = json::array{json::object{{"sql", text}, {"n", 1}}};
    CHECK(readable(rows) == "sql" + std::string(69, ' ') + "  n\n" + start + "…  1\n");
}

TEST_CASE("the signature is HMAC-SHA256 in hex", "[cli][K4]") {
    // RFC 4231, test case 2.
    CHECK(
        hmac_sha256_hex("Jefe", "what do ya want for nothing?") ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
}

TEST_CASE("the order of verify keeps to the symbol's filters", "[cli][K4]") {
    const auto symbol = json::parse(R"({"filters":[
        {"filterType":"PRICE_FILTER","tickSize":"0.01000000"},
        {"filterType":"LOT_SIZE","stepSize":"0.00001000","minQty":"0.00001000"},
        {"filterType":"NOTIONAL","minNotional":"5.00000000"}]})");
    const FarOrder order = far_order(symbol.as_object(), "61234.57000000");
    CHECK(order.price == "30617.28000000");
    CHECK(order.quantity == "0.00033000");
    const FarOrder cheap = far_order(json::object{}, "0.00000400");
    CHECK(cheap.price == "0.00000200");
    CHECK_THROWS(far_order(symbol.as_object(), "0.00000000"));
    CHECK_THROWS(far_order(symbol.as_object(), "x"));
}
