/* SPDX-License-Identifier: Apache-2.0 */
/* A small plugin, and with one BROKEN_<check> defined, the same plugin broken so that exactly that
 * check of the kit fails. Plain C: it compiles in no time, and no wrapper heals the fault. */
#define _GNU_SOURCE
#include <tenon/abi/base.h>
#include <tenon/abi/host.h>
#include <tenon/abi/instruments.h>

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef BROKEN_ID
#define BROKEN_ID TENON_PLUGIN_ID
#endif
#ifndef BROKEN_MAGIC
#define BROKEN_MAGIC TENON_MAGIC
#endif
#ifndef BROKEN_MAJOR
#define BROKEN_MAJOR TENON_ABI_MAJOR
#endif
#define TEXT(literal) ((tenon_str){literal, sizeof literal - 1})

typedef struct instance {
    tenon_plugin plugin;
    const tenon_host* host;
    int configured;    /* calls of configure, dry ones too */
    int since_start;   /* good ones since the last start */
    int started, stopped, spoilt, running;
    const char* kept;
    const void* volatile table;
    uint64_t handle;
} instance;

typedef struct table { uint32_t size, flags; } table;
static const table k_table = {sizeof(table), 0};
static int g_running;

/* ---- the host ---- */
static const void* service(instance* me, tenon_str id, void** self) {
    tenon_iface found = {0, 0};
    (void)me->host->query(me->host->self, id, &found);
    *self = found.self;
    return found.vt;
}

static tenon_status fail(tenon_err* err, tenon_status status, const char* message) {
    size_t n = strlen(message);
#if defined(BROKEN_skew_no_error)
    err->code = status;
#endif
    if (!err) return status;
    size_t room = err->size > offsetof(tenon_err, msg) ? err->size - offsetof(tenon_err, msg) : 0;
#if defined(BROKEN_skew_short_error)
    room = sizeof err->msg;
    memset(err->msg, ' ', room);
#endif
    if (room > sizeof err->msg) room = sizeof err->msg;
    if (n > room) n = room;
    err->code = status;
#if defined(BROKEN_errors_messages)
    err->code = TENON_CORRUPT;
#endif
    err->flags = 0;
    err->len = (uint32_t)n;
    memcpy(err->msg, message, n);
    return status;
}

static int contains(tenon_str text, const char* part) {
    return text.n != 0 && memmem(text.p, text.n, part, strlen(part)) != NULL;
}

static int equals(tenon_str text, const char* other) {
    return text.n == strlen(other) && memcmp(text.p, other, text.n) == 0;
}

static void nothing(void* ctx) { (void)ctx; }

void broken_throw(void); /* throw.cpp */

/* ---- configure: what each input does ---- */
static void trip_over(instance* me, tenon_str json, uint32_t dry_run) {
    int trip = 0;
    (void)me, (void)json, (void)dry_run;
#if defined(BROKEN_config_empty)
    trip = equals(json, "{}");
#elif defined(BROKEN_config_missing)
    trip = equals(json, "{\"name\":\"x\"}");
#elif defined(BROKEN_config_types)
    trip = contains(json, "\"level\":null") && !contains(json, "\"level\":null,\"level\"");
#elif defined(BROKEN_config_beyond)
    trip = contains(json, "\"level\":-1");
#elif defined(BROKEN_config_unknown_key)
    trip = contains(json, "\"\":1");
#elif defined(BROKEN_config_long_text)
    trip = json.n > (1u << 20);
#elif defined(BROKEN_config_nesting)
    trip = contains(json, "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[");
#elif defined(BROKEN_config_utf8)
    trip = contains(json, "\xed\xa0\x80");
#elif defined(BROKEN_config_duplicates)
    trip = contains(json, "\"level\":null,\"level\"");
#elif defined(BROKEN_config_not_json)
    trip = equals(json, "1e999999");
#elif defined(BROKEN_memory_null)
    trip = json.p == NULL;
#elif defined(BROKEN_fuzz_config)
    trip = json.n != 0 && memchr(json.p, 1, json.n) != NULL;
#elif defined(BROKEN_fuzz_lifecycle)
    trip = !dry_run && me->since_start >= 1;
#elif defined(BROKEN_memory_bounds)
    trip = json.n != 0 && ((const volatile char*)json.p)[json.n] == 1;
#endif
    if (trip) abort();
}

