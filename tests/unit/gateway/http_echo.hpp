// SPDX-License-Identifier: Apache-2.0
// A WebSocket handler on the HTTP gateway that sends back what it gets.
#pragma once

#include "tests/unit/gateway/http_fixture.hpp"

#include <catch2/catch.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::test {

// Echoes text, counts opens and closes, keeps the connection's handle.
struct Echo {
    explicit Echo(Gateway& owner, const std::string& path = "/ws/<tail>") : gateway{&owner} {
        const tenon_ws_handler table{sizeof(tenon_ws_handler), 0, &open, &text, &close};
        const auto routes = owner.routes();
        REQUIRE(routes->mount_ws(routes.self, str(path), &table, this, &handle) == TENON_OK);
    }

    // The gateway outlives it, and would tell it that its connections close.
    ~Echo() {
        const auto routes = gateway->routes();
        routes->unmount(routes.self, handle);
    }

    Echo(const Echo&) = delete;
    Echo& operator=(const Echo&) = delete;

    static Echo& of(void* ctx) { return *static_cast<Echo*>(ctx); }

    static tenon_status
    open(void* ctx, std::uint64_t connection, const tenon_http_request* request, void** user) {
        of(ctx).connection = connection;
        of(ctx).tail = view(request->tail);
        *user = ctx;
        if (of(ctx).tail == "refused") {
            return TENON_DENIED;
        }
        if (of(ctx).tail == "refused/why") {
            const auto routes = of(ctx).gateway->routes();
            (void)routes->ws_close(routes.self, connection, 1008, str("not today"));
            return TENON_DENIED;
        }
        ++of(ctx).opened;
        return TENON_OK;
    }

    static void text(void* ctx, std::uint64_t connection, void* user, tenon_str message) {
        CHECK(user == ctx);
        (void)of(ctx).send(connection, view(message));
    }

    static void close(void* ctx, std::uint64_t, void*) { ++of(ctx).closed; }

    tenon_status send(std::uint64_t to, std::string_view message) const {
        const auto routes = gateway->routes();
        tenon_ws_frame* const frame = routes->frame(routes.self, str(message));
        const tenon_status status = routes->ws_send(routes.self, to, frame);
        routes->frame_release(routes.self, frame);
        return status;
    }

    // Waits for the reactor to have closed this many.
    void wait_closed(std::size_t count) {
        std::size_t now = 0;
        while (now < count) {
            gateway->on_reactor([&] { now = closed; });
        }
    }

    Gateway* gateway;
    std::uint64_t handle = 0;
    std::uint64_t connection = 0;
    std::string tail;
    std::size_t opened = 0;
    std::size_t closed = 0;
};

}  // namespace tenon::test
