// SPDX-License-Identifier: Apache-2.0
// What a folder holds. Knows nothing of Tenon, so that the test can use it as it is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <system_error>

struct FolderSize {
    std::int64_t files = 0;
    std::int64_t bytes = 0;
};

// Counts regular files, also in folders below; links are not followed, and what disappears
// meanwhile is left out. Throws std::filesystem::filesystem_error when the folder itself cannot be
// read.
inline FolderSize measure_folder(const std::filesystem::path& folder) {
    namespace fs = std::filesystem;
    FolderSize size;
    constexpr auto k_options = fs::directory_options::skip_permission_denied;
    for (const auto& entry : fs::recursive_directory_iterator{folder, k_options}) {
        std::error_code ec;
        if (!fs::is_regular_file(entry.symlink_status(ec))) {
            continue;
        }
        const std::uintmax_t bytes = entry.file_size(ec);
        if (!ec) {
            ++size.files;
            size.bytes += static_cast<std::int64_t>(bytes);
        }
    }
    return size;
}
