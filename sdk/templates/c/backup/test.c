/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "backup_store.h"
#include "check.h"

static void write_file(const char* root, const char* name, const char* text) {
    char  path[PATH_BYTES];
    FILE* file;
    CHECK(path_join(path, root, name, NULL) && make_parents(path) == 0);
    file = fopen(path, "w");
    CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static tenon_status stopped(void* ctx, tenon_str phase, uint64_t done, uint64_t total) {
    (void)ctx, (void)phase, (void)done, (void)total;
    return TENON_UNAVAILABLE;
}

int main(void) {
    const tenon_backup_progress quiet = {NULL, NULL}, stop = {NULL, stopped};
    char                        root[] = "/tmp/backup-test-XXXXXX", folder[PATH_BYTES];
    static backup_store         store;
    backup_about                about, *all;
    digest                      copied;
    size_t                      count;
    CHECK(mkdtemp(root) != NULL);
    CHECK(path_join(store.source, root, "data", NULL));
    CHECK(path_join(store.target, root, "data", "backups"));
    write_file(root, "data/a", "12345");
    write_file(root, "data/inner/b c", "678");

    memset(&about, 0, sizeof about);
    memcpy(about.id, "one", 4);
    memcpy(about.label, "the first", 10);
    about.finished_real_ns = 7;
    CHECK(store_create(&store, &about, quiet, NULL) == TENON_OK);
    CHECK(about.pieces == 2 && about.bytes == 8);
    CHECK(store_list(&store, &all, &count, NULL) == TENON_OK && count == 1);
    CHECK(count == 1 && strcmp(all[0].label, "the first") == 0 && all[0].finished_real_ns == 7);
    free(all);
    CHECK(store_verify(&store, "one", quiet, NULL) == TENON_OK);

    CHECK(path_join(folder, root, "restored", NULL));
    CHECK(store_restore(&store, "one", folder, quiet, NULL) == TENON_OK);
    CHECK(path_join(folder, root, "restored/inner", "b c"));
    CHECK(file_read(folder, &copied) == 0 && copied.bytes == 3);
    CHECK(path_join(folder, root, "restored", NULL));
    CHECK(store_restore(&store, "one", folder, quiet, NULL) == TENON_CONFLICT);
    CHECK(store_verify(&store, "../one", quiet, NULL) == TENON_NOT_FOUND);

    write_file(root, "data/backups/one/files/a", "12349");
    CHECK(store_verify(&store, "one", quiet, NULL) == TENON_CORRUPT);
    CHECK(path_join(folder, root, "again", NULL));
    CHECK(store_restore(&store, "one", folder, quiet, NULL) == TENON_CORRUPT);
    CHECK(access(folder, F_OK) != 0);

    memcpy(about.id, "two", 4);
    CHECK(store_create(&store, &about, stop, NULL) == TENON_UNAVAILABLE);
    CHECK(store_list(&store, &all, &count, NULL) == TENON_OK && count == 1);
    free(all);
    CHECK(remove_tree(root) == 0);
    return failures();
}
