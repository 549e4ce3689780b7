// SPDX-License-Identifier: Apache-2.0
// Safe mode: a plugin that crashed the server while it started is held back at the next start,
// until its library or its settings change, an operator releases it, or --no-safe-mode.
//
// With on_failure "degrade" it is held after one crash; with "stop", where the server is of no use
// without it, it is tried once more and held after two in a row. A crash after every plugin has
// started is reported and holds nothing back. The state is DATA_DIR/safe-mode.json.
#pragma once

#include "kernel/runtime/data_dir.hpp"
#include "sdk/manifest/plan.hpp"

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace tenon::loader {

class SafeMode {
public:
    struct Crash {
        std::string plugin;  // instance; empty: no plugin was running
        std::string text;    // "SIGSEGV during start"
    };

    // Reads and removes the crash file of the process before. With `ignore` all are released.
    SafeMode(const runtime::DataDir& data_dir, const manifest::Plan& plan, bool ignore);

    // How the process before ended, if it crashed.
    [[nodiscard]] const std::optional<Crash>& last() const { return last_; }

    // Why each held instance is.
    [[nodiscard]] std::map<std::string, std::string> held() const;

    // The instance has started: its crashes are forgotten.
    void started(const std::string& instance) { (void)release(instance); }

    // [any] From the next start on it is tried again. False: it is not in safe mode.
    [[nodiscard]] bool release(const std::string& instance);

private:
    struct Entry {
        std::int64_t crashes = 0;
        std::string fingerprint;
        std::string text;
        bool held = false;
    };

    void save() const;

    const runtime::DataDir* data_dir_;
    std::optional<Crash> last_;
    mutable std::mutex mutex_;
    std::map<std::string, Entry> entries_;  // guarded by mutex_
};

// What it takes for an instance to count as changed: its library and its settings.
[[nodiscard]] std::string fingerprint(const manifest::PlannedPlugin& plugin);

}  // namespace tenon::loader
