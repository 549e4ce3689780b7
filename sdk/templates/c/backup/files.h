/* SPDX-License-Identifier: Apache-2.0 */
/* Files and folders for the copies: paths, trees, copies with a checksum. 0 is success, -1 with errno
 * a failure, unless said otherwise. */
#ifndef FILES_H
#define FILES_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 4096
#define DIGEST_SEED 0xcbf29ce484222325u

typedef struct digest { uint64_t hash, bytes; } digest;

/* FNV-1a, 64 bits (Fowler, Noll, Vo). */
static inline uint64_t digest_add(uint64_t hash, const char* bytes, size_t count) {
    size_t i;
    for (i = 0; i < count; ++i) {
        hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3u;
    }
    return hash;
}

/* a/b or a/b/c; 0 when it is too long. */
static inline int path_join(char out[PATH_BYTES], const char* a, const char* b, const char* c) {
    const int length = c == NULL ? snprintf(out, PATH_BYTES, "%s/%s", a, b)
                                 : snprintf(out, PATH_BYTES, "%s/%s/%s", a, b, c);
    errno = ENAMETOOLONG;
    return length > 0 && length < PATH_BYTES;
}

/* Makes the folders above a path. */
static inline int make_parents(const char* path) {
    char  copy[PATH_BYTES];
    char* at;
    if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy) {
        errno = ENAMETOOLONG;
        return -1;
    }
    for (at = strchr(copy + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        if (mkdir(copy, 0700) != 0 && errno != EEXIST) {
            return -1;
        }
        *at = '/';
    }
    return 0;
}

static inline int sync_folder(const char* path) {
    const int fd = open(path, O_RDONLY | O_DIRECTORY);
    const int result = fd < 0 ? -1 : fsync(fd);
    if (fd >= 0) {
        close(fd);
    }
    return result;
}

static inline int write_all(int fd, const char* bytes, size_t count) {
    while (count != 0) {
        const ssize_t put = write(fd, bytes, count);
        if (put < 0) {
            return -1;
        }
        bytes += put;
        count -= (size_t)put;
    }
    return 0;
}

/* Reads `from` to its end, writes it to `to` unless that is negative. */
static inline int digest_file(int from, int to, digest* out) {
    char    block[16384];
    ssize_t got;
    out->hash = DIGEST_SEED;
    out->bytes = 0;
    while ((got = read(from, block, sizeof block)) > 0) {
        out->hash = digest_add(out->hash, block, (size_t)got);
        out->bytes += (uint64_t)got;
        if (to >= 0 && write_all(to, block, (size_t)got) != 0) {
            return -1;
        }
    }
    return got < 0 ? -1 : 0;
}

static inline int file_read(const char* path, digest* out) {
    const int fd = open(path, O_RDONLY | O_NOFOLLOW);
    const int result = fd < 0 ? -1 : digest_file(fd, -1, out);
    if (fd >= 0) {
        close(fd);
    }
    return result;
}

/* The copy is new, and on disk when this returns. */
static inline int file_copy(const char* from, const char* to, digest* out) {
    const int in = open(from, O_RDONLY | O_NOFOLLOW);
    const int copy = in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_EXCL, 0600);
    int       result = copy < 0 ? -1 : digest_file(in, copy, out);
    if (copy >= 0) {
        result = result == 0 ? fsync(copy) : result;
        result = close(copy) == 0 ? result : -1;
    }
    if (in >= 0) {
        close(in);
    }
    return result;
}

/* 1 when the folder is absent or empty. */
static inline int is_free_folder(const char* path) {
    DIR* const     folder = opendir(path);
    struct dirent* entry;
    int            entries = 0;
    if (folder == NULL) {
        return errno == ENOENT;
    }
    while ((entry = readdir(folder)) != NULL) {
        entries += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    }
    closedir(folder);
    return entries == 0;
}

static inline int remove_tree(const char* path) {
    DIR* const     folder = opendir(path);
    struct dirent* entry;
    char           inner[PATH_BYTES];
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        struct stat info;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            path_join(inner, path, entry->d_name, NULL) && lstat(inner, &info) == 0) {
            (void)(S_ISDIR(info.st_mode) ? remove_tree(inner) : unlink(inner));
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return rmdir(path);
}

typedef struct walk {
    const char* root;
    struct stat skip;
    int         has_skip;
    int (*each)(void* ctx, const char* relative);
    void* ctx;
} walk;

static inline int walk_folder(const walk* all, const char* relative) {
    char           path[PATH_BYTES], inner[PATH_BYTES];
    struct dirent* entry;
    DIR*           folder;
    int            result = 0;
    if (!path_join(path, all->root, relative, NULL) || (folder = opendir(path)) == NULL) {
        return -1;
    }
    while (result == 0 && (entry = readdir(folder)) != NULL) {
        struct stat info;
        const int   fit = relative[0] == '\0'
                              ? snprintf(inner, sizeof inner, "%s", entry->d_name) < PATH_BYTES
                              : path_join(inner, relative, entry->d_name, NULL);
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || !fit ||
            fstatat(dirfd(folder), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
            continue;
        }
        if (S_ISREG(info.st_mode)) {
            result = all->each(all->ctx, inner);
        } else if (S_ISDIR(info.st_mode) && !(all->has_skip && info.st_ino == all->skip.st_ino &&
                                              info.st_dev == all->skip.st_dev)) {
            result = walk_folder(all, inner);
        }
    }
    closedir(folder);
    return result;
}

/* Calls `each` with the path of every regular file below the root but those below `skip`; stops at
 * what is not 0 and gives it back. */
static inline int walk_files(const char* root, const char* skip, int (*each)(void* ctx, const char* relative),
                             void* ctx) {
    walk all = {root, {0}, 0, each, ctx};
    all.has_skip = stat(skip, &all.skip) == 0;
    return walk_folder(&all, "");
}

#endif
