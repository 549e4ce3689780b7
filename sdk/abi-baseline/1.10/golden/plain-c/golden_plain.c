/* SPDX-License-Identifier: Apache-2.0 */
/* Uses every service of the host. `tenon INSTANCE report` answers {"SERVICE":"ok" or what is wrong}. */
#include "../golden.h"

#include <tenon/abi/host.h>

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum { k_text = 256 };

typedef struct text {
    size_t n;
    char at[k_text];
} text;

typedef struct plain {
    tenon_plugin plugin;
    const tenon_host* host;
    tenon_iface log, clock, environment, exec, metrics, health, services, secret, admin, config, bus, audit;
    text command, setting;
    uint64_t watch, hook, collect, change, subscription;
    int pipe[2];
    uint64_t* runs;
    int64_t* level;
    tenon_histogram* steps;
    _Atomic uint32_t posted, fired, turned, watched, blocked, collected, received, changed;
} plain;

static tenon_status append(void* ctx, tenon_bytes chunk) {
    text* t = ctx;
    const size_t n = chunk.n < k_text - 1 - t->n ? chunk.n : k_text - 1 - t->n;
    memcpy(t->at + t->n, chunk.p, n);
    t->n += n;
    t->at[t->n] = '\0';
    return TENON_OK;
}

static tenon_sink into(text* t) {
    t->n = 0;
    t->at[0] = '\0';
    return (tenon_sink){t, append};
}

static void on_post(void* ctx) { atomic_fetch_add(&((plain*)ctx)->posted, 1); }
static void on_timer(void* ctx) { atomic_fetch_add(&((plain*)ctx)->fired, 1); }
static void on_turn(void* ctx) { atomic_fetch_add(&((plain*)ctx)->turned, 1); }
static void on_pool(void* ctx) { atomic_fetch_add(&((plain*)ctx)->blocked, 1); }
static void on_collect(void* ctx) { atomic_fetch_add(&((plain*)ctx)->collected, 1); }
static void on_change(void* ctx, uint64_t generation) {
    (void)generation;
    atomic_fetch_add(&((plain*)ctx)->changed, 1);
}
static void on_message(void* ctx, const tenon_bus_message* message) {
    plain* p = ctx;
    if (golden_same(message->type, "golden.text/1") && message->data.n == 5 && message->missed == 0) {
        atomic_fetch_add(&p->received, 1);
    }
}

static void on_ready(void* ctx, uint32_t ready) {
    plain* p = ctx;
    const tenon_exec_1* exec = p->exec.vt;
    if (ready & TENON_FD_READ) {
        atomic_fetch_add(&p->watched, 1);
        exec->rewatch(p->exec.self, p->watch, 0);
    }
}

/* What a reactor owns is made and removed on it. */
static void on_reactor_start(void* ctx) {
    plain* p = ctx;
    const tenon_exec_1* exec = p->exec.vt;
    exec->watch(p->exec.self, p->pipe[0], TENON_FD_READ, on_ready, p, &p->watch);
    exec->timer(p->exec.self, exec->turn_now_ns(p->exec.self) + 1000000, on_timer, p);
    exec->cancel_timer(p->exec.self, exec->timer(p->exec.self, INT64_MAX, on_timer, p));
    p->hook = exec->at_turn_end(p->exec.self, TENON_TURN_FLUSH, on_turn, p);
}

static void on_reactor_stop(void* ctx) {
    plain* p = ctx;
    const tenon_exec_1* exec = p->exec.vt;
    exec->unwatch(p->exec.self, p->watch);
    exec->remove_turn_hook(p->exec.self, p->hook);
}

static const char* check_exec(plain* p) {
    const tenon_exec_1* exec = p->exec.vt;
    if (exec->reactor_count(p->exec.self) == 0 || exec->current_reactor(p->exec.self) != -1) {
        return "counts reactors wrong";
    }
    return !atomic_load(&p->posted)    ? "waits for post"
           : !atomic_load(&p->fired)   ? "waits for the timer"
           : !atomic_load(&p->turned)  ? "waits for the turn"
           : !atomic_load(&p->watched) ? "waits for the pipe"
           : !atomic_load(&p->blocked) ? "waits for the pool"
                                       : "ok";
}

