// SPDX-License-Identifier: Apache-2.0
#include "sdk/admin/admin_line.hpp"

#include "tests/support/fake_host.hpp"
#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <future>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

using namespace tenon;

namespace {

// A listener on FOLDER/admin.sock.
class Socket {
public:
    explicit Socket(const std::filesystem::path& folder)
        : listener_{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        (folder / "admin.sock").string().copy(address.sun_path, sizeof address.sun_path - 1);
        REQUIRE(
            ::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0
        );
        REQUIRE(::listen(listener_, 16) == 0);
    }

    ~Socket() {
        ::close(client_);
        ::close(listener_);
    }

    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;

    std::string line() {
        client_ = ::accept(listener_, nullptr, nullptr);
        std::string text;
        std::array<char, 256> block{};
        while (text.find('\n') == std::string::npos) {
            const ssize_t got = ::recv(client_, block.data(), block.size(), 0);
            REQUIRE(got > 0);
            text.append(block.data(), static_cast<std::size_t>(got));
        }
        return text;
    }

    void say(std::string_view text) {
        REQUIRE(
            ::send(client_, text.data(), text.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(text.size())
        );
    }

    void hang_up() { ::close(std::exchange(client_, -1)); }

private:
    int listener_;
    int client_ = -1;
};

struct Fixture {
    Fixture() : line{host.exec(), folder.path().string()} {}

    ~Fixture() {
        call_on_reactor(host.exec(), 0, [this] { line.close(); });
    }

    Fixture(const Fixture&) = delete;
    Fixture& operator=(const Fixture&) = delete;

    std::future<AdminLine::Answer> ask(const std::string& text) {
        auto told = std::make_shared<std::promise<AdminLine::Answer>>();
        call_on_reactor(host.exec(), 0, [&] {
            const std::int64_t deadline = host.reactor().now_ns() + 1'000'000'000;
            if (!line.ask(text, deadline, [told](AdminLine::Answer answer) {
                    told->set_value(std::move(answer));
                })) {
                told->set_value({{}, "not taken"});
            }
        });
        return told->get_future();
    }

    test::FakeHost host;
    test::TemporaryFolder folder;
    AdminLine line;
};

}  // namespace

TEST_CASE("a question gets the server's line, however it comes", "[console][M5]") {
    Fixture f;
    Socket socket{f.folder.path()};
    auto answer = f.ask(R"({"command":"status"})");
    CHECK(socket.line() == "{\"command\":\"status\"}\n");
    const std::string big(300'000, 'x');
    socket.say("{\"ok\":\"");
    socket.say(big);
    socket.say("\"}\n");
    CHECK(answer.get().line == "{\"ok\":\"" + big + "\"}");
}

TEST_CASE("without a server, or when it hangs up, the question fails", "[console][M5]") {
    Fixture f;
    CHECK(f.ask("{}").get().failure == "not taken");
    Socket socket{f.folder.path()};
    auto answer = f.ask("{}");
    (void)socket.line();
    socket.say("{\"ok\":");
    socket.hang_up();
    CHECK(answer.get().failure == "the server ended before it answered");
}

TEST_CASE("questions in flight are bounded, and end with the console", "[console][M5]") {
    Fixture f;
    Socket socket{f.folder.path()};
    std::vector<std::future<AdminLine::Answer>> open;
    for (std::size_t i = 0; i < AdminLine::k_in_flight_max; ++i) {
        open.push_back(f.ask("{}"));
    }
    CHECK(f.ask("{}").get().failure == "not taken");
    call_on_reactor(f.host.exec(), 0, [&] { f.line.close(); });
    for (auto& answer : open) {
        CHECK(answer.get().failure == "the server stops");
    }
    CHECK(f.ask("{}").get().failure == "not taken");
}
