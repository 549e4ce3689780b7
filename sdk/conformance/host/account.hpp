// SPDX-License-Identifier: Apache-2.0
// What one instance of a plugin holds at the host, and whether a thread is in plugin code right
// now.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

namespace tenon::conformance {

// Counted by the host where things are registered and removed. All of it is nought once the
// plugin's stop returned, but for the admin commands and metrics callbacks, which may stay until
// destroy.
struct Account {
    std::atomic<std::int64_t> timers{0};
    std::atomic<std::int64_t> watches{0};
    std::atomic<std::int64_t> hooks{0};
    std::atomic<std::int64_t> posts{0};     // posted and not yet run
    std::atomic<std::int64_t> blocking{0};  // handed to the pool and not yet finished
    std::atomic<std::int64_t> collectors{0};
    std::atomic<std::int64_t> commands{0};
    std::atomic<std::int64_t> subscriptions{0};

    // "2 timers, 1 turn hook", or "" when nothing of the kind is held.
    [[nodiscard]] std::string runtime_text() const;   // what must be gone after stop
    [[nodiscard]] std::string lifetime_text() const;  // what must be gone after destroy
};

// Set while the thread runs the plugin's code, cleared while a host call runs: what the allocation
// hook and the fault injection aim at.
class PluginScope {
public:
    explicit PluginScope(bool inside = true) noexcept : before_{inside_} { inside_ = inside; }

    ~PluginScope() { inside_ = before_; }

    PluginScope(const PluginScope&) = delete;
    PluginScope& operator=(const PluginScope&) = delete;

    [[nodiscard]] static bool inside() noexcept { return inside_; }

private:
    static inline thread_local bool inside_ = false;
    bool before_;
};

}  // namespace tenon::conformance
