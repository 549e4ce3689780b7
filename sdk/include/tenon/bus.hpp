// SPDX-License-Identifier: Apache-2.0
// C++ side of tenon.bus/1: events between plugins of one server.
//
//   bus_.open(host());                                                    // in start
//   bus_.subscribe("cache.*", [this](const tenon_bus_message& m) { … });  // on reactor 0
//   bus_.publish("cache.invalidated", "tenon.cache_key/1", key);
//
// Bus owns its subscriptions: clear() or the destructor ends them, on the control thread. Not
// durable; what a subscriber missed is in the message's `missed`.
#pragma once

#include <tenon/plugin.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tenon {

class Bus {
public:
    using Handler = std::function<void(const tenon_bus_message&)>;

    Bus() = default;

    ~Bus() { clear(); }

    Bus(const Bus&) = delete;
    Bus& operator=(const Bus&) = delete;

    // [control] Throws Error TENON_UNSUPPORTED when the host has no bus.
    void open(const Host& host) { service_ = host.service<tenon_bus_1>("tenon.bus/1"); }

    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(service_); }

    // [any] Throws Error TENON_INVALID: topic or length.
    void publish(std::string_view topic, std::string_view type, std::string_view data) const {
        if (const tenon_status status =
                service_->publish(service_.self, str(topic), str(type), bytes(data));
            status != TENON_OK) {
            throw Error{status, "cannot publish " + std::string{topic}};
        }
    }

    // [control] The handler runs on that reactor; what it throws is dropped.
    void subscribe(std::string_view topic, Handler handler, std::uint32_t reactor = 0) {
        subscribed_.push_back(std::make_unique<Subscribed>(Subscribed{std::move(handler), 0}));
        Subscribed& mine = *subscribed_.back();
        const tenon_status status =
            service_->subscribe(service_.self, str(topic), reactor, &mine, &run, &mine.handle);
        if (status != TENON_OK) {
            subscribed_.pop_back();
            throw Error{status, "cannot subscribe to " + std::string{topic}};
        }
    }

    // [control] After it returns no handler runs.
    void clear() noexcept {
        for (const auto& subscribed : subscribed_) {
            service_->unsubscribe(service_.self, subscribed->handle);
        }
        subscribed_.clear();
    }

private:
    struct Subscribed {
        Handler handler;
        std::uint64_t handle;
    };

    static void run(void* ctx, const tenon_bus_message* message) noexcept {
        (void)guard(nullptr, [&] { static_cast<const Subscribed*>(ctx)->handler(*message); });
    }

    Service<tenon_bus_1> service_;
    std::vector<std::unique_ptr<Subscribed>> subscribed_;
};

}  // namespace tenon
