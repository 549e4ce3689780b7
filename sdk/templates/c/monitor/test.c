/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include "disk.h"

int main(void) {
    static const char said[] = "the disk of the data folder has 5 MiB left, wanted 7";
    tenon_err         err;
    int64_t           bytes = -1;
    memset(&err, 0, sizeof err);
    err.size = sizeof err;
    CHECK(disk_free(".", &bytes, &err) == TENON_OK && bytes >= 0);
    CHECK(disk_expect(10, 10, &err) == TENON_OK);
    CHECK(disk_expect(5 << 20, 7 << 20, &err) == TENON_UNAVAILABLE);
    CHECK(err.len == strlen(said) && memcmp(err.msg, said, err.len) == 0);
    CHECK(disk_free("/no/such/folder", &bytes, &err) == TENON_UNAVAILABLE);
    CHECK(disk_free("/no/such/folder", &bytes, NULL) == TENON_UNAVAILABLE);
    return failures();
}
