/* SPDX-License-Identifier: Apache-2.0 */
/* What the routes answer with. Knows nothing of connections, so that the test can use it as it is. */
#ifndef ANSWERS_H
#define ANSWERS_H

#include <tenon/abi/http.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The header's value, empty when it was not sent; names come in lower case. */
static inline tenon_str header_of(const tenon_http_request* request, const char* name) {
    const size_t length = strlen(name);
    tenon_str    none = {"", 0};
    uint32_t     i;
    for (i = 0; i < request->header_count; ++i) {
        const tenon_http_header* header = &request->headers[i];
        if (header->name.n == length && memcmp(header->name.p, name, length) == 0) {
            return header->value;
        }
    }
    return none;
}

/* `before`, the text as JSON with its quotes, `after`: to be freed; NULL when memory is out. Bytes
 * from 0x80 on are taken as UTF-8. */
static inline char* json_body(const char* before, tenon_str text, const char* after) {
    const size_t head = strlen(before);
    char* const  body = malloc(head + text.n * 6 + strlen(after) + 3);
    char*        at = body;
    size_t       i;
    if (body == NULL) {
        return NULL;
    }
    memcpy(at, before, head);
    at += head;
    *at++ = '"';
    for (i = 0; i < text.n; ++i) {
        const unsigned char c = (unsigned char)text.p[i];
        if (c == '"' || c == '\\') {
            *at++ = '\\';
            *at++ = (char)c;
        } else if (c < 0x20) {
            at += snprintf(at, 7, "\\u%04x", c);
        } else {
            *at++ = (char)c;
        }
    }
    *at++ = '"';
    memcpy(at, after, strlen(after) + 1);
    return body;
}

#endif