static const char* check_clock(plain* p) {
    const tenon_clock_1* clock = p->clock.vt;
    const int64_t first = clock->now_ns(p->clock.self);
    return clock->now_ns(p->clock.self) < first                            ? "goes back"
           : clock->now_real_ns(p->clock.self) < INT64_C(1000000000000000) ? "is before 1970"
                                                                           : "ok";
}

static const char* check_metrics(plain* p) {
    const tenon_metrics_1* metrics = p->metrics.vt;
    text none;
    tenon_sink out = into(&none);
    __atomic_fetch_add(p->runs, 1, __ATOMIC_RELAXED);
    __atomic_store_n(p->level, 7, __ATOMIC_RELAXED);
    metrics->observe(p->metrics.self, p->steps, 1000);
    return metrics->collect(p->metrics.self, out) != TENON_OK || none.n == 0 ? "gives no text"
           : !atomic_load(&p->collected)                                     ? "did not ask before it collected"
                                                                             : "ok";
}

static const char* check_health(plain* p) {
    const tenon_health_1* health = p->health.vt;
    text report;
    health->set(p->health.self, golden_str("golden"), TENON_HEALTHY, golden_str("all is well"));
    return health->report(p->health.self, into(&report)) != TENON_OK || report.at[0] != '{' ? "gives no report"
           : !health->ready(p->health.self)                                                 ? "is not ready"
                                                                                            : "ok";
}

static tenon_status no_row(void* ctx, tenon_str instance, tenon_iface iface) {
    (void)ctx, (void)instance, (void)iface;
    return TENON_OK;
}

static const char* check_services(plain* p) {
    const tenon_services_1* services = p->services.vt;
    tenon_iface found = {0};
    return services->find(p->services.self, golden_str("golden.absent/1"), &found) != TENON_NOT_FOUND
               ? "found what is absent"
           : services->find(p->services.self, golden_str("tenon.trading/1"), &found) != TENON_DENIED
               ? "gave what was not declared"
           : services->each(p->services.self, golden_str("tenon.trading/1"), NULL, no_row) != TENON_DENIED
               ? "listed what was not declared"
               : "ok";
}

static const char* check_secret(plain* p) {
    const tenon_secret_1* secret = p->secret.vt;
    text sealed, opened;
    tenon_err err = {.size = sizeof err};
    if (secret->seal(p->secret.self, golden_str("golden"), (tenon_bytes){"plain", 5}, into(&sealed), &err) != TENON_OK) {
        return "does not seal";
    }
    const tenon_bytes bytes = {sealed.at, sealed.n};
    if (secret->open(p->secret.self, golden_str("other"), bytes, into(&opened), &err) == TENON_OK || err.len == 0) {
        return "opened with another context";
    }
    return secret->open(p->secret.self, golden_str("golden"), bytes, into(&opened), NULL) == TENON_OK &&
                   strcmp(opened.at, "plain") == 0 ? "ok" : "does not open";
}

static const char* check_config(plain* p) {
    const tenon_config_1* config = p->config.vt;
    text whole, one;
    return config->generation(p->config.self) < 1 + atomic_load(&p->changed)      ? "counts reloads wrong"
           : config->get(p->config.self, into(&whole)) != TENON_OK || whole.at[0] != '{' ? "gives no configuration"
           : config->value(p->config.self, golden_str("/nothing"), into(&one)) != TENON_NOT_FOUND
               ? "has a setting that there is not"
           : config->value(p->config.self, golden_str("/text"), into(&one)) != TENON_OK || one.at[0] != '"'
               ? "does not give the setting"
               : "ok";
}

