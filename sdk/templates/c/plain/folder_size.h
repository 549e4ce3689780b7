/* SPDX-License-Identifier: Apache-2.0 */
/* What a folder holds. Knows nothing of Tenon, so that the test can use it as it is. */
#ifndef FOLDER_SIZE_H
#define FOLDER_SIZE_H

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_DEPTH_MAX 64

typedef struct folder_size { int64_t files, bytes; } folder_size;

/* Takes the descriptor over. */
static inline int folder_size_of(int fd, int depth, folder_size* size) {
    DIR* const     folder = fdopendir(fd);
    struct dirent* entry;
    if (folder == NULL) {
        close(fd);
        return -1;
    }
    while ((entry = readdir(folder)) != NULL) {
        struct stat info;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            fstatat(fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
            continue; /* it has disappeared meanwhile */
        }
        if (S_ISREG(info.st_mode)) {
            ++size->files;
            size->bytes += info.st_size;
        } else if (S_ISDIR(info.st_mode) && depth < FOLDER_DEPTH_MAX) {
            const int inner = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
            if (inner >= 0) {
                (void)folder_size_of(inner, depth + 1, size);
            }
        }
    }
    closedir(folder);
    return 0;
}

/* Counts regular files, also in folders below (at most 64 deep); links are not followed. 0, or -1 and
 * errno when the folder itself cannot be read. */
static inline int measure_folder(const char* path, folder_size* size) {
    const int fd = open(path, O_RDONLY | O_DIRECTORY);
    size->files = 0;
    size->bytes = 0;
    return fd < 0 ? -1 : folder_size_of(fd, 0, size);
}

#endif
