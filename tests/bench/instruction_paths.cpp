// SPDX-License-Identifier: Apache-2.0
// The hot paths, each run often with the same input, for tests/bench/instructions to count their
// instructions under callgrind.
//
//   instruction_paths                 runs all; under callgrind each is dumped by its name
//   instruction_paths --only PATH
//   instruction_paths --extra PATH    with work planted that the gate has to find
//   instruction_paths --build         what it was compiled with
//
// Prints "PATH OPERATIONS" a line. Without valgrind it does the same and dumps nothing.
#include "kernel/runtime/metrics.hpp"
#include "plugins/cache/memory/memory_cache.hpp"
#include "plugins/gateway/binance/render.hpp"
#include "plugins/gateway/http/request_reader.hpp"
#include "plugins/gateway/http/response_writer.hpp"
#include "plugins/gateway/http/route_table.hpp"
#include "plugins/throttle/token-bucket/token_buckets.hpp"
#include "plugins/trading/engine/recovery.hpp"
#include "sdk/journal/journal_writer.hpp"
#include "sdk/redis/resp.hpp"
#include "tests/simulation/core_world.hpp"
#include "tests/support/fake_instruments.hpp"
#include "tests/support/memory_disk.hpp"

#include <tenon/metrics.hpp>

#include <array>
#include <cstdio>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <valgrind/callgrind.h>
#include <vector>

namespace {

using namespace tenon;

std::string_view only, extra;  // of the command line

// Runs `body` a few times unseen, then `times` times counted. What `body` does must not grow with
// the number of calls.
template <class Body>
void path(const char* name, int times, Body body) {
    volatile std::uint64_t planted = 0;
    const int more = extra == name ? 400 : 0;
    for (int i = 0; i < 16; ++i) {
        body(i);
    }
    CALLGRIND_ZERO_STATS;
    for (int i = 16; i < times + 16; ++i) {
        body(i);
        for (int k = 0; k < more; ++k) {
            planted = planted + 1;
        }
    }
    CALLGRIND_DUMP_STATS_AT(name);
    std::printf("%s %d\n", name, times);
}

tenon_order_request limit_order(test::CoreWorld& world, std::uint64_t account, std::uint8_t side) {
    tenon_order_request order = world.limit(account, side, "50000", "0.1");
    order.client_id = test::client_id("x-00000000000000000001");
    return order;
}

// A buy that rests and a sell that takes it: the book is as before.
void engine_command() {
    test::CoreWorld world;
    const std::uint64_t buyer = world.open("buyer");
    const std::uint64_t seller = world.open("seller");
    world.deposit(buyer, "USDT", "1000000000");
    world.deposit(seller, "BTC", "1000000");
    std::uint64_t number = 0;
    path("engine_command", 2'000, [&](int i) {
        const bool buy = i % 2 == 0;
        tenon_order_request order =
            limit_order(world, buy ? buyer : seller, buy ? TENON_SIDE_BUY : TENON_SIDE_SELL);
        std::array<char, 24> id{};
        (void)std::snprintf(
            id.data(), id.size(), "x-%020llu", static_cast<unsigned long long>(++number)
        );
        order.client_id = test::client_id(id.data());
        (void)world.apply(test::submit(order));
        if (i % 64 == 0) {
            world.output.clear();
        }
    });
}

void journal_append() {
    test::MemoryDisk disk;
    // Room for all that is appended, and no more: callgrind sees it being filled.
    journal::JournalWriter writer{
        disk, "journal", {std::uint64_t{8} << 20U, std::size_t{2} << 20U}, {}};
    (void)writer.wants_segment();
    writer.prepare();
    test::CoreWorld world;
    const trading::Command command{
        1, 1, test::submit(limit_order(world, world.open("account"), TENON_SIDE_BUY))};
    std::string bytes;
    path("journal_append", 2'000, [&](int) {
        bytes.clear();
        trading::encode(command, bytes);
        if (writer.fits(bytes.size())) {
            writer.append(
                engine::k_record_command, std::as_bytes(std::span{bytes.data(), bytes.size()})
            );
        }
    });
}

// Parse, route, answer: as a connection does it, without the socket.
void http_request() {
    constexpr std::string_view k_request =
        "GET /api/v3/ticker/price?symbol=BTCUSDT HTTP/1.1\r\nHost: 127.0.0.1:8765\r\n"
        "User-Agent: tenon\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n";
    constexpr std::string_view k_body = R"({"symbol":"BTCUSDT","price":"50000.00"})";
    http::RouteTable routes;
    for (const char* name : {"/api/v3/ping", "/api/v3/ticker/price", "/api/v3/depth", "/metrics"}) {
        http::Route route;
        route.method = "GET";
        route.path = name;
        (void)routes.add(std::move(route));
    }
    http::RequestReader reader{{}};
    http::DateCache date;
    std::string in{k_request};
    std::string out;
    tenon_http_response response{};
    response.size = sizeof response;
    response.status = 200;
    response.body = {k_body.data(), k_body.size()};
    http::ResponseContext context;
    std::uint64_t found = 0;
    path("http_request", 2'000, [&](int) {
        std::memcpy(in.data(), k_request.data(), k_request.size());
        std::size_t size = in.size();
        reader.reset();
        if (reader.advance(in.data(), size) == http::RequestReader::State::complete) {
            const auto part = [&](http::Span span) {
                return std::string_view{in}.substr(span.at, span.size);
            };
            found += routes.find(part(reader.method()), part(reader.path())).path_known ? 1U : 0U;
        }
        out.clear();
        context.date = date.at(1'700'000'000'000'000'000);
        http::append_response(out, response, {200, k_body, {}, false, false}, context);
    });
    if (found == 0) {
        throw std::runtime_error{"the request was not routed"};
    }
}

