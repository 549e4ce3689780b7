// SPDX-License-Identifier: Apache-2.0
// Compression and conditional requests, as a client meets them.
#include "plugins/gateway/http/representation.hpp"
#include "tests/unit/gateway/http_fixture.hpp"

#include <tenon/plugin.hpp>

#include <catch2/catch.hpp>

#include <string>
#include <zlib.h>

using namespace tenon;
using namespace tenon::http;
using namespace tenon::test;

namespace {

std::string unpacked(std::string_view packed) {
    std::string text(1 << 20, '\0');
    z_stream stream{};
    REQUIRE(inflateInit2(&stream, 15 + 16) == Z_OK);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    stream.avail_in = static_cast<uInt>(packed.size());
    stream.next_out = reinterpret_cast<Bytef*>(text.data());
    stream.avail_out = static_cast<uInt>(text.size());
    CHECK(inflate(&stream, Z_FINISH) == Z_STREAM_END);
    CHECK(stream.avail_in == 0);
    text.resize(text.size() - stream.avail_out);
    inflateEnd(&stream);
    return text;
}

std::string header_in(const std::string& response, const std::string& name) {
    const std::size_t at = response.find("\r\n" + name + ": ");
    if (at == std::string::npos || at > response.find("\r\n\r\n")) {
        return "";
    }
    const std::size_t from = at + name.size() + 4;
    return response.substr(from, response.find("\r\n", from) - from);
}

std::string numbers(int from, int to) {
    std::string text = "[";
    for (int i = from; i < to; ++i) {
        text.append(std::to_string(i)).append(",");
    }
    return text.append("0]");
}

// A handler that answers `body` with these headers.
void mount_json(
    Gateway& gateway,
    const std::string& path,
    std::string body,
    std::vector<std::pair<std::string, std::string>> headers = {}
) {
    const auto answer = [&gateway,
                         body = std::move(body),
                         headers = std::move(headers)](const tenon_http_request& request) {
        std::vector<tenon_http_header> raw;
        for (const auto& [name, value] : headers) {
            raw.push_back({str(name), str(value)});
        }
        const tenon_http_response response{
            sizeof response,
            200,
            str("application/json;charset=UTF-8"),
            str(body),
            raw.data(),
            static_cast<std::uint32_t>(raw.size()),
            0};
        gateway.routes()->respond(gateway.routes().self, request.handle, &response);
    };
    gateway.mount("GET", path, answer);
    gateway.mount("HEAD", path, answer);
}

std::string ask(
    Client& client,
    const std::string& path,
    const std::string& headers = {},
    const std::string& method = "GET"
) {
    client.send(method + " " + path + " HTTP/1.1\r\nHost: test\r\n" + headers + "\r\n");
    return client.response(method == "HEAD");
}

constexpr auto k_gzip = "Accept-Encoding: br, gzip\r\n";

}  // namespace

TEST_CASE("a long text is compressed for a client that takes it", "[http][P4]") {
    Gateway gateway{R"({"gzip":"always"})"};
    const std::string body = numbers(1, 3000);
    mount_json(gateway, "/long", body);
    Client client{gateway.port()};
    const std::string plain = ask(client, "/long");
    CHECK(body_of(plain) == body);
    CHECK(header_in(plain, "Content-Encoding").empty());
    CHECK(header_in(plain, "Vary") == "Accept-Encoding");
    for (int i = 0; i < 2; ++i) {  // made, and kept
        const std::string packed = ask(client, "/long", k_gzip);
        CHECK(header_in(packed, "Content-Encoding") == "gzip");
        CHECK(header_in(packed, "Vary") == "Accept-Encoding");
        CHECK(body_of(packed).size() < body.size() / 2);
        CHECK(unpacked(body_of(packed)) == body);
    }
    const std::string head = ask(client, "/long", k_gzip, "HEAD");
    CHECK(header_in(head, "Content-Encoding") == "gzip");
    CHECK(
        header_in(head, "Content-Length") ==
        header_in(ask(client, "/long", k_gzip), "Content-Length")
    );
}

