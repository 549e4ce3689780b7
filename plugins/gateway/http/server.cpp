// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/http/server.hpp"

#include <boost/json/parse.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace tenon::http {
namespace {

constexpr std::size_t k_accept_batch = 64;
constexpr std::size_t k_refused_max = 64;  // connections over the limit that get a 503
constexpr std::int64_t k_accept_pause_ns = 500'000'000;
constexpr std::int64_t k_hold_step_ns = 5'000'000;
constexpr std::int64_t k_hold_limit_ns = 10'000'000'000;
constexpr unsigned k_generation_shift = 24;
constexpr unsigned k_index_shift = 40;
// Of a WebSocket, in the system's buffer: what is not sent yet waits here instead, where its user
// can see it and put the newest in its place. More than a fast link needs between two turns.
constexpr int k_unsent_max_bytes = 128 * 1024;
constexpr std::string_view k_component = "listener";
constexpr ReadFault k_full{503, "too_many_connections", "the server has too many connections"};

std::uint64_t id_of(std::size_t index, std::uint16_t generation) {
    return std::uint64_t{index} << k_index_shift | std::uint64_t{generation} << k_generation_shift;
}

}  // namespace

Server::Slot::Slot(Server& owner, std::uint64_t id, Listener::Accepted accepted)
    : server{owner}, connection{owner.shared_, id, std::move(accepted.remote)}, fd{accepted.fd} {}

Server::Server(const ServerServices& services, const Settings& settings)
    : services_{services}, wheel_{services.clock->now_ns(services.clock.self)} {
    shared_.settings = settings;
    shared_.health = services.health;
    make_metrics();
}

Server::~Server() = default;

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

void Server::make_metrics() {
    if (!services_.metrics) {
        return;
    }
    const tenon::Metrics make{services_.metrics};
    Metrics& metrics = shared_.metrics;
    static constexpr std::string_view k_classes[] = {"1xx", "2xx", "3xx", "4xx", "5xx"};
    for (std::size_t i = 0; i < metrics.requests.size(); ++i) {
        metrics.requests[i] = make.counter(
            "tenon_http_requests_total", "Requests answered", {{"status", k_classes[i]}}
        );
    }
    metrics.limited =
        make.counter("tenon_http_limited_total", "Requests refused because of address_limit");
    metrics.overloaded = make.counter(
        "tenon_http_overloaded_total", "Requests refused because of concurrency_limit"
    );
    metrics.connections_refused = make.counter(
        "tenon_http_connections_refused_total", "Connections refused because of connections_max"
    );
    metrics.ws_frames = make.counter("tenon_ws_frames_total", "WebSocket messages queued");
    metrics.ws_compressed =
        make.counter("tenon_ws_compressed_total", "WebSocket messages queued in compressed form");
    metrics.ws_slow_closed = make.counter(
        "tenon_ws_slow_closed_total", "WebSockets closed because the client read too slowly"
    );
    metrics.ws_rate_closed = make.counter(
        "tenon_ws_rate_closed_total", "WebSockets closed for too many messages per second"
    );
    metrics.connections = make.gauge("tenon_http_connections", "Open connections");
    metrics.ws_connections = make.gauge("tenon_ws_connections", "Open WebSockets");
    metrics.duration = make.histogram(
        "tenon_http_request_duration_seconds", "From reading a request to its answer"
    );
}