static const char* check_audit(plain* p) {
    const tenon_audit_1* audit = p->audit.vt;
    const tenon_audit_event event = {sizeof event, 0, golden_str("system"), golden_str("golden.check"),
                                     golden_str("plain"), golden_str("{\"n\":1}")};
    return audit->record(p->audit.self, &event, NULL) == TENON_OK ? "ok" : "does not record";
}

static const char* check_environment(plain* p) {
    const tenon_environment_1* environment = p->environment.vt;
    tenon_str value = {0};
    return environment->get(p->environment.self, golden_str("data_dir"), &value) != TENON_OK || value.n == 0
               ? "has no data folder"
           : environment->get(p->environment.self, golden_str("nothing"), &value) != TENON_NOT_FOUND
               ? "knows what there is not"
               : "ok";
}

static tenon_status report(void* ctx, tenon_str args, tenon_sink out, tenon_err* err) {
    plain* p = ctx;
    const tenon_log_1* log = p->log.vt;
    const tenon_log_field field = {golden_str("n"), golden_str("1"), TENON_FIELD_NUMBER, 0};
    char line[2048];
    (void)args, (void)err;
    log->write(p->log.self, TENON_LOG_INFO, golden_str("golden_report"), &field, 1);
    snprintf(line, sizeof line,
             "{\"log\":\"%s\",\"clock\":\"%s\",\"environment\":\"%s\",\"exec\":\"%s\",\"metrics\":\"%s\",\"health\":\"%s\","
             "\"services\":\"%s\",\"secret\":\"%s\",\"admin\":\"ok\",\"config\":\"%s\",\"bus\":\"%s\",\"audit\":\"%s\","
             "\"setting\":%s,\"changed\":%u}",
             log->enabled(p->log.self, TENON_LOG_ERROR) ? "ok" : "writes no errors", check_clock(p),
             check_environment(p), check_exec(p), check_metrics(p), check_health(p), check_services(p), check_secret(p),
             check_config(p), atomic_load(&p->received) ? "ok" : "waits for the message", check_audit(p), p->setting.at,
             atomic_load(&p->changed));
    return golden_put(out, line);
}

static tenon_status look_up(plain* p, tenon_err* err) {
    const struct { const char* id; tenon_iface* at; } wanted[] = {
        {"tenon.log/1", &p->log}, {"tenon.clock/1", &p->clock}, {"tenon.environment/1", &p->environment},
        {"tenon.exec/1", &p->exec}, {"tenon.metrics/1", &p->metrics}, {"tenon.health/1", &p->health},
        {"tenon.services/1", &p->services}, {"tenon.secret/1", &p->secret}, {"tenon.admin/1", &p->admin},
        {"tenon.config/1", &p->config}, {"tenon.bus/1", &p->bus}, {"tenon.audit/1", &p->audit}};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; ++i) {
        if (p->host->query(p->host->self, golden_str(wanted[i].id), wanted[i].at) != TENON_OK) {
            return golden_fail(err, TENON_UNSUPPORTED, wanted[i].id);
        }
    }
    return TENON_OK;
}

/* Called at first and with every reload; the setting comes as {"text":…}. */
static tenon_status configure(tenon_plugin* plugin, tenon_str json, uint32_t dry_run, tenon_err* err) {
    plain* p = (plain*)plugin;
    const char* colon = json.n == 0 ? NULL : memchr(json.p, ':', json.n);
    if (dry_run) {
        return TENON_OK;
    }
    if (colon != NULL) {
        const size_t from = (size_t)(colon - json.p) + 1;
        const tenon_sink out = into(&p->setting);
        out.put(out.ctx, (tenon_bytes){json.p + from, json.n - from - 1});
    }
    if (p->admin.vt != NULL) {
        return TENON_OK;
    }
    if (look_up(p, err) != TENON_OK) {
        return TENON_UNSUPPORTED;
    }
    const tenon_environment_1* environment = p->environment.vt;
    const tenon_admin_1* admin = p->admin.vt;
    tenon_str instance = {0};
    environment->get(p->environment.self, golden_str("instance"), &instance);
    const tenon_sink name = into(&p->command);
    name.put(name.ctx, (tenon_bytes){instance.p, instance.n});
    name.put(name.ctx, (tenon_bytes){".report", 7});
    return admin->command(p->admin.self, (tenon_str){p->command.at, p->command.n}, golden_str("every service once"), p,
                          report);
}

