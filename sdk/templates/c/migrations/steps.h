/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of the schema: append, never change one that was released. SQL that every dialect of the
 * deployment understands; money is an integer. */
#ifndef STEPS_H
#define STEPS_H

#include <stdint.h>
#include <stdio.h>

typedef struct step { const char *name, *sql; } step;

static const step k_steps[] = {
    {"notes", "CREATE TABLE @identifier@_notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL)"},
    {"notes_written_at", "ALTER TABLE @identifier@_notes ADD COLUMN written_at INTEGER"},
};
#define STEPS (sizeof k_steps / sizeof k_steps[0])

#define CHECKSUM_CHARS 17
/* FNV-1a, 64 bits (Fowler, Noll, Vo), in hex: tells that a released step was edited. */
static inline void checksum(const char* text, char out[CHECKSUM_CHARS]) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *text != '\0'; ++text) {
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    }
    (void)snprintf(out, CHECKSUM_CHARS, "%016llx", (unsigned long long)hash);
}

#endif
