// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/checks/all.hpp"

namespace tenon::conformance {

std::vector<std::span<const Check>> groups() {
    return {load_checks(), lifecycle_checks()};
}

}  // namespace tenon::conformance
