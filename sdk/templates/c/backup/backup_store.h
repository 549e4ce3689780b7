/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of a folder below another one. A backup is a folder of the target named by its id:
 *
 *   ID/files/...   the copies
 *   ID/index       a line a piece, "CHECKSUM BYTES PATH"; "about KIND STARTED FINISHED LABEL" (in ns);
 *                  "end CHECKSUM", of all lines before
 *
 * It is made under a name that starts with "." and renamed when everything is on disk, so that a run
 * that was killed leaves nothing that looks like a backup. The checksum finds accidents, not intent. */
#ifndef BACKUP_STORE_H
#define BACKUP_STORE_H

#include "files.h"

#include <tenon/abi/backup.h>
#include <tenon/plugin.h>

#include <errno.h>

typedef struct backup_store { char source[PATH_BYTES], target[PATH_BYTES]; } backup_store;

typedef struct backup_about {
    char     id[65], label[129];
    int64_t  started_real_ns, finished_real_ns;
    uint64_t bytes, pieces;
} backup_about;

/* A piece of an index; what to do with it. */
typedef tenon_status (*piece_fn)(void* ctx, const char* path, const digest* wanted, tenon_err* err);

static inline tenon_status store_refuse(const char* path, tenon_err* err) {
    return tenon_fail(err, TENON_UNAVAILABLE, "%s: %s", path, strerror(errno));
}

static inline int is_backup_id(const char* id) {
    return id[0] != '\0' && id[0] != '.' && strchr(id, '/') == NULL && strlen(id) <= 64;
}

static inline tenon_status store_tell(tenon_backup_progress progress, const char* phase, uint64_t done) {
    return progress.fn == NULL ? TENON_OK : progress.fn(progress.ctx, tenon_text(phase), done, 0);
}

/* ---- reading ----------------------------------------------------------------------------------- */
static inline tenon_status index_line(char* line, backup_about* about, piece_fn each, void* ctx,
                                      tenon_err* err) {
    unsigned long long hash, bytes;
    long long          started, finished;
    int                at = 0;
    if (sscanf(line, "about full %lld %lld %n", &started, &finished, &at) == 2 && at != 0) {
        about->started_real_ns = started;
        about->finished_real_ns = finished;
        (void)snprintf(about->label, sizeof about->label, "%s", line + at);
        return TENON_OK;
    }
    if (sscanf(line, "%llx %llu%n", &hash, &bytes, &at) == 2 && line[at] == ' ') {
        const digest wanted = {hash, bytes};
        about->bytes += bytes;
        ++about->pieces;
        return each == NULL ? TENON_OK : each(ctx, line + at + 1, &wanted, err);
    }
    return tenon_fail(err, TENON_CORRUPT, "the index of backup %s is damaged", about->id);
}

/* Reads an index to its end, `each` may be NULL. TENON_NOT_FOUND | TENON_CORRUPT | what each gave. */
static inline tenon_status store_read(const backup_store* store, const char* id, backup_about* about,
                                      piece_fn each, void* ctx, tenon_err* err) {
    char               path[PATH_BYTES], line[PATH_BYTES + 64];
    unsigned long long sum;
    uint64_t           hash = DIGEST_SEED;
    tenon_status       status = TENON_OK;
    int                whole = 0;
    FILE*              file = NULL;
    memset(about, 0, sizeof *about);
    if (is_backup_id(id) && path_join(path, store->target, id, "index")) {
        file = fopen(path, "r");
    }
    if (file == NULL) {
        return tenon_fail(err, TENON_NOT_FOUND, "there is no backup %s", id);
    }
    (void)snprintf(about->id, sizeof about->id, "%s", id);
    while (status == TENON_OK && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "end %llx", &sum) == 1) {
            whole = sum == hash;
            break;
        }
        hash = digest_add(hash, line, strlen(line));
        line[strcspn(line, "\n")] = '\0';
        status = index_line(line, about, each, ctx, err);
    }
    fclose(file);
    if (status == TENON_OK && !whole) {
        return tenon_fail(err, TENON_CORRUPT, "the index of backup %s is damaged", id);
    }
    return status;
}

