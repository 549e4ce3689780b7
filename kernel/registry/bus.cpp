// SPDX-License-Identifier: Apache-2.0
#include "kernel/registry/bus.hpp"

#include "kernel/runtime/clock.hpp"
#include "kernel/runtime/owner.hpp"

#include <tenon/bus_topic.hpp>
#include <tenon/plugin.hpp>

#include <condition_variable>
#include <deque>

namespace tenon::registry {

struct Bus::Message {
    std::string topic, type, data, source;
    std::int64_t time_real_ns;

    [[nodiscard]] std::size_t size() const {
        return topic.size() + type.size() + data.size() + source.size();
    }
};

struct Bus::Subscriber {
    struct Queued {
        std::shared_ptr<const Message> message;
        std::uint64_t missed;
    };

    std::string topic;
    runtime::Reactor* reactor;
    Receive fn;
    void* ctx;
    const runtime::Owner* owner = runtime::t_running.owner;
    std::mutex mutex;
    std::condition_variable idle;
    bool gone = false;         // guarded by mutex
    bool running = false;      // guarded by mutex; fn is being called
    std::deque<Queued> queue;  // guarded by mutex
    std::size_t bytes = 0;     // guarded by mutex
    std::uint64_t missed = 0;  // guarded by mutex; since the newest in the queue
    bool posted = false;       // guarded by mutex; a delivery is on its way

    // False when it had no room.
    bool add(std::shared_ptr<const Message> message) {
        if (queue.size() >= k_queue_max || bytes + message->size() > k_queue_bytes_max) {
            ++missed;
            return false;
        }
        bytes += message->size();
        queue.push_back({std::move(message), std::exchange(missed, 0)});
        return true;
    }
};

tenon_status Bus::publish(
    const std::string& source,
    std::string_view topic,
    std::string_view type,
    std::string_view data
) {
    if (!is_bus_name(topic) || !is_bus_name(type) || data.size() > TENON_BUS_DATA_MAX) {
        return TENON_INVALID;
    }
    const auto message = std::make_shared<const Message>(Message{
        std::string{topic}, std::string{type}, std::string{data}, source, runtime::realtime_ns()});
    const std::lock_guard lock{mutex_};
    for (const auto& [handle, subscriber] : subscribers_) {
        if (!bus_pattern_has(subscriber->topic, topic)) {
            continue;
        }
        auto held = std::make_unique<std::shared_ptr<Subscriber>>(subscriber);
        // What is posted is the subscriber's: it stops with that one, not with the publisher.
        const runtime::CallScope scope{subscriber->owner, "a message of the bus"};
        const std::lock_guard inner{subscriber->mutex};
        missed_.fetch_add(subscriber->add(message) ? 0 : 1, std::memory_order_relaxed);
        // When the reactor takes no more, the next message tries again.
        if (!subscriber->posted && subscriber->reactor->post(&Bus::deliver, held.get())) {
            (void)held.release();
            subscriber->posted = true;
        }
    }
    return TENON_OK;
}

void Bus::deliver(void* subscriber) noexcept {
    std::unique_ptr<std::shared_ptr<Subscriber>> held{
        static_cast<std::shared_ptr<Subscriber>*>(subscriber)};
    Subscriber& mine = **held;
    for (std::size_t i = 0; i < k_turn_max; ++i) {
        Subscriber::Queued next{};
        {
            const std::lock_guard lock{mine.mutex};
            if (mine.queue.empty() || mine.gone) {
                mine.posted = false;
                return;
            }
            next = std::move(mine.queue.front());
            mine.queue.pop_front();
            mine.bytes -= next.message->size();
            mine.running = true;
        }
        const Message& message = *next.message;
        const tenon_bus_message raw{
            sizeof(tenon_bus_message),
            0,
            str(message.topic),
            str(message.type),
            bytes(message.data),
            str(message.source),
            message.time_real_ns,
            next.missed};
        mine.fn(mine.ctx, &raw);
        const std::lock_guard lock{mine.mutex};
        mine.running = false;
        mine.idle.notify_all();
    }
    const std::lock_guard lock{mine.mutex};
    mine.posted = mine.reactor->post(&Bus::deliver, held.get());
    if (mine.posted) {
        (void)held.release();
    }
}

tenon_status Bus::subscribe(
    std::string_view topic,
    std::uint32_t reactor,
    void* ctx,
    Receive fn,
    std::uint64_t* handle
) {
    if (!is_bus_pattern(topic) || reactor >= exec_->reactor_count() || fn == nullptr) {
        return TENON_INVALID;
    }
    auto subscriber = std::make_shared<Subscriber>();
    subscriber->topic = topic;
    subscriber->reactor = &exec_->reactor(reactor);
    subscriber->fn = fn;
    subscriber->ctx = ctx;
    const std::lock_guard lock{mutex_};
    if (subscribers_.size() >= k_subscribers_max) {
        return TENON_UNAVAILABLE;
    }
    *handle = next_++;
    subscribers_.emplace(*handle, std::move(subscriber));
    return TENON_OK;
}

void Bus::unsubscribe(std::uint64_t handle) {
    std::shared_ptr<Subscriber> subscriber;
    {
        const std::lock_guard lock{mutex_};
        const auto found = subscribers_.find(handle);
        if (found == subscribers_.end()) {
            return;
        }
        subscriber = std::move(found->second);
        subscribers_.erase(found);
    }
    std::unique_lock lock{subscriber->mutex};
    subscriber->gone = true;
    // On the reactor itself the call that runs, if any, is the caller's own.
    if (runtime::Reactor::current() != subscriber->reactor) {
        subscriber->idle.wait(lock, [&] { return !subscriber->running; });
    }
}

}  // namespace tenon::registry
