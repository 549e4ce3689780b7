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

std::string Server::start(std::string_view listen, std::shared_ptr<const TlsContext> tls) {
    if (!listen.empty()) {
        listener_ = std::make_unique<Listener>(listen);
    }
    if (tls) {
        tls_listener_ = std::make_unique<Listener>(shared_.settings.tls_listen);
        set(std::move(tls));
    }
    call_on_reactor(services_.exec, 0, [this] { open_on_reactor(); });
    return listener_ ? listener_->endpoint() : std::string{};
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
    if (!listener_ && !tls_listener_) {
        return;
    }
    bool kept = false;
    if (listener_) {
        const auto ready = [](void* self, std::uint32_t) {
            auto& server = *static_cast<Server*>(self);
            server.protect(nullptr, [&] { server.on_acceptable(*server.listener_, false); });
        };
        watch(*listener_, ready, listener_watch_);
        kept = listener_->kept();
    }
    if (tls_listener_) {
        const auto ready = [](void* self, std::uint32_t) {
            auto& server = *static_cast<Server*>(self);
            server.protect(nullptr, [&] { server.on_acceptable(*server.tls_listener_, true); });
        };
        watch(*tls_listener_, ready, tls_watch_);
        kept = kept || tls_listener_->kept();
    }
    services_.health->set(services_.health.self, str(k_component), TENON_HEALTHY, {});
    if (kept) {
        hold_until_ns_ = exec->turn_now_ns(exec.self) + k_hold_limit_ns;
        accept_when_started();
    }
}

void Server::watch(
    const Listener& listener,
    void (*ready)(void* self, std::uint32_t),
    std::uint64_t& watch
) {
    const auto& exec = services_.exec;
    const tenon_status status =
        exec->watch(exec.self, listener.fd(), TENON_FD_READ, ready, this, &watch);
    if (status != TENON_OK) {
        throw Error{status, "the listener cannot be watched"};
    }
}

// Of all that is listened on.
void Server::accept_events(std::uint32_t events) {
    const auto& exec = services_.exec;
    for (const std::uint64_t watch : {listener_watch_, tls_watch_}) {
        if (watch != 0) {
            (void)exec->rewatch(exec.self, watch, events);
        }
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

void Server::close_listener() {
    const auto& exec = services_.exec;
    for (std::uint64_t* const watch : {&listener_watch_, &tls_watch_}) {
        if (*watch != 0) {
            exec->unwatch(exec.self, std::exchange(*watch, 0));
        }
    }
    if (accept_timer_ != 0) {
        exec->cancel_timer(exec.self, std::exchange(accept_timer_, 0));
    }
    listener_.reset();
    tls_listener_.reset();
}

void Server::on_acceptable(const Listener& listener, bool tls) {
    begin_turn();
    for (std::size_t i = 0; i < k_accept_batch; ++i) {
        Listener::Accepted accepted;
        switch (listener.accept(accepted)) {
            case Listener::Outcome::accepted:
                add(std::move(accepted), tls);
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
