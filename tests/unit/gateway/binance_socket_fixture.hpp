// SPDX-License-Identifier: Apache-2.0
// The WebSocket API over the fake world: connections, requests and what they are answered.
#pragma once

#include "plugins/gateway/binance/socket_api.hpp"
#include "tests/unit/gateway/binance_fakes.hpp"

#include <catch2/catch.hpp>

namespace tenon::test {

struct SocketFixture : FakeBinanceWorld {
    explicit SocketFixture(const binance::LimitSettings& limits = {})
        : api{services(), limits, binance::builtin_weights()}, sockets{api, {}} {}

    std::uint64_t connect(std::string_view query = {}, std::string_view remote = "127.0.0.1") {
        const std::uint64_t id = ++last_id;
        tenon_http_request request{};
        request.size = sizeof request;
        request.query = tenon::str(query);
        request.remote = tenon::str(remote);
        binance::SocketConnection* connection = nullptr;
        status = sockets.open(id, request, &connection);
        connections[id] = connection;
        return id;
    }

    // All that is sent because of this message.
    std::vector<std::string> say(std::uint64_t id, std::string_view message) {
        sent[id].clear();
        sockets.text(*connections.at(id), message);
        return sent[id];
    }

    // The one answer to it.
    std::string ask(std::uint64_t id, std::string_view message) {
        const std::vector<std::string> heard = say(id, message);
        REQUIRE(heard.size() == 1);
        return heard[0];
    }

    // With id 1 and no rate limits in the answer; `params` are the inside of an object.
    std::string call(std::uint64_t id, const std::string& method, const std::string& params = {}) {
        return ask(
            id,
            R"({"id":1,"method":")" + method + R"(","params":{"returnRateLimits":false)" +
                (params.empty() ? "" : ",") + params + "}}"
        );
    }

    [[nodiscard]] std::string credentials(const std::string& key = "trader") const {
        return R"("apiKey":")" + key + R"(","signature":"good","timestamp":)" +
               std::to_string(now_ns / 1'000'000);
    }

    // Ends the connection as the server does.
    void hang_up(std::uint64_t id) {
        sockets.close(*connections.at(id));
        connections.erase(id);
    }

    void event(tenon_execution_event e) {
        e.size = sizeof e;
        api.on_execution(&e, 1);
    }

    binance::Api api;
    binance::SocketApi sockets;
    std::map<std::uint64_t, binance::SocketConnection*> connections;
    std::uint64_t last_id = 0;
    tenon_status status = TENON_OK;
};

}  // namespace tenon::test
