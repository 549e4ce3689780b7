/* SPDX-License-Identifier: Apache-2.0 */
/* Services of the kernel, reached through tenon_host.query: log, clock, environment, exec, metrics,
 * health, services, secret, admin, config, bus, audit. All of them are valid until the plugin's destroy returned. */
#ifndef TENON_ABI_HOST_H
#define TENON_ABI_HOST_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- tenon.log/1: structured log, one event a line ------------------------------------------- */
#define TENON_LOG_TRACE 0
#define TENON_LOG_DEBUG 1
#define TENON_LOG_INFO  2 /* a state change */
#define TENON_LOG_WARN  3 /* degraded, heals itself */
#define TENON_LOG_ERROR 4 /* somebody must act */

#define TENON_FIELD_TEXT   0
#define TENON_FIELD_NUMBER 1 /* value is a JSON number, true or false, written unquoted */
typedef struct tenon_log_field { tenon_str key, value; uint32_t kind, reserved; } tenon_log_field;

typedef struct tenon_log_1 {
    uint32_t size, flags;
    /* [any] 1 when a line of this level would be written for this plugin. Cheap. */
    uint32_t (*enabled)(void* self, int32_t level);
    /* [any] `event` is constant text; what varies goes into the fields. Never put a secret in. */
    void (*write)(void* self, int32_t level, tenon_str event, const tenon_log_field* fields,
                  uint32_t field_count);
} tenon_log_1;

/* ---- tenon.clock/1 ---------------------------------------------------------------------------- */
typedef struct tenon_clock_1 {
    uint32_t size, flags;
    int64_t (*now_ns)(void* self);      /* [any] monotonic */
    int64_t (*now_real_ns)(void* self); /* [any] since the epoch, UTC; may step back */
} tenon_clock_1;

/* ---- tenon.environment/1: what the daemon was started with ------------------------------------ */
typedef struct tenon_environment_1 {
    uint32_t size, flags;
    /* [any] Keys: data_dir, deployment_dir (relative paths in settings start there), listen
     * ("ADDR:PORT", or empty when the daemon runs without a listener), version, instance (this
     * plugin's name in the deployment). Borrowed until destroy. TENON_OK | TENON_NOT_FOUND. */
    tenon_status (*get)(void* self, tenon_str key, tenon_str* out);
} tenon_environment_1;

/* ---- tenon.exec/1: reactors, timers, the blocking pool ----------------------------------------
 * A reactor is one thread with one epoll set. A turn is: wait for events, run the callbacks of what
 * is ready, run what was posted, fire due timers, then run the turn hooks in the order of their
 * phase. Reactor 0 always exists; with two cores or fewer it is the only one. */
#define TENON_FD_READ  1u
#define TENON_FD_WRITE 2u
#define TENON_FD_ERROR 4u /* reported only: error or hang-up */

/* Phases of turn hooks: all hooks of a lower phase run before those of a higher one. */
#define TENON_TURN_COMMIT 100 /* the journal writes its batch and releases what waited for it */
#define TENON_TURN_FLUSH  200 /* connections write what has been queued in this turn */

typedef void (*tenon_fn)(void* ctx);
typedef void (*tenon_fd_fn)(void* ctx, uint32_t ready);

typedef struct tenon_exec_1 {
    uint32_t size, flags;
    uint32_t (*reactor_count)(void* self);                                              /* [any] */
    /* [any] The calling thread's reactor, or -1. */
    int32_t (*current_reactor)(void* self);
    /* [any] Runs fn once on that reactor, in order of posting. TENON_OK | TENON_UNAVAILABLE (queue
     * full or the reactor has stopped: fn will not run). */
    tenon_status (*post)(void* self, uint32_t reactor, tenon_fn fn, void* ctx);
    /* [reactor] Level-triggered. handle > 0. The fd stays the caller's. */
    tenon_status (*watch)(void* self, int32_t fd, uint32_t events, tenon_fd_fn fn, void* ctx,
                          uint64_t* handle);
    /* [reactor] Changes the events; 0 keeps the registration but reports nothing. */
    tenon_status (*rewatch)(void* self, uint64_t handle, uint32_t events);
    /* [reactor] After it returns the callback does not run again; close the fd afterwards. */
    void (*unwatch)(void* self, uint64_t handle);
    /* [reactor] One shot; id > 0. Millisecond resolution, bounded by the turn's length. */
    uint64_t (*timer)(void* self, int64_t deadline_ns, tenon_fn fn, void* ctx);
    /* [reactor] Does nothing when it has fired. */
    void (*cancel_timer)(void* self, uint64_t id);
    /* [reactor] Calls fn at the end of every turn of the calling reactor. handle > 0. */
    uint64_t (*at_turn_end)(void* self, int32_t phase, tenon_fn fn, void* ctx);
    void (*remove_turn_hook)(void* self, uint64_t handle);                          /* [reactor] */
    /* [reactor] The monotonic clock as read at the start of this turn. Free of cost. */
    int64_t (*turn_now_ns)(void* self);
    /* [any] Runs fn on the blocking pool. TENON_OK | TENON_UNAVAILABLE (queue full). */
    tenon_status (*run_blocking)(void* self, tenon_fn fn, void* ctx);
    /* [control], [io] Runs fn on that reactor and returns when it has run: for start and stop, which
     * must register and remove what a reactor owns. Must not be called on a reactor. */
    tenon_status (*call)(void* self, uint32_t reactor, tenon_fn fn, void* ctx);
} tenon_exec_1;

