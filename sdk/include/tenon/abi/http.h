/* SPDX-License-Identifier: Apache-2.0 */
/* tenon.http_routes/1 -- mount HTTP and WebSocket handlers on the one listener.
 *
 * Handlers are called on the reactor that owns the connection and must not block. A request is
 * answered once, during the call or later on the same reactor; until then its handle is valid, also
 * when the client has gone (the answer then goes nowhere). Everything that a request points to is
 * borrowed until it is answered: later answers keep the connection from reading on. Pipelined
 * requests are answered in order. */
#ifndef TENON_ABI_HTTP_H
#define TENON_ABI_HTTP_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tenon_http_header { tenon_str name, value; } tenon_http_header;

typedef struct tenon_http_request {
    uint32_t  size, reserved;
    uint64_t  handle;
    tenon_str method;        /* "GET" */
    tenon_str path;          /* as sent, without the query */
    tenon_str query;         /* as sent, after '?', may be empty */
    tenon_str tail;          /* what a prefix route's pattern left over */
    tenon_str body;          /* as sent */
    const tenon_http_header* headers; /* names in lower case */
    uint32_t  header_count, reserved2;
    tenon_str remote;        /* address of who asks, without port; "unix:" by a Unix socket */
    int64_t   received_ns, received_real_ns; /* of the turn that read it */
} tenon_http_request;

typedef struct tenon_http_response {
    uint32_t  size, status;  /* 200 .. 599 */
    tenon_str content_type;
    tenon_str body;          /* copied before the call returns */
    const tenon_http_header* headers; /* besides content-type, content-length, date, connection */
    uint32_t  header_count, flags;
} tenon_http_response;
#define TENON_HTTP_CLOSE 1u /* close the connection after this answer */

/* A WebSocket message, framed once, shared by all who send it. */
typedef struct tenon_ws_frame tenon_ws_frame;

typedef struct tenon_ws_handler {
    uint32_t size, flags;
    /* The handshake is done. `user` stays with the connection. Failure: closed with 1011. */
    tenon_status (*open)(void* ctx, uint64_t connection, const tenon_http_request*, void** user);
    void (*text)(void* ctx, uint64_t connection, void* user, tenon_str message);
    /* Called once for every open that succeeded; afterwards the connection is unknown. */
    void (*close)(void* ctx, uint64_t connection, void* user);
} tenon_ws_handler;

typedef struct tenon_http_routes_1 {
    uint32_t size, flags;
    /* [control] An exact path, or a prefix when it ends in "/<tail>" ("/ws/<tail>" has tail "a" for
     * "/ws/a"). The longest match wins. method "*" takes all. TENON_OK | TENON_CONFLICT. */
    tenon_status (*mount)(void* self, tenon_str method, tenon_str path, void* ctx,
                          void (*fn)(void* ctx, const tenon_http_request*), uint64_t* handle);
    tenon_status (*mount_ws)(void* self, tenon_str path, const tenon_ws_handler*, void* ctx,
                             uint64_t* handle);
    /* [control] After it returns the handler is not called again; open WebSockets of it are closed
     * with 1001. */
    void (*unmount)(void* self, uint64_t handle);
    /* [reactor] TENON_OK | TENON_NOT_FOUND (answered already). */
    tenon_status (*respond)(void* self, uint64_t request, const tenon_http_response*);
    /* [any] Frames the text once; the count is 1. */
    tenon_ws_frame* (*frame)(void* self, tenon_str text);
    void (*frame_release)(void* self, tenon_ws_frame*);                                  /* [any] */
    /* [reactor] Queues the frame; it leaves at the end of the turn. TENON_OK | TENON_NOT_FOUND |
     * TENON_UNAVAILABLE: the connection's queue is full, it is being closed with 1008. */
    tenon_status (*ws_send)(void* self, uint64_t connection, tenon_ws_frame*);
    /* [reactor] Bytes queued on the connection and not yet taken by the system. */
    uint64_t (*ws_queued)(void* self, uint64_t connection);
    tenon_status (*ws_close)(void* self, uint64_t connection, uint16_t code, tenon_str reason);
} tenon_http_routes_1;

#ifdef __cplusplus
}
#endif
#endif
