/* SPDX-License-Identifier: Apache-2.0 */
/* The room on a disk, and what is said about it. */
#ifndef DISK_H
#define DISK_H

#include <tenon/plugin.h>

#include <errno.h>
#include <sys/statvfs.h>

/* Bytes that may be written by who is not root, or a failure with the system's reason. */
static inline tenon_status disk_free(const char* folder, int64_t* bytes, tenon_err* err) {
    struct statvfs room;
    if (statvfs(folder, &room) != 0) {
        return tenon_fail(err, TENON_UNAVAILABLE, "the disk cannot be asked: %s", strerror(errno));
    }
    *bytes = (int64_t)room.f_bavail * (int64_t)room.f_frsize;
    return TENON_OK;
}

static inline tenon_status disk_expect(int64_t bytes, int64_t wanted, tenon_err* err) {
    if (bytes >= wanted) {
        return TENON_OK;
    }
    return tenon_fail(err, TENON_UNAVAILABLE,
                      "the disk of the data folder has %lld MiB left, wanted %lld",
                      (long long)(bytes >> 20), (long long)(wanted >> 20));
}

#endif
