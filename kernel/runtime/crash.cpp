// SPDX-License-Identifier: Apache-2.0
#include "kernel/runtime/crash.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <link.h>
#include <string>
#include <ucontext.h>
#include <unistd.h>
#include <vector>

namespace tenon::runtime {

namespace {

constexpr std::array k_signals{SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
constexpr std::size_t k_max_images = 1024;
constexpr std::size_t k_stack_bytes = 64UL << 10U;

// What the handler needs; it must not allocate or lock.
struct Sentinel {
    std::array<char, 4096> path{};
    std::array<struct sigaction, k_signals.size()> before{};
    std::array<std::atomic<const Owner*>, k_max_images> images{};
    std::atomic<std::size_t> image_count{0};
    std::atomic<bool> ready{false};
    std::atomic<bool> told{false};
    std::atomic<bool> written{false};
};

const Owner k_nobody;
Sentinel g_sentinel;  // NOLINT: a signal handler has no other way to its data

// Text in a fixed buffer.
struct Line {
    std::array<char, 1024> text{};
    std::size_t size = 0;

    Line& add(std::string_view part) {
        const std::size_t used = std::min(part.size(), text.size() - size);
        std::memcpy(text.data() + size, part.data(), used);
        size += used;
        return *this;
    }

    void write(int fd) const { [[maybe_unused]] const auto done = ::write(fd, text.data(), size); }
};

bool lies_in(const Owner& owner, std::uintptr_t at) {
    return at >= owner.image_begin && at < owner.image_end;
}

// The owner of the library that the program counter is in, or the thread's.
const Owner* guilty(std::uintptr_t at) {
    const Owner* mine = t_running.owner;
    if (mine != nullptr && lies_in(*mine, at)) {
        return mine;
    }
    for (std::size_t i = 0; i < g_sentinel.image_count.load(); ++i) {
        const Owner* owner = g_sentinel.images[i].load();
        if (owner != nullptr && lies_in(*owner, at)) {
            return owner;
        }
    }
    return mine;
}

void tell(std::string_view what, std::uintptr_t at) {
    const Owner* owner = guilty(at);
    if (g_sentinel.told.exchange(true)) {
        // Another thread's crash is being written: the process must not end before that, nor wait
        // for ever should the disk hang.
        constexpr timespec k_step{0, 10'000'000};
        for (int i = 0; i < 500 && !g_sentinel.written.load(); ++i) {
            (void)::nanosleep(&k_step, nullptr);
        }
        return;
    }
    const Owner& named = owner == nullptr ? k_nobody : *owner;
    const bool direct = owner == t_running.owner;
    const std::string_view call = direct ? t_running.call : "a call from elsewhere";
    Line line;
    line.add("tenond: ").add(what);
    if (owner == nullptr) {
        line.add(" outside of any plugin\n");
    } else {
        line.add(" in plugin ")
            .add(named.instance)
            .add(" (")
            .add(named.id)
            .add(") during ")
            .add(call)
            .add("\n");
    }
    line.write(STDERR_FILENO);
    // Instance names, ids and calls hold nothing that JSON would have to escape.
    Line file;
    file.add(R"({"signal":")").add(what).add(R"(","plugin":")").add(named.instance);
    file.add(R"(","id":")").add(named.id).add(R"(","call":")").add(call);
    file.add(R"(","fingerprint":")").add(named.fingerprint);
    file.add(R"(","ready":)").add(g_sentinel.ready.load() ? "true}\n" : "false}\n");
    const int fd = ::open(g_sentinel.path.data(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0) {
        file.write(fd);
        (void)::fsync(fd);
        (void)::close(fd);
    }
    g_sentinel.written.store(true);
}

std::string_view signal_name(int signal) {
    switch (signal) {
        case SIGSEGV:
            return "SIGSEGV";
        case SIGBUS:
            return "SIGBUS";
        case SIGILL:
            return "SIGILL";
        case SIGFPE:
            return "SIGFPE";
        default:
            return "SIGABRT";
    }
}

void on_signal(int signal, siginfo_t* info, void* context) {
    const auto& machine = static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
    const auto at = static_cast<std::uintptr_t>(machine.gregs[REG_RIP]);
#else
    const auto at = static_cast<std::uintptr_t>(machine.pc);
#endif
    tell(signal_name(signal), at);
    for (std::size_t i = 0; i < k_signals.size(); ++i) {
        if (k_signals[i] == signal) {
            (void)::sigaction(signal, &g_sentinel.before[i], nullptr);
        }
    }
    // A fault happens again where it was; what was sent must be sent again.
    if (info->si_code <= 0) {
        (void)::raise(signal);
    }
}

// A plugin that ends the process from one of its calls.
void on_exit_call() {
    if (t_running.owner != nullptr) {
        tell("exit()", 0);
        std::_Exit(EXIT_FAILURE);  // the other threads go on: nothing can be destroyed
    }
}

}  // namespace

void give_crash_stack() {
    struct Stack {
        std::vector<std::byte> memory;
        stack_t before{};

        Stack() : memory(k_stack_bytes) {
            stack_t mine{};
            mine.ss_sp = memory.data();
            mine.ss_size = memory.size();
            (void)::sigaltstack(&mine, &before);
        }

        ~Stack() { (void)::sigaltstack(&before, nullptr); }
    };

    thread_local const Stack t_stack;
}

void arm_crash_sentinel(const std::filesystem::path& data_dir) {
    const std::string path = (data_dir / k_crash_file).string();
    if (path.size() >= g_sentinel.path.size()) {
        return;
    }
    std::memcpy(g_sentinel.path.data(), path.c_str(), path.size() + 1);
    give_crash_stack();

    struct sigaction action {};

    action.sa_sigaction = &on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    for (std::size_t i = 0; i < k_signals.size(); ++i) {
        (void)::sigaction(k_signals[i], &action, &g_sentinel.before[i]);
    }
    (void)std::atexit(&on_exit_call);
}

void know_image(Owner& owner, const void* address) {
    struct Search {
        Owner* owner;
        std::uintptr_t wanted;
    } search{&owner, reinterpret_cast<std::uintptr_t>(address)};

    const auto look = [](dl_phdr_info* info, std::size_t, void* data) {
        const auto& [found, wanted] = *static_cast<Search*>(data);
        std::uintptr_t begin = UINTPTR_MAX;
        std::uintptr_t end = 0;
        for (std::size_t i = 0; i < info->dlpi_phnum; ++i) {
            const auto& part = info->dlpi_phdr[i];
            if (part.p_type == PT_LOAD) {
                begin = std::min<std::uintptr_t>(begin, info->dlpi_addr + part.p_vaddr);
                end = std::max<std::uintptr_t>(end, info->dlpi_addr + part.p_vaddr + part.p_memsz);
            }
        }
        if (wanted < begin || wanted >= end) {
            return 0;
        }
        found->image_begin = begin;
        found->image_end = end;
        return 1;
    };
    (void)::dl_iterate_phdr(look, &search);
    forget_image(owner);
    const std::size_t count = g_sentinel.image_count.load();
    std::size_t slot = 0;
    while (slot < count && g_sentinel.images[slot].load() != nullptr) {
        ++slot;
    }
    if (slot < k_max_images) {
        g_sentinel.images[slot].store(&owner);
        g_sentinel.image_count.store(std::max(count, slot + 1));
    }
}

void forget_image(const Owner& owner) {
    for (std::size_t i = 0; i < g_sentinel.image_count.load(); ++i) {
        const Owner* mine = &owner;
        (void)g_sentinel.images[i].compare_exchange_strong(mine, nullptr);
    }
}

void forget_images() {
    g_sentinel.image_count.store(0);
}

void note_ready() {
    g_sentinel.ready.store(true);
}

}  // namespace tenon::runtime