TEST_CASE("what gains nothing is sent as it is", "[http][P4]") {
    Gateway gateway{R"({"gzip":"always"})"};
    std::string noise(4096, '\0');
    std::uint64_t state = 1;
    for (char& c : noise) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        c = static_cast<char>(state >> 56);
    }
    mount_json(gateway, "/short", "[1]");
    mount_json(gateway, "/noise", noise);
    mount_json(gateway, "/packed", numbers(1, 3000), {{"Content-Encoding", "br"}});
    Client client{gateway.port()};
    CHECK(body_of(ask(client, "/short", k_gzip)) == "[1]");
    const std::string same = ask(client, "/noise", k_gzip);
    CHECK(body_of(same) == noise);
    CHECK(header_in(same, "Content-Encoding").empty());
    CHECK(header_in(ask(client, "/packed", k_gzip), "Content-Encoding") == "br");
}

TEST_CASE("a peer on this machine gets no compression unless it is set", "[http][P4]") {
    Gateway gateway;
    mount_json(gateway, "/long", numbers(1, 3000));
    Client client{gateway.port()};
    const std::string answer = ask(client, "/long", k_gzip);
    CHECK(header_in(answer, "Content-Encoding").empty());
    CHECK(header_in(answer, "Vary").empty());
}

TEST_CASE("a client that has the newest version is told so", "[http][P4]") {
    Gateway gateway{R"({"gzip":"always"})"};
    mount_json(gateway, "/kept", numbers(1, 3000), {{"Cache-Control", "no-cache"}});
    mount_json(gateway, "/other", numbers(2, 3000), {{"Cache-Control", "no-cache"}});
    mount_json(gateway, "/secret", "[1]", {{"Cache-Control", "no-store"}});
    mount_json(gateway, "/own", "[1]", {{"Cache-Control", "no-cache"}, {"ETag", "\"mine\""}});
    Client client{gateway.port()};
    const std::string first = ask(client, "/kept");
    const std::string etag = header_in(first, "ETag");
    REQUIRE_FALSE(etag.empty());
    CHECK(header_in(ask(client, "/kept", k_gzip), "ETag") == etag);
    CHECK(header_in(ask(client, "/other"), "ETag") != etag);
    CHECK(header_in(ask(client, "/secret"), "ETag").empty());
    CHECK(header_in(ask(client, "/own"), "ETag") == "\"mine\"");
    const std::string condition = "If-None-Match: \"x\", " + etag + "\r\n";
    client.send("GET /kept HTTP/1.1\r\nHost: test\r\n" + condition + k_gzip + "\r\n");
    const std::string fresh = client.response(true);
    CHECK(status_of(fresh) == 304);
    CHECK(header_in(fresh, "ETag") == etag);
    CHECK(header_in(fresh, "Vary") == "Accept-Encoding");
    CHECK(header_in(fresh, "Cache-Control") == "no-cache");
    CHECK(header_in(fresh, "Content-Length").empty());
    CHECK(status_of(ask(client, "/other", condition)) == 200);
}

TEST_CASE("a refused coding is not used", "[http][P4]") {
    CHECK(net::accepts_gzip("gzip"));
    CHECK(net::accepts_gzip("deflate, GZIP;q=0.5"));
    CHECK(net::accepts_gzip("*"));
    CHECK(net::accepts_gzip("br;q=1, *;q=0.1"));
    CHECK_FALSE(net::accepts_gzip(""));
    CHECK_FALSE(net::accepts_gzip("identity"));
    CHECK_FALSE(net::accepts_gzip("gzip;q=0"));
    CHECK_FALSE(net::accepts_gzip("gzip; q=0.000, *"));
    CHECK_FALSE(net::accepts_gzip("*;q=0"));
    CHECK_FALSE(net::accepts_gzip("gzipped"));
}

