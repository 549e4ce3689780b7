/* SPDX-License-Identifier: Apache-2.0 */
/* tenon.throttle/1 -- decides whether a caller may send one more request now.
 *
 * It never sleeps, never queues and reads no clock: who asks does the waiting and passes the time in,
 * so that a recorded run can be replayed to the same decisions.
 *
 * A limit is a named rule of the provider's settings ("rest_client", "exchange_weight"); its budget is
 * kept per key (an address, an account, an upstream). Costs are counted in the limit's own unit
 * (requests, weight, orders). Over any span of t seconds a key is never given more than
 * burst + rate * t, whatever the order of the calls. */
#ifndef TENON_ABI_THROTTLE_H
#define TENON_ABI_THROTTLE_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_THROTTLE_KEY_MAX    128u
#define TENON_THROTTLE_CLAIMS_MAX 8u

/* A part of what a request costs. */
typedef struct tenon_throttle_claim {
    uint32_t  limit;       /* id from find */
    uint32_t  cost;        /* 1 .. the burst of the level in force */
    tenon_str key;         /* at most 128 bytes; may be empty: one budget for all */
} tenon_throttle_claim;

typedef struct tenon_throttle_state {
    uint32_t size, reserved;
    int64_t  burst;            /* the most that a full budget gives at once */
    int64_t  available;        /* may be taken now, 0 .. burst */
    int64_t  full_after_ns;    /* until the budget is full again, if nothing is taken */
    int64_t  rate_per_second;  /* rounded down */
    int64_t  blocked_ns;       /* > 0: the upstream said not to come before that */
} tenon_throttle_state;

/* What the upstream said, after a request. Zero: it said nothing of the kind. */
#define TENON_UPSTREAM_OK      0u
#define TENON_UPSTREAM_FAILED  1u /* error or time-out that is the upstream's */
#define TENON_UPSTREAM_LIMITED 2u /* HTTP 429 and its like */
#define TENON_UPSTREAM_BANNED  3u /* HTTP 418 and its like */
typedef struct tenon_throttle_feedback {
    uint32_t size, outcome;     /* TENON_UPSTREAM_* */
    int64_t  latency_ns;
    int64_t  used;              /* of the budget, by the upstream's own count */
    int64_t  retry_after_ns;    /* do not come before that */
} tenon_throttle_feedback;

typedef struct tenon_throttle_1 {
    uint32_t size, flags;
    /* [any] The id of a limit, the same until stop. TENON_OK | TENON_NOT_FOUND. */
    tenon_status (*find)(void* self, tenon_str limit, uint32_t* id);
    /* Takes all claims together, or none.
     *   count           1 .. 8
     *   now_ns          monotonic; earlier than in the last call counts as equal to it
     *   retry_after_ns  out, may be NULL; set with TENON_LIMITED: the earliest time, from now, at which
     *                   the same claims would be taken if nobody else takes any
     * TENON_OK taken | TENON_LIMITED not taken, every budget unchanged | TENON_INVALID waiting would
     * never help (a cost above the burst, an unknown id, a key too long, no claim).
     * [nonblock] in state started. Does not allocate once the keys are known. */
    tenon_status (*take)(void* self, const tenon_throttle_claim* claims, uint32_t count,
                         int64_t now_ns, int64_t* retry_after_ns);
    /* Gives back what a request that was not sent had taken; never above the burst. [nonblock] */
    void (*refund)(void* self, const tenon_throttle_claim* claims, uint32_t count, int64_t now_ns);
    /* Optional. The budget follows what the upstream says. [nonblock] */
    void (*observe)(void* self, uint32_t limit, tenon_str key, const tenon_throttle_feedback*,
                    int64_t now_ns);
    /* [nonblock] A key that was never seen has a full budget. TENON_OK | TENON_NOT_FOUND (limit). */
    tenon_status (*state)(void* self, uint32_t limit, tenon_str key, int64_t now_ns,
                          tenon_throttle_state* out);
    /* [any] The level in force ("conservative", "moderate", "aggressive", "unlimited", "custom"), and
     * changing it while running: budgets keep what was taken. An empty limit: all of them.
     * TENON_OK | TENON_NOT_FOUND | TENON_INVALID (level). */
    tenon_status (*level)(void* self, tenon_str limit, tenon_sink out, tenon_err*);
    tenon_status (*set_level)(void* self, tenon_str limit, tenon_str level, tenon_err*);
    /* [any] JSON: {"LIMIT":{"level","rate_per_second","burst","keys","taken","limited"},…}. */
    tenon_status (*stats)(void* self, tenon_sink out, tenon_err*);
} tenon_throttle_1;

#ifdef __cplusplus
}
#endif
#endif
