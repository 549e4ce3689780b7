// SPDX-License-Identifier: Apache-2.0
// Takes the plugins of a plan through their life: load, create, configure, start in the order of
// the plan; drain, stop, destroy in reverse.
//
// A plugin that fails is named with the rule and its reason, and is not called again but for
// destroy; those that require it, directly or not, stay down. A plugin whose call does not return
// in time is quarantined: it is left alone for good, and so is what it registered.
#pragma once

#include "kernel/loader/binding.hpp"
#include "kernel/loader/plugin_slot.hpp"
#include "kernel/runtime/crash.hpp"
#include "sdk/loading/control_thread.hpp"
#include "sdk/manifest/plan.hpp"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace tenon::loader {

class Lifecycle {
public:
    // Instances that are not to be loaded, and why.
    struct Refused {
        std::map<std::filesystem::path, std::string> libraries;  // failed
        std::map<std::string, std::string> held;                 // by name
    };

    // Plan and services outlive it. What a replaced plugin is planned as is changed in the plan.
    Lifecycle(
        manifest::Plan& plan,
        const Services& services,
        runtime::LogSource& log,
        Refused refused
    );
    ~Lifecycle();

    // False when a plugin with on_failure "stop" failed.
    [[nodiscard]] bool start();
    // Drain and stop in reverse; afterwards no plugin runs, but all instances still exist, since
    // the reactors may hold what they registered.
    void stop();
    // After the reactors have stopped.
    void destroy();

    // Drains and stops one and all that are bound to it, directly or not, dependants first, and
    // starts them again; what failed or was down is tried again. Gives their names in the order of
    // the start; how far each got is in the health registry. Throws Error for one that does not
    // exist, is quarantined, or is held back in safe mode.
    [[nodiscard]] std::vector<std::string> restart(std::string_view name);

    struct Replaced {
        bool swapped = false;            // both ran side by side; else stopped and made anew
        std::vector<std::string> names;  // of those that were, in the order of the start
        std::string error;               // why the new code is not in force
        bool restored = false;           // the old code runs as before
    };

    // Gives a plugin other code: `fresh` is its plan with a library that was tried. Within the
    // period after its start the new one must not say that it is less healthy than the old one was.
    // Throws Error when nothing was begun.
    [[nodiscard]] Replaced
    replace(std::string_view name, manifest::PlannedPlugin fresh, std::chrono::milliseconds period);

    // For a reload, serialised with start and stop by the caller. The settings of every instance as
    // it was given them, secrets included; `reconfigure` throws Error.
    [[nodiscard]] std::map<std::string, boost::json::value, std::less<>> settings() const;
    [[nodiscard]] bool started(std::string_view name) const;
    void reconfigure(std::string_view name, const std::string& config, bool dry_run);
    // What a plugin that does not run counts as having; true.
    bool keep(std::string_view name, const std::string& config);
    // After a reload: what tenon.config/1 shows, then those who listen to it. Throws Error.
    void show(std::string_view name, const boost::json::object& config);
    void announce(std::string_view name);

    // [any] The server is to stop: what is being started anew stays as far as it got.
    void hurry() { hurried_ = true; }

    // A plugin with on_failure "stop" failed, at the start or since.
    [[nodiscard]] bool must_stop() const { return must_stop_; }

    // True when a call was left behind: end the process without unwinding.
    [[nodiscard]] bool lost() const { return control_.lost(); }

private:
    struct Entry {
        std::unique_ptr<PluginSlot> slot;
        std::unique_ptr<Binding> binding;      // null: on trial, or retired
        const tenon_entry* library = nullptr;  // once it was opened
        Offers offers;
        std::string given;   // the settings that it has, as JSON
        std::string error;   // why it does not run
        bool stale = false;  // they changed since it was configured
        bool trial = false;  // not what the instance's health is told of
    };

    struct Retired {
        Entry entry;
        std::unique_ptr<manifest::PlannedPlugin> plan;
    };

    // The body of one control call: fills the error and returns a status.
    using Step = std::function<tenon_status(tenon_err*)>;

    [[nodiscard]] const Entry& find(std::string_view name) const;
    using Entries = std::vector<Entry*>;
    [[nodiscard]] Entries all();
    [[nodiscard]] Entries bound_to(std::string_view name, std::vector<std::string>& names);
    [[nodiscard]] std::string swap(
        Entry& entry,
        const tenon_entry* library,
        const manifest::PlannedPlugin& fresh,
        std::chrono::milliseconds period
    );
    void exchange(
        Entry& entry,
        const tenon_entry* library,
        const manifest::PlannedPlugin& fresh,
        std::chrono::milliseconds period,
        Replaced& out
    );
    void retire(Binding& binding, Entry entry, std::unique_ptr<manifest::PlannedPlugin> plan);
    void unmake(Entry& entry);
    [[nodiscard]] manifest::PlannedPlugin& planned_of(const Entry& entry);
    void start(const Entries& entries);
    void stop(const Entries& entries);
    void prepare(Entry& entry);
    void end_commands(const Entry& entry);
    void destroy_one(Entry& entry);
    void load(Entry& entry);
    void configure(Entry& entry);
    void start_one(Entry& entry);
    [[nodiscard]] bool refused(Entry& entry);
    [[nodiscard]] bool blocked(Entry& entry);
    // Throws Error with rule L07.
    void attempt(Entry& entry, const char* what, std::int64_t limit_ms, Step step);
    void attempt_live(Entry& entry, const char* what, Step step);
    void fail(Entry& entry, const std::string& reason);
    void set_state(Entry& entry, registry::PluginState state, const std::string& reason = {});
    void give_up(Entry& entry, registry::PluginState state, const std::string& reason);
    void drain(Entry& entry);
    void stop_one(Entry& entry);

    manifest::Plan* plan_;
    const Services* services_;
    runtime::LogSource* log_;
    const Refused refused_;
    std::vector<Entry> entries_;
    std::vector<Retired> retired_;  // replaced, and somebody was still in them
    bool must_stop_ = false;
    std::atomic<bool> hurried_{false};
    bool trying_ = false;  // a failure is no reason to stop yet
    ControlThread control_{&runtime::give_crash_stack};
};

}  // namespace tenon::loader
