// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/process_state.hpp"

#include <cfenv>
#include <clocale>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>
#include <xmmintrin.h>

namespace tenon::conformance {
namespace {

namespace fs = std::filesystem;

std::string first_line(const fs::path& file) {
    std::ifstream in{file};
    std::string line;
    std::getline(in, line);
    return line;
}

std::map<int, std::string> open_fds() {
    std::map<int, std::string> fds;
    std::error_code ec;
    for (const auto& entry : fs::directory_iterator{"/proc/self/fd", ec}) {
        const int fd = std::stoi(entry.path().filename().string());
        const std::string target = fs::read_symlink(entry.path(), ec).string();
        // the one that this very loop reads from
        if (target != "/proc/" + std::to_string(::getpid()) + "/fd") {
            fds.emplace(fd, target);
        }
    }
    return fds;
}

std::map<int, std::string> running_threads() {
    std::map<int, std::string> threads;
    std::error_code ec;
    for (const auto& entry : fs::directory_iterator{"/proc/self/task", ec}) {
        threads.emplace(
            std::stoi(entry.path().filename().string()), first_line(entry.path() / "comm")
        );
    }
    return threads;
}

std::map<int, std::string> dispositions() {
    std::map<int, std::string> signals;
    for (int number = 1; number < NSIG; ++number) {
        struct sigaction action {};

        if (::sigaction(number, nullptr, &action) == 0 && action.sa_handler != SIG_DFL) {
            signals.emplace(number, action.sa_handler == SIG_IGN ? "ignored" : "handled");
        }
    }
    return signals;
}

std::string blocked() {
    sigset_t set{};
    (void)::sigprocmask(SIG_BLOCK, nullptr, &set);
    std::string text;
    for (int number = 1; number < NSIG; ++number) {
        if (::sigismember(&set, number) == 1) {
            text.append(std::to_string(number)).append(" ");
        }
    }
    return text;
}

std::int64_t size_of(int fd) {
    struct stat info {};

    return ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) ? info.st_size : 0;
}

std::string
added(const std::map<int, std::string>& before, const std::map<int, std::string>& after) {
    std::string text;
    for (const auto& [number, what] : after) {
        const auto found = before.find(number);
        if (found == before.end() || found->second != what) {
            text.append(text.empty() ? "" : ", ").append(std::to_string(number));
            text.append(" (").append(what).append(")");
        }
    }
    return text;
}

}  // namespace

ProcessState process_state() {
    ProcessState state;
    state.fds = open_fds();
    state.threads = running_threads();
    const char* const locale = std::setlocale(LC_ALL, nullptr);
    state.locale = locale == nullptr ? "" : locale;
    state.umask = ::umask(0);
    (void)::umask(state.umask);
    constexpr std::uint32_t k_sticky_flags = 0x3f;
    state.fp_mode = (_mm_getcsr() & ~k_sticky_flags) | static_cast<std::uint32_t>(std::fegetround())
                                                           << 16U;
    state.signals = dispositions();
    state.blocked_signals = blocked();
    std::error_code ec;
    state.working_folder = fs::current_path(ec).string();
    state.output_bytes = size_of(STDOUT_FILENO);
    return state;
}

std::string ProcessState::new_threads(const ProcessState& after) const {
    return added(threads, after.threads);
}

std::string ProcessState::new_fds(const ProcessState& after) const {
    return added(fds, after.fds);
}

std::string ProcessState::changed_settings(const ProcessState& after) const {
    std::string text;
    const auto say = [&text](bool same, const std::string& what) {
        if (!same) {
            text.append(text.empty() ? "" : ", ").append(what);
        }
    };
    say(locale == after.locale, "locale \"" + locale + "\" to \"" + after.locale + "\"");
    say(umask == after.umask, "umask");
    say(fp_mode == after.fp_mode, "floating-point mode");
    say(signals == after.signals, "signal handlers: " + added(signals, after.signals));
    say(blocked_signals == after.blocked_signals, "blocked signals");
    say(working_folder == after.working_folder, "working folder to " + after.working_folder);
    return text;
}

std::int64_t resident_bytes() {
    std::ifstream in{"/proc/self/statm"};
    std::int64_t total = 0;
    std::int64_t resident = 0;
    in >> total >> resident;
    return resident * ::sysconf(_SC_PAGESIZE);
}

}  // namespace tenon::conformance
