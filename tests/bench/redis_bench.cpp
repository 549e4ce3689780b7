// SPDX-License-Identifier: Apache-2.0
// The client of Redis beside redis-benchmark and a bare socket, on one machine, in turns.
//
// usage: redis_bench [ROUNDS]. Prints every round. It starts a Redis of its own.
#include "plugins/cache/redis/redis_tier.hpp"
#include "sdk/redis/client.hpp"
#include "sdk/redis/resp.hpp"
#include "tests/support/redis_server.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <mutex>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

using namespace tenon;
using redis::Client;
using redis::ClientOptions;
using redis::Reply;

namespace {

double seconds(clockid_t clock) {
    timespec now{};
    (void)clock_gettime(clock, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

ClientOptions options_of(const test::RedisServer& server) {
    ClientOptions options;
    options.address = server.address();
    options.command_timeout = std::chrono::seconds{30};
    return options;
}

void start(Client& client) {
    client.start();
    if (!client.wait_up(std::chrono::seconds{10})) {
        (void)std::fprintf(stderr, "no Redis: %s\n", client.reason().c_str());
        std::exit(1);
    }
}

void parser(std::size_t value_bytes) {
    std::string stream;
    while (stream.size() < (std::size_t{8} << 20)) {
        stream.append("$").append(std::to_string(value_bytes)).append("\r\n");
        stream.append(value_bytes, 'v').append("\r\n");
    }
    redis::Reader reader;
    constexpr int k_times = 40;
    std::size_t seen = 0;
    const double begin = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < k_times; ++i) {
        for (std::size_t at = 0; at < stream.size(); at += reader.consumed()) {
            if (reader.next(stream.data() + at, stream.size() - at) !=
                redis::Reader::State::message) {
                std::abort();
            }
            seen += reader.reply(stream.data() + at).text().size();
        }
    }
    const double took = seconds(CLOCK_PROCESS_CPUTIME_ID) - begin;
    std::printf(
        "parser, bulk strings of %zu bytes: %.2f GB/s\n",
        value_bytes,
        static_cast<double>(stream.size()) * k_times / took * 1e-9
    );
    if (seen == 0) {
        std::abort();
    }
}

// Callers that ask again when they are answered, as coroutines of a server would.
struct Callers {
    Client* client;
    std::atomic<long> left;
    std::atomic<long> running;
    std::mutex mutex;
    std::condition_variable over;

    static void answered(void* ctx, const Reply* reply, const Error*) {
        Callers& self = *static_cast<Callers*>(ctx);
        if (reply == nullptr || reply->text().size() != 3) {
            std::abort();
        }
        self.next();
    }

    void next() {
        if (left.fetch_sub(1) > 0 && client->send({"GET", "key:000000000001"}, &answered, this)) {
            return;
        }
        if (--running == 0) {
            const std::lock_guard lock{mutex};
            over.notify_all();
        }
    }
};

void pipelined(Client& client, int callers, long count) {
    Callers all{&client, count, callers, {}, {}};
    const double begin = seconds(CLOCK_MONOTONIC);
    const double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < callers; ++i) {
        all.next();
    }
    std::unique_lock lock{all.mutex};
    all.over.wait(lock, [&] { return all.running.load() == 0; });
    const double took = seconds(CLOCK_MONOTONIC) - begin;
    const double used = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    std::printf(
        "client, GET from %d callers: %.0f /s, client CPU %.2f us each\n",
        callers,
        static_cast<double>(count) / took,
        used / static_cast<double>(count) * 1e6
    );
}

void peer(const test::RedisServer& server, int pipeline, long count) {
    const std::string command = "redis-benchmark -s " + server.socket() + " -c 50 -P " +
                                std::to_string(pipeline) + " -n " + std::to_string(count) +
                                " -q GET key:000000000001 | tr '\\r' '\\n' | grep 'per second'";
    std::printf("redis-benchmark -c 50 -P %d: ", pipeline);
    (void)std::fflush(stdout);
    if (std::system(command.c_str()) != 0) {
        std::printf("did not run\n");
    }
}

void print_spread(const char* what, std::vector<double>& us) {
    std::sort(us.begin(), us.end());
    std::printf(
        "%s: p50 %.1f us, p99 %.1f us\n", what, us[us.size() / 2], us[us.size() * 99 / 100]
    );
}

// In turns of some hundreds, so that whatever else the machine does meets both.
void round_trips(const test::RedisServer& server, Client& client) {
    constexpr std::size_t k_turns = 40;
    constexpr std::size_t k_count = 250;
    std::vector<double> bare_us, client_us;
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::memcpy(to.sun_path, server.socket().c_str(), server.socket().size() + 1);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
        std::abort();
    }
    static constexpr std::string_view k_get{"*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000001\r\n"};
    std::array<char, 64> answer{};
    for (std::size_t i = 0; i < k_turns * k_count; ++i) {
        const bool bare = i / k_count % 2 == 0;
        const double begin = seconds(CLOCK_MONOTONIC);
        if (bare) {
            if (::write(fd, k_get.data(), k_get.size()) < 0 ||
                ::read(fd, answer.data(), answer.size()) <= 0) {
                std::abort();
            }
        } else if (client.call({"GET", "key:000000000001"}).reply().text() != "xxx") {
            std::abort();
        }
        (bare ? bare_us : client_us).push_back((seconds(CLOCK_MONOTONIC) - begin) * 1e6);
    }
    ::close(fd);
    print_spread("bare blocking socket, one GET", bare_us);
    print_spread("client, one caller that waits", client_us);
    std::printf(
        "client over bare: p50 %.2f\n",
        client_us[client_us.size() / 2] / bare_us[bare_us.size() / 2]
    );
}

