/* SPDX-License-Identifier: Apache-2.0 */
/* tenon.backup/1 -- copies of what a component stores, verified and restored.
 *
 * A backup is known by its id ([A-Za-z0-9._-]{1,64}), names every piece that belongs to it with its
 * checksum, and is listed only when it is complete and on disk: a run that was killed leaves nothing
 * that looks like one. `verify` finds a flipped, missing, swapped or cut piece and names it. `restore`
 * writes to a folder that is empty or absent and touches nothing else; the operator puts it in place.
 * Everything is [io]: one call at a time, but for cancel and stats. */
#ifndef TENON_ABI_BACKUP_H
#define TENON_ABI_BACKUP_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Called now and then on the calling thread; total 0: not known yet. A status other than TENON_OK
 * stops the work, which returns it. */
typedef struct tenon_backup_progress {
    void* ctx;                                    /* fn may be NULL */
    tenon_status (*fn)(void* ctx, tenon_str phase, uint64_t done_bytes, uint64_t total_bytes);
} tenon_backup_progress;

#define TENON_BACKUP_FULL        1u
#define TENON_BACKUP_INCREMENTAL 2u /* since the newest complete one; a provider may make a full one */
typedef struct tenon_backup_request {
    uint32_t  size, kind;      /* TENON_BACKUP_* */
    tenon_str label;           /* free text, kept with the backup; at most 128 bytes */
    int64_t   deadline_ns;     /* 0: none */
} tenon_backup_request;

typedef struct tenon_restore_request {
    uint32_t  size, reserved;
    tenon_str id;              /* empty: the newest that reaches the wanted point */
    tenon_str folder;          /* absolute; empty or absent */
    int64_t   to_real_ns;      /* the state at that time; 0: the end of the backup */
    uint64_t  to_sequence;     /* the state after that command; 0: by time */
    int64_t   deadline_ns;
} tenon_restore_request;

typedef struct tenon_backup_1 {
    uint32_t size, flags;
    /* Puts the new backup's JSON, as in list, into `out`. TENON_OK | TENON_UNAVAILABLE (no room, store
     * not reachable) | TENON_TIMEOUT | TENON_UNSUPPORTED (kind). */
    tenon_status (*create)(void* self, const tenon_backup_request*, tenon_backup_progress,
                           tenon_sink out, tenon_err*);
    /* JSON: [{"id","kind","label","started_at","finished_at","bytes","pieces",
     * "from","to","parent","verified_at"}], oldest first; times in ISO 8601 UTC. */
    tenon_status (*list)(void* self, tenon_sink out, tenon_err*);
    /* Reads every piece. TENON_OK | TENON_CORRUPT (the message names the piece) | TENON_NOT_FOUND. */
    tenon_status (*verify)(void* self, tenon_str id, tenon_backup_progress, tenon_err*);
    /* TENON_OK | TENON_NOT_FOUND (no such backup, or none that reaches the point) | TENON_CORRUPT |
     * TENON_CONFLICT (the folder is not empty). On failure the folder is left as it was found. */
    tenon_status (*restore)(void* self, const tenon_restore_request*, tenon_backup_progress,
                            tenon_err*);
    /* Deletes what the retention policy gives up, never the last one nor one that a kept one needs.
     * `out`: JSON list of the ids. dry_run: only lists them. */
    tenon_status (*prune)(void* self, uint32_t dry_run, tenon_sink out, tenon_err*);
    /* [any] Asks the work in progress to stop; it returns TENON_UNAVAILABLE. */
    void (*cancel)(void* self);
} tenon_backup_1;

#ifdef __cplusplus
}
#endif
#endif
