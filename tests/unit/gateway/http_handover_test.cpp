// SPDX-License-Identifier: Apache-2.0
// One server takes over from another: what clients see of the end of the one and the start of the
// other.
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/gateway/http_fixture.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <cstdlib>
#include <future>
#include <memory>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

using namespace tenon;
using namespace tenon::test;

namespace {

const std::string k_get = "GET /a HTTP/1.1\r\nHost: test\r\n\r\n";

}  // namespace

TEST_CASE("who has connected but not asked yet is answered while draining", "[http][K7]") {
    Gateway gateway;
    gateway.mount_text("/a", "hello");
    Client used{gateway.port()};
    used.send(k_get);
    CHECK(body_of(used.response()) == "hello");
    Client client{gateway.port()};
    client.send("GET");  // it is accepted before the drain begins
    gateway.on_reactor([] {});
    auto drained = std::async(std::launch::async, [&] { gateway.drain(5'000'000'000); });
    CHECK(used.read_to_end().empty());  // the drain has begun
    client.send(k_get.substr(3));
    const std::string response = client.response();
    CHECK(body_of(response) == "hello");
    CHECK_THAT(response, Catch::Contains("onnection: close"));
    CHECK(client.read_to_end().empty());
    drained.get();
}

TEST_CASE("a socket that systemd keeps is taken up with those who wait there", "[http][K7]") {
    const TemporaryFolder dir;
    const std::string path = (dir.path() / "notify").string();
    const int systemd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(systemd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::setenv("NOTIFY_SOCKET", path.c_str(), 1) == 0);
    auto before = std::make_unique<Gateway>();
    const std::uint16_t port = before->port();
    std::array<char, 64> text{};
    CHECK(::recv(systemd, text.data(), text.size(), MSG_DONTWAIT) > 0);
    CHECK(std::string{text.data()} == "FDSTORE=1\nFDNAME=listener");
    before->drain(1'000'000'000);
    before.reset();
    Client waiting{port};  // nobody accepts
    waiting.send(k_get);
    Gateway after{"{}", "127.0.0.1:" + std::to_string(port)};
    ::unsetenv("NOTIFY_SOCKET");
    CHECK(after.port() == port);
    CHECK(status_of(waiting.response()) == 404);                         // answered by the next one
    CHECK(::recv(systemd, text.data(), text.size(), MSG_DONTWAIT) < 0);  // it has it already
    ::close(systemd);
}
