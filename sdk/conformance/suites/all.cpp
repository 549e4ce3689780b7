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
        throttle_checks(),
        venue_checks()};
}

}  // namespace tenon::conformance
