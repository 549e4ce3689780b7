// SPDX-License-Identifier: Apache-2.0
// The client beside a real Redis that is killed, frozen, restarted and confused.
#include "sdk/redis/client.hpp"

#include "sdk/redis/script.hpp"
#include "tests/support/redis_server.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using namespace tenon;
using namespace std::chrono_literals;
using redis::Client;
using redis::ClientOptions;
using redis::Reply;
using redis::Words;
using test::RedisServer;

namespace {

constexpr auto k_patience = 30s;

// Long enough for a slow machine; what must be noticed sooner says so.
ClientOptions patient(const RedisServer& server) {
    ClientOptions options;
    options.address = server.address();
    options.command_timeout = 20s;
    options.dead_after = 20s;
    options.connect_timeout = 20s;
    return options;
}

struct Heard final : redis::Listener {
    void up() override { note("up"); }

    void down(const std::string&, std::int64_t heard_ns) override {
        note("down");
        last_heard_ns.store(heard_ns);
    }

    void pushed(const Reply& push) override {
        std::string text{push[0].text()};
        if (push.size() > 1 && push[1].kind() == redis::Kind::array && push[1].size() != 0) {
            text.append(" ").append(push[1][0].text());
        }
        if (push.size() > 2 && text == "message") {
            text.append(" ").append(push[2].text());
        }
        note(text);
    }

    void note(std::string what) {
        const std::lock_guard lock{mutex};
        seen.push_back(std::move(what));
        changed.notify_all();
    }

    [[nodiscard]] bool wait_for(const std::string& what, std::size_t times = 1) {
        std::unique_lock lock{mutex};
        return changed.wait_for(lock, k_patience, [&] {
            return static_cast<std::size_t>(std::count(seen.begin(), seen.end(), what)) >= times;
        });
    }

    std::mutex mutex;
    std::condition_variable changed;
    std::vector<std::string> seen;
    std::atomic<std::int64_t> last_heard_ns{0};
};

tenon_status status_of(const std::function<void()>& body) {
    try {
        body();
    } catch (const Error& fault) {
        return fault.code();
    }
    return TENON_OK;
}

// Until the client has noticed that the server is gone.
void wait_down(const Client& client) {
    const auto deadline = std::chrono::steady_clock::now() + k_patience;
    while (client.is_up() && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::yield();
    }
    REQUIRE_FALSE(client.is_up());
}

}  // namespace

TEST_CASE("what is set is got, also by many threads at once", "[redis][C2]") {
    RedisServer server;
    Client client{patient(server)};
    client.start();
    REQUIRE(client.wait_up(k_patience));
    const std::string binary{"a\0b\r\n", 5};
    CHECK(client.call({"SET", "key", binary}).reply().text() == "OK");
    CHECK(client.call({"GET", "key"}).reply().text() == binary);
    CHECK(client.call({"GET", "none"}).reply().is_null());
    CHECK(client.call({"INCR", "key"}).reply().is_error());

    constexpr int k_threads = 8;
    constexpr int k_rounds = 500;
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < k_threads; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < k_rounds; ++i) {
                const std::string key = "k" + std::to_string(t);
                const std::string value = std::to_string(i);
                const std::vector<Words> both{{"SET", key, value}, {"GET", key}};
                const auto answers = client.call_all(both);
                wrong += answers.size() == 2 && answers[1].reply().text() == value ? 0 : 1;
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(wrong == 0);
}

