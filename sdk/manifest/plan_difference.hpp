// SPDX-License-Identifier: Apache-2.0
// What changes from one deployment to another, and which of it a running server cannot take:
//   R01  a setting that its plugin does not take live ("x-reload": "live")
//   R02  a plugin that was added or removed
//   R03  a plugin's id; or new code that changes how it is bound
//   R04  a plugin's bindings, grants or on_failure
//   R05  a setting of the kernel that is no log level
#pragma once

#include "sdk/manifest/difference.hpp"
#include "sdk/manifest/plan.hpp"

#include <map>
#include <string>
#include <vector>

namespace tenon::manifest {

// Settings by instance, secrets resolved.
using Settings = std::map<std::string, boost::json::value, std::less<>>;

// What changes from one plan to another, in pointers of the deployment. Adds R01 to R05 to the
// problems; a pointer that has a problem already gets no second one.
[[nodiscard]] std::vector<Difference> compare(
    const Plan& running,
    const Plan& fresh,
    const Settings& before,
    const Settings& after,
    Problems& problems
);

// Why a running server cannot give an instance the code of a fresh plan, with the rule; "" when it
// can: id, bindings, grants, on_failure, what it provides and requires, and permissions are the
// same.
[[nodiscard]] std::string why_not_replaced(
    const Plan& running,
    const PlannedPlugin& old,
    const Plan& fresh,
    const PlannedPlugin& plugin
);

// Plugins whose installed manifest or library is not the one that runs, by name, in the order of
// the start.
struct NewCode {
    std::vector<std::string> names;
    std::vector<Difference> changes;  // /plugins/NAME/library
};

// Finds them; in the fresh plan they become what runs, code and settings, so that the rest can be
// compared. Adds R03 for those that a running server cannot take.
[[nodiscard]] NewCode set_aside_new_code(const Plan& running, Plan& fresh);

}  // namespace tenon::manifest