std::string Server::start(std::string_view listen) {
    if (!listen.empty()) {
        listener_ = std::make_unique<Listener>(listen);
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
    if (!listener_) {
        return;
    }
    const auto ready = [](void* self, std::uint32_t) {
        auto& server = *static_cast<Server*>(self);
        server.protect(nullptr, [&] { server.on_acceptable(); });
    };
    const tenon_status status =
        exec->watch(exec.self, listener_->fd(), TENON_FD_READ, ready, this, &listener_watch_);
    if (status != TENON_OK) {
        throw Error{status, "the listener cannot be watched"};
    }
    services_.health->set(services_.health.self, str(k_component), TENON_HEALTHY, {});
    if (listener_->kept()) {
        hold_until_ns_ = exec->turn_now_ns(exec.self) + k_hold_limit_ns;
        accept_when_started();
    }
}

// Clients who wait for this process to take over from the one before know nothing of either: they
// are let in when every path is mounted. A server that starts for long lets them in to be told so.
void Server::accept_when_started() {
    const auto& exec = services_.exec;
    const std::int64_t now_ns = exec->turn_now_ns(exec.self);
    accept_timer_ = 0;
    const bool hold = now_ns < hold_until_ns_ && starting();
    (void)exec->rewatch(exec.self, listener_watch_, hold ? 0 : TENON_FD_READ);
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
    if (listener_watch_ != 0) {
        exec->unwatch(exec.self, std::exchange(listener_watch_, 0));
    }
    if (accept_timer_ != 0) {
        exec->cancel_timer(exec.self, std::exchange(accept_timer_, 0));
    }
    listener_.reset();
}

void Server::drain(bool also_unused) {
    call_on_reactor(services_.exec, 0, [this, also_unused] {
        begin_turn();
        close_listener();
        shared_.draining = true;
        for (const auto& slot : slots_) {
            if (slot && slot->fd >= 0) {
                mark_dirty(*slot);
                protect(slot.get(), [&] { read_some(*slot); });  // what has come is answered
                slot->connection.drain(also_unused);
            }
        }
    });
}

void Server::stop() {
    call_on_reactor(services_.exec, 0, [this] {
        const auto& exec = services_.exec;
        begin_turn();
        close_listener();
        for (const auto& slot : slots_) {
            if (slot && slot->fd >= 0) {
                slot->connection.lost();
                close_socket(*slot);
            }
        }
        if (tick_timer_ != 0) {
            exec->cancel_timer(exec.self, std::exchange(tick_timer_, 0));
        }
        if (turn_hook_ != 0) {
            exec->remove_turn_hook(exec.self, std::exchange(turn_hook_, 0));
        }
        dirty_.clear();
        stalled_.clear();
        slots_.clear();
        free_.clear();
        generations_.clear();
        open_ = 0;
        in_turn_ = false;
    });
}

// The clocks are read once a turn, by whoever comes first.
void Server::begin_turn() {
    if (!in_turn_) {
        in_turn_ = true;
        shared_.now_ns = services_.exec->turn_now_ns(services_.exec.self);
        shared_.now_real_ns = services_.clock->now_real_ns(services_.clock.self);
    }
}

void Server::on_acceptable() {
    begin_turn();
    for (std::size_t i = 0; i < k_accept_batch; ++i) {
        Listener::Accepted accepted;
        switch (listener_->accept(accepted)) {
            case Listener::Outcome::accepted:
                add(std::move(accepted));
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
    (void)exec->rewatch(exec.self, listener_watch_, 0);
    const auto resume = [](void* self) {
        auto& server = *static_cast<Server*>(self);
        server.accept_timer_ = 0;
        const auto& health = server.services_.health;
        health->set(health.self, str(k_component), TENON_HEALTHY, {});
        (void)server.services_.exec->rewatch(
            server.services_.exec.self, server.listener_watch_, TENON_FD_READ
        );
    };
    accept_timer_ = exec->timer(exec.self, shared_.now_ns + k_accept_pause_ns, resume, this);
}

void Server::add(Listener::Accepted accepted) {
    const std::size_t limit = shared_.settings.connections_max;
    if (open_ >= limit) {
        shared_.metrics.connections_refused.add();
    }
    if (open_ >= limit + k_refused_max) {
        close(accepted.fd);
        return;
    }
    if (free_.empty()) {
        free_.push_back(static_cast<std::uint32_t>(slots_.size()));
        slots_.emplace_back();
        generations_.push_back(0);
    }
    const std::uint32_t index = free_.back();
    free_.pop_back();
    const std::uint16_t generation = generations_[index] == 0xFFFF
                                         ? std::uint16_t{1}
                                         : static_cast<std::uint16_t>(generations_[index] + 1);
    generations_[index] = generation;
    slots_[index] = std::make_unique<Slot>(*this, id_of(index, generation), std::move(accepted));
    Slot& slot = *slots_[index];
    ++open_;
    shared_.metrics.connections.add(1);
    if (open_ > limit) {
        slot.connection.refuse(k_full);
        mark_dirty(slot);
    }
    watch_for(slot, TENON_FD_READ);
    schedule(slot);
}

void Server::watch_for(Slot& slot, std::uint32_t events) {
    const auto& exec = services_.exec;
    if (slot.watch != 0) {
        if (events != slot.interest) {
            (void)exec->rewatch(exec.self, slot.watch, events);
            slot.interest = events;
        }
        return;
    }
    const auto ready = [](void* ctx, std::uint32_t what) {
        auto& mine = *static_cast<Slot*>(ctx);
        mine.server.protect(&mine, [&] { mine.server.on_ready(mine, what); });
    };
    slot.interest = events;
    if (exec->watch(exec.self, slot.fd, events, ready, &slot, &slot.watch) != TENON_OK) {
        slot.connection.lost();
        mark_dirty(slot);
    }
}

void Server::on_ready(Slot& slot, std::uint32_t ready) {
    begin_turn();
    mark_dirty(slot);
    if ((ready & TENON_FD_READ) != 0) {
        read_some(slot);
    } else if ((ready & TENON_FD_ERROR) != 0) {
        slot.connection.lost();
    }
}

void Server::read_some(Slot& slot) {
    const std::span<char> room = slot.connection.room();
    if (room.empty()) {
        return;
    }
    const ssize_t size = recv(slot.fd, room.data(), room.size(), 0);
    if (size > 0) {
        slot.connection.received(static_cast<std::size_t>(size));
    } else if (size == 0) {
        slot.connection.end_of_input();
    } else if (errno != EAGAIN && errno != EINTR) {
        slot.connection.lost();
    }
}

void Server::mark_dirty(Slot& slot) {
    if (!slot.dirty) {
        slot.dirty = true;
        dirty_.push_back(&slot);
    }
}

void Server::end_turn() {
    if (dirty_.empty()) {
        in_turn_ = false;
        return;
    }
    begin_turn();
    // Handlers that hear of an end may make further connections dirty: they come in this loop too.
    for (std::size_t i = 0; i < dirty_.size(); ++i) {
        Slot& slot = *dirty_[i];
        protect(&slot, [&] { flush(slot); });
    }
    for (Slot* const slot : dirty_) {
        slot->dirty = false;
        if (slot->fd < 0 && !slot->connection.borrowed()) {
            const std::size_t index = slot->connection.id() >> k_index_shift;
            slots_[index].reset();
            free_.push_back(static_cast<std::uint32_t>(index));
        }
    }
    dirty_.clear();
    if (!shared_.answered.empty() && services_.metrics) {
        const std::int64_t now_ns = services_.clock->now_ns(services_.clock.self);
        for (const std::int64_t received_ns : shared_.answered) {
            shared_.metrics.duration.observe(std::chrono::nanoseconds{now_ns - received_ns});
        }
    }
    shared_.answered.clear();
    in_turn_ = false;
    if (!stalled_.empty() && !resuming_) {
        resuming_ = services_.exec->post(
                        services_.exec.self,
                        0,
                        [](void* self) {
                            auto& server = *static_cast<Server*>(self);
                            server.protect(nullptr, [&] { server.resume_stalled(); });
                        },
                        this
                    ) == TENON_OK;
    }
}

void Server::flush(Slot& slot) {
    if (slot.fd < 0) {
        return;
    }
    write_out(slot);
    if (slot.connection.finished()) {
        if (!slot.connection.lingers()) {
            close_socket(slot);
            return;
        }
        shutdown(slot.fd, SHUT_WR);
        slot.connection.start_lingering();
    }
    settle(slot);
}

void Server::write_out(Slot& slot) {
    std::array<iovec, 64> parts{};
    while (slot.connection.has_output()) {
        const std::size_t count = slot.connection.gather(parts.data(), parts.size());
        msghdr message{};
        message.msg_iov = parts.data();
        message.msg_iovlen = count;
        const ssize_t size = count == 1
                                 ? send(slot.fd, parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL)
                                 : sendmsg(slot.fd, &message, MSG_NOSIGNAL);
        if (size < 0) {
            if (errno == EINTR) {
                continue;
            }
            if (errno != EAGAIN) {
                slot.connection.lost();
            }
            return;
        }
        slot.connection.written(static_cast<std::size_t>(size));
    }
}

// After a turn: which events to wait for, until when, and whether input is left that could go on.
void Server::settle(Slot& slot) {
    if (!slot.unsent_bounded && slot.connection.websocket() != nullptr) {
        // Without it only more is queued by the system.
        (void)setsockopt(
            slot.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &k_unsent_max_bytes, sizeof k_unsent_max_bytes
        );
        slot.unsent_bounded = true;
    }
    const std::uint32_t events = (slot.connection.wants_input() ? TENON_FD_READ : 0U) |
                                 (slot.connection.has_output() ? TENON_FD_WRITE : 0U);
    watch_for(slot, events);
    if (slot.connection.stalled()) {
        stalled_.push_back(slot.connection.id());
    }
    schedule(slot);
}

void Server::close_socket(Slot& slot) {
    if (slot.fd < 0) {
        return;
    }
    if (slot.watch != 0) {
        services_.exec->unwatch(services_.exec.self, std::exchange(slot.watch, 0));
    }
    close(std::exchange(slot.fd, -1));
    slot.connection.lost();
    --open_;
    shared_.metrics.connections.add(-1);
    mark_dirty(slot);
}

void Server::resume_stalled() {
    begin_turn();
    resuming_ = false;
    const std::vector<std::uint64_t> ids = std::exchange(stalled_, {});
    for (const std::uint64_t id : ids) {
        if (Slot* const slot = find(id); slot != nullptr && slot->fd >= 0) {
            mark_dirty(*slot);
            protect(slot, [&] { slot->connection.resume(); });
        }
    }
}

void Server::schedule(Slot& slot) {
    const std::int64_t deadline_ns = slot.connection.deadline_ns();
    if (deadline_ns < slot.wheel_due_ns) {
        slot.wheel_due_ns = wheel_.add(slot.connection.id(), deadline_ns);
        arm_tick();
    }
}

void Server::arm_tick() {
    if (tick_timer_ == 0) {
        tick_timer_ = services_.exec->timer(
            services_.exec.self,
            shared_.now_ns + TimerWheel::k_tick_ns,
            [](void* self) {
                auto& server = *static_cast<Server*>(self);
                server.tick_timer_ = 0;
                server.protect(nullptr, [&] { server.tick(); });
            },
            this
        );
    }
}

void Server::tick() {
    begin_turn();
    wheel_.advance(shared_.now_ns, [this](std::uint64_t id) {
        Slot* const slot = find(id);
        if (slot == nullptr || slot->fd < 0) {
            return;
        }
        slot->wheel_due_ns = Connection::k_never;
        if (slot->connection.deadline_ns() <= shared_.now_ns) {
            mark_dirty(*slot);
            protect(slot, [&] { slot->connection.due(); });
        } else {
            schedule(*slot);
        }
    });
    if (open_ != 0) {
        arm_tick();
    }
}

Server::Slot* Server::find(std::uint64_t id) noexcept {
    const std::size_t index = id >> k_index_shift;
    if (index >= slots_.size() || !slots_[index]) {
        return nullptr;
    }
    Slot& slot = *slots_[index];
    return slot.connection.id() == (id & ~Connection::k_sequence_mask) ? &slot : nullptr;
}

std::uint64_t Server::mount(Route route) {
    std::uint64_t handle = 0;
    call_on_reactor(services_.exec, 0, [&] { handle = shared_.routes.add(std::move(route)); });
    return handle;
}

void Server::unmount(std::uint64_t handle) {
    call_on_reactor(services_.exec, 0, [&] {
        begin_turn();
        if (!shared_.routes.remove(handle)) {
            return;
        }
        for (const auto& slot : slots_) {
            if (slot) {
                slot->connection.unmount(handle);
                mark_dirty(*slot);
            }
        }
    });
}

tenon_status Server::respond(std::uint64_t request, const tenon_http_response& response) {
    Slot* const slot = find(request);
    if (slot == nullptr) {
        return TENON_NOT_FOUND;
    }
    begin_turn();
    mark_dirty(*slot);
    return slot->connection.respond(request, response);
}

tenon_status Server::ws_send(std::uint64_t connection, tenon_ws_frame& frame) {
    Slot* const slot = find(connection);
    if (slot == nullptr || slot->fd < 0 || slot->connection.websocket() == nullptr) {
        return TENON_NOT_FOUND;
    }
    begin_turn();
    mark_dirty(*slot);
    return slot->connection.websocket()->send(frame);
}

std::uint64_t Server::ws_queued(std::uint64_t connection) {
    Slot* const slot = find(connection);
    const bool open = slot != nullptr && slot->connection.websocket() != nullptr;
    return open ? slot->connection.websocket()->output().bytes() : 0;
}

tenon_status
Server::ws_close(std::uint64_t connection, std::uint16_t code, std::string_view reason) {
    Slot* const slot = find(connection);
    if (slot == nullptr || slot->fd < 0 || slot->connection.websocket() == nullptr) {
        return TENON_NOT_FOUND;
    }
    begin_turn();
    mark_dirty(*slot);
    return slot->connection.websocket()->close(code, reason);
}

}  // namespace tenon::http
