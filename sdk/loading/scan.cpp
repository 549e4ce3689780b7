// SPDX-License-Identifier: Apache-2.0
#include "sdk/loading/scan.hpp"

#include "sdk/loading/library.hpp"
#include "sdk/manifest/json_file.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <span>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tenon::loader {

namespace {

namespace json = boost::json;
using manifest::PluginManifest;

constexpr std::string_view k_file = "plugin-scan.json";

std::string identity(const PluginManifest& manifest) {
    struct stat info {};

    (void)::stat(manifest.library.c_str(), &info);
    const auto changed_ns =
        std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
    return std::to_string(changed_ns) + " " + std::to_string(info.st_size) + " " + manifest.sha256 +
           " " TENON_VERSION;
}

// The child: before each step the rule that a crash would break, then '=' and the error, if any.
[[noreturn]] void try_all(std::span<const PluginManifest* const> manifests, int out) {
    const rlimit no_core{0, 0};
    (void)::setrlimit(RLIMIT_CORE, &no_core);
    (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)::close_range(static_cast<unsigned>(out) + 1, ~0U, 0);
    const auto say = [out](const std::string& line) {
        [[maybe_unused]] const auto wrote = ::write(out, line.data(), line.size());
    };
    for (const PluginManifest* manifest : manifests) {
        std::string error;
        try {
            (void)open_library(*manifest, [&](const char* rule) { say(std::string{rule} + "\n"); });
        } catch (const std::exception& e) {
            error = e.what();
        }
        std::replace(error.begin(), error.end(), '\n', ' ');
        say("=" + error + "\n");
    }
    ::_exit(0);
}

struct Outcome {
    std::vector<std::string> errors;  // of those that were tried to the end, "" for good
    std::string rule = "L01";         // that the next one was at
    std::string end;                  // how the child ended
};

// Reads until the child has ended, or has taken too long for one library.
Outcome listen(std::span<const PluginManifest* const> manifests, int in, pid_t child) {
    Outcome out;
    std::string text;
    std::array<char, 4096> block{};
    std::int64_t limit_ms = 0;
    for (pollfd wanted{in, POLLIN, 0};;) {
        limit_ms = manifests[std::min(out.errors.size(), manifests.size() - 1)]->start_timeout_ms;
        if (::poll(&wanted, 1, static_cast<int>(limit_ms)) == 0) {
            ::kill(child, SIGKILL);
            out.end = "did not return within " + std::to_string(limit_ms) + " ms";
            break;
        }
        const ssize_t got = ::read(in, block.data(), block.size());
        if (got <= 0) {
            break;
        }
        text.append(block.data(), static_cast<std::size_t>(got));
        for (std::size_t end = 0; (end = text.find('\n')) != std::string::npos;) {
            if (text[0] == '=') {
                out.errors.push_back(text.substr(1, end - 1));
                out.rule = "L01";
            } else {
                out.rule = text.substr(0, end);
            }
            text.erase(0, end + 1);
        }
    }
    int status = 0;
    (void)::waitpid(child, &status, 0);
    if (out.end.empty()) {
        out.end = WIFSIGNALED(status)
                      ? "was ended by SIG" + std::string{::sigabbrev_np(WTERMSIG(status))}
                      : "called exit(" + std::to_string(WEXITSTATUS(status)) + ")";
    }
    return out;
}

std::string text_of(const Outcome& outcome) {
    const bool entry = outcome.rule == "L03";
    return outcome.rule + (entry ? " its entry" : " opening the library") +
           ", tried in a child process, " + outcome.end;
}

Outcome try_in_child(std::span<const PluginManifest* const> manifests) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        throw Error{TENON_UNAVAILABLE, std::string{"pipe: "} + std::strerror(errno)};
    }
    (void)std::fflush(nullptr);  // or the child writes it again, should it call exit()
    const pid_t child = ::fork();
    if (child == 0) {
        try_all(manifests, ends[1]);
    }
    ::close(ends[1]);
    if (child < 0) {
        ::close(ends[0]);
        throw Error{TENON_UNAVAILABLE, std::string{"fork: "} + std::strerror(errno)};
    }
    Outcome out = listen(manifests, ends[0], child);
    ::close(ends[0]);
    return out;
}

}  // namespace