/* ---- tenon.metrics/1 ---------------------------------------------------------------------------
 * Series are made at start and live as long as the host. Names: tenon_<area>_<what>_<unit>[_total],
 * base units. Labels from bounded sets only. Making the same series twice gives the same cell. */
typedef struct tenon_label { tenon_str name, value; } tenon_label;
typedef struct tenon_histogram tenon_histogram;

typedef struct tenon_metrics_1 {
    uint32_t size, flags;
    /* [any] The cell is added to with relaxed atomics by its users, or as `thread_word` says. NULL:
     * bad name or too many. */
    uint64_t* (*counter)(void* self, tenon_str name, tenon_str help, const tenon_label*, uint32_t);
    int64_t* (*gauge)(void* self, tenon_str name, tenon_str help, const tenon_label*, uint32_t);
    /* [any] A histogram of durations, exported in seconds. */
    tenon_histogram* (*histogram)(void* self, tenon_str name, tenon_str help, const tenon_label*,
                                  uint32_t);
    void (*observe)(void* self, tenon_histogram*, int64_t duration_ns);             /* [nonblock] */
    /* [any] Called before every collection, to bring gauges up to date. */
    uint64_t (*on_collect)(void* self, tenon_fn fn, void* ctx);
    void (*remove_on_collect)(void* self, uint64_t handle);                               /* [any] */
    /* [any] All series in Prometheus text format 0.0.4. */
    tenon_status (*collect)(void* self, tenon_sink out);
    /* Since 1.5. Bytes from the thread pointer (__builtin_thread_pointer) to the running thread's
     * int64_t word; 0: there is none. The word is 0 before the thread has joined; 1: it adds to cells
     * with atomics; else the bytes from each counter's cell to a uint64_t that this thread alone
     * writes, with relaxed loads and stores, and that counts with the cell. */
    int64_t thread_word;
    void (*join)(void* self); /* [any] Gives the running thread's word its value; takes a lock. */
} tenon_metrics_1;

/* ---- tenon.health/1 ---------------------------------------------------------------------------- */
#define TENON_HEALTHY  0
#define TENON_DEGRADED 1
#define TENON_CRITICAL 2

typedef struct tenon_health_1 {
    uint32_t size, flags;
    /* [any] State of one component of this plugin; the reason names what is wrong and is kept until
     * the next call. A change of state is logged. */
    void (*set)(void* self, tenon_str component, int32_t state, tenon_str reason);
    /* [any] JSON: {"state":"healthy|degraded|critical","ready":bool,"components":[{"plugin","component",
     * "state","reason","since"}],"plugins":[{"name","id","version","state","error"}]}. */
    tenon_status (*report)(void* self, tenon_sink out);
    /* [any] 1 when every plugin of the deployment has started and none is critical. Cheap. */
    uint32_t (*ready)(void* self);
} tenon_health_1;

/* ---- tenon.services/1: what other plugins provide ---------------------------------------------- */
typedef struct tenon_services_1 {
    uint32_t size, flags;
    /* [any] The provider bound to this plugin's requirement on `interface`. Only what the manifest
     * declares in `requires`. TENON_OK | TENON_NOT_FOUND (optional and absent) | TENON_DENIED. */
    tenon_status (*find)(void* self, tenon_str interface_id, tenon_iface* out);
    /* [any] Every provider bound to the requirement, in the order of the deployment; for
     * requirements with "many": true. `row` gets the provider's instance name. */
    tenon_status (*each)(void* self, tenon_str interface_id, void* ctx,
                         tenon_status (*row)(void* ctx, tenon_str instance, tenon_iface iface));
} tenon_services_1;

/* ---- tenon.secret/1: sealing at rest ------------------------------------------------------------
 * XChaCha20-Poly1305 (libsodium) under the server's master key, which comes from systemd's
 * LoadCredential (tenon-master-key) or from the file master.key, mode 0600, in the data folder. */
