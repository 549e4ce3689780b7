// SPDX-License-Identifier: Apache-2.0
// What may change while the server runs: the deployment by a reload, live settings by overrides.
// One at a time, each told in the log, the audit log, the metrics and to systemd.
#pragma once

#include "kernel/daemon.hpp"
#include "kernel/loader/reload.hpp"
#include "kernel/runtime/data_dir.hpp"
#include "sdk/loading/images.hpp"
#include "sdk/manifest/overrides.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <string_view>

namespace tenon::kernel {

[[nodiscard]] manifest::Plan read_plan(const DaemonOptions& options);

class Configuration {
public:
    // All of it outlives this object.
    struct Server {
        const DaemonOptions* options;
        manifest::Plan* plan;  // what runs, overrides and all; changed here alone
        const runtime::DataDir* data_dir;
        runtime::LogRouter* log;
        runtime::LogSource* log_source;
        registry::Health* health;
        runtime::Metrics* metrics;
        audit::Log* audit;
        std::atomic<std::uint64_t>* generation;
        std::function<void()> needed_failed;  // a plugin with on_failure "stop" was given up
    };

    Configuration(Server server, manifest::OverridesFile overrides)
        : server_{std::move(server)},
          overrides_{std::move(overrides)},
          images_{server_.data_dir->path()} {}

    void add_commands(registry::AdminCommands& commands);
    // Writes down the deployment that runs, for the tools. Throws InUse.
    void record() const;
    // The component `settings`: which overrides are not in force.
    void tell_settings();
    // From here on changes are taken; not after close(), which waits for one that is under way.
    // Nothing starts, stops or changes as long as its lock is held.
    void open(loader::Lifecycle& lifecycle);
    [[nodiscard]] std::unique_lock<std::timed_mutex> close();
    // [io] A SIGHUP: a reload, at the end of one that is under way.
    void hang_up();

private:
    // Sees to a SIGHUP that came meanwhile when it ends.
    struct Turn {
        Configuration* mine;
        std::unique_lock<std::timed_mutex> lock;

        explicit Turn(Configuration& configuration);
        ~Turn();
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;
    };

    void log(std::int32_t level, std::string_view event, std::initializer_list<Field> fields = {}) {
        server_.log_source->write(level, event, fields);
    }

    [[nodiscard]] loader::Reload::Outcome apply(manifest::Plan fresh, bool dry_run, bool patient);
    [[nodiscard]] boost::json::object reload(bool dry_run, std::string_view actor);
    [[nodiscard]] boost::json::array renew(
        const std::vector<std::string>& names,
        std::string_view actor,
        manifest::OverridesFile& overrides,
        loader::Reload::Outcome& outcome
    );
    void put_back(
        const std::vector<std::string>& names,
        std::size_t count,
        const std::vector<manifest::PlannedPlugin>& before
    );
    [[nodiscard]] boost::json::object
    settings(std::string_view command, const boost::json::object& args);
    [[nodiscard]] boost::json::object restart(const boost::json::object& args);
    [[nodiscard]] boost::json::object replace(const boost::json::object& args);
    [[nodiscard]] manifest::PlannedPlugin new_code(const manifest::PlannedPlugin& running) const;
    void audit(
        std::string_view action,
        std::string_view actor,
        std::string_view subject,
        const boost::json::object& detail
    );
    void audit_reload(
        std::string_view actor,
        std::string_view result,
        const boost::json::array& changes
    );
    void count(std::string_view name, std::string_view help, std::string_view result);
    void see_to_hang_up();

    const Server server_;
    manifest::OverridesFile overrides_;       // guarded by turn_
    loader::Images images_;                   // guarded by turn_
    std::timed_mutex turn_;                   // also of the plan's settings
    std::optional<loader::Reload> reload_;    // guarded by turn_; empty when nothing may change
    loader::Lifecycle* lifecycle_ = nullptr;  // guarded by turn_
    std::atomic<bool> hung_up_{false};        // a SIGHUP that nobody has seen to
};

}  // namespace tenon::kernel
