// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/hot_path.hpp"

#include "sdk/conformance/allocation.hpp"
#include "sdk/conformance/host/account.hpp"

#include <csignal>
#include <sys/prctl.h>
#include <ucontext.h>

namespace tenon::conformance {
namespace {

#if defined(__x86_64__)

// linux/prctl.h of this platform's headers; the numbers are the kernel's interface.
constexpr int k_set_dispatch = 59;
constexpr unsigned long k_dispatch_on = 1;
constexpr char k_allow = 0;
constexpr char k_block = 1;

// One thread at a time is watched; the kernel reads the selector at each of its system calls.
volatile char g_selector = k_allow;
volatile std::uint64_t g_calls = 0;
volatile long g_first = -1;

// Lets the call through and stays quiet afterwards: the first is what matters, and the signal frame
// itself is returned from by a system call.
void on_system_call(int, siginfo_t* info, void* raw) {
    auto* context = static_cast<ucontext_t*>(raw);
    g_selector = k_allow;
    g_calls = g_calls + 1;
    g_first = g_first < 0 ? info->si_syscall : g_first;
    constexpr greg_t k_syscall_instruction_bytes = 2;
    context->uc_mcontext.gregs[REG_RIP] -= k_syscall_instruction_bytes;
    context->uc_mcontext.gregs[REG_RAX] = info->si_syscall;
}

bool dispatch(bool on) {
    struct sigaction action {};

    action.sa_sigaction = &on_system_call;
    action.sa_flags = SA_SIGINFO;
    if (on && ::sigaction(SIGSYS, &action, nullptr) != 0) {
        return false;
    }
    return ::prctl(
               k_set_dispatch, on ? k_dispatch_on : 0UL, 0UL, 0UL, on ? &g_selector : nullptr
           ) == 0;
}

void run_watched(const std::function<void()>& body, HotPath& path) {
    g_selector = k_allow;
    g_calls = 0;
    g_first = -1;
    path.system_calls_known = dispatch(true);
    g_selector = path.system_calls_known ? k_block : k_allow;
    body();
    g_selector = k_allow;
    if (path.system_calls_known) {
        (void)dispatch(false);
    }
    path.system_calls = g_calls;
    path.first_system_call = g_first;
}

#else

void run_watched(const std::function<void()>& body, HotPath&) {
    body();
}

#endif

}  // namespace

std::string HotPath::text() const {
    std::string text = std::to_string(allocations) + " allocations";
    if (system_calls != 0) {
        text += ", a system call (number " + std::to_string(first_system_call) + ")";
    }
    return text;
}

HotPath watch_hot_path(const std::function<void()>& body) {
    HotPath path;
    path.allocations_known = allocation_hook();
    const PluginScope scope;
    const std::uint64_t before = allocations();
    run_watched(body, path);
    path.allocations = allocations() - before;
    return path;
}

}  // namespace tenon::conformance
