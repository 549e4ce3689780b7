/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "answers.h"

#include <tenon/abi/auth.h>
#include <tenon/plugin.h>

#include <pthread.h>

typedef struct gateway {
    tenon_plugin               base; /* first: the host's pointer is ours */
    const tenon_host*          host;
    const tenon_http_routes_1* routes;
    void*                      routes_self;
    const tenon_auth_1*        auth;
    void*                      auth_self;
    uint64_t*                  requests;
    uint64_t                   hello_route, echo_route;
    pthread_mutex_t            mutex; /* guards what follows */
    char                       greeting[801];
} gateway;

/* ---- on the reactor that has the connection: nothing here may block ---------------------------- */
/* Takes the body over. */
static void answer(gateway* self, uint64_t request, uint32_t status, char* body) {
    tenon_http_response response;
    memset(&response, 0, sizeof response);
    response.size = sizeof response;
    response.status = body == NULL ? 503 : status;
    response.content_type = tenon_text("application/json");
    response.body = tenon_text(body == NULL ? "{}" : body);
    (void)self->routes->respond(self->routes_self, request, &response);
    tenon_count(self->requests, 1);
    free(body);
}

static void hello(void* ctx, const tenon_http_request* request) {
    gateway* const self = (gateway*)ctx;
    char*          body;
    pthread_mutex_lock(&self->mutex);
    body = json_body("{\"message\":", tenon_text(self->greeting), "}");
    pthread_mutex_unlock(&self->mutex);
    answer(self, request->handle, 200, body);
}

static void refuse(gateway* self, uint64_t request, uint32_t status, const char* message) {
    answer(self, request, status,
           json_body(status == 401 ? "{\"error\":{\"code\":\"unauthorized\",\"message\":"
                                   : "{\"error\":{\"code\":\"unavailable\",\"message\":",
                     tenon_text(message), "}}"));
}

static void echo(void* ctx, const tenon_http_request* request) {
    gateway* const    self = (gateway*)ctx;
    const tenon_bytes signed_part = {request->body.p, request->body.n};
    tenon_identity    who;
    tenon_status      status;
    char              head[64];
    memset(&who, 0, sizeof who);
    who.size = sizeof who;
    status = self->auth->verify(self->auth_self, header_of(request, "x-api-key"), &signed_part, 1,
                                header_of(request, "x-signature"), &who);
    if (status == TENON_OK) {
        (void)snprintf(head, sizeof head, "{\"account\":%llu,\"body\":",
                       (unsigned long long)who.account);
        answer(self, request->handle, 200, json_body(head, request->body, "}"));
    } else if (status == TENON_DENIED || status == TENON_NOT_FOUND) {
        /* The same for an unknown key and a wrong signature: nobody learns which keys exist. */
        refuse(self, request->handle, 401, "the key or the signature is wrong");
    } else {
        refuse(self, request->handle, 503, "signatures cannot be checked now");
    }
}

/* ---- the plugin -------------------------------------------------------------------------------- */
/* Also called by `tenon reload`, for settings marked "x-reload": "live". */
static tenon_status configure(tenon_plugin* plugin, tenon_str json, uint32_t dry_run,
                              tenon_err* err) {
    gateway* const self = (gateway*)plugin;
    char           greeting[sizeof self->greeting];
    if (tenon_setting_text(json, "greeting", greeting, sizeof greeting) != TENON_OK) {
        return tenon_fail(err, TENON_INVALID,
                          "/greeting is too long, or has an escape other than \\\" and \\\\");
    }
    if (!dry_run) {
        pthread_mutex_lock(&self->mutex);
        memcpy(self->greeting, greeting, sizeof greeting);
        pthread_mutex_unlock(&self->mutex);
    }
    return TENON_OK;
}

static tenon_status start(tenon_plugin* plugin, tenon_err* err) {
    gateway* const self = (gateway*)plugin;
    tenon_iface    routes, auth;
    tenon_status   status = tenon_find(self->host, "tenon.http_routes/1", &routes, err);
    if (status == TENON_OK) {
        status = tenon_find(self->host, "tenon.auth/1", &auth, err);
    }
    if (status != TENON_OK) {
        return status;
    }
    self->routes = (const tenon_http_routes_1*)routes.vt;
    self->routes_self = routes.self;
    self->auth = (const tenon_auth_1*)auth.vt;
    self->auth_self = auth.self;
    self->requests = tenon_counter(self->host, "tenon_@identifier@_requests_total",
                                   "Requests answered");
    status = self->routes->mount(self->routes_self, tenon_text("GET"),
                                 tenon_text("/api/@name@/hello"), self, hello,
                                 &self->hello_route);
    if (status != TENON_OK) {
        return tenon_fail(err, status, "cannot mount GET /api/@name@/hello");
    }
    status = self->routes->mount(self->routes_self, tenon_text("POST"),
                                 tenon_text("/api/@name@/echo"), self, echo, &self->echo_route);
    if (status != TENON_OK) {
        self->routes->unmount(self->routes_self, self->hello_route);
        return tenon_fail(err, status, "cannot mount POST /api/@name@/echo");
    }
    return TENON_OK;
}

static void stop(tenon_plugin* plugin) {
    gateway* const self = (gateway*)plugin;
    self->routes->unmount(self->routes_self, self->hello_route);
    self->routes->unmount(self->routes_self, self->echo_route);
}

static void destroy(tenon_plugin* plugin) {
    gateway* const self = (gateway*)plugin;
    pthread_mutex_destroy(&self->mutex);
    free(self);
}

static tenon_status query(tenon_plugin* plugin, tenon_str id, tenon_iface* out) {
    (void)plugin, (void)id, (void)out;
    return TENON_UNSUPPORTED;
}

static tenon_status create(const tenon_host* host, tenon_plugin** out, tenon_err* err) {
    static const tenon_plugin_vt table = {
        sizeof table, 0, configure, start, tenon_drain_nothing, stop, destroy, query};
    gateway* const self = calloc(1, sizeof *self);
    if (self == NULL) {
        return tenon_fail(err, TENON_UNAVAILABLE, "out of memory");
    }
    self->base.vt = &table;
    self->host = host;
    pthread_mutex_init(&self->mutex, NULL);
    *out = &self->base;
    return TENON_OK;
}

TENON_EXPORT_C_PLUGIN(create)
