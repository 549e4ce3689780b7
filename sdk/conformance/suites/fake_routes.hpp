// SPDX-License-Identifier: Apache-2.0
// tenon.http_routes/1 in the hands of a check: requests are function calls, answers are counted.
#pragma once

#include "sdk/conformance/suites/bench.hpp"

#include <tenon/abi/http.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace tenon::suites {

// One request and what became of it.
struct Exchange {
    std::uint64_t handle = 0;
    std::string method, path, query, tail, body;
    std::vector<std::pair<std::string, std::string>> fields;
    std::vector<tenon_http_header> headers;
    std::int64_t took_ns = 0;  // the handler's call
    // Of the answers, under the routes' lock.
    int answers = 0;
    bool on_reactor = true;
    std::uint32_t status = 0;
    std::string content_type, answer;
    std::vector<std::pair<std::string, std::string>> answer_headers;

    [[nodiscard]] std::string name() const;
};

class FakeRoutes {
public:
    struct Route {
        std::uint64_t handle;
        std::string method, path;
        void* ctx;
        void (*fn)(void* ctx, const tenon_http_request*);

        [[nodiscard]] bool prefix() const { return path.ends_with("/<tail>"); }
    };

    struct Socket {
        std::uint64_t handle;
        std::string path;
        const tenon_ws_handler* handler;
        void* ctx;
    };

    explicit FakeRoutes(Bench& bench);
    FakeRoutes(const FakeRoutes&) = delete;
    FakeRoutes& operator=(const FakeRoutes&) = delete;

    [[nodiscard]] tenon_iface iface() noexcept { return {this, &k_table}; }

    [[nodiscard]] std::vector<Route> routes() const;
    [[nodiscard]] std::vector<Socket> sockets() const;

    // Calls the route's handler on reactor 0. The exchange lives as long as this.
    Exchange& request(
        const Route& route,
        std::string method,
        std::string_view tail,
        std::string query = {},
        std::string body = {}
    );

    // Answered, or false at the end of the patience.
    [[nodiscard]] bool wait_for(const Exchange& exchange);
    [[nodiscard]] Exchange copy_of(const Exchange& exchange) const;

    // A WebSocket's life on reactor 0. 0: the handler refused it.
    [[nodiscard]] std::uint64_t open(const Socket& socket, std::string_view tail);
    void text(const Socket& socket, std::uint64_t connection, std::string_view message);
    void close(const Socket& socket, std::uint64_t connection);

    [[nodiscard]] std::uint64_t sends_to_closed() const;
    [[nodiscard]] std::int64_t frames_alive() const;

private:
    struct Connection {
        std::uint64_t id;
        void* user;
        bool open;
    };

    static const tenon_http_routes_1 k_table;

    static FakeRoutes& of(void* self) noexcept { return *static_cast<FakeRoutes*>(self); }

    [[nodiscard]] tenon_http_request raw(const Exchange& exchange) const;
    tenon_status respond(std::uint64_t request, const tenon_http_response& response);
    tenon_status send(std::uint64_t connection);
    void unmount(std::uint64_t handle);
    [[nodiscard]] Connection* find(std::uint64_t id);

    Bench& bench_;
    std::thread::id reactor_;
    mutable std::mutex mutex_;
    std::vector<Route> routes_;
    std::vector<Socket> sockets_;
    std::deque<Exchange> exchanges_;
    std::vector<Connection> connections_;
    std::uint64_t next_handle_ = 1;
    std::uint64_t sends_to_closed_ = 0;
    std::int64_t frames_ = 0;
};

}  // namespace tenon::suites
