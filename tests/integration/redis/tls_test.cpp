// SPDX-License-Identifier: Apache-2.0
// The client beside a real Redis with TLS, whose certificate is made for the run.
#include "sdk/redis/client.hpp"
#include "tests/support/redis_server.hpp"
#include "tests/support/wire_server.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <netinet/in.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace tenon;
using namespace std::chrono_literals;
using redis::Client;
using redis::ClientOptions;
using redis::Words;
using test::RedisServer;

namespace {

// Free a moment ago.
std::uint16_t free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    const bool good = ::bind(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0 &&
                      ::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size) == 0;
    ::close(fd);
    REQUIRE(good);
    return ntohs(at.sin_port);
}

struct SealedServer {
    SealedServer() {
        std::ofstream{folder.path() / "cert.pem"} << certificate.certificate_pem;
        std::ofstream{folder.path() / "key.pem"} << certificate.key_pem;
        for (int attempt = 0; server == nullptr; ++attempt) {
            port = free_port();
            const std::vector<std::string> options{
                "--tls-port",
                std::to_string(port),
                "--bind",
                "127.0.0.1",
                "--tls-cert-file",
                (folder.path() / "cert.pem").string(),
                "--tls-key-file",
                (folder.path() / "key.pem").string(),
                "--tls-auth-clients",
                "no"};
            try {
                server = std::make_unique<RedisServer>(options);
            } catch (const std::runtime_error&) {  // somebody else has the port by now
                if (attempt == 5) {
                    throw;
                }
            }
        }
    }

    [[nodiscard]] ClientOptions options() const {
        ClientOptions out;
        out.address.host = "127.0.0.1";
        out.address.port = port;
        out.address.tls = true;
        out.address.ca_file = (folder.path() / "cert.pem").string();
        out.command_timeout = out.dead_after = out.connect_timeout = 20s;
        return out;
    }

    test::TemporaryFolder folder;
    test::WireCertificate certificate{"redis.test"};
    std::uint16_t port = 0;
    std::unique_ptr<RedisServer> server;
};

std::string reason_of(ClientOptions options) {
    Client client{std::move(options)};
    client.start();
    const auto end = std::chrono::steady_clock::now() + 30s;
    while (client.reason().empty() && std::chrono::steady_clock::now() < end) {
        (void)client.wait_up(10ms);
    }
    CHECK_FALSE(client.is_up());
    return client.reason();
}

}  // namespace

TEST_CASE("over TLS small and large values come back, also to many at once", "[redis][C2]") {
    const SealedServer sealed;
    Client client{sealed.options()};
    client.start();
    REQUIRE(client.wait_up(30s));
    CHECK(client.call({"SET", "key", "value"}).reply().text() == "OK");
    const std::string large(std::size_t{3} << 20, 'l');
    CHECK(client.call({"SET", "large", large}).reply().text() == "OK");
    CHECK(client.call({"GET", "large"}).reply().text() == large);
    std::vector<std::thread> others;
    std::vector<std::string> wrong(4);
    for (std::string& fault : wrong) {
        others.emplace_back([&] {
            try {
                const std::vector<Words> commands(200, Words{"GET", "key"});
                for (const redis::Answer& answer : client.call_all(commands)) {
                    fault += answer.reply().text() == "value" ? "" : "another value";
                }
            } catch (const std::exception& error) {
                fault = error.what();
            }
        });
    }
    for (std::thread& other : others) {
        other.join();
    }
    CHECK(wrong == std::vector<std::string>(4));
    CHECK(client.stats().connects == 1);
}

TEST_CASE("a certificate that is not trusted or of another name is refused", "[redis][C2]") {
    const SealedServer sealed;
    ClientOptions unknown = sealed.options();
    unknown.address.ca_file.clear();
    const std::string untrusted = reason_of(unknown);
    CAPTURE(untrusted);
    CHECK(untrusted.find("the certificate is refused: self-signed certificate") != untrusted.npos);

    ClientOptions other = sealed.options();
    other.address.host = "localhost";
    const std::string misnamed = reason_of(other);
    CAPTURE(misnamed);
    CHECK(misnamed.find("localhost:") != misnamed.npos);
    CHECK(misnamed.find("the certificate is refused: hostname mismatch") != misnamed.npos);
}

TEST_CASE("authorities that cannot be used are refused before anything is asked", "[redis][C2]") {
    ClientOptions options;
    options.address.tls = true;
    options.address.ca_file = "/nonexistent/authorities.pem";
    CHECK_THROWS_WITH(
        Client{options}, Catch::Contains("the authorities of /nonexistent/authorities.pem")
    );
    options.address.tls = false;
    CHECK_THROWS_WITH(Client{options}, Catch::Contains("for rediss:// alone"));
}

TEST_CASE("a server without TLS is not talked to by a client that wants it", "[redis][C2]") {
    test::WireServer plain{[](test::WireConnection& connection) {
        connection.send("-ERR what is this\r\n");
        (void)connection.wait_for_end();
    }};
    ClientOptions options;
    options.address.host = "127.0.0.1";
    options.address.port = static_cast<std::uint16_t>(plain.port());
    options.address.tls = true;
    options.connect_timeout = 20s;
    const std::string why = reason_of(options);
    CAPTURE(why);
    CHECK(why.find("TLS: ") != why.npos);
}