// When a change was heard.
struct Ear final : redis::Listener {
    void pushed(const Reply&) override { heard(); }

    static void event(void* ctx, const tenon_cache_tier_event* event) {
        if (event->kind == TENON_CACHE_TIER_KEY) {
            static_cast<Ear*>(ctx)->heard();
        }
    }

    void heard() {
        const double now = seconds(CLOCK_MONOTONIC);
        const std::lock_guard lock{mutex};
        at = now;
        changed.notify_all();
    }

    [[nodiscard]] double wait() {
        std::unique_lock lock{mutex};
        changed.wait(lock, [this] { return at != 0; });
        return std::exchange(at, 0);
    }

    std::mutex mutex;
    std::condition_variable changed;
    double at = 0;
};

void invalidation(const test::RedisServer& server, Client& client) {
    constexpr std::size_t k_count = 2'000;
    std::vector<double> us;
    {
        Ear ear;
        ClientOptions options = options_of(server);
        options.greeting = {{"CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "bare:"}};
        Client listens{options, &ear};
        start(listens);
        for (std::size_t i = 0; i < k_count; ++i) {
            const double begin = seconds(CLOCK_MONOTONIC);
            (void)client.call({"SET", "bare:key", "x"});
            us.push_back((ear.wait() - begin) * 1e6);
        }
    }
    print_spread("SET at A, bare push at B", us);
    us.clear();
    redis_cache::TierOptions options;
    options.client = options_of(server);
    redis_cache::RedisTier a{options, [](const std::string&) {}};
    redis_cache::RedisTier b{options, [](const std::string&) {}};
    Ear ear;
    for (auto* const tier : {&a, &b}) {
        tier->start();
        if (!tier->wait_up(std::chrono::seconds{10})) {
            std::abort();
        }
    }
    a.put("key", "x", 3'600'000'000'000);  // so that the numbers are there
    (void)b.get("key", 0, [](std::string_view) {});
    b.watch(&ear, &Ear::event, 0);
    for (std::size_t i = 0; i < k_count; ++i) {
        const double begin = seconds(CLOCK_MONOTONIC);
        a.put("key", "x", 3'600'000'000'000);
        us.push_back((ear.wait() - begin) * 1e6);
    }
    b.watch(nullptr, nullptr, 0);
    a.stop();
    b.stop();
    print_spread("put at A, told at B", us);
}

}  // namespace

int main(int argc, char** argv) {
    const int rounds = argc > 1 ? std::atoi(argv[1]) : 3;
    test::RedisServer server;
    Client client{options_of(server)};
    start(client);
    (void)client.call({"SET", "key:000000000001", "xxx"});
    for (int i = 0; i < rounds; ++i) {
        std::printf("-- round %d\n", i + 1);
        parser(1'024);
        parser(16'384);
        pipelined(client, 50, 1'000'000);
        peer(server, 16, 1'000'000);
        round_trips(server, client);
        invalidation(server, client);
        (void)std::fflush(stdout);
    }
    return 0;
}
