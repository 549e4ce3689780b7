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
// empty.
#pragma once

#include "plugins/throttle/redis/shared_limit.hpp"
#include "sdk/redis/client.hpp"
#include "sdk/redis/script.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace tenon::redis_throttle {

struct LeaseCounts {
    std::atomic<std::uint64_t> refills{0}, tokens{0}, returned{0}, lost{0};
};

class Leases final : private redis::Listener {
public:
    using WatchState = std::function<void(const std::string& reason)>;

    // limit(i): the limits, nullptr behind the last; they outlive this.
    using LimitAt = std::function<SharedLimit*(std::size_t)>;

    Leases(
        redis::ClientOptions client,
        std::string name_space,
        LimitAt limit_at,
        WatchState watch_state
    );
    ~Leases();

    void start();
    void stop() noexcept;

    [[nodiscard]] bool wait_up(std::chrono::nanoseconds timeout);

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
    void give_back(const Refill& refill, std::int64_t tokens);
    [[nodiscard]] std::string key_of(const Refill& refill) const;

    const std::string prefix_;
    const std::string born_key_, active_key_, resume_key_, settle_us_;
    const LimitAt limit_at_;
    const WatchState watch_state_;
    const redis::Script reserve_, return_;
    LeaseCounts counts_;
    std::atomic<bool> leased_{false};
    std::atomic<std::uint32_t> cuts_{0};

    std::mutex mutex_;  // of what follows
    std::condition_variable changed_;
    bool stopping_ = false;
    std::int64_t resume_ns_ = INT64_MAX;  // when tokens are taken from Redis (again)
    std::vector<std::unique_ptr<Refill>> refills_;

    std::int64_t swept_ns_ = 0;
    std::thread thread_;
    redis::Client client_;
};

}  // namespace tenon::redis_throttle
