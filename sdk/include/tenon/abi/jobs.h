/* SPDX-License-Identifier: Apache-2.0 */
/* tenon.jobs/1 -- background jobs that outlive the server.
 *
 * A job is a row of the database: on disk when enqueue returns, run by one of the servers that have a
 * handler for its kind, and kept as dead when it failed too often, until an operator replays or
 * discards it. A run holds a lease that the provider extends; when a server dies, its jobs run anew
 * elsewhere. So a handler may run more than once, but no more than one run completes: each claim has
 * a token, and a run whose lease passed on is refused. Effects that must happen once go into the
 * transaction that `finish` takes part in.
 *
 * Priority: a job goes ahead of those that became due up to a minute before it for each step of
 * difference; so none waits for ever. Not for orders: trading has its own journal. */
#ifndef TENON_ABI_JOBS_H
#define TENON_ABI_JOBS_H

#include "base.h"
#include "storage.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tenon_job {
    uint32_t  size;
    int32_t   priority;       /* -9 .. 9; higher goes first */
    tenon_str queue, kind;    /* [A-Za-z0-9._-]{1,64} */
    tenon_str payload;        /* JSON; "": {} */
    tenon_str key;            /* unique in the queue among the jobs that are kept, 1 to 128 bytes, not
                               * beginning with '~'; "": none. A second one gives the first one's id. */
    int64_t   due_real_ns;    /* not before; 0: now */
    int64_t   timeout_ms;     /* of one run; 0: the provider's default */
    uint32_t  attempts_max;   /* 1 .. 100; 0: the provider's default */
    uint32_t  reserved;
} tenon_job;

/* One run of a job; borrowed until the handler returns. */
typedef struct tenon_job_run {
    uint32_t  size, attempt;  /* 1: the first */
    int64_t   id;
    tenon_str queue, kind, payload;
    int64_t   deadline_ns;    /* monotonic; afterwards the lease is no longer extended */
    void*     self;
    /* [any] 1 when the run should end soon: its time is over, its lease has passed on, or the server
     * stops. */
    uint32_t (*cancelled)(const struct tenon_job_run*);
    /* [io] Marks the job as done within the caller's transaction on the provider's storage; the
     * handler then returns TENON_OK. TENON_CONFLICT: the lease has passed on; roll back. */
    tenon_status (*finish)(const struct tenon_job_run*, tenon_session*, tenon_err*);
} tenon_job_run;

/* [io] Runs on a thread of the provider. TENON_OK: done. TENON_INVALID, TENON_UNSUPPORTED, TENON_CORRUPT,
 * TENON_DENIED: dead at once, a retry would not help. Any other failure: again after a pause, until
 * the attempts are used up. The message is kept with the job. */
typedef tenon_status (*tenon_job_fn)(void* ctx, const tenon_job_run*, tenon_err*);

typedef struct tenon_job_schedule {
    uint32_t  size, reserved;
    tenon_str name;           /* [A-Za-z0-9._-]{1,64} */
    tenon_str rule;           /* "every 300s" (1 s to 366 days), or "daily 04:30" (UTC) */
    tenon_job job;            /* without key and due time */
} tenon_job_schedule;

typedef struct tenon_jobs_1 {
    uint32_t size, flags;
    /* [io] All of them or none, in one transaction; on disk when it returns. `ids`: one for each, may
     * be NULL. TENON_OK | TENON_INVALID (which job, what is wrong) | TENON_UNAVAILABLE (the queue is
     * full, nothing was taken) | what a storage answers. */
    tenon_status (*enqueue)(void* self, const tenon_job* jobs, uint32_t count, int64_t deadline_ns,
                            int64_t* ids, tenon_err*);
    /* [io] The same within the caller's transaction on the provider's storage: they are there when it
     * commits. */
    tenon_status (*enqueue_in)(void* self, tenon_session*, const tenon_job* jobs, uint32_t count,
                               int64_t* ids, tenon_err*);
    /* [control] This server runs jobs of that kind from now on. TENON_OK | TENON_CONFLICT (there is
     * one) | TENON_INVALID. handle > 0. */
    tenon_status (*handle)(void* self, tenon_str queue, tenon_str kind, void* ctx, tenon_job_fn fn,
                           uint64_t* handle, tenon_err*);
    /* [control] Asks runs to end; after it returns fn does not run again. */
    void (*unhandle)(void* self, uint64_t handle);
    /* [io] Makes or changes a schedule. A due run is enqueued once over all servers; runs that were
     * missed while none was up count as one. The next run stays where it was while the rule does. */
    tenon_status (*schedule)(void* self, const tenon_job_schedule*, tenon_err*);
    /* [io] TENON_OK | TENON_NOT_FOUND */
    tenon_status (*unschedule)(void* self, tenon_str name, tenon_err*);
} tenon_jobs_1;

#ifdef __cplusplus
}
#endif
#endif
