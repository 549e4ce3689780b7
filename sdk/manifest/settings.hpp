// SPDX-License-Identifier: Apache-2.0
// settings.list, settings.set and settings.unset: the live settings of a running server, and their
// overrides. All changes of a request are applied or none. Throws Error for what is no request;
// what is wrong with its parts are problems of the answer.
#pragma once

#include "sdk/manifest/overrides.hpp"

#include <boost/json/object.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace tenon::manifest {

// The server that the settings are of.
struct SettingsHost {
    struct Outcome {
        bool applied = false;
        Problems problems;
    };

    const Plan* running = nullptr;
    std::uint64_t generation = 0;  // of the configuration
    std::int64_t now_ms = 0;
    // Brings what runs to the settings of the plan, all of it or nothing; with dry_run it only asks
    // whether it would. `generation` is brought up to date.
    std::function<Outcome(Plan fresh, bool dry_run)> apply;
    // For the audit log.
    std::function<void(
        std::string_view action,
        std::string_view actor,
        std::string_view subject,
        const boost::json::object& detail
    )>
        record;
};

// Who asks and why: "by" ("admin" when it is not there) and "reason" of a command.
struct AskedBy {
    std::string by, reason;
};

// Refuses what the audit log would not take.
[[nodiscard]] AskedBy asked_by(const boost::json::object& args);

// {"plugin"?} -> {"generation","settings":[{"plugin","pointer","title","description","type",
// "minimum"?,"maximum"?,"enum"?,"value","deployment","overridden","flag","by"?,"reason"?,
// "at_ms"?}],"unfit":[{"plugin","pointer","value","problem"}]}; no secrets.
[[nodiscard]] boost::json::object list_settings(
    const boost::json::object& args,
    const OverridesFile& overrides,
    const Plan& running,
    std::uint64_t generation
);

// `command` is settings.set with {"changes":[{"plugin","pointer","value"}],"by"?,"reason"?,
// "dry_run"?} or settings.unset, whose changes have no value. Gives {"applied","dry_run",
// "generation","changes":[{"plugin","pointer","before","after"}],"problems"}.
[[nodiscard]] boost::json::object change_settings(
    std::string_view command,
    const boost::json::object& args,
    OverridesFile& overrides,
    SettingsHost& host
);

}  // namespace tenon::manifest
