/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "steps.h"

#include <string.h>

int main(void) {
    char   sum[CHECKSUM_CHARS];
    size_t i, other;
    checksum("", sum);
    CHECK(strcmp(sum, "cbf29ce484222325") == 0);
    checksum("a", sum);
    CHECK(strcmp(sum, "af63dc4c8601ec8c") == 0);
    for (i = 0; i < STEPS; ++i) {
        CHECK(k_steps[i].sql[0] != '\0');
        for (other = 0; other < i; ++other) {
            CHECK(strcmp(k_steps[i].name, k_steps[other].name) != 0);
        }
    }
    return failures();
}
