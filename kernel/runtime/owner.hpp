// SPDX-License-Identifier: Apache-2.0
// In whose name a thread runs: the plugin instance whose control call or callback it is in, for
// crash reports, and so that a quarantined instance's callbacks are not run any more.
//
// What a plugin registers remembers its owner. Calls from one plugin into another keep the name of
// the first; the crash handler looks at the program counter as well.
#pragma once

#include <tenon/abi/host.h>

#include <atomic>
#include <cstdint>
#include <string>

namespace tenon::runtime {

// One plugin instance. It outlives all that was registered in its name.
struct Owner {
    std::string instance;
    std::string id;
    std::string fingerprint;         // of its library and settings
    std::uintptr_t image_begin = 0;  // where its library lies
    std::uintptr_t image_end = 0;
    std::atomic<bool> fenced{false};  // never to be entered again
};

struct Running {
    const Owner* owner = nullptr;  // null: the kernel
    const char* call = "";         // a literal
};

inline thread_local constinit Running t_running{};

// The current thread runs in this owner's name until the end of the scope.
class CallScope {
public:
    CallScope(const Owner* owner, const char* call) noexcept : before_{t_running} {
        t_running = {owner, call};
    }

    ~CallScope() { t_running = before_; }

    CallScope(const CallScope&) = delete;
    CallScope& operator=(const CallScope&) = delete;

private:
    const Running before_;
};

// A callback with what it needs; made in the name of the thread's owner.
struct Task {
    tenon_fn fn = nullptr;
    void* ctx = nullptr;
    const Owner* owner = t_running.owner;

    void run(const char* call) const {
        if (owner == nullptr || !owner->fenced.load(std::memory_order_relaxed)) {
            const CallScope scope{owner, call};
            fn(ctx);
        }
    }
};

}  // namespace tenon::runtime
