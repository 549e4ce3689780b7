// SPDX-License-Identifier: Apache-2.0
// The plugin as it is built, on the HTTP gateway, without any other plugin.
#include "tests/support/loaded_plugin.hpp"
#include "tests/unit/gateway/http_fixture.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace tenon;
using namespace tenon::test;
using Catch::Contains;

namespace {

const std::string k_config =
    R"({"idle_minutes":30,"absolute_hours":12,"sessions_max":10,"secure_cookie":true})";

struct Console {
    Console() {
        gateway.host().bind("tenon.http_routes/1", {gateway.routes().self, gateway.routes().table});
        plugin = std::make_unique<LoadedPlugin>(gateway.host(), "console", k_config);
    }

    std::string
    ask(const std::string& line, const std::string& more = "", const std::string& body = "") {
        Client client{gateway.port()};
        client.send(
            line + " HTTP/1.1\r\nHost: test\r\n" + more +
            (body.empty() ? std::string{}
                          : "Content-Length: " + std::to_string(body.size()) + "\r\n") +
            "\r\n" + body
        );
        return client.response();
    }

    Gateway gateway;
    std::unique_ptr<LoadedPlugin> plugin;
};

}  // namespace

TEST_CASE(
    "the page comes under a strict policy, the status page without scripts",
    "[console][M5]"
) {
    Console console;
    const std::string page = console.ask("GET /");
    CHECK(status_of(page) == 200);
    CHECK_THAT(page, Contains("Content-Security-Policy: default-src 'none'; script-src 'self'"));
    CHECK_THAT(page, Contains("require-trusted-types-for 'script'"));
    CHECK_THAT(page, !Contains("unsafe"));
    CHECK_THAT(page, Contains("X-Content-Type-Options: nosniff"));
    const std::string status = console.ask("GET /status");
    CHECK_THAT(status, Contains("Version 0.0.0-test"));
    CHECK_THAT(status, Contains("Content-Security-Policy: default-src 'none'; style-src 'self'"));
    CHECK_THAT(console.ask("GET /status.css"), Contains("prefers-color-scheme:dark"));
    CHECK_THAT(console.ask("GET /favicon.svg"), Contains("image/svg+xml"));
    CHECK(status_of(console.ask("GET /favicon.ico")) == 204);
}

TEST_CASE("what the page is made of is named by its content and kept for ever", "[console][P4]") {
    Console console;
    const std::string page = console.ask("GET /");
    const std::size_t at = page.find("/assets/app-");
    REQUIRE(at != std::string::npos);
    const std::string path = page.substr(at, page.find('"', at) - at);
    const std::string plain = console.ask("GET " + path);
    CHECK_THAT(plain, Contains("Cache-Control: public, max-age=31536000, immutable"));
    CHECK_THAT(plain, !Contains("Content-Encoding"));
    const std::string packed = console.ask("GET " + path, "Accept-Encoding: gzip\r\n");
    CHECK_THAT(packed, Contains("Content-Encoding: gzip"));
    CHECK(body_of(packed).size() < body_of(plain).size() / 2);
}

TEST_CASE("without storage, keys and trading the console says what is absent", "[console][M5]") {
    Console console;
    CHECK_THAT(
        console.ask("GET /api/console/session"),
        Contains(R"({"signed_in":false,"users":false,"keys":false})")
    );
    const std::string json = "Content-Type: application/json\r\n";
    const std::string by_name = R"({"user":"a","password":"b"})";
    const std::string by_key = R"({"api_key":"a","secret":"b"})";
    CHECK(status_of(console.ask("POST /api/console/session", json, by_name)) == 404);
    CHECK(status_of(console.ask("POST /api/console/session", json, by_key)) == 404);
    CHECK(status_of(console.ask("GET /api/console/orders?account=demo")) == 404);
    CHECK(status_of(console.ask("GET /api/console/operations/status")) == 401);
    CHECK(status_of(console.ask("GET /api/console/operations/nothing")) == 404);
    console.plugin->stop();
    CHECK(status_of(console.ask("GET /")) == 404);
}

TEST_CASE("a sign-in that is no JSON or from another site is refused unread", "[console][M5]") {
    Console console;
    const std::string json = "Content-Type: application/json\r\n";
    CHECK(status_of(console.ask("POST /api/console/session", "", "{}")) == 415);
    CHECK(status_of(console.ask("POST /api/console/session", json, "{\"user\":\"secret")) == 400);
    CHECK_THAT(
        console.ask("POST /api/console/session", json, "{\"user\":\"secret"), !Contains("secret")
    );
    CHECK(
        status_of(
            console.ask("POST /api/console/session", json + "Origin: http://evil.example\r\n", "{}")
        ) == 403
    );
    CHECK(status_of(console.ask("DELETE /api/console/session", json, "{}")) == 401);
    const std::string large(20'000, ' ');
    CHECK(status_of(console.ask("POST /api/console/session", json, "{" + large + "}")) == 413);
}
