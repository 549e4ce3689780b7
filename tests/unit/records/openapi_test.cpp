// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/records/api.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include <set>

namespace json = boost::json;

namespace {

void check_references(const json::value& value, const json::value& root) {
    if (value.is_array()) {
        for (const json::value& item : value.as_array()) {
            check_references(item, root);
        }
    }
    if (!value.is_object()) {
        return;
    }
    for (const auto& [key, member] : value.as_object()) {
        if (key == "$ref") {
            const std::string reference{member.as_string()};
            CAPTURE(reference);
            REQUIRE(reference.front() == '#');
            boost::system::error_code error;
            CHECK(root.find_pointer(reference.substr(1), error) != nullptr);
        }
        check_references(member, root);
    }
}

}  // namespace

TEST_CASE("the OpenAPI document names just the routes that are mounted", "[records][T7]") {
    const json::value document = json::parse(tenon::records::openapi_document("1.2.3"));
    CHECK(document.at("openapi").as_string() == "3.1.0");
    CHECK(document.at("info").at("version").as_string() == "1.2.3");
    std::set<std::string> told;
    std::set<std::string> mounted{
        "get /api/flags", "put /api/flags/{name}", "delete /api/flags/{name}"};
    for (const auto& [path, operations] : document.at("paths").as_object()) {
        for (const auto& [method, operation] : operations.as_object()) {
            told.insert(std::string{method} + " " + std::string{path});
            CHECK(operation.at("responses").as_object().contains("default"));
        }
    }
    for (const tenon::records::Endpoint& endpoint : tenon::records::endpoints()) {
        std::string name{endpoint.method};
        for (char& c : name) {
            c = static_cast<char>(c | 0x20);
        }
        CHECK(mounted.insert(name + " " + endpoint.path).second);
    }
    CHECK(told == mounted);
    check_references(document, document);
}

TEST_CASE("the OpenAPI document tells members with their bounds", "[records][T7]") {
    const json::value document = json::parse(tenon::records::openapi_document("1"));
    boost::system::error_code error;
    const auto at = [&](const char* pointer) {
        const json::value* const found = document.find_pointer(pointer, error);
        REQUIRE(found != nullptr);
        return *found;
    };
    const std::string body =
        "/paths/~1api~1settings/put/requestBody/content/application~1json/schema/";
    CHECK(at((body + "properties/leverage/maximum").c_str()) == 125);
    CHECK(at((body + "additionalProperties").c_str()) == false);
    const std::string log =
        "/paths/~1api~1trade-logs/post/requestBody/content/application~1json/schema/";
    CHECK(at((log + "required").c_str()).as_array().size() == 7);
    const std::string credential =
        "/paths/~1api~1exchange-credentials/post/requestBody/content/application~1json/schema/";
    CHECK(at((credential + "required").c_str()).as_array().size() == 4);
    CHECK(at((credential + "properties/secret/writeOnly").c_str()) == true);
    const json::object& shown =
        document.at_pointer("/components/schemas/exchange-credentials/properties").as_object();
    for (const char* secret : {"api_key", "secret", "passphrase"}) {
        CHECK_FALSE(shown.contains(secret));
    }
    CHECK(at("/components/schemas/news/properties/sentiment_score/type") == "string");
    CHECK(at("/components/schemas/licenses/properties/end_us/type").is_array());
}
