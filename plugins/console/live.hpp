// SPDX-License-Identifier: Apache-2.0
// /api/console/live: what happens to the accounts of who is signed in, as it happens: orders,
// fills, balances. A WebSocket of a page of this server with a session; it ends with the session.
// It sends, and reads nothing. Reactor 0's, but for open() and close(), which are [control].
#pragma once

#include "plugins/console/desk.hpp"

#include <cstdint>
#include <map>

namespace tenon::console {

class Live {
public:
    static constexpr std::size_t k_sockets_max = 1024, k_of_one_session_max = 8;

    explicit Live(Desk& desk) : desk_{desk} {}

    void open(Service<tenon_http_routes_1> routes);
    void close() noexcept;

    // The session has ended: so do its sockets.
    void session_ended(const Sessions::Session& session) noexcept;

private:
    struct Listener {
        std::uint64_t session;
        Principal who;
    };

    static tenon_status
    opened(void* ctx, std::uint64_t connection, const tenon_http_request* request, void** user);

    static void on_text(void*, std::uint64_t, void*, tenon_str) {}

    static void closed(void* ctx, std::uint64_t connection, void* user);
    static void on_events(void* ctx, const tenon_execution_event* events, std::uint32_t count);

    [[nodiscard]] bool has_room(std::uint64_t session) const;
    void tell(const tenon_execution_event& event);
    void send(std::uint64_t account, boost::json::object message);

    Desk& desk_;
    Service<tenon_http_routes_1> routes_;
    std::uint64_t mounted_ = 0, subscribed_ = 0;
    std::map<std::uint64_t, Listener> listeners_;
};

}  // namespace tenon::console