std::map<std::filesystem::path, std::string> scan_libraries(
    const manifest::Plan& plan,
    const std::filesystem::path& data_dir,
    const Write& write
) {
    manifest::Problems ignored;
    manifest::Report report{"", ignored};
    const auto cached = manifest::read_json_file(data_dir / k_file, report);
    json::object known;
    std::vector<const PluginManifest*> unknown;
    for (const manifest::PlannedPlugin& plugin : plan.plugins) {
        const std::string path = plugin.manifest.library.string();
        const json::string id{identity(plugin.manifest)};
        const bool again = !known.emplace(path, id).second;
        const json::value* before =
            cached && cached->is_object() ? cached->get_object().if_contains(path) : nullptr;
        if (!again && (before == nullptr || *before != id)) {
            unknown.push_back(&plugin.manifest);
        }
    }
    std::map<std::filesystem::path, std::string> refused;
    for (std::span<const PluginManifest* const> left{unknown}; !left.empty();) {
        Outcome outcome = try_in_child(left);
        if (outcome.errors.size() < left.size()) {
            outcome.errors.push_back(text_of(outcome));
        }
        for (std::size_t i = 0; i < outcome.errors.size(); ++i) {
            if (!outcome.errors[i].empty()) {
                refused[left[i]->library] = outcome.errors[i];
                known.erase(left[i]->library.string());
            }
        }
        left = left.subspan(outcome.errors.size());
    }
    if (!unknown.empty()) {
        write(k_file, json::serialize(known) + "\n");
    }
    return refused;
}

std::string try_library(const PluginManifest& manifest) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        throw Error{TENON_UNAVAILABLE, std::string{"pipe: "} + std::strerror(errno)};
    }
    const PluginManifest* const one = &manifest;
    std::array<std::string, 5> words{
        "tenond", k_try_library, manifest.library.string(), manifest.id, manifest.version};
    std::array<char*, words.size() + 1> arguments{};
    std::transform(words.begin(), words.end(), arguments.begin(), [](std::string& word) {
        return word.data();
    });
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    (void)::posix_spawn_file_actions_init(&files);
    (void)::posix_spawn_file_actions_adddup2(&files, ends[1], STDOUT_FILENO);
    (void)::posix_spawnattr_init(&attributes);
    sigset_t none;
    ::sigemptyset(&none);
    (void)::posix_spawnattr_setsigmask(&attributes, &none);
    (void)::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    pid_t child = -1;
    const int failed =
        ::posix_spawn(&child, "/proc/self/exe", &files, &attributes, arguments.data(), environ);
    (void)::posix_spawn_file_actions_destroy(&files);
    (void)::posix_spawnattr_destroy(&attributes);
    ::close(ends[1]);
    if (failed != 0) {
        ::close(ends[0]);
        throw Error{TENON_UNAVAILABLE, std::string{"posix_spawn: "} + std::strerror(failed)};
    }
    const Outcome outcome = listen({&one, 1}, ends[0], child);
    ::close(ends[0]);
    return outcome.errors.empty() ? text_of(outcome) : outcome.errors.front();
}

void try_library_here(char** arguments) {
    PluginManifest manifest;
    manifest.library = arguments[0];
    manifest.id = arguments[1];
    manifest.version = arguments[2];
    const PluginManifest* const one = &manifest;
    // What the library prints is nothing that was asked for.
    const int out = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    (void)::dup2(STDERR_FILENO, STDOUT_FILENO);
    try_all({&one, 1}, out);
}

}  // namespace tenon::loader
