// SPDX-License-Identifier: Apache-2.0
#include "kernel/runtime/exec.hpp"

#include <algorithm>
#include <future>
#include <thread>

namespace tenon::runtime {

namespace {

constexpr std::uint32_t k_command_threads = 4;

Exec& of(void* self) noexcept {
    return *static_cast<Exec*>(self);
}

struct Table {
    static std::uint32_t reactor_count(void* self) noexcept { return of(self).reactor_count(); }

    static std::int32_t current_reactor(void*) noexcept {
        const Reactor* current = Reactor::current();
        return current == nullptr ? -1 : static_cast<std::int32_t>(current->index());
    }

    static tenon_status post(void* self, std::uint32_t reactor, tenon_fn fn, void* ctx) noexcept {
        if (reactor >= of(self).reactor_count() || fn == nullptr) {
            return TENON_INVALID;
        }
        return of(self).reactor(reactor).post(fn, ctx) ? TENON_OK : TENON_UNAVAILABLE;
    }

    static tenon_status watch(
        void*,
        std::int32_t fd,
        std::uint32_t events,
        tenon_fd_fn fn,
        void* ctx,
        std::uint64_t* handle
    ) noexcept {
        Reactor* current = Reactor::current();
        return current == nullptr ? TENON_INVALID : current->watch(fd, events, fn, ctx, handle);
    }

    static tenon_status rewatch(void*, std::uint64_t handle, std::uint32_t events) noexcept {
        Reactor* current = Reactor::current();
        return current == nullptr ? TENON_INVALID : current->rewatch(handle, events);
    }

    static void unwatch(void*, std::uint64_t handle) noexcept {
        if (Reactor* current = Reactor::current(); current != nullptr) {
            current->unwatch(handle);
        }
    }

    static std::uint64_t timer(void*, std::int64_t deadline_ns, tenon_fn fn, void* ctx) noexcept {
        Reactor* current = Reactor::current();
        return current == nullptr || fn == nullptr ? 0 : current->timer(deadline_ns, fn, ctx);
    }

    static void cancel_timer(void*, std::uint64_t id) noexcept {
        if (Reactor* current = Reactor::current(); current != nullptr) {
            current->cancel_timer(id);
        }
    }

    static std::uint64_t at_turn_end(void*, std::int32_t phase, tenon_fn fn, void* ctx) noexcept {
        Reactor* current = Reactor::current();
        return current == nullptr || fn == nullptr ? 0 : current->at_turn_end(phase, fn, ctx);
    }

    static void remove_turn_hook(void*, std::uint64_t handle) noexcept {
        if (Reactor* current = Reactor::current(); current != nullptr) {
            current->remove_turn_hook(handle);
        }
    }

    static std::int64_t turn_now_ns(void*) noexcept {
        const Reactor* current = Reactor::current();
        return current == nullptr ? 0 : current->turn_now_ns();
    }

    static tenon_status run_blocking(void* self, tenon_fn fn, void* ctx) noexcept {
        if (fn == nullptr) {
            return TENON_INVALID;
        }
        return of(self).pool().run(fn, ctx) ? TENON_OK : TENON_UNAVAILABLE;
    }

    static tenon_status call(void* self, std::uint32_t reactor, tenon_fn fn, void* ctx) noexcept {
        return fn == nullptr ? TENON_INVALID : of(self).call(reactor, fn, ctx);
    }
};

}  // namespace

Exec::Exec(std::uint32_t reactors, std::uint32_t blocking_threads, std::uint32_t spin_us) {
    for (std::uint32_t i = 0; i < std::max(reactors, 1U); ++i) {
        reactors_.push_back(std::make_unique<Reactor>(i, spin_us));
    }
    if (blocking_threads == 0) {
        blocking_threads = std::max(2U, std::thread::hardware_concurrency());
    }
    pool_ = std::make_unique<BlockingPool>(blocking_threads);
    commands_ = std::make_unique<BlockingPool>(k_command_threads);
}

void Exec::start() {
    for (const auto& reactor : reactors_) {
        reactor->start();
    }
}

std::vector<std::string> Exec::stop(std::chrono::milliseconds limit) {
    std::vector<std::string> left = pool_->stop(limit);
    const std::vector<std::string> commands = commands_->stop(limit);
    left.insert(left.end(), commands.begin(), commands.end());
    for (const auto& reactor : reactors_) {
        if (left.empty()) {
            reactor->stop();
        }
    }
    return left;
}

tenon_status Exec::call(std::uint32_t reactor, tenon_fn fn, void* ctx) {
    if (Reactor::current() != nullptr || reactor >= reactor_count()) {
        return TENON_INVALID;
    }

    struct Call {
        tenon_fn fn;
        void* ctx;
        std::promise<void> done;
    } call{fn, ctx, {}};

    const auto run = [](void* mine) {
        auto& pending = *static_cast<Call*>(mine);
        pending.fn(pending.ctx);
        pending.done.set_value();
    };
    if (!reactors_[reactor]->post(run, &call)) {
        return TENON_UNAVAILABLE;
    }
    call.done.get_future().wait();
    return TENON_OK;
}

bool Exec::fence(const Owner& owner, std::chrono::milliseconds limit) {
    const bool left = pool_->leave(owner, limit);
    // What is posted runs in order; a second round is for what the first one posted.
    for (std::uint32_t i = 0; left && i < 2 * reactor_count(); ++i) {
        if (call(
                i / 2, [](void*) {}, nullptr
            ) != TENON_OK) {
            return false;
        }
    }
    return left;
}

const tenon_exec_1& Exec::table() {
    static constexpr tenon_exec_1 k_table{
        sizeof(tenon_exec_1),
        0,
        &Table::reactor_count,
        &Table::current_reactor,
        &Table::post,
        &Table::watch,
        &Table::rewatch,
        &Table::unwatch,
        &Table::timer,
        &Table::cancel_timer,
        &Table::at_turn_end,
        &Table::remove_turn_hook,
        &Table::turn_now_ns,
        &Table::run_blocking,
        &Table::call};
    return k_table;
}

}  // namespace tenon::runtime
