// SPDX-License-Identifier: Apache-2.0
// What every component says of itself (tenon.health/1), and how far each plugin got.
#pragma once

#include "kernel/runtime/log.hpp"

#include <tenon/abi/host.h>

#include <boost/json/object.hpp>

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::registry {

// How far a plugin got. `failed`: by itself; `down`: for want of what it needs; `quarantined`: a
// call did not return, and it is never entered again; `held`: not loaded, in safe mode.
enum class PluginState {
    planned,
    created,
    configured,
    started,
    draining,
    stopped,
    failed,
    down,
    quarantined,
    held
};
[[nodiscard]] std::string_view state_name(PluginState state);
// It does not run, and not because anybody asked for that.
[[nodiscard]] bool is_broken(PluginState state);

class Health {
public:
    struct Plugin {
        std::string name;
        std::string id;
        std::string version;
        bool critical = false;
        PluginState state = PluginState::planned;
        std::string error;
    };

    explicit Health(runtime::LogSource& log) : log_{&log} {}

    // [control]
    void add_plugin(Plugin plugin);
    void set_plugin(std::string_view name, PluginState state, std::string error = {});

    // Of a plugin that was replaced.
    void set_version(std::string_view name, std::string version);

    // [any]
    void set(
        std::string_view plugin,
        std::string_view component,
        std::int32_t state,
        std::string_view reason
    );
    [[nodiscard]] boost::json::object report() const;

    [[nodiscard]] bool ready() const noexcept { return ready_.load(std::memory_order_relaxed); }

    [[nodiscard]] std::vector<Plugin> plugins() const;

private:
    struct Component {
        std::int32_t state = TENON_HEALTHY;
        std::string reason;
        std::int64_t since_real_ns = 0;
    };

    void refresh();  // with mutex_ held

    runtime::LogSource* log_;
    mutable std::mutex mutex_;
    std::map<std::pair<std::string, std::string>, Component> components_;  // guarded by mutex_
    std::vector<Plugin> plugins_;                                          // guarded by mutex_
    std::atomic<bool> ready_{false};
};

}  // namespace tenon::registry
