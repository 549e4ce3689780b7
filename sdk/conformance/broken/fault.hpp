// SPDX-License-Identifier: Apache-2.0
// Which fault this build of a reference plugin has. Each fault is wrong in exactly one way; "none"
// is the plugin as it should be. CMakeLists.txt makes one library of each.
#pragma once

#include <cstring>

extern "C" const char* const tenon_conformance_fault;

namespace tenon::broken {

[[nodiscard]] inline bool fault(const char* name) noexcept {
    return std::strcmp(tenon_conformance_fault, name) == 0;
}

}  // namespace tenon::broken
