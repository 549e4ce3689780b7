// SPDX-License-Identifier: Apache-2.0
// The WebSocket API, /ws-api/v3: connections, their sessions and subscriptions; everything that
// REST has too goes to the same handlers. Requests count against the same limits. Reactor 0.
#pragma once

#include "plugins/gateway/binance/api.hpp"
#include "plugins/gateway/binance/settings.hpp"
#include "plugins/gateway/binance/socket_message.hpp"

#include <memory>
#include <set>
#include <unordered_map>

namespace tenon::binance {

struct SocketConnection {
    std::uint64_t id = 0;
    std::string remote;
    std::int64_t opened_real_ns = 0;  // shown
    std::int64_t opened_ns = 0;       // monotonic: its age
    bool micro = false;
    bool rate_limits = true;
    std::string api_key;  // of the session; empty: nobody has logged on
    std::int64_t authorized_real_ns = 0;
    std::uint32_t next_subscription = 0;
    std::uint64_t cancels_account = 0;  // its open orders end with the connection; 0: nobody's
};

class SocketApi {
public:
    SocketApi(Api& api, const StreamSettings& settings) : api_{api}, settings_{settings} {}

    void set(const StreamSettings& settings) noexcept { settings_ = settings; }

    // TENON_OK | TENON_UNAVAILABLE (too many connections, or no weight left) | TENON_INVALID (the
    // query). *connection stays until close.
    tenon_status
    open(std::uint64_t id, const tenon_http_request& request, SocketConnection** connection);
    void text(SocketConnection& connection, std::string_view message);
    void close(SocketConnection& connection) noexcept;

    // Once in a while: closes connections that are too old, and cancels what could not be cancelled
    // when its connection ended.
    void tick(std::int64_t now_ns);
    // Tells every client that the server is about to stop. Connections that end from here on
    // cancel nothing: it is not their client that is gone.
    void announce_shutdown();

    [[nodiscard]] bool owes_cancels() const noexcept { return !owed_cancels_.empty(); }

    [[nodiscard]] std::size_t connection_count() const noexcept { return connections_.size(); }

private:
    using Handler = void (SocketApi::*)(SocketConnection&, const SocketMessage&, const ReplyTo&);

    struct Method {
        std::string_view name;
        Handler handler;
    };

    [[nodiscard]] static Handler own_method(std::string_view name) noexcept;
    [[nodiscard]] static Credential
    credential(const SocketConnection& connection, const SocketMessage& message, std::string& kept);
    void serve(SocketConnection& connection, const SocketMessage& message, ReplyTo& to);
    // Checks the message's own signature, or the session with `session`.
    [[nodiscard]] tenon_identity
    identify(SocketConnection& connection, const SocketMessage& message, bool session);
    void logon(SocketConnection& connection, const SocketMessage& message, const ReplyTo& to);
    void status(SocketConnection& connection, const SocketMessage& message, const ReplyTo& to);
    void logout(SocketConnection& connection, const SocketMessage& message, const ReplyTo& to);
    void cancel_on_disconnect(
        SocketConnection& connection,
        const SocketMessage& message,
        const ReplyTo& to
    );
    void cancel_owed();
    void subscriptions(SocketConnection& connection, const SocketMessage& m, const ReplyTo& to);
    void subscribe(SocketConnection& connection, const SocketMessage& m, const ReplyTo& to);
    void subscribe_signed(SocketConnection& connection, const SocketMessage& m, const ReplyTo& to);
    void unsubscribe(SocketConnection& connection, const SocketMessage& m, const ReplyTo& to);
    void follow(
        SocketConnection& connection,
        std::uint64_t account,
        std::string_view key,
        bool session,
        const ReplyTo& to
    );
    void write_session(const SocketConnection& connection, const ReplyTo& to);

    Api& api_;
    StreamSettings settings_;
    Params params_;
    std::unordered_map<std::uint64_t, std::unique_ptr<SocketConnection>> connections_;
    std::int64_t last_age_check_ns_ = 0;
    std::set<std::uint64_t> owed_cancels_;  // accounts
    bool stopping_ = false;
};

}  // namespace tenon::binance
