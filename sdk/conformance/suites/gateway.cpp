// SPDX-License-Identifier: Apache-2.0
// Plugins that mount routes on tenon.http_routes/1: every request is answered once, soon, and in
// order, whatever it says.
//
// What else such a plugin may require (trading, market data, …) is there and has nothing to tell.
#include "sdk/conformance/suites/fake_market_side.hpp"
#include "sdk/conformance/suites/fake_routes.hpp"
#include "sdk/conformance/suites/suites.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <string>

namespace tenon::suites {
namespace {

constexpr std::int64_t k_ms = 1'000'000;
constexpr std::int64_t k_second = 1'000 * k_ms;

// Below the prefixes that are mounted: what APIs are wont to have, and what nobody has.
constexpr std::array<std::string_view, 10> k_tails{
    "",
    "ping",
    "time",
    "exchangeInfo",
    "depth",
    "order",
    "account",
    "ticker/price",
    "no/such/thing",
    "../../etc/passwd"};

class GatewayScene {
public:
    explicit GatewayScene(Bench& bench) : bench_{bench}, routes_{bench}, side_{bench} {
        bench.bind("tenon.http_routes/1", routes_.iface());
        side_.bind();
        instance_ = bench.open();
        if (routes_.routes().empty()) {
            throw NotApplicable{"the plugin mounts no route when it starts"};
        }
    }

    // Every route with each method that it takes and each tail.
    template <class Body>
    void each(Body&& body) {
        for (const FakeRoutes::Route& route : routes_.routes()) {
            const std::vector<std::string> methods =
                route.method == "*"
                    ? std::vector<std::string>{"GET", "POST", "PUT", "DELETE", "PATCH"}
                    : std::vector<std::string>{route.method};
            for (const std::string& method : methods) {
                for (std::size_t i = 0; i < (route.prefix() ? k_tails.size() : 1); ++i) {
                    body(route, method, k_tails[i]);
                }
            }
        }
    }

    // Sends and waits; a Breach when no answer comes.
    Exchange ask(
        const FakeRoutes::Route& route,
        const std::string& method,
        std::string_view tail,
        std::string query = {},
        std::string body = {}
    ) {
        const Exchange& sent =
            routes_.request(route, method, tail, std::move(query), std::move(body));
        if (!routes_.wait_for(sent)) {
            throw Breach{text(sent.name(), " is not answered within 10 s")};
        }
        return routes_.copy_of(sent);
    }

    [[nodiscard]] FakeRoutes& routes() noexcept { return routes_; }

    [[nodiscard]] Instance& instance() noexcept { return *instance_; }

