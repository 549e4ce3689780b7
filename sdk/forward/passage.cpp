// SPDX-License-Identifier: Apache-2.0
#include "sdk/forward/passage.hpp"

#include <deque>
#include <linux/membarrier.h>
#include <mutex>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace tenon::forward {

namespace {

bool membarrier(int command) noexcept {
    return ::syscall(SYS_membarrier, command, 0, 0) == 0;
}

// Readers stay where they are; one whose thread ended goes to the next thread.
struct Readers {
    std::mutex mutex;
    std::deque<Reader> all;       // guarded by mutex
    std::vector<Reader*> unused;  // guarded by mutex
};

Readers& readers() {
    static Readers k_readers;
    return k_readers;
}

struct Enlisted {
    Reader* mine = nullptr;

    Enlisted() = default;
    Enlisted(const Enlisted&) = delete;
    Enlisted& operator=(const Enlisted&) = delete;

    ~Enlisted() {
        const std::lock_guard lock{readers().mutex};
        readers().unused.push_back(mine);
        detail::t_reader = nullptr;
    }
};

}  // namespace

namespace detail {

const bool k_asymmetric = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
std::atomic<std::uint64_t> g_epoch{1};

Reader& enlist() noexcept {
    thread_local Enlisted t_enlisted;
    const std::lock_guard lock{readers().mutex};
    if (readers().unused.empty()) {
        t_reader = &readers().all.emplace_back();
    } else {
        t_reader = readers().unused.back();
        readers().unused.pop_back();
    }
    t_enlisted.mine = t_reader;
    return *t_reader;
}

}  // namespace detail

bool quiesce(const std::function<bool()>& enough) {
    const auto fence = [] {
        std::atomic_thread_fence(std::memory_order_seq_cst);
        if (detail::k_asymmetric) {
            (void)membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
        }
    };
    // A thread whose entry is not seen below enters after this fence, and sees what is current now.
    fence();
    const std::uint64_t epoch = detail::g_epoch.fetch_add(1) + 1;
    fence();
    for (;;) {
        bool inside = false;
        {
            const std::lock_guard lock{readers().mutex};
            for (const Reader& reader : readers().all) {
                const std::uint64_t since = reader.since.load(std::memory_order_acquire);
                inside = inside || (since != 0 && since < epoch);
            }
        }
        if (!inside) {
            return true;
        }
        if (enough()) {
            return false;
        }
        std::this_thread::yield();
    }
}

}  // namespace tenon::forward
