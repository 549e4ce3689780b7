// SPDX-License-Identifier: Apache-2.0
#include "sdk/net/http_client.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/wire_server.hpp"
#include "tests/unit/net/rig.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <optional>

using namespace std::chrono_literals;
using tenon::net::HttpClient;
using tenon::net::HttpClientOptions;
using tenon::net::HttpOutcome;
using tenon::net::HttpReply;
using tenon::net::HttpRequest;
using tenon::net::TlsContext;
using tenon::test::NetRig;
using tenon::test::TemporaryFolder;
using tenon::test::WireCertificate;
using tenon::test::WireConnection;
using tenon::test::WireServer;

namespace {

HttpReply ask(NetRig& rig, int port, const std::string& host) {
    HttpClientOptions options;
    options.url = {true, host, std::to_string(port), "/"};
    HttpClient client{rig.network, options};
    HttpRequest request;
    request.deadline_ns = rig.in(2s);
    std::optional<HttpReply> got;
    client.send(request, [&](HttpReply reply) { got = std::move(reply); });
    REQUIRE(rig.until([&] { return got.has_value(); }));
    return *got;
}

}  // namespace

TEST_CASE("TLS is spoken with whom the authorities vouch for, and nobody else", "[net][T4]") {
    const WireCertificate certificate{"localhost"};
    const WireCertificate stranger{"localhost"};
    const WireCertificate other_name{"exchange.example"};
    const TemporaryFolder folder;
    const auto trust = [&](const WireCertificate& authority) {
        const std::string file = (folder.path() / "ca.pem").string();
        std::ofstream{file} << authority.certificate_pem;
        return std::make_shared<TlsContext>(file);
    };
    const std::string body(100'000, 'x');
    const auto script = [&](WireConnection& connection) {
        (void)connection.read_until("\r\n\r\n");
        connection.send(
            "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body
        );
        (void)connection.wait_for_end();
    };
    WireServer server{script, &certificate};
    NetRig rig;
    rig.network.tls = trust(certificate);
    const HttpReply by_address = ask(rig, server.port(), "127.0.0.1");
    CHECK(by_address.outcome == HttpOutcome::answered);
    CHECK(by_address.body == body);
    CHECK(ask(rig, server.port(), "localhost").outcome == HttpOutcome::answered);

    rig.network.tls = trust(stranger);
    const HttpReply refused = ask(rig, server.port(), "127.0.0.1");
    CHECK(refused.outcome == HttpOutcome::not_sent);
    CHECK(refused.reason.find("the certificate is refused") != std::string::npos);

    WireServer named{script, &other_name};
    rig.network.tls = trust(other_name);
    const HttpReply misnamed = ask(rig, named.port(), "localhost");
    CHECK(misnamed.outcome == HttpOutcome::not_sent);
    CHECK(misnamed.reason.find("ostname mismatch") != std::string::npos);
}

TEST_CASE("authorities that cannot be read are an error with the file", "[net][T4]") {
    REQUIRE_THROWS_WITH(TlsContext{"/no/such.pem"}, Catch::Contains("/no/such.pem"));
}
