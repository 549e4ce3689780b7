/* SPDX-License-Identifier: Apache-2.0 */
/* CHECK(condition) for small tests in C and C++: says what failed and goes on; a test program ends
 * with `return failures();`. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>

static int check_failures;

#define CHECK(condition)                                                          \
    do {                                                                          \
        if (!(condition)) {                                                       \
            ++check_failures;                                                     \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
        }                                                                         \
    } while (0)

static int failures(void) {
    return check_failures == 0 ? 0 : 1;
}

#endif
