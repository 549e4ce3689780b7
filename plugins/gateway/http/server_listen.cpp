// SPDX-License-Identifier: Apache-2.0
// What the server listens on: opening, letting clients in, and waiting while it cannot.
#include "plugins/gateway/http/server.hpp"

#include <boost/json/parse.hpp>

#include <utility>

namespace tenon::http {
namespace {

constexpr std::size_t k_accept_batch = 64;
constexpr std::int64_t k_accept_pause_ns = 500'000'000;
constexpr std::int64_t k_hold_step_ns = 5'000'000;
constexpr std::int64_t k_hold_limit_ns = 10'000'000'000;
constexpr std::string_view k_component = "listener";

}  // namespace

Server::Endpoints Server::start(
    std::string_view listen,
    std::shared_ptr<const TlsContext> tls,
    const UnixPath& unix_socket
) {
    Endpoints endpoints;
    if (!listen.empty()) {
        endpoints.plain = open_door(std::make_unique<Listener>(listen), false);
    }
    if (tls) {
        endpoints.tls = open_door(std::make_unique<Listener>(shared_.settings.tls_listen), true);
        set(std::move(tls));
    }
    if (!unix_socket.path.empty()) {
        endpoints.unix_socket = open_door(std::make_unique<Listener>(unix_socket), false);
    }
    call_on_reactor(services_.exec, 0, [this] { open_on_reactor(); });
    return endpoints;
}

std::string Server::open_door(std::unique_ptr<Listener> listener, bool tls) {
    doors_.push_back(std::make_unique<Door>(Door{*this, std::move(listener), tls}));
    return doors_.back()->listener->endpoint();
}

void Server::open_on_reactor() {
    const auto& exec = services_.exec;
    shared_.draining = false;
    turn_hook_ = exec->at_turn_end(
        exec.self,
        TENON_TURN_FLUSH,
        [](void* self) { static_cast<Server*>(self)->end_turn(); },
        this
    );
    if (doors_.empty()) {
        return;
    }
    bool kept = false;
    for (const auto& door : doors_) {
        const auto ready = [](void* ctx, std::uint32_t) {
            const Door& at = *static_cast<const Door*>(ctx);
            at.server.protect(nullptr, [&] { at.server.on_acceptable(at); });
        };
        const tenon_status status = exec->watch(
            exec.self, door->listener->fd(), TENON_FD_READ, ready, door.get(), &door->watch
        );
        if (status != TENON_OK) {
            throw Error{status, "the listener cannot be watched"};
        }
        kept = kept || door->listener->kept();
    }
    services_.health->set(services_.health.self, str(k_component), TENON_HEALTHY, {});
    if (kept) {
        hold_until_ns_ = exec->turn_now_ns(exec.self) + k_hold_limit_ns;
        accept_when_started();
    }
}

// Of all that is listened on.
void Server::accept_events(std::uint32_t events) {
    const auto& exec = services_.exec;
    for (const auto& door : doors_) {
        (void)exec->rewatch(exec.self, door->watch, events);
    }
}

// Clients who wait for this process to take over from the one before know nothing of either: they
// are let in when every path is mounted. A server that starts for long lets them in to be told so.
void Server::accept_when_started() {
    const auto& exec = services_.exec;
    const std::int64_t now_ns = exec->turn_now_ns(exec.self);
    accept_timer_ = 0;
    const bool hold = now_ns < hold_until_ns_ && starting();
    accept_events(hold ? 0 : TENON_FD_READ);
    if (hold) {
        const auto again = [](void* self) {
            auto& server = *static_cast<Server*>(self);
            server.protect(nullptr, [&] { server.accept_when_started(); });
        };
        accept_timer_ = exec->timer(exec.self, now_ns + k_hold_step_ns, again, this);
    }
}

// A plugin of the deployment has yet to start; not one that failed, it may never.
bool Server::starting() {
    if (shared_.ready()) {
        return false;
    }
    StringSink report;
    const auto& health = services_.health;
    if (health->report(health.self, report.sink()) != TENON_OK) {
        return false;
    }
    const boost::json::value told = boost::json::parse(report.text());
    for (const auto& plugin : told.at("plugins").as_array()) {
        const std::string_view state = plugin.at("state").as_string();
        if (state == "planned" || state == "created" || state == "configured") {
            return true;
        }
    }
    return false;
}

void Server::close_doors() {
    const auto& exec = services_.exec;
    for (const auto& door : doors_) {
        if (door->watch != 0) {
            exec->unwatch(exec.self, door->watch);
        }
    }
    if (accept_timer_ != 0) {
        exec->cancel_timer(exec.self, std::exchange(accept_timer_, 0));
    }
    doors_.clear();
}

void Server::on_acceptable(const Door& door) {
    begin_turn();
    for (std::size_t i = 0; i < k_accept_batch; ++i) {
        Listener::Accepted accepted;
        switch (door.listener->accept(accepted)) {
            case Listener::Outcome::accepted:
                add(std::move(accepted), door.tls);
                break;
            case Listener::Outcome::nothing:
                return;
            case Listener::Outcome::out_of_descriptors:
                pause_accepting();
                return;
            case Listener::Outcome::failed:
                break;
        }
    }
}

// Level-triggered readiness would spin while there is no descriptor to accept with.
void Server::pause_accepting() {
    const auto& exec = services_.exec;
    const std::string_view reason = "out of file descriptors or memory: accepting is paused";
    services_.health->set(services_.health.self, str(k_component), TENON_DEGRADED, str(reason));
    accept_events(0);
    const auto resume = [](void* self) {
        auto& server = *static_cast<Server*>(self);
        server.accept_timer_ = 0;
        const auto& health = server.services_.health;
        health->set(health.self, str(k_component), TENON_HEALTHY, {});
        server.accept_events(TENON_FD_READ);
    };
    accept_timer_ = exec->timer(exec.self, shared_.now_ns + k_accept_pause_ns, resume, this);
}

}  // namespace tenon::http