static tenon_status start(tenon_plugin* plugin, tenon_err* err) {
    plain* p = (plain*)plugin;
    const tenon_exec_1* exec = p->exec.vt;
    const tenon_metrics_1* metrics = p->metrics.vt;
    const tenon_config_1* config = p->config.vt;
    const tenon_bus_1* bus = p->bus.vt;
    const tenon_label label = {golden_str("kind"), golden_str("golden")};
    if (pipe(p->pipe) != 0 || write(p->pipe[1], "x", 1) != 1) {
        return golden_fail(err, TENON_UNAVAILABLE, "no pipe");
    }
    p->runs = metrics->counter(p->metrics.self, golden_str("tenon_golden_c_runs_total"), golden_str("runs"), &label, 1);
    p->level = metrics->gauge(p->metrics.self, golden_str("tenon_golden_c_level"), golden_str("level"), NULL, 0);
    p->steps = metrics->histogram(p->metrics.self, golden_str("tenon_golden_c_step_seconds"), golden_str("steps"), NULL, 0);
    if (p->runs == NULL || p->level == NULL || p->steps == NULL) {
        return golden_fail(err, TENON_INTERNAL, "the host makes no series");
    }
    p->collect = metrics->on_collect(p->metrics.self, on_collect, p);
    if (exec->call(p->exec.self, 0, on_reactor_start, p) != TENON_OK ||
        exec->post(p->exec.self, 0, on_post, p) != TENON_OK ||
        exec->run_blocking(p->exec.self, on_pool, p) != TENON_OK ||
        config->on_change(p->config.self, p, on_change, &p->change) != TENON_OK ||
        bus->subscribe(p->bus.self, golden_str("goldenc.*"), 0, p, on_message, &p->subscription) != TENON_OK ||
        bus->publish(p->bus.self, golden_str("goldenc.said"), golden_str("golden.text/1"), (tenon_bytes){"hello", 5}) !=
            TENON_OK) {
        return golden_fail(err, TENON_INTERNAL, "a service refused its first call");
    }
    return TENON_OK;
}

static void stop(tenon_plugin* plugin) {
    plain* p = (plain*)plugin;
    const tenon_exec_1* exec = p->exec.vt;
    const tenon_metrics_1* metrics = p->metrics.vt;
    const tenon_config_1* config = p->config.vt;
    const tenon_bus_1* bus = p->bus.vt;
    const tenon_admin_1* admin = p->admin.vt;
    bus->unsubscribe(p->bus.self, p->subscription);
    config->remove_on_change(p->config.self, p->change);
    metrics->remove_on_collect(p->metrics.self, p->collect);
    exec->call(p->exec.self, 0, on_reactor_stop, p);
    admin->remove(p->admin.self, (tenon_str){p->command.at, p->command.n});
    close(p->pipe[0]);
    close(p->pipe[1]);
}

static tenon_status query(tenon_plugin* plugin, tenon_str id, tenon_iface* out) {
    (void)plugin, (void)id, (void)out;
    return TENON_UNSUPPORTED;
}

static tenon_status create(const tenon_host* host, tenon_plugin** out, tenon_err* err) {
    static const tenon_plugin_vt vt = {sizeof vt, 0, configure, start, golden_drain, stop, golden_destroy, query};
    plain* mine = calloc(1, sizeof *mine);
    if (mine == NULL) {
        return golden_fail(err, TENON_UNAVAILABLE, "out of memory");
    }
    mine->plugin.vt = &vt;
    mine->host = host;
    *out = &mine->plugin;
    return TENON_OK;
}

GOLDEN_ENTRY(create)
