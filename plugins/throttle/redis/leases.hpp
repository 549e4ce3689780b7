// SPDX-License-Identifier: Apache-2.0
// Takes tokens from Redis ahead of need, on a thread of its own.
//
// A key that has spent half of what it may hold, or was refused, asks for a refill by one script:
// it advances the key's bucket and says after what time the tokens count. So each refill is one
// command, none is refused, and servers are served in the order of asking. Tokens that a refused
// request wanted beyond what a server may hold, and that nobody took, are given back after a
// quarter of a second.
//
// While there is no Redis the limits decide by their part of the rate (see plan.hpp), beginning
// empty; so they do beside a Redis that drops keys when its memory is full: a bucket that it has
// dropped would count as full.
//
// Beside that it keeps up with the other servers (see peers.hpp): how many there are, whose part a
// server takes when Redis is lost, blocks by an upstream, and levels that were set elsewhere.
#pragma once

#include "plugins/throttle/redis/peers.hpp"
#include "plugins/throttle/redis/shared_limit.hpp"
#include "sdk/redis/client.hpp"
#include "sdk/redis/script.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace tenon::redis_throttle {

struct LeaseCounts {
    std::atomic<std::uint64_t> refills{0}, tokens{0}, returned{0}, lost{0};
};

struct LeaseOptions {
    redis::ClientOptions client;
    std::string name_space;
    std::int64_t servers = 1;  // the most that there should be
    std::chrono::nanoseconds heartbeat = std::chrono::seconds{1};
};

// Whose limits they are. Called on threads of the leases.
struct LeaseOwner {
    // The limits, nullptr behind the last; they outlive the leases.
    std::function<SharedLimit*(std::size_t)> limit_at;
    // Why limits are not shared as they should be; empty: they are. At each change.
    std::function<void(const std::string& reason)> watch_state;
    // Somebody has set it on another server, now or long ago; at each heartbeat.
    std::function<void(std::string_view limit, std::string_view level)> set_level;
    // The clock that the limits are asked by.
    std::function<std::int64_t()> now_ns;
};

class Leases final : private redis::Listener {
public:
    Leases(LeaseOptions options, LeaseOwner owner);
    ~Leases();

    void start();
    void stop() noexcept;

    // True: limits are shared. False: they are not, and cannot be yet, or the time is over.
    [[nodiscard]] bool wait_up(std::chrono::nanoseconds timeout);

    // [any] The other servers are told; without Redis as soon as it is there.
    void tell_level(std::string_view limit, std::string_view level);

    // How many servers share the limits, this one too; 0: not known yet.
    [[nodiscard]] std::int64_t servers() const noexcept { return servers_.load(); }

    // Why limits are not shared as they should be; empty: they are.
    [[nodiscard]] std::string reason() const;

    // [nonblock]
    [[nodiscard]] Mode mode() const noexcept {
        return {leased_.load(std::memory_order_acquire), cuts_.load(std::memory_order_acquire)};
    }

    [[nodiscard]] const LeaseCounts& counts() const noexcept { return counts_; }

    [[nodiscard]] const redis::Client& client() const noexcept { return client_; }

private:
    enum class Stage { idle, asked, granted };

    // A key that is being refilled. Owned by the thread; asked and answered under the mutex.
    struct Refill {
        Leases* leases;
        SharedLimit* limit;
        Place* place;
        std::uint64_t key;
        std::int64_t wanted = 0;  // by a request for more than is held; kept until it is granted
        Stage stage = Stage::idle;
        std::int64_t tokens = 0;
        std::int64_t due_ns = 0;    // granted: when they count
        std::int64_t extra_ns = 0;  // since when it holds more than it may; 0: it does not
        bool whole_script = false;  // the server does not know it
    };

    void up() override;
    void down(const std::string& reason, std::int64_t heard_ns) override;
    void pushed(const redis::Reply& push) override;
    static void beat_heard(void* ctx, const redis::Reply* reply, const Error* why);
    static void level_heard(void* ctx, const redis::Reply* reply, const Error* why);
    // All of these under the mutex. The first two leave it while they call the owner.
    void tell_state(std::unique_lock<std::mutex>& lock);
    void use_news(std::unique_lock<std::mutex>& lock);
    void keep_up(std::int64_t now_ns);
    void heard(Beat beat);
    void add_news(News news);
    void tell_block(SharedLimit& limit, Place& place);
    void resume();
    // Limits are not shared from here on.
    void cut_off() noexcept;
    static void resume_heard(void* ctx, const redis::Reply* reply, const Error* why);
    void resume_in(std::int64_t wait_ns);
    static void answered(void* ctx, const redis::Reply* reply, const Error* why);

    void run();
    // True: something is going on, so the next look is soon.
    [[nodiscard]] bool look(std::int64_t now_ns);
    void collect_marked();
    // False: there is nothing more to do for it.
    [[nodiscard]] bool advance(Refill& refill, std::int64_t now_ns);
    void ask(Refill& refill, std::int64_t tokens);
    static void want_again(Refill& refill);
    void give_back(const Refill& refill, std::int64_t tokens);
    [[nodiscard]] std::string key_of(const Refill& refill) const;

    // A level that the others do not know yet.
    struct Untold {
        Leases* leases;
        SharedLevel level;
        bool asked = false;
    };

    const LeaseOptions options_;
    const LeaseOwner owner_;
    const Peers peers_;
    const std::string prefix_;
    const std::string born_key_, active_key_, resume_key_, settle_us_;
    const redis::Script reserve_, return_;
    LeaseCounts counts_;
    std::atomic<bool> leased_{false};
    std::atomic<std::uint32_t> cuts_{0};

    std::atomic<std::int64_t> servers_{0};

    mutable std::mutex mutex_;  // of what follows
    std::condition_variable changed_;
    bool stopping_ = false;
    bool resume_wanted_ = false;  // Redis is there (again), and nothing was heard of it yet
    bool refused_ = false;        // … and is none for this
    bool beating_ = false;        // a beat is under way
    std::int64_t beat_ns_ = 0;    // when the next one is due
    News news_;                   // not used yet
    std::vector<std::unique_ptr<Untold>> untold_;
    bool tell_now_ = false;
    std::optional<std::string> state_;    // nothing: not known yet
    std::optional<std::string> told_;     // to the owner
    std::int64_t resume_ns_ = INT64_MAX;  // when tokens are taken from Redis (again)
    std::vector<std::unique_ptr<Refill>> refills_;

    std::int64_t swept_ns_ = 0;
    std::thread thread_;
    redis::Client client_;
};

}  // namespace tenon::redis_throttle
