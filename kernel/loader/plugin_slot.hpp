// SPDX-License-Identifier: Apache-2.0
// One instance of a plugin: its object, its state, and the host as it sees it.
//
// What the instance may call depends on its state (the table in sdk/include/tenon/abi/base.h). In
// created and stopped `query` gives log and clock alone; later every table, and calls that are too
// early answer TENON_DENIED, 0 or NULL, are counted and, once for each service, logged. What gives
// something back (admin.remove, exec.unwatch, …) may always be called.
#pragma once

#include "kernel/registry/admin_commands.hpp"
#include "kernel/registry/bus.hpp"
#include "kernel/registry/config.hpp"
#include "kernel/registry/health.hpp"
#include "kernel/runtime/exec.hpp"
#include "kernel/runtime/log.hpp"
#include "kernel/runtime/metrics.hpp"
#include "sdk/audit/audit_log.hpp"
#include "sdk/manifest/plan.hpp"
#include "sdk/sealing/secret_box.hpp"

#include <tenon/abi/base.h>
#include <tenon/abi/host.h>

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon::loader {

// The services of the kernel that slots hand out. They outlive every slot.
struct Services {
    runtime::LogRouter* log;
    runtime::Exec* exec;
    runtime::Metrics* metrics;
    sealing::SecretBox* secret;
    registry::Health* health;
    registry::AdminCommands* admin;
    registry::Bus* bus;
    audit::Log* audit;
    std::atomic<std::uint64_t>* generation;  // of the configuration
    std::mutex* planned;                     // held while the plan of an instance is exchanged
    std::map<std::string, std::string, std::less<>> environment;
};

class Binding;

class PluginSlot {
public:
    // By component: its state and the reason.
    using Reports = std::map<std::string, std::pair<std::int32_t, std::string>, std::less<>>;

    // What one on trial says of its health is kept back.
    PluginSlot(const Services& services, const manifest::PlannedPlugin& plan, bool trial = false);
    PluginSlot(const PluginSlot&) = delete;
    PluginSlot& operator=(const PluginSlot&) = delete;

    // Providers of each requirement, in order. Before anything is created.
    void set_providers(std::string interface_id, std::vector<const Binding*> providers);

    // The same as another one's.
    void set_providers(const PluginSlot& other) { providers_ = other.providers_; }

    [[nodiscard]] const manifest::PlannedPlugin& plan() const { return *plan_; }

    // [control] Of the same instance.
    void set_plan(const manifest::PlannedPlugin& plan) { plan_ = &plan; }

    [[nodiscard]] const std::string& name() const { return owner_.instance; }

    [[nodiscard]] const tenon_host* host() const { return &host_; }

    [[nodiscard]] registry::Config& config() { return config_; }

    [[nodiscard]] runtime::Owner& owner() { return owner_; }

    [[nodiscard]] registry::PluginState state() const {
        return state_.load(std::memory_order_relaxed);
    }

    // [control] Quarantined is for good: what the instance registered is not called any more.
    void set_state(registry::PluginState state);

    void set_plugin(tenon_plugin* plugin) { plugin_ = plugin; }

    [[nodiscard]] tenon_plugin* plugin() const { return plugin_; }

    // Usable by others: configured and not given up.
    void set_offered(bool offered) { offered_.store(offered, std::memory_order_release); }

    [[nodiscard]] bool offered() const { return offered_.load(std::memory_order_acquire); }

    // [any] What the plugin said of its health.
    [[nodiscard]] Reports reported() const;
    void forget_reports();
    // [control] From now on it speaks for the instance.
    void end_trial();

    // [any] An interface of the plugin, when it is usable.
    [[nodiscard]] tenon_status query(std::string_view id, tenon_iface* out) const;

private:
    struct Tables;

    // True when the state allows a use from this level on: 1 configured, 2 started.
    [[nodiscard]] bool allows(std::string_view service, int level) const noexcept;

    const Services* services_;
    const manifest::PlannedPlugin* plan_;
    tenon_host host_;
    runtime::LogSource* log_;
    std::map<std::string, std::vector<const Binding*>, std::less<>> providers_;
    tenon_plugin* plugin_ = nullptr;
    std::atomic<bool> offered_{false};
    std::atomic<registry::PluginState> state_{registry::PluginState::planned};
    runtime::Owner owner_;
    registry::Config config_;
    mutable std::mutex mutex_;
    mutable std::set<std::string, std::less<>> refused_;  // services; guarded by mutex_
    Reports reports_;                                     // guarded by mutex_
    bool trial_;                                          // guarded by mutex_
};

}  // namespace tenon::loader