void order_answer() {
    test::FakeInstruments instruments;
    test::CoreWorld world;
    const std::uint64_t account = world.open("account");
    world.deposit(account, "USDT", "1000000000");
    (void)world.apply(test::submit(limit_order(world, account, TENON_SIDE_BUY)));
    const tenon_trading_reply reply = world.reply();
    if (reply.order_count != 1) {
        throw std::runtime_error{"the order was not taken"};
    }
    std::string out;
    path("order_answer_json", 2'000, [&](int) {
        out.clear();
        binance::JsonWriter json{out};
        binance::write_placed(json, instruments.service(), reply, binance::ResponseType::full);
    });
}

void cache_hit() {
    memory_cache::MemoryCache cache{std::uint64_t{4} << 20U, 64};
    std::vector<std::string> keys;
    for (int i = 0; i < 256; ++i) {
        keys.push_back("market_data:ticker:" + std::to_string(1'000 + i));
        (void)cache.put(keys.back(), std::string(100, 'v'), 0, INT64_MAX / 2);
    }
    std::uint64_t bytes = 0;
    path("cache_hit", 20'000, [&](int i) {
        (void
        )cache.get(keys[static_cast<std::size_t>(i) % keys.size()], i, [&](std::string_view v) {
            bytes += v.size();
        });
    });
}

void throttle_check() {
    token_bucket::TokenBuckets buckets;
    buckets.apply({{"a", "custom", 1'000'000'000, token_bucket::k_second_ns, 1'000'000, 4'096}});
    std::vector<std::string> keys;
    for (int i = 0; i < 256; ++i) {
        keys.push_back("10.0.0." + std::to_string(i));
    }
    std::int64_t retry_ns = 0;
    path("throttle_check", 20'000, [&](int i) {
        const std::string& key = keys[static_cast<std::size_t>(i) % keys.size()];
        const tenon_throttle_claim claim{0, 1, {key.data(), key.size()}};
        (void)buckets.take({&claim, 1}, i * 1'000LL, retry_ns);
    });
}

// What a GET of a small value costs the client of Redis, but for its sockets and threads.
void redis_command() {
    constexpr std::array<std::string_view, 2> k_get{"GET", "tenon:{ticker}:BTCUSDT"};
    std::string command;
    path("redis_command", 20'000, [&](int) {
        command.clear();
        redis::append_command(command, k_get);
    });
}

void redis_answer() {
    std::string stream{"$100\r\n"};
    stream.append(100, 'v').append("\r\n");
    redis::Reader reader;
    std::size_t read = 0;
    path("redis_answer", 20'000, [&](int) {
        if (reader.next(stream.data(), stream.size()) != redis::Reader::State::message) {
            throw std::runtime_error{"the answer is not whole"};
        }
        read += reader.reply(stream.data()).text().size();
    });
    if (read == 0) {
        throw std::runtime_error{"nothing was read"};
    }
}

void metrics_count() {
    runtime::Metrics metrics;
    const Service<tenon_metrics_1> service{&metrics, &runtime::Metrics::table()};
    const Counter counter = Metrics{service}.counter("tenon_paths_total", "Of the benchmark");
    path("metrics_count", 20'000, [&](int) { counter.add(); });
}

void metrics_observe() {
    runtime::Metrics metrics;
    metrics::Histogram* const histogram = metrics.histogram("tenon_path_seconds", "A path.", {});
    path("metrics_observe", 20'000, [&](int i) { histogram->observe(i * 997LL); });
}

constexpr std::array<std::pair<std::string_view, void (*)()>, 10> k_paths{
    {{"engine_command", engine_command},
     {"journal_append", journal_append},
     {"http_request", http_request},
     {"order_answer_json", order_answer},
     {"cache_hit", cache_hit},
     {"throttle_check", throttle_check},
     {"redis_command", redis_command},
     {"redis_answer", redis_answer},
     {"metrics_count", metrics_count},
     {"metrics_observe", metrics_observe}}};

}  // namespace

int main(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
        const std::string_view word{argv[i]};
        if (word == "--build") {
            std::printf("%s\n", TENON_BENCH_BUILD " " __VERSION__);
            return 0;
        }
        if ((word == "--only" || word == "--extra") && i + 1 < argc) {
            (word == "--only" ? only : extra) = argv[++i];
        } else {
            std::fprintf(
                stderr, "usage: instruction_paths [--only PATH] [--extra PATH] [--build]\n"
            );
            return 2;
        }
    }
    try {
        for (const auto& [name, run] : k_paths) {
            if (only.empty() || only == name) {
                run();
            }
        }
    } catch (const std::exception& e) {
        std::fprintf(stderr, "instruction_paths: %s\n", e.what());
        return 1;
    }
    return 0;
}