TEST_CASE("answers come to those who asked, in the order of asking", "[redis][C2]") {
    struct Order {
        std::mutex mutex;
        std::condition_variable changed;
        std::vector<std::int64_t> answers;
    } order;

    RedisServer server;
    Client client{patient(server)};
    client.start();
    REQUIRE(client.wait_up(k_patience));
    constexpr std::size_t k_count = 10'000;
    for (std::size_t i = 0; i < k_count; ++i) {
        REQUIRE(client.send(
            {"INCR", "n"},
            [](void* ctx, const Reply* reply, const Error*) {
                Order& mine = *static_cast<Order*>(ctx);
                const std::lock_guard lock{mine.mutex};
                mine.answers.push_back(reply != nullptr ? reply->integer() : -1);
                mine.changed.notify_all();
            },
            &order
        ));
    }
    std::unique_lock lock{order.mutex};
    REQUIRE(order.changed.wait_for(lock, k_patience, [&] {
        return order.answers.size() == k_count;
    }));
    for (std::size_t i = 0; i < k_count; ++i) {
        REQUIRE(order.answers[i] == static_cast<std::int64_t>(i + 1));
    }
}

TEST_CASE("a large value comes back whole, and small ones after it", "[redis][C2]") {
    RedisServer server;
    Client client{patient(server)};
    client.start();
    REQUIRE(client.wait_up(k_patience));
    std::string large(std::size_t{20} << 20, 'x');
    large[12'345'678] = 'y';
    CHECK(client.call({"SET", "large", large}).reply().text() == "OK");
    CHECK((client.call({"GET", "large"}).reply().text() == large));
    CHECK(client.call({"ECHO", "small"}).reply().text() == "small");
}

TEST_CASE(
    "login by password, database and name; a wrong password is told, not quoted",
    "[redis][C2]"
) {
    RedisServer server{{"--requirepass", "correct horse"}};
    ClientOptions options = patient(server);
    options.address.password = "correct horse";
    options.address.database = 5;
    options.name = "one";
    Client client{options};
    client.start();
    REQUIRE(client.wait_up(k_patience));
    const auto info = client.call({"CLIENT", "INFO"});
    CHECK(info.reply().text().find(" name=one ") != std::string_view::npos);
    CHECK(info.reply().text().find(" db=5 ") != std::string_view::npos);

    options.address.password = "battery staple";
    Client stranger{options};
    stranger.start();
    const auto deadline = std::chrono::steady_clock::now() + k_patience;
    while (stranger.reason().empty() && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::yield();
    }
    CHECK(stranger.reason().find("WRONGPASS") != std::string::npos);
    CHECK(stranger.reason().find("battery") == std::string::npos);
    CHECK(status_of([&] { (void)stranger.call({"PING"}); }) == TENON_UNAVAILABLE);
}

TEST_CASE("without a server calls fail at once, and work when it has come", "[redis][C2]") {
    RedisServer server;
    server.kill_9();
    ClientOptions options = patient(server);
    options.backoff_max = 50ms;
    Client client{options};
    client.start();
    CHECK(status_of([&] { (void)client.call({"PING"}); }) == TENON_UNAVAILABLE);
    CHECK_FALSE(client.send({"PING"}, nullptr, nullptr));
    server.start();
    REQUIRE(client.wait_up(k_patience));
    CHECK(client.call({"PING"}).reply().text() == "PONG");
}

TEST_CASE("who waits when the server is killed is told, and the client comes back", "[redis][C2]") {
    RedisServer server;
    Heard heard;
    ClientOptions options = patient(server);
    options.backoff_max = 50ms;
    Client client{options, &heard};
    client.start();
    REQUIRE(client.wait_up(k_patience));
    std::thread waits{[&] {
        CHECK(status_of([&] { (void)client.call({"BLPOP", "never", "0"}); }) == TENON_UNAVAILABLE);
    }};
    const auto deadline = std::chrono::steady_clock::now() + k_patience;
    while (client.stats().commands == client.stats().answers &&
           std::chrono::steady_clock::now() < deadline) {
        std::this_thread::yield();
    }
    server.kill_9();
    waits.join();
    REQUIRE(heard.wait_for("down"));
    server.start();
    REQUIRE(heard.wait_for("up", 2));
    CHECK(client.call({"SET", "a", "b"}).reply().text() == "OK");
}

