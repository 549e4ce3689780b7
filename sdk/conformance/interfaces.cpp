// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/interfaces.hpp"

#include <tenon/abi/auth.h>
#include <tenon/abi/backup.h>
#include <tenon/abi/cache.h>
#include <tenon/abi/cache_tier.h>
#include <tenon/abi/feed.h>
#include <tenon/abi/http.h>
#include <tenon/abi/instruments.h>
#include <tenon/abi/jobs.h>
#include <tenon/abi/market_data.h>
#include <tenon/abi/migrations.h>
#include <tenon/abi/probe.h>
#include <tenon/abi/storage.h>
#include <tenon/abi/throttle.h>
#include <tenon/abi/trading.h>
#include <tenon/abi/venue.h>

#include <algorithm>
#include <cstddef>

namespace tenon::conformance {

// Sizes up to the last slot of revision 1.0: a table that grew is still held to these.
const KnownInterface* known_interface(std::string_view id) {
    static const std::vector<KnownInterface> k_known = {
        {"tenon.auth/1", sizeof(tenon_auth_1), {}},
        {"tenon.backup/1", sizeof(tenon_backup_1), {}},
        {"tenon.cache/1", sizeof(tenon_cache_1), {}},
        {"tenon.cache_tier/1",
         offsetof(tenon_cache_tier_1, watch),
         {offsetof(tenon_cache_tier_1, on_invalidate)}},
        {"tenon.feed/1", offsetof(tenon_feed_1, fetch), {}},
        {"tenon.http_routes/1", sizeof(tenon_http_routes_1), {}},
        {"tenon.instruments/1", sizeof(tenon_instruments_1), {}},
        {"tenon.jobs/1", sizeof(tenon_jobs_1), {}},
        {"tenon.market_data/1", offsetof(tenon_market_data_1, origin), {}},
        {"tenon.migrations/1", sizeof(tenon_migrations_1), {}},
        {"tenon.probe/1", sizeof(tenon_probe_1), {}},
        {"tenon.storage/1", offsetof(tenon_storage_1, transact_with), {}},
        {"tenon.throttle/1", sizeof(tenon_throttle_1), {offsetof(tenon_throttle_1, observe)}},
        {"tenon.trading/1", sizeof(tenon_trading_1), {}},
        {"tenon.venue/1",
         sizeof(tenon_venue_1),
         {offsetof(tenon_venue_1, live),
          offsetof(tenon_venue_1, evidence),
          offsetof(tenon_venue_1, apply),
          offsetof(tenon_venue_1, durable),
          offsetof(tenon_venue_1, reference_price)}},
    };
    const auto found = std::find_if(k_known.begin(), k_known.end(), [&](const auto& known) {
        return known.id == id;
    });
    return found == k_known.end() ? nullptr : &*found;
}

}  // namespace tenon::conformance