static void log_text(instance* me, int32_t level, tenon_str event) {
    void* self = NULL;
    const tenon_log_1* log = service(me, TEXT("tenon.log/1"), &self);
    if (log) log->write(self, level, event, NULL, 0);
}

#if defined(BROKEN_memory_sink)
static tenon_status show(void* ctx, tenon_str args, tenon_sink out, tenon_err* err) {
    (void)ctx, (void)args, (void)err;
    (void)out.put(out.ctx, (tenon_bytes){"\"more than seven bytes\"", 23});
    return TENON_OK;
}
#endif

static void configure_host(instance* me, uint32_t dry_run) {
    void* self = NULL;
    (void)me, (void)self, (void)dry_run;
#if defined(BROKEN_config_dry_run)
    const tenon_environment_1* environment = service(me, TEXT("tenon.environment/1"), &self);
    tenon_str folder = {0, 0};
    char file[4096] = {0};
    if (dry_run && environment && environment->get(self, TEXT("data_dir"), &folder) == TENON_OK && folder.n < 4000) {
        memcpy(file, folder.p, folder.n);
        memcpy(file + folder.n, "/dry", 5);
        (void)!close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    }
#elif defined(BROKEN_memory_sink)
    const tenon_admin_1* admin = service(me, TEXT("tenon.admin/1"), &self);
    if (!dry_run && admin)
        (void)admin->command(self, TEXT("kit.show"), TEXT("shows"), NULL, &show);
#endif
}

static tenon_status configure(tenon_plugin* plugin, tenon_str json, uint32_t dry_run, tenon_err* err) {
    instance* me = (instance*)plugin;
    ++me->configured;
    trip_over(me, json, dry_run);
    configure_host(me, dry_run);
#if defined(BROKEN_errors_throw)
    if (equals(json, "[]")) broken_throw();
#endif
    int good = json.n >= 2 && json.p[0] == '{' && json.p[json.n - 1] == '}' && !contains(json, "no-such-setting");
#if defined(BROKEN_lifecycle_configure)
    good = good && dry_run;
#elif defined(BROKEN_lifecycle_refused_configure)
    if (!good && !dry_run) me->spoilt = 1;
#elif defined(BROKEN_lifecycle_live)
    good = good && !me->running;
#elif defined(BROKEN_config_bounds)
    if (contains(json, "\"level\":9")) return fail(err, TENON_INTERNAL, "nine");
#elif defined(BROKEN_config_secret)
    if (!dry_run) log_text(me, TENON_LOG_INFO, json);
#endif
    if (!good || me->spoilt) return fail(err, TENON_INVALID, "expected an object with level and name");
    if (!dry_run) {
        ++me->since_start;
        me->kept = json.p;
    }
    return TENON_OK;
}

/* ---- start ---- */
static void* wait_forever(void* ctx) {
    (void)ctx;
    for (;;) pause();
    return NULL;
}

static void launch(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, &wait_forever, NULL) == 0) (void)pthread_detach(thread);
}

static void misbehave_in_start(instance* me) {
    static int once;
    void* self = NULL;
    (void)once, (void)self, (void)me;
#if defined(BROKEN_lifecycle_cycles)
    char* leak = malloc(200 * 1024);
    if (leak) memset(leak, 1, 200 * 1024);
    me->table = leak;
    me->table = &k_table;
#elif defined(BROKEN_lifecycle_threads)
    if (!once++) launch();
#elif defined(BROKEN_lifecycle_fds)
    if (!once++) (void)!open("/dev/null", O_RDONLY | O_CLOEXEC);
#elif defined(BROKEN_lifecycle_registrations)
    const tenon_metrics_1* metrics = service(me, TEXT("tenon.metrics/1"), &self);
    if (!me->handle && metrics) me->handle = metrics->on_collect(self, &nothing, NULL);
#elif defined(BROKEN_skew_older_host)
    const tenon_log_1* log = service(me, TEXT("tenon.log/1"), &self);
    if (log && log->size == sizeof *log) {
        tenon_fn beyond;
        memcpy(&beyond, (const char*)log + sizeof *log, sizeof beyond);
        beyond(self);
    }
#elif defined(BROKEN_skew_services)
    const tenon_health_1* health = service(me, TEXT("tenon.health/1"), &self);
    health->set(self, TEXT("kit"), TENON_HEALTHY, TEXT(""));
#elif defined(BROKEN_memory_borrowed)
    if (me->kept) (void)*(const volatile char*)me->kept;
#elif defined(BROKEN_host_threads)
    const tenon_exec_1* exec = service(me, TEXT("tenon.exec/1"), &self);
    if (exec) (void)exec->timer(self, 0, &nothing, NULL);
#elif defined(BROKEN_host_arguments)
    log_text(me, 99, TEXT("too loud"));
#elif defined(BROKEN_host_metrics)
    const tenon_metrics_1* metrics = service(me, TEXT("tenon.metrics/1"), &self);
    if (metrics) (void)metrics->gauge(self, TEXT("tenon_kit_undeclared"), TEXT("x"), NULL, 0);
#endif
}