TEST_CASE("validators are compared weakly", "[http][P4]") {
    CHECK(matches_etag("W/\"a\"", "W/\"a\""));
    CHECK(matches_etag("\"b\" , \"a\"", "W/\"a\""));
    CHECK(matches_etag("*", "W/\"a\""));
    CHECK_FALSE(matches_etag("", "W/\"a\""));
    CHECK_FALSE(matches_etag("a", "W/\"a\""));
    CHECK_FALSE(matches_etag("\"ab\"", "W/\"a\""));
}

TEST_CASE("compressed bodies are kept up to a bound, the oldest go", "[http][P4]") {
    Compressor compressor;
    constexpr std::size_t k_bytes_max = 64 * 1024;
    for (int i = 0; i < 200; ++i) {
        const std::string body = numbers(i, i + 2000);
        const auto packed = compressor.compress(body, static_cast<std::uint64_t>(i), k_bytes_max);
        CHECK(unpacked(packed) == body);
        CHECK(compressor.kept_bytes() <= k_bytes_max);
    }
    CHECK(compressor.kept_bytes() > k_bytes_max / 2);
    // Two bodies of one hash: the second is not taken for the first.
    const std::string other = numbers(5000, 5100);
    CHECK(unpacked(compressor.compress(other, 199, k_bytes_max)) == other);
    // Without room nothing is kept, and it works all the same.
    CHECK(unpacked(compressor.compress(other, 1'000, 0)) == other);
}

TEST_CASE("an answer that must not be kept is not kept compressed either", "[http][P4][A2]") {
    Negotiator negotiator;
    Settings settings;
    settings.gzip = Packs::always;
    const std::string body = numbers(0, 2000);
    const tenon_http_header accepts{tenon::str("accept-encoding"), tenon::str("gzip")};
    tenon_http_request request{};
    request.method = tenon::str("GET");
    request.headers = &accepts;
    request.header_count = 1;
    const auto packed = [&](std::string_view cache_control) {
        const tenon_http_header header{tenon::str("Cache-Control"), tenon::str(cache_control)};
        tenon_http_response response{};
        response.status = 200;
        response.content_type = tenon::str("application/json");
        response.body = tenon::str(body);
        response.headers = &header;
        response.header_count = 1;
        return negotiator.choose(request, response, settings).gzip;
    };
    CHECK(packed("no-store"));
    CHECK(negotiator.kept_bytes() == 0);
    CHECK(packed("no-cache"));
    CHECK(negotiator.kept_bytes() > 0);
}

TEST_CASE("answers go out whole and without a tag while that is off", "[http][K8]") {
    Negotiator negotiator;
    const std::string body = numbers(0, 2000);
    const tenon_http_header accepts{tenon::str("accept-encoding"), tenon::str("gzip")};
    tenon_http_request request{};
    request.method = tenon::str("GET");
    request.headers = &accepts;
    request.header_count = 1;
    const tenon_http_header header{tenon::str("Cache-Control"), tenon::str("no-cache")};
    tenon_http_response response{};
    response.status = 200;
    response.content_type = tenon::str("application/json");
    response.body = tenon::str(body);
    response.headers = &header;
    response.header_count = 1;
    const auto given = [&](std::string_view json) {
        return negotiator.choose(request, response, tenon::http::parse_settings(json));
    };
    auto chosen = given(R"({"gzip":"always"})");
    CHECK(chosen.gzip);
    CHECK_FALSE(chosen.etag.empty());
    chosen = given(R"({"gzip":"always","answer_compression":false})");
    CHECK_FALSE(chosen.gzip);
    CHECK_FALSE(chosen.etag.empty());
    CHECK(chosen.body == body);
    chosen = given(R"({"gzip":"always","answer_compression":false,"etags":false})");
    CHECK(chosen.etag.empty());
    CHECK(chosen.body == body);
    CHECK_FALSE(tenon::http::parse_settings(R"({"message_compression":false})").message_compression
    );
}
