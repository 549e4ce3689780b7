// SPDX-License-Identifier: Apache-2.0
// A new configuration for a server that runs: the deployment is read again, and what its plugins
// can take live is applied, all of it or none.
//
// Besides the rules of manifests, of the new deployment, a reload is refused with
//   R01  a setting changed that its plugin does not take live ("x-reload": "live")
//   R02  a plugin was added or removed
//   R03  a plugin's id changed, or its new code changes how it is bound
//   R04  a plugin's bindings, grants or on_failure changed
//   R05  a setting of the kernel changed that is no log level
//   R06  a plugin refuses its new settings; nothing was changed
//   R07  a plugin failed while it took them; all plugins were given their old ones back
//   R08  a plugin whose settings changed is not running
//   R09  a plugin's new code is no good; all plugins run the old one (Configuration::renew)
// All but R06, R07 and R09 need a restart. It starts and stops no plugin.
#pragma once

#include "kernel/loader/lifecycle.hpp"
#include "sdk/manifest/plan_difference.hpp"

#include <atomic>
#include <string>
#include <vector>

namespace tenon::loader {

class Reload {
public:
    struct Outcome {
        bool applied = false;    // false: refused, or a dry run
        bool must_stop = false;  // a plugin with on_failure "stop" was given up
        std::vector<manifest::Difference> changes;
        manifest::Problems problems;  // warnings too
    };

    // `running` is brought up to date. All outlive this object.
    Reload(
        manifest::Plan& running,
        Lifecycle& lifecycle,
        runtime::LogRouter& log,
        std::atomic<std::uint64_t>& generation
    )
        : running_{&running}, lifecycle_{&lifecycle}, log_{&log}, generation_{&generation} {}

    // Not while plugins start or stop. With dry_run nothing changes. With `patient`, a plugin that
    // does not run gets its settings at its next start, which is a warning instead of R08.
    [[nodiscard]] Outcome run(manifest::Plan fresh, bool dry_run, bool patient = false);

private:
    void apply(manifest::Plan& fresh, bool dry_run, Outcome& out);
    bool configure(
        const std::string& name,
        const manifest::Settings& settings,
        bool dry_run,
        manifest::Report& report
    );
    void take(manifest::Plan& fresh);

    manifest::Plan* running_;
    Lifecycle* lifecycle_;
    runtime::LogRouter* log_;
    std::atomic<std::uint64_t>* generation_;  // one more with each change that was applied
    bool patient_ = false;
};

}  // namespace tenon::loader