typedef struct tenon_secret_1 {
    uint32_t size, flags;
    /* [any] `context` is bound into the seal: opening needs the same. */
    tenon_status (*seal)(void* self, tenon_str context, tenon_bytes plain, tenon_sink out, tenon_err*);
    tenon_status (*open)(void* self, tenon_str context, tenon_bytes sealed, tenon_sink out, tenon_err*);
} tenon_secret_1;

/* ---- tenon.admin/1: commands for the tools ------------------------------------------------------
 * The daemon's unix socket DATA_DIR/admin.sock (mode 0600) takes lines of JSON
 * {"command":"keys.create","args":{…}} and answers each with one line {"ok":…} or
 * {"error":{"code":…,"message":…}}. */
typedef struct tenon_admin_1 {
    uint32_t size, flags;
    /* [control] The handler runs on the blocking pool [io], writes one JSON value to `out`, or fails
     * with a message. `usage` is one line for `tenon help`. TENON_OK | TENON_CONFLICT. */
    tenon_status (*command)(void* self, tenon_str name, tenon_str usage, void* ctx,
                            tenon_status (*run)(void* ctx, tenon_str args_json, tenon_sink out,
                                                tenon_err*));
    /* [control] After it returns the handler does not run again. */
    void (*remove)(void* self, tenon_str name);
} tenon_admin_1;

/* ---- tenon.config/1: this instance's configuration in force ------------------------------------ */
typedef struct tenon_config_1 {
    uint32_t size, flags;
    /* [any] 1 at start, one more with each reload that was applied to the deployment. */
    uint64_t (*generation)(void* self);
    /* [any] The whole validated configuration as JSON, defaults filled in. Secrets are references. */
    tenon_status (*get)(void* self, tenon_sink out);
    /* [any] One setting by its JSON pointer, as JSON. TENON_OK | TENON_NOT_FOUND. */
    tenon_status (*value)(void* self, tenon_str pointer, tenon_sink out);
    /* [control] `fn` is called on the control thread after a reload has been applied to this
     * instance, after its configure. handle > 0. */
    tenon_status (*on_change)(void* self, void* ctx, void (*fn)(void* ctx, uint64_t generation),
                              uint64_t* handle);
    void (*remove_on_change)(void* self, uint64_t handle);                          /* [control] */
} tenon_config_1;

/* ---- tenon.bus/1: events between plugins of one server ------------------------------------------
 * Not durable. A topic is "area.event" ("cache.invalidated"); `type` names the layout of the bytes and
 * its revision ("tenon.cache_key/1"). Each subscriber has its own bounded queue and gets messages of
 * one publisher in the order of publishing; when its queue was full, the next message that it gets
 * says how many it missed. */
#define TENON_BUS_DATA_MAX 65536u

typedef struct tenon_bus_message {
    uint32_t    size, reserved;
    tenon_str   topic, type;
    tenon_bytes data;
    tenon_str   source;        /* instance that published */
    int64_t     time_real_ns;
    uint64_t    missed;        /* messages lost to this subscriber right before this one */
} tenon_bus_message;

typedef struct tenon_bus_1 {
    uint32_t size, flags;
    /* [any] Copied. TENON_OK (also without subscribers) | TENON_INVALID (topic, or too long). */
    tenon_status (*publish)(void* self, tenon_str topic, tenon_str type, tenon_bytes data);
    /* [control] `topic` exactly, or every one under it when it ends in ".*" ("cache.*"; "*" is all).
     * `fn` runs on that reactor; the message is borrowed during the call. handle > 0. */
    tenon_status (*subscribe)(void* self, tenon_str topic, uint32_t reactor, void* ctx,
                              void (*fn)(void* ctx, const tenon_bus_message*), uint64_t* handle);
    /* [control] After it returns fn does not run again. */
    void (*unsubscribe)(void* self, uint64_t handle);
} tenon_bus_1;

/* ---- tenon.audit/1: who did what ----------------------------------------------------------------
 * DATA_DIR/audit.log: one JSON object a line, each with the hash of the line before it, so that a
 * changed or missing line is found (`tenon audit verify`). Never put a secret in. */
typedef struct tenon_audit_event {
    uint32_t  size, reserved;
    tenon_str actor;      /* "key:abcd…", "user:anna", "cli:uid 0", "system" */
    tenon_str action;     /* "order.kill_switch", "config.reload" */
    tenon_str subject;    /* what it was done to; may be empty */
    tenon_str detail;     /* a JSON value, or empty */
} tenon_audit_event;

typedef struct tenon_audit_1 {
    uint32_t size, flags;
    /* [io] On disk when it returns. TENON_OK | TENON_INVALID | TENON_UNAVAILABLE (disk; the caller
     * decides whether it goes on unrecorded). */
    tenon_status (*record)(void* self, const tenon_audit_event*, tenon_err*);
} tenon_audit_1;

#ifdef __cplusplus
}
#endif
#endif
