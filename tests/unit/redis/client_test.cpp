// SPDX-License-Identifier: Apache-2.0
// The client beside a server that says what the test wants.
#include "sdk/redis/client.hpp"

#include "tests/support/wire_server.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using tenon::redis::Client;
using tenon::redis::ClientOptions;
using tenon::test::WireConnection;
using tenon::test::WireServer;

namespace {

ClientOptions options(const WireServer& server) {
    ClientOptions out;
    out.address.host = "127.0.0.1";
    out.address.port = static_cast<std::uint16_t>(server.port());
    out.connect_timeout = 20s;
    out.backoff_first = 1ms;
    out.backoff_max = 10ms;
    out.seed = 1;
    return out;
}

// Until there is a reason why it is not up.
std::string reason_of(Client& client) {
    const auto end = std::chrono::steady_clock::now() + 30s;
    while (client.reason().empty() && std::chrono::steady_clock::now() < end) {
        (void)client.wait_up(10ms);
    }
    return client.reason();
}

}  // namespace

TEST_CASE("a refused greeting does not tell the password", "[redis][C2]") {
    const std::string long_one(300, 'p');
    for (const std::string& password : {std::string{"hunter2"}, long_one}) {
        for (const std::string& answer :
             {"ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `default`, `" +
                  password.substr(0, 100) + "`, ",
              "ERR the password " + password + " and again " + password + " are wrong"}) {
            WireServer server{[&](WireConnection& connection) {
                (void)connection.read_until("PING\r\n");
                connection.send("-" + answer + "\r\n");
                (void)connection.wait_for_end();
            }};
            ClientOptions with = options(server);
            with.address.password = password;
            Client client{with};
            client.start();
            const std::string reason = reason_of(client);
            INFO(reason);
            CHECK(reason.find("the greeting was refused: ERR") != std::string::npos);
            CHECK(reason.find("hunter2") == std::string::npos);
            CHECK(reason.find("ppp") == std::string::npos);
        }
    }
}

TEST_CASE("what was heard reaches back to when the last answer was asked for", "[redis][C2]") {
    struct Heard final : tenon::redis::Listener {
        std::mutex mutex;
        std::condition_variable changed;
        std::vector<std::int64_t> downs;

        void down(const std::string&, std::int64_t heard_ns) override {
            const std::lock_guard lock{mutex};
            downs.push_back(heard_ns);
            changed.notify_all();
        }
    } heard;

    std::atomic<std::int64_t> asked_ns{0};
    WireServer server{[&](WireConnection& connection) {
        (void)connection.read_until("PING\r\n");
        // What is pushed from here on is behind the greeting's answers.
        std::int64_t none = 0;
        (void)asked_ns.compare_exchange_strong(none, Client::now_ns());
        connection.send("%0\r\n+PONG\r\n");
        connection.cut();
    }};
    Client client{options(server), &heard};
    client.start();
    std::unique_lock lock{heard.mutex};
    REQUIRE(heard.changed.wait_for(lock, 30s, [&] { return !heard.downs.empty(); }));
    CHECK(heard.downs.front() <= asked_ns.load());
}

TEST_CASE("who does not wait is told of a late answer, however seldom is asked", "[redis][C2]") {
    struct Told {
        std::mutex mutex;
        std::condition_variable changed;
        std::vector<tenon_status> codes;

        static void done(void* ctx, const tenon::redis::Reply* reply, const tenon::Error* why) {
            auto& told = *static_cast<Told*>(ctx);
            const std::lock_guard lock{told.mutex};
            told.codes.push_back(reply != nullptr ? TENON_OK : why->code());
            told.changed.notify_all();
        }
    } told;

    WireServer server{[&](WireConnection& connection) {
        (void)connection.read_until("PING\r\n");
        connection.send("%0\r\n+PONG\r\n");
        (void)connection.wait_for_end();  // nothing is answered any more
    }};
    ClientOptions with = options(server);
    with.command_timeout = 100ms;
    with.ping_interval = std::chrono::hours{1};
    with.dead_after = std::chrono::hours{1};
    Client client{with};
    client.start();
    REQUIRE(client.wait_up(30s));
    REQUIRE(client.send({"GET", "key"}, &Told::done, &told));
    std::unique_lock lock{told.mutex};
    REQUIRE(told.changed.wait_for(lock, 30s, [&] { return !told.codes.empty(); }));
    CHECK(told.codes == std::vector<tenon_status>{TENON_TIMEOUT});
}

