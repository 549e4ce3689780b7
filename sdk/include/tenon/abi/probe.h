/* SPDX-License-Identifier: Apache-2.0 */
/* tenon.probe/1 -- an active check of a component, called by the health monitor. */
#ifndef TENON_ABI_PROBE_H
#define TENON_ABI_PROBE_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tenon_probe_1 {
    uint32_t size, flags;
    /* [io] deep: also what is dear. TENON_OK, or a failure whose message is the reason. */
    tenon_status (*check)(void* self, uint32_t deep, int64_t deadline_ns, tenon_err*);
} tenon_probe_1;

#ifdef __cplusplus
}
#endif
#endif
