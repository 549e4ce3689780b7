// SPDX-License-Identifier: Apache-2.0
#include "check.h"
#include "folder_size.hpp"

#include <fstream>
#include <unistd.h>

int main() {
    namespace fs = std::filesystem;
    const fs::path folder = fs::temp_directory_path() / ("folder-size-" + std::to_string(getpid()));
    fs::create_directories(folder / "inner");
    std::ofstream{folder / "a"} << "12345";
    std::ofstream{folder / "inner" / "b"} << "678";
    fs::create_symlink(folder / "a", folder / "link");

    const FolderSize size = measure_folder(folder);
    CHECK(size.files == 2);
    CHECK(size.bytes == 8);

    fs::remove_all(folder);
    bool refused = false;
    try {
        (void)measure_folder(folder);
    } catch (const fs::filesystem_error&) {
        refused = true;
    }
    CHECK(refused);
    return failures();
}