    void close() { instance_.reset(); }

private:
    Bench& bench_;
    FakeRoutes routes_;
    FakeMarketSide side_;
    std::unique_ptr<Instance> instance_;
};

[[nodiscard]] std::set<std::string> names(const FakeRoutes& routes) {
    std::set<std::string> all;
    for (const auto& route : routes.routes()) {
        all.insert(route.method + " " + route.path);
    }
    for (const auto& socket : routes.sockets()) {
        all.insert("WebSocket " + socket.path);
    }
    return all;
}

void mounts(Bench& bench) {
    GatewayScene scene{bench};
    const std::set<std::string> before = names(scene.routes());
    for (int round = 0; round < 3; ++round) {
        scene.instance().stop();
        const std::set<std::string> left = names(scene.routes());
        expect(left.empty(), "after stop ", left.empty() ? "" : *left.begin(), " is still mounted");
        scene.instance().start();
        expect(names(scene.routes()) == before, "after stop and start other routes are mounted");
    }
}

void answers(Bench& bench) {
    GatewayScene scene{bench};
    scene.each([&](const auto& route, const std::string& method, std::string_view tail) {
        (void)scene.ask(route, method, tail);
    });
}

void once(Bench& bench) {
    GatewayScene scene{bench};
    std::vector<const Exchange*> sent;
    scene.each([&](const auto& route, const std::string& method, std::string_view tail) {
        sent.push_back(&scene.routes().request(route, method, tail));
    });
    for (const Exchange* one : sent) {
        (void)scene.routes().wait_for(*one);
    }
    bench.advance(k_second);
    bench.settle(10);
    for (const Exchange* one : sent) {
        const Exchange exchange = scene.routes().copy_of(*one);
        expect(exchange.answers <= 1, exchange.name(), " is answered ", exchange.answers, " times");
    }
}

[[nodiscard]] bool one_line(std::string_view value) {
    return value.find_first_of(std::string_view{"\r\n\0", 3}) == std::string_view::npos;
}

void well_formed(Bench& bench) {
    GatewayScene scene{bench};
    scene.each([&](const auto& route, const std::string& method, std::string_view tail) {
        const Exchange got = scene.ask(route, method, tail, "a=b%0d%0aSet-Cookie:%20x=y");
        expect(
            got.status >= 200 && got.status <= 599,
            got.name(),
            " is answered with status ",
            got.status
        );
        expect(
            got.answer.empty() || !got.content_type.empty(),
            got.name(),
            " is answered with a body and no content type"
        );
        expect(one_line(got.content_type), got.name(), ": the content type has a line break");
        for (const auto& [name, value] : got.answer_headers) {
            expect(
                !name.empty() && one_line(name) && one_line(value) &&
                    name.find_first_of(": ") == std::string::npos,
                got.name(),
                ": the header ",
                printable(name),
                " with ",
                printable(value)
            );
        }
    });
}

void bad_input(Bench& bench) {
    Random random{bench.seed()};
    GatewayScene scene{bench};
    scene.each([&](const auto& route, const std::string& method, std::string_view tail) {
        for (int i = 0; i < 6; ++i) {
            std::string query =
                i % 2 == 0 ? random.bytes(random.below(300)) : "symbol=%zz&limit=-1&=&&a";
            std::string body =
                i % 3 == 0 ? std::string(100'000, '{') : random.bytes(random.below(400));
            if (i == 5) {
                query.assign(20'000, '&');
            }
            const Exchange got = scene.ask(route, method, tail, std::move(query), std::move(body));
            expect(
                got.status < 500 || got.status == 501 || got.status == 503,
                got.name(),
                " is answered with ",
                got.status,
                " ",
                printable(got.answer, 80)
            );
        }
    });
    for (const auto& route : scene.routes().routes()) {
        if (!route.prefix()) {
            continue;
        }
        for (int i = 0; i < 20; ++i) {
            const Exchange got = scene.ask(route, "GET", random.bytes(random.below(60)));
            expect(
                got.status < 500 || got.status == 501 || got.status == 503,
                printable(got.path),
                " is answered with ",
                got.status
            );
        }
    }
}

// A handler that takes long twice in a row is not the machine's fault.
void nonblocking(Bench& bench) {
    constexpr std::int64_t k_most = 40 * k_ms;
    GatewayScene scene{bench};
    scene.each([&](const auto& route, const std::string& method, std::string_view tail) {
        std::int64_t best = INT64_MAX;
        for (int i = 0; i < 3 && best > k_most; ++i) {
            const Exchange& sent = scene.routes().request(route, method, tail);
            best = std::min(best, sent.took_ns);
            (void)scene.routes().wait_for(sent);
        }
        expect(
            best <= k_most,
            method,
            " ",
            route.path,
            " ",
            tail,
            " keeps the reactor for ",
            best / k_ms,
            " ms, three times in a row"
        );
    });
}

void on_reactor(Bench& bench) {
    GatewayScene scene{bench};
    scene.each([&](const auto& route, const std::string& method, std::string_view tail) {
        const Exchange got = scene.ask(route, method, tail);
        expect(got.on_reactor, got.name(), " is answered from another thread than the reactor");
    });
}

void many(Bench& bench) {
    constexpr std::size_t k_requests = 2'000;
    Random random{bench.seed()};
    GatewayScene scene{bench};
    const auto routes = scene.routes().routes();
    std::vector<const Exchange*> sent;
    for (std::size_t i = 0; i < k_requests; ++i) {
        const auto& route = routes[random.below(routes.size())];
        const std::string method = route.method == "*" ? "GET" : route.method;
        sent.push_back(&scene.routes().request(route, method, k_tails[random.below(8)]));
    }
    for (const Exchange* one : sent) {
        expect(
            scene.routes().wait_for(*one),
            "of ",
            k_requests,
            " requests ",
            one->name(),
            " is not answered"
        );
    }
    for (const Exchange* one : sent) {
        const Exchange got = scene.routes().copy_of(*one);
        expect(got.answers == 1, got.name(), " is answered ", got.answers, " times");
    }
}

void draining(Bench& bench) {
    GatewayScene scene{bench};
    scene.instance().drain(bench.now_ns() + k_second / 2);
    std::set<std::uint32_t> others;
    scene.each([&](const auto& route, const std::string& method, std::string_view tail) {
        const Exchange got = scene.ask(route, method, tail);
        expect(
            got.status < 500 || got.status == 501 || got.status == 503,
            got.name(),
            " is answered with ",
            got.status,
            " while draining"
        );
        if (got.status >= 200 && got.status < 300 && method != "GET") {
            bench.warn(text(got.name(), " is answered with ", got.status, " while draining"));
        }
    });
    scene.instance().stop();
    expect(names(scene.routes()).empty(), "after drain and stop a route is still mounted");
}

void websocket(Bench& bench) {
    Random random{bench.seed()};
    GatewayScene scene{bench};
    const auto sockets = scene.routes().sockets();
    if (sockets.empty()) {
        throw NotApplicable{"the plugin mounts no WebSocket"};
    }
    for (const auto& socket : sockets) {
        for (const std::string_view tail : {"", "btcusdt@trade", "no such stream"}) {
            const std::uint64_t id = scene.routes().open(socket, tail);
            if (id == 0) {
                continue;
            }
            for (const std::string_view message :
                 {"",
                  "{}",
                  "[]",
                  "not json",
                  R"({"method":"SUBSCRIBE","params":[1],"id":1})",
                  R"({"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":2})"}) {
                scene.routes().text(socket, id, message);
            }
            for (int i = 0; i < 10; ++i) {
                scene.routes().text(socket, id, std::string(random.below(3'000), '['));
            }
            bench.settle();
            scene.routes().close(socket, id);
        }
    }
    bench.advance(2 * k_second);
    bench.settle(10);
    expect(
        scene.routes().sends_to_closed() == 0,
        scene.routes().sends_to_closed(),
        " frames are sent to connections whose close had been called"
    );
    scene.instance().stop();
    expect(
        scene.routes().frames_alive() == 0,
        scene.routes().frames_alive(),
        " WebSocket frames are not released after stop"
    );
}

constexpr std::string_view k_routes = "tenon.http_routes/1";

constexpr Check of_users(Check check) {
    check.for_users = true;
    return check;
}

constexpr Check k_checks[] = {
    of_users(
        {"gateway.mounts", "routes come with start and go with stop", k_routes, &checked<&mounts>}
    ),
    of_users({"gateway.answers", "every request is answered", k_routes, &checked<&answers>}),
    of_users({"gateway.once", "no request is answered twice", k_routes, &checked<&once>}),
    of_users({"gateway.well-formed", "answers are valid HTTP", k_routes, &checked<&well_formed>}),
    of_users(
        {"gateway.bad-input", "bad input is the client's fault", k_routes, &checked<&bad_input>}
    ),
    of_users(
        {"gateway.nonblocking",
         "handlers do not keep the reactor",
         k_routes,
         &checked<&nonblocking>}
    ),
    of_users(
        {"gateway.reactor", "answers are given on the reactor", k_routes, &checked<&on_reactor>}
    ),
    of_users({"gateway.many", "of many requests none is forgotten", k_routes, &checked<&many>}),
    of_users(
        {"gateway.draining", "requests are answered while draining", k_routes, &checked<&draining>}
    ),
    of_users(
        {"gateway.websocket", "closed connections are left alone", k_routes, &checked<&websocket>}
    ),
};

}  // namespace
}  // namespace tenon::suites

namespace tenon::conformance {

std::span<const Check> gateway_checks() {
    return suites::k_checks;
}

}  // namespace tenon::conformance