TEST_CASE("a frozen server costs a call its timeout, then nothing", "[redis][C2]") {
    RedisServer server;
    ClientOptions options = patient(server);
    options.command_timeout = 100ms;
    options.dead_after = 200ms;
    options.ping_interval = 50ms;
    options.backoff_max = 50ms;
    options.connect_timeout = 200ms;
    Client client{options};
    client.start();
    REQUIRE(client.wait_up(k_patience));
    server.pause();
    const tenon_status first = status_of([&] { (void)client.call({"PING"}); });
    CHECK((first == TENON_TIMEOUT || first == TENON_UNAVAILABLE));
    wait_down(client);
    CHECK(status_of([&] { (void)client.call({"PING"}); }) == TENON_UNAVAILABLE);
    server.resume();
    REQUIRE(client.wait_up(k_patience));
}

TEST_CASE("silence is noticed when nobody asks, and since when", "[redis][C3]") {
    RedisServer server;
    Heard heard;
    ClientOptions options = patient(server);
    options.dead_after = 200ms;
    options.ping_interval = 50ms;
    Client client{options, &heard};
    client.start();
    REQUIRE(client.wait_up(k_patience));
    server.pause();
    const std::int64_t paused_ns = Client::now_ns();
    REQUIRE(heard.wait_for("down"));
    CHECK(heard.last_heard_ns.load() <= paused_ns);
    server.resume();
}

TEST_CASE("as many commands wait as are allowed, the next is refused", "[redis][C2]") {
    RedisServer server;
    ClientOptions options = patient(server);
    options.waiting_max = 10;
    Client client{options};
    client.start();
    REQUIRE(client.wait_up(k_patience));
    server.pause();
    int taken = 0;
    for (int i = 0; i < 100; ++i) {
        taken += client.send({"PING"}, nullptr, nullptr) ? 1 : 0;
    }
    // A PING of the client's own may wait with them.
    CHECK(taken <= 10);
    CHECK(taken >= 9);
    CHECK(client.stats().refused >= 90);
    server.resume();
}

TEST_CASE("pushes are heard: tracked keys and channels", "[redis][C3]") {
    RedisServer server;
    Heard heard;
    ClientOptions options = patient(server);
    options.greeting = {{"CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "c:", "NOLOOP"}};
    options.channels = {"news"};
    Client listens{options, &heard};
    Client writes{patient(server)};
    listens.start();
    writes.start();
    REQUIRE(listens.wait_up(k_patience));
    REQUIRE(writes.wait_up(k_patience));
    (void)writes.call({"SET", "other", "x"});
    (void)writes.call({"SET", "c:key", "x"});
    CHECK(heard.wait_for("invalidate c:key"));
    (void)writes.call({"PUBLISH", "news", "hello"});
    CHECK(heard.wait_for("message hello"));
    CHECK(listens.call({"SET", "c:own", "x"}).reply().text() == "OK");
    CHECK(listens.call({"PING"}).reply().text() == "PONG");
    const std::lock_guard lock{heard.mutex};
    CHECK(std::count(heard.seen.begin(), heard.seen.end(), "invalidate other") == 0);
    CHECK(std::count(heard.seen.begin(), heard.seen.end(), "invalidate c:own") == 0);
}

TEST_CASE("a script runs by its hash, also when the server has forgotten it", "[redis][H6]") {
    RedisServer server;
    Client client{patient(server)};
    client.start();
    REQUIRE(client.wait_up(k_patience));
    const redis::Script script{"return {KEYS[1], ARGV[1]}"};
    for (int i = 0; i < 2; ++i) {
        const auto answer = script.call(client, {"key"}, {"argument"});
        REQUIRE(answer.reply().size() == 2);
        CHECK(answer.reply()[1].text() == "argument");
        const auto known = client.call({"SCRIPT", "EXISTS", script.sha()});
        CHECK(known.reply()[0].integer() == 1);
        (void)client.call({"SCRIPT", "FLUSH"});
    }
}
