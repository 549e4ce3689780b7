/* SPDX-License-Identifier: Apache-2.0 */
/* Every contract compiles as C11, alone and twice. */
#include <tenon/abi/auth.h>
#include <tenon/abi/backup.h>
#include <tenon/abi/base.h>
#include <tenon/abi/cache.h>
#include <tenon/abi/cache_tier.h>
#include <tenon/abi/feed.h>
#include <tenon/abi/host.h>
#include <tenon/abi/http.h>
#include <tenon/abi/instruments.h>
#include <tenon/abi/market_data.h>
#include <tenon/abi/migrations.h>
#include <tenon/abi/probe.h>
#include <tenon/abi/storage.h>
#include <tenon/abi/throttle.h>
#include <tenon/abi/trading.h>
#include <tenon/abi/venue.h>

#include <tenon/abi/auth.h>
#include <tenon/abi/backup.h>
#include <tenon/abi/base.h>
#include <tenon/abi/cache.h>
#include <tenon/abi/cache_tier.h>

#define SIZE_FIRST(T) _Static_assert(offsetof(T, size) == 0, #T " starts with its size")
SIZE_FIRST(tenon_err);
SIZE_FIRST(tenon_host);
SIZE_FIRST(tenon_plugin_vt);
SIZE_FIRST(tenon_log_1);
SIZE_FIRST(tenon_clock_1);
SIZE_FIRST(tenon_environment_1);
SIZE_FIRST(tenon_exec_1);
SIZE_FIRST(tenon_metrics_1);
SIZE_FIRST(tenon_health_1);
SIZE_FIRST(tenon_services_1);
SIZE_FIRST(tenon_secret_1);
SIZE_FIRST(tenon_admin_1);
SIZE_FIRST(tenon_instruments_1);
SIZE_FIRST(tenon_trading_1);
SIZE_FIRST(tenon_venue_1);
SIZE_FIRST(tenon_venue_input_1);
SIZE_FIRST(tenon_feed_1);
SIZE_FIRST(tenon_market_data_1);
SIZE_FIRST(tenon_http_routes_1);
SIZE_FIRST(tenon_auth_1);
SIZE_FIRST(tenon_storage_1);
SIZE_FIRST(tenon_migrations_1);
SIZE_FIRST(tenon_probe_1);

/* Records that go to disk or over the seam by value: padding is explicit, sizes do not drift. */
_Static_assert(sizeof(tenon_client_id) == 40, "tenon_client_id");
_Static_assert(sizeof(tenon_order) == 240, "tenon_order");
_Static_assert(sizeof(tenon_trade) == 88, "tenon_trade");
_Static_assert(sizeof(tenon_balance) == 32, "tenon_balance");
_Static_assert(sizeof(tenon_level) == 16, "tenon_level");

int tenon_abi_headers_compile(void);
int tenon_abi_headers_compile(void) { return 0; }
