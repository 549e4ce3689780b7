// SPDX-License-Identifier: Apache-2.0
// What all routes of the console share: who asks, may he, and how it is answered. A write is taken
// when its session's CSRF token comes with it, its content is JSON and its origin, if told, is this
// server; its right is checked, and it is on the audit log before it is done.
//
// Reactor 0's, but for mount() and close(), which are [control].
#pragma once

#include "plugins/console/account_json.hpp"
#include "plugins/console/refusal.hpp"
#include "plugins/console/sessions.hpp"
#include "plugins/console/sign_in_guard.hpp"

#include <tenon/abi/auth.h>
#include <tenon/http.hpp>
#include <tenon/in_flight.hpp>
#include <tenon/metrics.hpp>
#include <tenon/plugin.hpp>

#include <boost/json/object.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace tenon::console {

struct DeskSettings {
    SessionLimits sessions;
    bool secure_cookie = false;
};

// What the deployment gives the console; each may be absent, and what needs it then says so.
struct DeskServices {
    Service<tenon_exec_1> exec;
    Service<tenon_clock_1> clock;
    Service<tenon_audit_1> audit;
    Service<tenon_auth_1> auth;
    Service<tenon_trading_1> trading;
    Catalogue catalogue;
    Log log;
};

[[nodiscard]] std::string_view header_of(const tenon_http_request& request, std::string_view name);
// The value of a cookie, or nothing.
[[nodiscard]] std::string_view cookie_of(std::string_view header, std::string_view name) noexcept;
// Whether a request that says where it comes from comes from a page of this server.
[[nodiscard]] bool is_same_origin(std::string_view origin, std::string_view host) noexcept;
// A parameter of a query as it was sent, without decoding: names and symbols need none.
[[nodiscard]] std::string_view query_of(std::string_view query, std::string_view name) noexcept;

class Desk {
public:
    using Handler = std::function<void(const tenon_http_request&)>;

    Desk(DeskServices services, DeskSettings settings, Sessions::Ended ended);

    void open(Service<tenon_http_routes_1> routes, const Metrics& metrics);
    // Takes the routes back and waits for what is in flight.
    void close() noexcept;
    void set(const DeskSettings& settings);

    // A handler that throws Refusal is answered with it.
    void mount(std::string_view method, std::string_view path, Handler handler);

    // Throws Refusal 401, 403. The session is valid until the next turn.
    const Sessions::Session& require(const tenon_http_request& request, std::uint32_t right);
    // The same for a write, with its body.
    const Sessions::Session&
    require_write(const tenon_http_request& request, std::uint32_t right, Json& body);
    // A write without a session: signing in.
    [[nodiscard]] Json read_write(const tenon_http_request& request) const;
    // NULL: nobody is signed in. `touch`: counts as used.
    const Sessions::Session* session_of(const tenon_http_request& request, bool touch);

    void answer(std::uint64_t request, const boost::json::object& body) const;
    void answer_text(std::uint64_t request, std::string_view json) const;
    void refuse(std::uint64_t request, const Refusal& refusal) const noexcept;
    // Runs what answers the request; what it throws becomes the answer, so that there is one.
    void settle(std::uint64_t request, const std::function<void()>& body) const noexcept;
    // `cookie`: a Set-Cookie value.
    void answer_with_cookie(
        std::uint64_t request,
        const boost::json::object& body,
        const std::string& cookie
    ) const;

    struct File {
        std::string_view type, content, cache, policy;
        bool packed;  // the content is gzip
    };

    void give_file(std::uint64_t request, const File& file) const;
    void give_nothing(std::uint64_t request) const;

    [[nodiscard]] std::string cookie_for(std::string_view token) const;
    [[nodiscard]] std::string_view token_of(const tenon_http_request& request) const;

    struct Deed {
        std::string actor, action, subject, detail;
    };

    // Writes the deed down, then runs `then` on this reactor, in flight until that returned; it
    // answers the request. Without a record nothing is done: the request is answered 503.
    void audited(Deed deed, std::uint64_t request, std::function<void()> then);

    [[nodiscard]] std::int64_t now_ns() const noexcept {
        return services_.clock->now_ns(services_.clock.self);
    }

    [[nodiscard]] const DeskServices& services() const noexcept { return services_; }

    [[nodiscard]] Sessions& sessions() noexcept { return sessions_; }

    // Of users of the database: counts up when one is changed, so that a sign-in that read him
    // before does not outlive it.
    void user_changed(const std::string& name) {
        ++user_changes_;
        sessions_.end_of("user:" + name);
        show_sessions();
    }

    [[nodiscard]] std::uint64_t user_changes() const noexcept { return user_changes_; }

    // Ends what is over: by time, and when the key it was opened with has been revoked.
    void sweep();

    [[nodiscard]] SignInGuard& guard() noexcept { return guard_; }

    [[nodiscard]] InFlight& in_flight() noexcept { return in_flight_; }

    [[nodiscard]] const Counter& refused_sign_ins() const noexcept { return refused_sign_ins_; }

    [[nodiscard]] const Counter& sign_ins() const noexcept { return sign_ins_; }

    void show_sessions() const noexcept {
        open_sessions_.set(static_cast<std::int64_t>(sessions_.size()));
    }

private:
    // Its key is, or may not be used from `remote`, the address of who asks.
    [[nodiscard]] bool is_revoked(const Sessions::Session& session, std::optional<tenon_str> remote)
        const;

    DeskServices services_;
    bool secure_cookie_;
    Sessions sessions_;
    SignInGuard guard_;
    InFlight in_flight_;
    std::uint64_t user_changes_ = 0;
    std::unique_ptr<HttpRoutes> routes_;
    Counter sign_ins_, refused_sign_ins_, writes_, refused_writes_;
    Gauge open_sessions_;
};

}  // namespace tenon::console