static const char* refusal(instance* me) {
    void* self = NULL;
    const tenon_metrics_1* metrics = service(me, TEXT("tenon.metrics/1"), &self);
    if (!metrics) return "the host has no tenon.metrics/1";
    uint64_t* starts = metrics->counter(self, TEXT("tenon_kit_starts_total"), TEXT("Starts"), NULL, 0);
#if defined(BROKEN_errors_host)
    ++*starts;
#endif
#if defined(BROKEN_lifecycle_refused_start)
    if (!starts) me->spoilt = 1;
    if (me->spoilt) return "spoilt";
#endif
    if (!starts) return "no metric";
    ++*starts;
#if defined(BROKEN_lifecycle_start)
    return "never starts";
#elif defined(BROKEN_lifecycle_restart)
    if (me->stopped) return "only once";
#elif defined(BROKEN_skew_newer_host)
    const tenon_log_1* log = service(me, TEXT("tenon.log/1"), &self);
    if (log && log->size > sizeof *log) return "a host that is too new";
#elif defined(BROKEN_skew_flags)
    if (me->host->flags != 0) return "unknown flags";
#endif
    return NULL;
}

static tenon_status start(tenon_plugin* plugin, tenon_err* err) {
    instance* me = (instance*)plugin;
    me->since_start = 0;
    const char* why = refusal(me);
    if (why) return fail(err, TENON_UNAVAILABLE, why);
    misbehave_in_start(me);
    log_text(me, TENON_LOG_INFO, TEXT("started"));
    ++me->started;
    me->running = 1;
    ++g_running;
    return TENON_OK;
}

