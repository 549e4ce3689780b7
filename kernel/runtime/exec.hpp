// SPDX-License-Identifier: Apache-2.0
// tenon.exec/1: the reactors and the blocking pool behind one table.
#pragma once

#include "kernel/runtime/blocking_pool.hpp"
#include "kernel/runtime/reactor.hpp"

#include <functional>
#include <memory>
#include <vector>

namespace tenon::runtime {

class Exec {
public:
    // blocking_threads 0: as many as cores, at least two.
    Exec(std::uint32_t reactors, std::uint32_t blocking_threads, std::uint32_t spin_us);

    void start();
    // The pools first, since their work may still wait for a reactor; then the reactors. Names what
    // a pool does not come back from within the limit: then the reactors go on, and nothing may
    // go.
    std::vector<std::string> stop(std::chrono::milliseconds limit = std::chrono::seconds{10});

    [[nodiscard]] Reactor& reactor(std::uint32_t index) { return *reactors_[index]; }

    [[nodiscard]] std::uint32_t reactor_count() const {
        return static_cast<std::uint32_t>(reactors_.size());
    }

    [[nodiscard]] BlockingPool& pool() { return *pool_; }

    // For admin commands: they may take long, and wait for what the other pool does.
    [[nodiscard]] BlockingPool& commands() { return *commands_; }

    // After this owner's stop: waits until nothing that it posted or gave to the pool is left, so
    // that it may go. False: not within the limit. Not on a reactor.
    [[nodiscard]] bool fence(const Owner& owner, std::chrono::milliseconds limit);

    // Runs on the reactor, returns when done. TENON_INVALID on a reactor, TENON_UNAVAILABLE when it
    // has stopped.
    [[nodiscard]] tenon_status call(std::uint32_t reactor, tenon_fn fn, void* ctx);

    [[nodiscard]] static const tenon_exec_1& table();

private:
    std::vector<std::unique_ptr<Reactor>> reactors_;
    std::unique_ptr<BlockingPool> pool_;
    std::unique_ptr<BlockingPool> commands_;
};

}  // namespace tenon::runtime
