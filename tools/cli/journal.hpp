// SPDX-License-Identifier: Apache-2.0
// tenon journal at TIME|--sequence N: the state of a data folder's journal at a moment, of a server
// that runs or not. It is replayed in a process of its own, in an empty folder, with the engine,
// the instruments, the venues and what these need of the deployment; the folder is only read.
#pragma once

#include "sdk/manifest/plan.hpp"
#include "tools/cli/arguments.hpp"

#include <boost/json/value.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace tenon::cli {

// `plan` is that of `deployment`. Throws UsageError, NoServer, CommandFailed.
[[nodiscard]] boost::json::value journal_at(
    const Arguments& arguments,
    const manifest::Plan& plan,
    const std::filesystem::path& deployment
);

// The --set that make a deployment one that looks, with `view` as the engine's setting. Throws
// UsageError when it has no trading engine.
[[nodiscard]] std::vector<std::string>
view_overrides(const manifest::Plan& plan, const boost::json::object& view);

// For people: the moment, then accounts, open orders and books as tables.
[[nodiscard]] std::string readable_view(const boost::json::value& answer);

}  // namespace tenon::cli