/* ---- the rest of the life ---- */
static tenon_status drain(tenon_plugin* plugin, int64_t deadline_ns, tenon_done done) {
    (void)plugin, (void)deadline_ns, (void)done;
#if defined(BROKEN_lifecycle_drain)
    struct timespec now, second = {1, 0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    if (deadline_ns - (now.tv_sec * 1000000000 + now.tv_nsec) < 300000000) (void)nanosleep(&second, NULL);
#elif defined(BROKEN_lifecycle_done)
    done.fn(done.ctx, TENON_OK, NULL);
#endif
    return TENON_OK;
}

static void stop(tenon_plugin* plugin) {
    instance* me = (instance*)plugin;
#if defined(BROKEN_lifecycle_in_flight)
    struct timespec moment = {0, 20000000};
    me->table = NULL;
    (void)nanosleep(&moment, NULL);
    me->table = &k_table;
#endif
    me->stopped = 1;
    me->running = 0;
    --g_running;
}

static void destroy(tenon_plugin* plugin) {
    instance* me = (instance*)plugin;
#if defined(BROKEN_lifecycle_unused)
    if (!me->configured) abort();
#elif defined(BROKEN_lifecycle_configured)
    if (me->since_start && !me->started) abort();
#elif defined(BROKEN_memory_sink)
    void* self = NULL;
    const tenon_admin_1* admin = service(me, TEXT("tenon.admin/1"), &self);
    if (admin) admin->remove(self, TEXT("kit.show"));
#endif
    free(me);
}

static tenon_status query(tenon_plugin* plugin, tenon_str id, tenon_iface* out) {
    instance* me = (instance*)plugin;
    tenon_iface mine = {me, &k_table};
    int known = equals(id, "test.kit/1");
#if defined(BROKEN_query_unknown)
    known = known || contains(id, "no_such_interface");
#elif defined(BROKEN_query_similar)
    known = id.n >= 10 && memcmp(id.p, "test.kit/1", 10) == 0;
#elif defined(BROKEN_query_empty)
    if (id.n == 0) *out = mine;
#elif defined(BROKEN_query_size) || defined(BROKEN_query_slots)
    static const tenon_instruments_1 empty = {
#if defined(BROKEN_query_slots)
        .size = sizeof empty
#else
        .size = 8
#endif
    };
    known = equals(id, "tenon.instruments/1");
    mine.vt = &empty;
#elif defined(BROKEN_query_stable)
    mine.self = me->started ? (char*)me + 1 : (char*)me;
#elif defined(BROKEN_query_threads)
    static volatile int busy;
    if (busy) return TENON_UNAVAILABLE;
    busy = 1;
    (void)sched_yield(); /* so that another thread meets it on one core too */
    busy = 0;
#elif defined(BROKEN_lifecycle_two)
    static int shared;
    mine.self = &shared;
#elif defined(BROKEN_lifecycle_in_flight)
    if (((const table*)me->table)->size == 0) return TENON_INTERNAL;
#elif defined(BROKEN_fuzz_query)
    if (id.n > 20 && memchr(id.p, 1, id.n)) abort();
#endif
    if (!known) return TENON_UNSUPPORTED;
    *out = mine;
    return TENON_OK;
}

static const tenon_plugin_vt k_plugin = {
    sizeof(tenon_plugin_vt), 0, &configure, &start, &drain, &stop, &destroy, &query};

static tenon_status create(const tenon_host* host, tenon_plugin** out, tenon_err* err) {
#if defined(BROKEN_lifecycle_create)
    (void)host, (void)out;
    return fail(err, TENON_UNAVAILABLE, "never created");
#else
    instance* me = calloc(1, sizeof *me);
#if !defined(BROKEN_errors_memory)
    if (!me) return fail(err, TENON_UNAVAILABLE, "out of memory");
#endif
    (void)err;
    me->plugin.vt = &k_plugin;
    me->host = host;
    me->table = &k_table;
#if defined(BROKEN_host_states)
    void* self = NULL;
    const tenon_exec_1* exec = service(me, TEXT("tenon.exec/1"), &self);
    if (exec) (void)exec->reactor_count(self), (void)exec->post(self, 0, &nothing, NULL);
#endif
    *out = &me->plugin;
    return TENON_OK;
#endif
}

/* ---- the image ---- */
#if defined(BROKEN_load_fast)
__attribute__((constructor)) static void on_load(void) {
    struct timespec used = {0, 0};
    do {
        (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    } while (used.tv_sec == 0 && used.tv_nsec < 250000000);
}
#elif defined(BROKEN_load_threads)
__attribute__((constructor)) static void on_load(void) { launch(); }
#elif defined(BROKEN_load_fds)
__attribute__((constructor)) static void on_load(void) { (void)!open("/dev/null", O_RDONLY); }
#elif defined(BROKEN_load_silent)
__attribute__((constructor)) static void on_load(void) { (void)!write(1, "hello\n", 6); }
#elif defined(BROKEN_load_settings)
__attribute__((constructor)) static void on_load(void) { (void)signal(SIGUSR1, SIG_IGN); }
#elif defined(BROKEN_lifecycle_exit)
__attribute__((destructor)) static void on_exit_of_process(void) {
    if (g_running) abort();
}
#elif defined(BROKEN_static_textrel)
__asm__(".text\nbroken_anchor: .quad broken_anchor\n");
#endif

#if defined(BROKEN_static_undefined) || defined(BROKEN_load_opens)
void no_such_function(void);
#endif

#if defined(BROKEN_static_exports)
__attribute__((visibility("default"))) int left_over;
#elif defined(BROKEN_static_foreign)
__attribute__((visibility("default"))) int EVP_left_over;
#endif

__attribute__((visibility("default"))) const tenon_entry* tenon_plugin_entry_v1(void) {
    static const tenon_entry entry = {
        BROKEN_MAGIC, sizeof(tenon_entry), BROKEN_MAJOR, TENON_ABI_MINOR, 0,
        {BROKEN_ID, sizeof BROKEN_ID - 1}, {TENON_PLUGIN_VERSION, sizeof TENON_PLUGIN_VERSION - 1},
        {__VERSION__, sizeof __VERSION__ - 1}, &create};
#if defined(BROKEN_static_undefined) || defined(BROKEN_load_opens)
    no_such_function();
#elif defined(BROKEN_load_stable)
    static tenon_entry other;
    static int calls;
    other = entry;
    if (calls++) return &other;
#elif defined(BROKEN_load_copy)
    static int first;
    if (getenv("BROKEN_LOAD_COPY") && !first) return NULL;
    first = 1;
    (void)setenv("BROKEN_LOAD_COPY", "1", 1);
#endif
    (void)&launch, (void)&nothing, (void)&contains, (void)&log_text;
    return &entry;
}
