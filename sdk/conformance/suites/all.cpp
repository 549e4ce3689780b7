// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/suites/all.hpp"

namespace tenon::conformance {

std::vector<std::span<const Check>> suites() {
    return {
        backup_checks(),
        cache_tier_checks(),
        feed_checks(),
        gateway_checks(),
        migrations_checks(),
        monitor_checks(),
        storage_checks(),
        storage_value_checks(),
        throttle_checks(),
        throttle_state_checks(),
        venue_checks()};
}

}  // namespace tenon::conformance