/* ---- making ------------------------------------------------------------------------------------ */
typedef struct making {
    const backup_store*   store;
    backup_about*         about;
    tenon_backup_progress progress;
    FILE*                 index;
    uint64_t              hash;
    char                  files[PATH_BYTES];
    tenon_err*            err;
} making;

static inline void index_put(making* work, const char* line) {
    work->hash = digest_add(work->hash, line, strlen(line));
    (void)fputs(line, work->index);
}

static inline int make_piece(void* ctx, const char* relative) {
    making* const work = (making*)ctx;
    char          from[PATH_BYTES], to[PATH_BYTES], line[PATH_BYTES + 64];
    digest        found;
    if (strchr(relative, '\n') != NULL) {
        return tenon_fail(work->err, TENON_UNSUPPORTED, "a file name with a line break");
    }
    if (!path_join(from, work->store->source, relative, NULL) ||
        !path_join(to, work->files, relative, NULL) || make_parents(to) != 0 ||
        file_copy(from, to, &found) != 0) {
        return store_refuse(from, work->err);
    }
    (void)snprintf(line, sizeof line, "%016llx %llu %s\n", (unsigned long long)found.hash,
                   (unsigned long long)found.bytes, relative);
    index_put(work, line);
    work->about->bytes += found.bytes;
    ++work->about->pieces;
    return store_tell(work->progress, "copy", work->about->bytes);
}

static inline tenon_status make_index(making* work, const char* path) {
    char line[256];
    int  failed;
    (void)snprintf(line, sizeof line, "about full %lld %lld %s\n",
                   (long long)work->about->started_real_ns,
                   (long long)work->about->finished_real_ns, work->about->label);
    index_put(work, line);
    (void)fprintf(work->index, "end %016llx\n", (unsigned long long)work->hash);
    failed = fflush(work->index) != 0 || fsync(fileno(work->index)) != 0;
    failed = fclose(work->index) != 0 || failed;
    work->index = NULL;
    return failed ? store_refuse(path, work->err) : TENON_OK;
}

/* Copies every regular file of the source but what is in the target. `about` brings id, label and
 * times. */
static inline tenon_status store_create(const backup_store* store, backup_about* about,
                                        tenon_backup_progress progress, tenon_err* err) {
    making       work = {store, about, progress, NULL, DIGEST_SEED, "", err};
    char         staging[PATH_BYTES], index[PATH_BYTES], final[PATH_BYTES], hidden[80];
    tenon_status status;
    (void)snprintf(hidden, sizeof hidden, ".%s", about->id);
    if (!path_join(staging, store->target, hidden, NULL) ||
        !path_join(work.files, staging, "files", NULL) ||
        !path_join(index, staging, "index", NULL) ||
        !path_join(final, store->target, about->id, NULL)) {
        return tenon_fail(err, TENON_INVALID, "a path is too long");
    }
    if (make_parents(index) != 0 || make_parents(work.files) != 0 || mkdir(work.files, 0700) != 0 ||
        (work.index = fopen(index, "wx")) == NULL) {
        return store_refuse(index, err);
    }
    status = walk_files(store->source, store->target, make_piece, &work);
    if (status == TENON_OK) {
        status = make_index(&work, index);
    }
    if (work.index != NULL) {
        fclose(work.index);
    }
    if (status == TENON_OK &&
        (sync_folder(staging) != 0 || rename(staging, final) != 0 || sync_folder(store->target) != 0)) {
        status = store_refuse(final, err);
    }
    if (status != TENON_OK) {
        remove_tree(staging);
    }
    return status;
}

/* ---- verifying and restoring ------------------------------------------------------------------- */
typedef struct checking {
    const backup_store*   store;
    const char*           id;
    tenon_backup_progress progress;
    uint64_t              done;
    const char*           to; /* NULL: only read */
} checking;

