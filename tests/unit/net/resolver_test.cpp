// SPDX-License-Identifier: Apache-2.0
#include "sdk/net/resolver.hpp"

#include "tests/unit/net/rig.hpp"

#include <catch2/catch.hpp>

#include <arpa/inet.h>
#include <atomic>
#include <cstring>
#include <future>
#include <netinet/in.h>
#include <optional>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using tenon::net::Address;
using tenon::net::Resolver;
using tenon::test::NetRig;

namespace {

Address address_of(const std::string& text) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(9);
    REQUIRE(::inet_pton(AF_INET, text.c_str(), &in.sin_addr) == 1);
    Address out;
    std::memcpy(&out.storage, &in, sizeof in);
    out.size = sizeof in;
    return out;
}

std::string text_of(const Address& address) {
    sockaddr_in in{};
    std::memcpy(&in, &address.storage, sizeof in);
    std::string out(INET_ADDRSTRLEN, '\0');
    REQUIRE(::inet_ntop(AF_INET, &in.sin_addr, out.data(), INET_ADDRSTRLEN) != nullptr);
    return out.c_str();
}

// A name server that says what the test wants.
struct Names {
    std::atomic<int> asked{0};
    std::vector<std::string> addresses;  // changed while nobody asks

    Resolver::Ask ask() {
        return [this](const std::string&, const std::string&) {
            ++asked;
            Resolver::Answer answer;
            for (const std::string& one : addresses) {
                answer.addresses.push_back(address_of(one));
            }
            return answer;
        };
    }
};

std::vector<std::string> resolved(NetRig& rig, Resolver& resolver) {
    rig.host.reactor().turn();  // what the clock was advanced by is seen from the next turn on
    std::optional<std::vector<std::string>> out;
    resolver.resolve("exchange.example", "9", [&](const auto& found, const std::string&) {
        out.emplace();
        for (const Address& one : found) {
            out->push_back(text_of(one));
        }
    });
    REQUIRE(rig.until([&] { return out.has_value(); }));
    return *out;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("a host that moves is found, however often its name is used", "[net][T4]") {
    NetRig rig;
    Names names;
    names.addresses = {"127.0.0.1"};
    Resolver resolver{rig.host.exec(), 0, names.ask()};
    CHECK(resolved(rig, resolver) == Texts{"127.0.0.1"});
    names.addresses = {"127.0.0.2"};
    for (int i = 0; i < 5; ++i) {  // as who comes back after a break does
        rig.host.reactor().advance(std::chrono::nanoseconds{10s}.count());
        CHECK(resolved(rig, resolver) == Texts{"127.0.0.1"});
    }
    CHECK(names.asked == 1);
    rig.host.reactor().advance(std::chrono::nanoseconds{15s}.count());
    CHECK(resolved(rig, resolver) == Texts{"127.0.0.2"});
    CHECK(names.asked == 2);
}

TEST_CASE("what was known is used when the name cannot be asked for", "[net][T4]") {
    NetRig rig;
    Names names;
    names.addresses = {"127.0.0.1"};
    Resolver resolver{rig.host.exec(), 0, names.ask()};
    CHECK(resolved(rig, resolver) == Texts{"127.0.0.1"});
    names.addresses.clear();
    rig.host.reactor().advance(2 * Resolver::k_kept_ns);
    CHECK(resolved(rig, resolver) == Texts{"127.0.0.1"});
    CHECK(names.asked == 2);
}

TEST_CASE("a question whose answer is lost does not stop the ones after it", "[net][T4]") {
    NetRig rig;
    std::promise<void> released;
    const std::shared_future<void> until = released.get_future().share();
    std::atomic<int> asked{0};
    Resolver resolver{rig.host.exec(), 0, [&](const std::string&, const std::string&) {
                          if (++asked == 1) {
                              until.wait();
                          }
                          return Resolver::Answer{{address_of("127.0.0.1")}, {}};
                      }};
    int done = 0;
    const auto resolve = [&] {
        rig.host.reactor().turn();
        resolver.resolve("exchange.example", "9", [&](const auto& found, const std::string&) {
            done += static_cast<int>(found.size());
        });
    };
    resolve();
    REQUIRE(rig.until([&] { return asked == 1; }));
    rig.host.reactor().advance(Resolver::k_patience_ns / 2);
    resolve();  // joins
    rig.host.reactor().advance(Resolver::k_patience_ns / 2);
    resolve();  // asks again
    REQUIRE(rig.until([&] { return done == 3; }));
    CHECK(asked == 2);
    released.set_value();
    resolve();
    REQUIRE(rig.until([&] { return done == 4; }));
}

TEST_CASE("an address that is silent is not tried first again", "[net][T4]") {
    struct NoEvents final : tenon::net::Stream::Events {
        void stream_open() override {}

        void stream_data(std::string_view) override {}

        void stream_closed(const std::string&) override {}
    } events;

    NetRig rig;
    Names names;
    names.addresses = {"127.0.0.1", "127.0.0.2", "127.0.0.3"};
    Resolver resolver{rig.host.exec(), 0, names.ask()};
    rig.network.resolver = &resolver;
    // Given up right after the connect began: the resolver answers its questions in their order.
    const auto give_up = [&] {
        const auto stream =
            tenon::net::Stream::connect(rig.network, {false, "exchange.example", "9", "/"}, events);
        bool closed = false;
        resolver.resolve("exchange.example", "9", [&](const auto&, const std::string&) {
            stream->close();
            closed = true;
        });
        REQUIRE(rig.until([&] { return closed; }));
    };
    give_up();
    CHECK(resolved(rig, resolver) == Texts{"127.0.0.2", "127.0.0.3", "127.0.0.1"});
    give_up();
    CHECK(resolved(rig, resolver) == Texts{"127.0.0.3", "127.0.0.1", "127.0.0.2"});
    rig.host.reactor().advance(2 * Resolver::k_kept_ns);
    names.addresses = {"127.0.0.1", "127.0.0.2", "127.0.0.4"};  // as before, and a new one
    CHECK(resolved(rig, resolver) == Texts{"127.0.0.4", "127.0.0.1", "127.0.0.2"});
    CHECK(names.asked == 2);
}
