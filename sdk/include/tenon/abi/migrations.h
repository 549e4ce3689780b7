/* SPDX-License-Identifier: Apache-2.0 */
/* tenon.migrations/1 -- the schema of the storage, brought to the version of the shipped files.
 * The provider migrates up during its start, before its dependants start. [io] */
#ifndef TENON_ABI_MIGRATIONS_H
#define TENON_ABI_MIGRATIONS_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tenon_migrations_1 {
    uint32_t size, flags;
    /* [any] The version that the schema has now; 0: empty. */
    uint32_t (*version)(void* self);
    /* [io] JSON: {"current":N,"latest":N,"migrations":[{"version","name","state","checksum",
     * "applied_at"}]}. */
    tenon_status (*report)(void* self, tenon_sink, tenon_err*);
} tenon_migrations_1;

#ifdef __cplusplus
}
#endif
#endif