TEST_CASE("who reads its own answer leaves what was pushed to the client's thread", "[redis][C3]") {
    struct Heard final : tenon::redis::Listener {
        std::mutex mutex;
        std::condition_variable changed;
        std::vector<std::thread::id> threads;

        void pushed(const tenon::redis::Reply&) override {
            const std::lock_guard lock{mutex};
            threads.push_back(std::this_thread::get_id());
            changed.notify_all();
        }
    };

    constexpr std::size_t k_rounds = 50;
    WireServer server{[](WireConnection& connection) {
        (void)connection.read_until("PING\r\n");
        connection.send("%0\r\n+PONG\r\n");
        for (std::size_t i = 0; i < k_rounds; ++i) {
            (void)connection.read_until("GET\r\n");
            // Before the answer, in the middle of it, and after it.
            connection.send(">2\r\n+a\r\n+b\r\n$5\r\nva");
            connection.send("lue\r\n>1\r\n+c\r\n");
        }
        (void)connection.wait_for_end();
    }};
    Heard heard;
    ClientOptions with = options(server);
    with.command_timeout = with.dead_after = with.ping_interval = 30s;
    Client client{with, &heard};
    client.start();
    REQUIRE(client.wait_up(30s));
    for (std::size_t i = 0; i < k_rounds; ++i) {
        REQUIRE(client.call({"GET"}).reply().text() == "value");
    }
    std::unique_lock lock{heard.mutex};
    REQUIRE(heard.changed.wait_for(lock, 30s, [&] { return heard.threads.size() == 2 * k_rounds; })
    );
    for (const std::thread::id& one : heard.threads) {
        REQUIRE(one != std::this_thread::get_id());
        REQUIRE(one == heard.threads.front());
    }
}

TEST_CASE("an answer that comes in pieces for longer than allowed is too late", "[redis][C2]") {
    std::mutex mutex;
    std::condition_variable changed;
    bool over = false;
    WireServer server{[&](WireConnection& connection) {
        (void)connection.read_until("PING\r\n");
        connection.send("%0\r\n+PONG\r\n");
        (void)connection.read_until("GET\r\n");
        connection.send("$1000000000\r\n");
        std::unique_lock lock{mutex};
        for (int i = 0; i < 10'000 && !changed.wait_for(lock, 5ms, [&] { return over; }); ++i) {
            connection.send("piece");
        }
    }};
    ClientOptions with = options(server);
    with.command_timeout = 100ms;
    with.dead_after = 30s;
    with.limits.bytes = std::size_t{1} << 30;
    Client client{with};
    client.start();
    REQUIRE(client.wait_up(30s));
    int code = TENON_OK;
    try {
        (void)client.call({"GET"});
    } catch (const tenon::Error& error) {
        code = error.code();
    }
    CHECK(code == TENON_TIMEOUT);
    const std::lock_guard lock{mutex};
    over = true;
    changed.notify_all();
}

TEST_CASE("callers who come and go read all their answers, whoever reads", "[redis][C2]") {
    WireServer server{[](WireConnection& connection) {
        (void)connection.read_until("PING\r\n");
        connection.send("%0\r\n+PONG\r\n");
        while (true) {
            const std::string head = connection.read_until("ECHO\r\n");
            if (head.empty()) {
                return;
            }
            const std::string size = connection.read_until("\r\n");
            connection.send(size + connection.read_until("\r\n"));
        }
    }};
    ClientOptions with = options(server);
    with.command_timeout = with.dead_after = with.ping_interval = 30s;
    Client client{with};
    client.start();
    REQUIRE(client.wait_up(30s));
    std::vector<std::thread> callers;
    std::atomic<int> good{0};
    constexpr int k_callers = 3;
    constexpr int k_calls = 300;
    for (int i = 0; i < k_callers; ++i) {
        callers.emplace_back([&, i] {
            for (int k = 0; k < k_calls; ++k) {
                const std::string word = std::to_string(i) + "/" + std::to_string(k);
                good += client.call({"ECHO", word}).reply().text() == word ? 1 : 0;
            }
        });
    }
    for (std::thread& caller : callers) {
        caller.join();
    }
    CHECK(good == k_callers * k_calls);
}
