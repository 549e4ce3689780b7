// SPDX-License-Identifier: Apache-2.0
// A cache tier in Redis, shared by all servers that use the same namespace.
//
// Put, erase and clear are a script each; a get is MGET and TIME in one message. A clear moves a
// number that entries are compared with, so nothing is scanned; what it outdated goes by its expiry
// or by eviction. The tier hears what other servers do by broadcast tracking of its keys and by a
// channel for what is announced, on the same connection; while that is lost, or is silent, it says
// so.
//
// The time to live is counted by the server's clock, in whole ms rounded down. Threads: all
// functions from any thread; get, put, erase, clear, token, put_if and announce wait, at most for
// the command timeout. They throw Error TENON_UNAVAILABLE or TENON_TIMEOUT when Redis cannot be
// asked.
#pragma once

#include "plugins/cache/redis/listener.hpp"
#include "sdk/redis/client.hpp"
#include "sdk/redis/script.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon::redis_cache {

struct TierOptions {
    redis::ClientOptions client;
    std::string name_space = "tenon";
    std::size_t value_bytes_max = std::size_t{8} << 20;
};

struct TierCounts {
    std::atomic<std::uint64_t> hits{0}, misses{0}, puts{0}, erased{0}, conflicts{0};
};

class RedisTier {
public:
    // watch_state(reason) is told that the connection is up (an empty reason) or why it is not.
    RedisTier(TierOptions options, WatchState watch_state);

    void start() { client_.start(); }

    void stop() noexcept { client_.stop(); }

    [[nodiscard]] bool wait_up(std::chrono::nanoseconds timeout) {
        return client_.wait_up(timeout);
    }

    // Calls out(value) and gives the expiry on the caller's clock; nothing: no entry.
    [[nodiscard]] std::optional<std::int64_t>
    get(std::string_view key, std::int64_t now_ns, const std::function<void(std::string_view)>& out
    );
    void put(std::string_view key, std::string_view value, std::int64_t ttl_ns);
    // False: the key changed after the token.
    [[nodiscard]] bool
    put_if(std::string_view key, std::string_view value, std::int64_t ttl_ns, std::uint64_t token);
    [[nodiscard]] std::uint64_t token(std::string_view key);
    [[nodiscard]] bool erase(std::string_view key);
    void clear(std::string_view prefix);
    void announce(std::string_view subject);

    // As tenon_cache_tier_1.watch; clock_offset_ns: the caller's clock minus the steady clock.
    void watch(void* ctx, Watcher fn, std::int64_t clock_offset_ns) {
        listener_.watch(ctx, fn, clock_offset_ns);
    }

    [[nodiscard]] const TierCounts& counts() const noexcept { return counts_; }

    [[nodiscard]] std::uint64_t events() const noexcept { return listener_.events(); }

    // Of the whole server, as last heard; asks anew without waiting.
    [[nodiscard]] std::pair<std::uint64_t, std::uint64_t> bytes_and_max();
    // The server's policy when memory is full, as last heard.
    [[nodiscard]] std::string eviction_policy() const;

    [[nodiscard]] const redis::Client& client() const noexcept { return client_; }

private:
    // The keys of the scripts for one key.
    struct Keys {
        std::string fence, entry;
    };

    struct Clears {
        std::uint64_t seq = 0;
        std::vector<std::pair<std::string, std::uint64_t>> prefixes;
    };

    [[nodiscard]] Keys keys_of(std::string_view key) const;
    [[nodiscard]] redis::Answer
    run(const redis::Script& script, const Keys& keys, const redis::Words& arguments);
    // False when the entry was put before a clear that concerns it.
    [[nodiscard]] bool stands(std::string_view key, std::uint64_t entry_seq, std::uint64_t seq);
    [[nodiscard]] bool write(
        const redis::Script& script,
        std::string_view key,
        std::string_view value,
        std::int64_t ttl_ns,
        const std::string& token
    );
    static void memory_heard(void* ctx, const redis::Reply* reply, const Error* why);

    TierOptions options_;
    std::uint64_t id_;    // of this tier in the process
    std::string writer_;  // 8 bytes
    std::string n_key_, seq_key_, clears_key_, announced_key_, channel_;
    redis::Script put_, put_if_, token_, erase_, clear_, announce_;
    TierCounts counts_;
    std::mutex clears_mutex_;
    Clears clears_;
    std::atomic<bool> asking_{false};
    std::atomic<std::uint64_t> bytes_{0}, bytes_max_{0};
    mutable std::mutex policy_mutex_;
    std::string policy_;
    Listener listener_;
    redis::Client client_;
};

}  // namespace tenon::redis_cache
