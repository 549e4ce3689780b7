// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/checks/all.hpp"

namespace tenon::conformance {

std::vector<std::span<const Check>> groups() {
    return {
        static_checks(),
        load_checks(),
        lifecycle_checks(),
        query_checks(),
        skew_checks(),
        config_checks(),
        errors_checks(),
        memory_checks(),
        fuzz_checks()};
}

}  // namespace tenon::conformance