static inline tenon_status check_piece(void* ctx, const char* relative, const digest* wanted,
                                       tenon_err* err) {
    checking* const work = (checking*)ctx;
    char            inner[PATH_BYTES], from[PATH_BYTES], to[PATH_BYTES];
    digest          found = {0, 0};
    int             failed;
    if (!path_join(inner, "files", relative, NULL) ||
        !path_join(from, work->store->target, work->id, inner)) {
        return tenon_fail(err, TENON_CORRUPT, "a path of the index is too long");
    }
    if (work->to == NULL) {
        failed = file_read(from, &found) != 0;
    } else if (!path_join(to, work->to, relative, NULL) || make_parents(to) != 0) {
        return store_refuse(to, err);
    } else {
        failed = file_copy(from, to, &found) != 0;
    }
    if (failed || found.hash != wanted->hash || found.bytes != wanted->bytes) {
        return tenon_fail(err, TENON_CORRUPT, "%s is damaged or missing", relative);
    }
    work->done += found.bytes;
    return store_tell(work->progress, work->to == NULL ? "verify" : "restore", work->done);
}

/* TENON_NOT_FOUND | TENON_CORRUPT with the piece's name. */
static inline tenon_status store_verify(const backup_store* store, const char* id,
                                        tenon_backup_progress progress, tenon_err* err) {
    checking     work = {store, id, progress, 0, NULL};
    backup_about about;
    return store_read(store, id, &about, check_piece, &work, err);
}

/* Into a folder that is empty or absent; on failure it stays so. */
static inline tenon_status store_restore(const backup_store* store, const char* id, const char* folder,
                                         tenon_backup_progress progress, tenon_err* err) {
    checking     work = {store, id, progress, 0, NULL};
    backup_about about;
    char         staging[PATH_BYTES];
    tenon_status status;
    if (!is_free_folder(folder)) {
        return tenon_fail(err, TENON_CONFLICT, "%s is not an empty folder", folder);
    }
    if (snprintf(staging, sizeof staging, "%s.restoring", folder) >= (int)sizeof staging ||
        make_parents(staging) != 0 || mkdir(staging, 0700) != 0) {
        return store_refuse(folder, err);
    }
    work.to = staging;
    status = store_read(store, id, &about, check_piece, &work, err);
    if (status == TENON_OK && rename(staging, folder) != 0) { /* also onto an empty folder */
        status = store_refuse(folder, err);
    }
    if (status != TENON_OK) {
        remove_tree(staging);
    }
    return status;
}

/* ---- listing ----------------------------------------------------------------------------------- */
static inline int by_age(const void* a, const void* b) {
    const backup_about* const x = (const backup_about*)a;
    const backup_about* const y = (const backup_about*)b;
    if (x->started_real_ns != y->started_real_ns) {
        return x->started_real_ns < y->started_real_ns ? -1 : 1;
    }
    return strcmp(x->id, y->id);
}

/* Complete ones, oldest first; *out is to be freed. A damaged index fails the call. */
static inline tenon_status store_list(const backup_store* store, backup_about** out, size_t* count,
                                      tenon_err* err) {
    DIR* const     folder = opendir(store->target);
    struct dirent* entry;
    tenon_status   status = TENON_OK;
    *out = NULL;
    *count = 0;
    if (folder == NULL) {
        return errno == ENOENT ? TENON_OK : store_refuse(store->target, err);
    }
    while (status == TENON_OK && (entry = readdir(folder)) != NULL) {
        backup_about* const more = realloc(*out, (*count + 1) * sizeof **out);
        if (more == NULL) {
            status = tenon_fail(err, TENON_UNAVAILABLE, "out of memory");
            break;
        }
        *out = more;
        status = store_read(store, entry->d_name, &more[*count], NULL, NULL, err);
        *count += status == TENON_OK ? 1 : 0;
        status = status == TENON_NOT_FOUND ? TENON_OK : status; /* not a backup */
    }
    closedir(folder);
    if (*count != 0) {
        qsort(*out, *count, sizeof **out, by_age);
    }
    return status;
}

static inline int store_remove(const backup_store* store, const char* id) {
    char path[PATH_BYTES];
    return path_join(path, store->target, id, NULL) ? remove_tree(path) : -1;
}

#endif
