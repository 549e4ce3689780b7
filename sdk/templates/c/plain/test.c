/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include "folder_size.h"

#include <stdlib.h>

static void write_file(const char* path, const char* text) {
    FILE* const file = fopen(path, "w");
    CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

int main(void) {
    char        folder[] = "folder-size-XXXXXX";
    folder_size size;
    CHECK(mkdtemp(folder) != NULL && chdir(folder) == 0);
    CHECK(mkdir("inner", 0700) == 0);
    write_file("a", "12345");
    write_file("inner/b", "678");
    CHECK(symlink("a", "link") == 0);

    CHECK(measure_folder(".", &size) == 0);
    CHECK(size.files == 2);
    CHECK(size.bytes == 8);
    CHECK(measure_folder("absent", &size) == -1);

    CHECK(unlink("a") == 0 && unlink("inner/b") == 0 && unlink("link") == 0);
    CHECK(rmdir("inner") == 0 && chdir("..") == 0 && rmdir(folder) == 0);
    return failures();
}
