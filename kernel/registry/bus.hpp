// SPDX-License-Identifier: Apache-2.0
// tenon.bus/1: messages between the plugins of this process. Nothing is kept: who subscribes later
// does not get what was published before.
//
// Each subscriber has a queue, bounded in messages and in bytes, and is called on its reactor, so
// many messages a turn. What its queue has no room for is lost to it alone, and the next message
// that fits says how many were.
#pragma once

#include "kernel/runtime/exec.hpp"

#include <tenon/abi/host.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace tenon::registry {

class Bus {
public:
    static constexpr std::size_t k_queue_max = 4096;
    static constexpr std::size_t k_queue_bytes_max = 16U << 20U;
    static constexpr std::size_t k_name_max = 128;  // of a topic or a type
    static constexpr std::size_t k_turn_max = 256;  // messages in one turn of the reactor
    static constexpr std::size_t k_subscribers_max = 1024;

    using Receive = void (*)(void* ctx, const tenon_bus_message*);

    explicit Bus(runtime::Exec& exec) : exec_{&exec} {}

    // [any]
    [[nodiscard]] tenon_status publish(
        const std::string& source,
        std::string_view topic,
        std::string_view type,
        std::string_view data
    );
    // [control] In the name of the thread's owner. TENON_INVALID for a topic, a reactor or a
    // function that is none; TENON_UNAVAILABLE when there are too many.
    [[nodiscard]] tenon_status subscribe(
        std::string_view topic,
        std::uint32_t reactor,
        void* ctx,
        Receive fn,
        std::uint64_t* handle
    );
    // [any] Waits for a call that runs, however full the reactor's queue is; within that call, or
    // elsewhere on the subscriber's reactor, it does not.
    void unsubscribe(std::uint64_t handle);

    // Messages that were lost to some subscriber.
    [[nodiscard]] std::uint64_t missed() const { return missed_.load(std::memory_order_relaxed); }

private:
    struct Message;
    struct Subscriber;

    static void deliver(void* subscriber) noexcept;

    runtime::Exec* exec_;
    std::atomic<std::uint64_t> missed_{0};
    std::mutex mutex_;
    std::map<std::uint64_t, std::shared_ptr<Subscriber>> subscribers_;  // guarded by mutex_
    std::uint64_t next_ = 1;                                            // guarded by mutex_
};

}  // namespace tenon::registry
