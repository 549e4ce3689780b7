// SPDX-License-Identifier: Apache-2.0
// The HTTP server on reactor 0: listener, sockets, timers, and the functions of
// tenon.http_routes/1.
//
// Everything is read, parsed and handled as it becomes ready; what is to be written is written at
// the end of the turn (TENON_TURN_FLUSH), one system call a connection.
#pragma once

#include "plugins/gateway/http/connection.hpp"
#include "plugins/gateway/http/listener.hpp"
#include "plugins/gateway/http/shared.hpp"
#include "plugins/gateway/http/timer_wheel.hpp"
#include "plugins/gateway/http/tls.hpp"

#include <tenon/plugin.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::http {

struct ServerServices {
    Service<tenon_exec_1> exec;
    Service<tenon_clock_1> clock;
    Service<tenon_metrics_1> metrics;
    Service<tenon_health_1> health;
    Log log;
};

class Server {
public:
    Server(const ServerServices& services, const Settings& settings);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    // What is listened on; empty: not there.
    struct Endpoints {
        std::string plain, tls, unix_socket;
    };

    // [control] `listen` empty: not there. `tls`: for the address of the settings' tls_listen.
    // `unix_socket` with an empty path: none. Throws Error.
    Endpoints start(
        std::string_view listen,
        std::shared_ptr<const TlsContext> tls = nullptr,
        const UnixPath& unix_socket = {}
    );

    // [reactor] For handshakes from now on.
    void set(std::shared_ptr<const TlsContext> tls);

    // [control] Before start. Each request is one of `addresses` under its address, and while it is
    // with its handler one of `concurrency` under its method and the handler's path.
    void limit(
        Service<tenon_throttle_1> throttle,
        std::optional<std::uint32_t> addresses,
        std::optional<std::uint32_t> concurrency
    ) {
        shared_.throttle = throttle;
        shared_.clock = services_.clock;
        shared_.address_limit = addresses;
        shared_.concurrency_limit = concurrency;
    }

    // [reactor] Sizes of readers and buffers hold for connections made later, limits and timeouts
    // for all; a timer that is running already is not brought forward.
    void set(const Settings& settings) { shared_.settings = settings; }

    // [control] Stops listening; connections end after the answers that are due, those without a
    // request so far only if `also_unused`. May be called again.
    void drain(bool also_unused);

    // [reactor] or after stop
    [[nodiscard]] std::size_t open_connections() const noexcept { return open_; }

    // [control] Closes everything. No callback runs after it.
    void stop();

    // tenon.http_routes/1; [control]
    [[nodiscard]] std::uint64_t mount(Route route);
    void unmount(std::uint64_t handle);
    // [reactor]
    tenon_status respond(std::uint64_t request, const tenon_http_response& response);
    tenon_status ws_send(std::uint64_t connection, tenon_ws_frame& frame);
    [[nodiscard]] std::uint64_t ws_queued(std::uint64_t connection);
    tenon_status ws_close(std::uint64_t connection, std::uint16_t code, std::string_view reason);

private:
    // A connection with its socket.
    struct Slot {
        Slot(
            Server& owner,
            std::uint64_t id,
            Listener::Accepted accepted,
            std::unique_ptr<TlsSession> session
        );

        Server& server;
        Connection connection;
        int fd;
        std::unique_ptr<TlsSession> tls;  // nothing: none
        std::int64_t handshake_due_ns = Connection::k_never;
        std::uint64_t watch = 0;
        std::uint32_t interest = 0;
        std::int64_t wheel_due_ns = Connection::k_never;
        bool dirty = false;
        bool unsent_bounded = false;  // WebSocket
    };

    void begin_turn();
    void open_on_reactor();

    // One place where clients come in.
    struct Door {
        Server& server;
        std::unique_ptr<Listener> listener;
        bool tls = false;
        std::uint64_t watch = 0;
    };

    std::string open_door(std::unique_ptr<Listener> listener, bool tls);
    void close_doors();
    void accept_events(std::uint32_t events);
    void on_acceptable(const Door& door);
    void pause_accepting();
    void accept_when_started();
    [[nodiscard]] bool starting();
    void add(Listener::Accepted accepted, bool tls);
    void on_ready(Slot& slot, std::uint32_t ready);
    void read_some(Slot& slot);
    void mark_dirty(Slot& slot);
    void end_turn();
    void flush(Slot& slot);
    static void write_out(Slot& slot);
    [[nodiscard]] bool shake_hands(Slot& slot);
    void read_tls(Slot& slot);
    static void write_tls(Slot& slot);
    [[nodiscard]] static std::int64_t deadline_of(const Slot& slot) noexcept;
    void settle(Slot& slot);
    void watch_for(Slot& slot, std::uint32_t events);
    void close_socket(Slot& slot);
    void resume_stalled();
    void tick();
    void arm_tick();
    void schedule(Slot& slot);
    [[nodiscard]] Slot* find(std::uint64_t id) noexcept;
    void make_metrics();
    // Runs a callback's body; a connection whose handling throws is given up.
    template <class Body>
    void protect(Slot* slot, Body body) noexcept;

    ServerServices services_;
    Shared shared_;
    std::vector<std::unique_ptr<Door>> doors_;
    std::shared_ptr<const TlsContext> tls_;
    std::uint64_t accept_timer_ = 0;
    std::int64_t hold_until_ns_ = 0;
    std::uint64_t turn_hook_ = 0;
    std::uint64_t tick_timer_ = 0;
    bool in_turn_ = false;
    bool resuming_ = false;
    std::size_t open_ = 0;
    std::vector<std::unique_ptr<Slot>> slots_;
    std::vector<std::uint16_t> generations_;  // of the slots, also of free ones
    std::vector<std::uint32_t> free_;
    std::vector<Slot*> dirty_;
    std::vector<std::uint64_t> stalled_;  // connections to resume in the next turn
    TimerWheel wheel_;
};

template <class Body>
void Server::protect(Slot* slot, Body body) noexcept {
    try {
        body();
    } catch (const std::exception& e) {
        if (slot != nullptr) {
            slot->connection.lost();
            close_socket(*slot);
        }
        (void)guard(nullptr, [&] {
            services_.log.error("connection failed", {{"reason", e.what()}});
        });
    }
}

}  // namespace tenon::http
