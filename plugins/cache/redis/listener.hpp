// SPDX-License-Identifier: Apache-2.0
// What Redis pushes, as events of the tier: keys that others changed, what others announced, and
// whether all of it is heard.
//
// Redis also tells of this server's own puts. Whether a key that was put here is told of is found
// out by asking who wrote what is there now.
#pragma once

#include "sdk/redis/client.hpp"

#include <tenon/abi/cache_tier.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_set>

namespace tenon::redis_cache {

using Watcher = void (*)(void* ctx, const tenon_cache_tier_event* event);
using WatchState = std::function<void(const std::string& reason)>;

struct Names {
    std::string entries;  // prefix of the entries' keys
    std::string seq;      // the key that a clear changes
    std::string channel;  // of what is announced
    std::string writer;   // of this server, 8 bytes
};

class Listener final : public redis::Listener {
public:
    static constexpr std::size_t k_own_max = 4096;

    Listener(Names names, WatchState watch_state)
        : names_{std::move(names)}, watch_state_{std::move(watch_state)} {}

    // Before the client starts.
    void attach(redis::Client& client) noexcept { client_ = &client; }

    void watch(void* ctx, Watcher fn, std::int64_t clock_offset_ns);

    // Before this server puts that key.
    void will_put(const std::string& redis_key);

    [[nodiscard]] std::uint64_t events() const noexcept { return events_.load(); }

    [[nodiscard]] std::uint64_t gaps() const noexcept { return gaps_.load(); }

private:
    void up() override;
    void down(const std::string& reason, std::int64_t heard_ns) override;
    void pushed(const redis::Reply& push) override;

    void changed(std::string_view redis_key);
    void announced(std::string_view message);
    void tell(std::uint32_t kind, std::string_view subject, std::int64_t since_ns = 0);
    static void writer_heard(void* ctx, const redis::Reply* reply, const Error* why);

    struct Question {
        Listener* listener;
        std::string key;
    };

    const Names names_;
    const WatchState watch_state_;
    redis::Client* client_ = nullptr;
    std::atomic<std::uint64_t> events_{0}, gaps_{0};

    // Of the watcher: held while it is called, so that ending waits for it.
    std::mutex watch_mutex_;
    void* ctx_ = nullptr;
    Watcher fn_ = nullptr;
    std::int64_t offset_ns_ = 0;
    bool trusted_ = false;
    std::int64_t heard_ns_ = 0;  // when it was last trusted; 0: never

    std::mutex own_mutex_;
    std::unordered_set<std::string> own_;  // put here not long ago

    std::int64_t last_number_ = 0;  // of what was announced; the client's thread's
};

}  // namespace tenon::redis_cache
