// SPDX-License-Identifier: Apache-2.0
// `tenon flags`: the switches of optimisations, which are live boolean settings that their plugins
// mark as such ("x-flag"). A flag's name is that of its plugin in the deployment and that of the
// setting: "cache.prefetch". What is switched is a setting that is changed (settings.set), and lies
// over the deployment until it is reset.
#pragma once

#include "tools/cli/admin_client.hpp"
#include "tools/cli/arguments.hpp"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include <string>

namespace tenon::cli {

// Of an answer of settings.list: [{"name","on","deployment","overridden","title","description",
// "by"?,"reason"?}], by name.
[[nodiscard]] boost::json::array flags_of(const boost::json::value& settings);

// list | on NAME | off NAME | reset NAME [--reason TEXT]. The list; or {"name","on","before",
// "generation"}, with "ok": false and "problems" when it was refused. Throws UsageError, and
// CommandFailed NOT_FOUND for a name that no flag has.
[[nodiscard]] boost::json::value run_flags(AdminClient& client, const Arguments& arguments);

}  // namespace tenon::cli
