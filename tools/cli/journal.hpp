// SPDX-License-Identifier: Apache-2.0
// tenon journal at TIME|--sequence N: the state of a data folder's journal at a moment, of a server
// that runs or not. tenon journal replay: a span of it under other settings, compared with what was
// recorded. Each replay is a process of its own, in an empty folder, with the engine, the
// instruments, the venues and what these need of the deployment; the folder is only read.
#pragma once

#include "sdk/manifest/plan.hpp"
#include "tools/cli/arguments.hpp"

#include <boost/json/value.hpp>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::cli {

// `plan` is that of `deployment`. Throws UsageError, NoServer, CommandFailed.
[[nodiscard]] boost::json::value journal_at(
    const Arguments& arguments,
    const manifest::Plan& plan,
    const std::filesystem::path& deployment
);

// `recorded` is the plan of the deployment that the folder was written under, `changed` the other,
// with all its --set. Throws as journal_at.
[[nodiscard]] boost::json::value journal_replay(
    const Arguments& arguments,
    const manifest::Plan& recorded,
    const std::filesystem::path& recorded_deployment,
    const manifest::Plan& changed,
    const std::filesystem::path& changed_deployment
);

// The --set that make a deployment one that looks, with `value` as the engine's setting `name`.
// Throws UsageError when it has no trading engine.
[[nodiscard]] std::vector<std::string>
view_overrides(const manifest::Plan& plan, std::string_view name, const boost::json::object& value);

// For people: the moment, then accounts, risk limits, open orders and books as tables.
[[nodiscard]] std::string readable_view(const boost::json::value& answer);
[[nodiscard]] std::string readable_replay(const boost::json::value& answer);

}  // namespace tenon::cli
