// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/http/server.hpp"

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

constexpr std::size_t k_refused_max = 64;  // connections over the limit that get a 503
constexpr std::int64_t k_ms = 1'000'000;
constexpr unsigned k_generation_shift = 24;
constexpr unsigned k_index_shift = 40;
// Of a WebSocket, in the system's buffer: what is not sent yet waits here instead, where its user
// can see it and put the newest in its place. More than a fast link needs between two turns.
constexpr int k_unsent_max_bytes = 128 * 1024;
constexpr ReadFault k_full{503, "too_many_connections", "the server has too many connections"};

std::uint64_t id_of(std::size_t index, std::uint16_t generation) {
    return std::uint64_t{index} << k_index_shift | std::uint64_t{generation} << k_generation_shift;
}

}  // namespace

Server::Slot::Slot(
    Server& owner,
    std::uint64_t id,
    Listener::Accepted accepted,
    std::unique_ptr<TlsSession> session
)
    : server{owner},
      connection{owner.shared_, id, std::move(accepted.remote)},
      fd{accepted.fd},
      tls{std::move(session)} {}

Server::Server(const ServerServices& services, const Settings& settings)
    : services_{services}, wheel_{services.clock->now_ns(services.clock.self)} {
    shared_.settings = settings;
    shared_.health = services.health;
    make_metrics();
}

Server::~Server() = default;

void Server::drain(bool also_unused) {
    call_on_reactor(services_.exec, 0, [this, also_unused] {
        begin_turn();
        close_doors();
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
        close_doors();
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

void Server::add(Listener::Accepted accepted, bool tls) {
    const std::size_t limit = shared_.settings.connections_max;
    if (open_ >= limit) {
        shared_.metrics.connections_refused.add();
    }
    if (open_ >= limit + k_refused_max) {
        close(accepted.fd);
        return;
    }
    std::unique_ptr<TlsSession> session;
    const auto secure = [&] { session = std::make_unique<TlsSession>(*tls_, accepted.fd); };
    if (tls && guard(nullptr, secure) != TENON_OK) {
        close(accepted.fd);  // out of memory
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
    slots_[index] = std::make_unique<Slot>(
        *this, id_of(index, generation), std::move(accepted), std::move(session)
    );
    Slot& slot = *slots_[index];
    if (slot.tls) {
        slot.handshake_due_ns = shared_.now_ns + shared_.settings.header_timeout_ms * k_ms;
    }
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
    if ((ready & TENON_FD_READ) != 0 || (slot.tls && slot.tls->wants_write())) {
        read_some(slot);
    } else if ((ready & TENON_FD_ERROR) != 0) {
        slot.connection.lost();
    }
}

void Server::read_some(Slot& slot) {
    if (slot.tls) {
        read_tls(slot);
        return;
    }
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
    if (slot.tls) {
        write_tls(slot);
    } else {
        write_out(slot);
    }
    if (slot.connection.finished() && (!slot.tls || !slot.tls->has_output())) {
        if (slot.tls) {
            slot.tls->say_end();
        }
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
    bool reads = slot.connection.wants_input();
    bool writes = slot.connection.has_output();
    bool here = slot.connection.stalled();
    if (slot.tls) {
        const TlsSession& tls = *slot.tls;
        const bool open = tls.established();
        here = here || (open && reads && tls.has_input());
        reads = open ? reads || (tls.has_output() && tls.wants_read()) : tls.wants_read();
        writes = open ? writes || tls.has_output() : tls.wants_write();
    }
    watch_for(slot, (reads ? TENON_FD_READ : 0U) | (writes ? TENON_FD_WRITE : 0U));
    if (here) {
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
            protect(slot, [&] {
                slot->connection.resume();
                if (slot->tls && slot->tls->has_input()) {
                    read_tls(*slot);
                }
            });
        }
    }
}

void Server::schedule(Slot& slot) {
    const std::int64_t deadline_ns = deadline_of(slot);
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
        } else if (deadline_of(*slot) <= shared_.now_ns) {
            shared_.metrics.tls_failures.add();
            close_socket(*slot);  // its handshake takes too long
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
