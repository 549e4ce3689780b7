// SPDX-License-Identifier: Apache-2.0
// A tier as the stack sees it: one that fails is left out, and tried again after a while. What
// takes something away does not wait for that: another server may be back earlier and read there.
//
// An erase that a tier missed would leave an old value in it. So a tier that missed one is emptied
// before it is asked again; who asks meanwhile waits for that. A shared tier that failed is emptied
// in any case: another server's erase may have been lost with it.
#pragma once

#include <tenon/abi/cache_tier.h>
#include <tenon/plugin.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace tenon::cache_stack {

class Tier {
public:
    // Told when the tier is left out (with the reason) and when it is back (empty).
    using Watcher = std::function<void(const std::string& tier, const std::string& reason)>;

    Tier(std::string name, Service<tenon_cache_tier_1> service, Watcher watcher);

    struct Found {
        std::string data;
        std::int64_t expires_ns;
    };

    [[nodiscard]] const std::string& name() const noexcept { return name_; }

    [[nodiscard]] bool blocking() const noexcept {
        return (service_->flags & TENON_CACHE_TIER_BLOCKING) != 0;
    }

    [[nodiscard]] bool shared() const noexcept {
        return (service_->flags & TENON_CACHE_TIER_SHARED) != 0;
    }

    // Nothing when the tier has none or is left out.
    [[nodiscard]] std::optional<Found> get(std::string_view key, std::int64_t now_ns);
    // False: the tier did not take it, and what was there is gone, or will be before it is asked.
    // at_once: also tried while the tier is left out.
    bool put(
        std::string_view key,
        std::string_view data,
        std::int64_t now_ns,
        std::int64_t ttl_ns,
        bool at_once = false
    );
    void erase(std::string_view key, std::int64_t now_ns);

    // Whether it has the two below.
    [[nodiscard]] bool conditional() const noexcept {
        return shared() && TENON_HAS(service_.table, tenon_cache_tier_1, put_if);
    }

    // The state that the key is in; nothing when the tier is left out.
    [[nodiscard]] std::optional<std::uint64_t> token(std::string_view key, std::int64_t now_ns);
    // False: not put, since the key changed after the token was taken, or the tier did not take it.
    bool put_if(
        std::string_view key,
        std::string_view data,
        std::int64_t now_ns,
        std::int64_t ttl_ns,
        std::uint64_t token
    );
    void clear(std::int64_t now_ns);

    [[nodiscard]] tenon_cache_tier_stats stats() const;

    [[nodiscard]] bool up() const noexcept { return failures_.load() == 0; }

    // Whether what other servers change there may go unheard at present.
    [[nodiscard]] bool suspect() const noexcept { return suspect_.load(); }

    // It is emptied before it is asked again.
    void distrust() noexcept { missed_.fetch_add(1); }

    void set_suspect(bool suspect) noexcept { suspect_.store(suspect); }

    // What others change there goes unheard from now on.
    void lose() noexcept {
        back_ns_.store(INT64_MAX);
        suspect_.store(true);
    }

    // Its changes are heard again. What this server could not take away meanwhile goes by
    // make_good.
    void trust(std::int64_t now_ns) noexcept {
        back_ns_.store(now_ns);
        suspect_.store(false);
    }

    // Empties it when it missed something, also while it is left out.
    void make_good(std::int64_t now_ns) { (void)ready(now_ns, true); }

    // Whether every server that shares it has had `wait_ns` to take away what it could not while
    // the tier was not there.
    [[nodiscard]] bool settled(std::int64_t now_ns, std::int64_t wait_ns) const noexcept {
        const std::int64_t back = back_ns_.load();
        return back == INT64_MIN || (back <= now_ns && now_ns - back >= wait_ns);
    }

    [[nodiscard]] Service<tenon_cache_tier_1> service() const noexcept { return service_; }

    [[nodiscard]] std::uint64_t hits() const noexcept { return hits_.load(); }

private:
    [[nodiscard]] bool ready(std::int64_t now_ns, bool at_once = false);
    // Any answer but a failure of the tier itself is one that it is alive.
    void note(tenon_status status, const ErrorBuffer& err, std::int64_t now_ns);

    std::string name_;
    Service<tenon_cache_tier_1> service_;
    Watcher watcher_;
    std::atomic<std::uint64_t> hits_{0};
    std::atomic<std::uint32_t> failures_{0};  // in a row
    std::atomic<std::int64_t> retry_ns_{0};
    std::atomic<bool> suspect_{false};
    std::atomic<std::int64_t> back_ns_{INT64_MIN};  // when it last came back; INT64_MAX: is away
    // Erases that it missed, and how many of them it has been emptied for since.
    std::atomic<std::uint64_t> missed_{0};
    std::atomic<std::uint64_t> made_good_{0};
    std::mutex mutex_;  // of the emptying
};

}  // namespace tenon::cache_stack
