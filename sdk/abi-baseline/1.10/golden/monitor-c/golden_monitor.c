/* SPDX-License-Identifier: Apache-2.0 */
/* A probe that is well, but for its deep check. */
#include "../golden.h"

#include <tenon/abi/probe.h>

typedef struct monitor {
    tenon_plugin plugin;
    const tenon_host* host;
} monitor;

static tenon_status check(void* self, uint32_t deep, int64_t deadline_ns, tenon_err* err) {
    (void)self, (void)deadline_ns;
    return deep ? golden_fail(err, TENON_UNAVAILABLE, "asked to look deep") : TENON_OK;
}

static const tenon_probe_1 table = {sizeof table, 0, check};

GOLDEN_PLUGIN(monitor, "tenon.probe/1", &table, golden_start, golden_stop)
