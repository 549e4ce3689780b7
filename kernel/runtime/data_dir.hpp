// SPDX-License-Identifier: Apache-2.0
// The data folder: made when missing, locked for as long as this object lives.
#pragma once

#include "sdk/process/process.hpp"

#include <filesystem>
#include <string>
#include <string_view>

namespace tenon::runtime {

using process::InUse;
using process::notify_systemd;
using process::probe_listen;

class DataDir {
public:
    // Mode 0700 when made. Throws InUse, which names the process that holds the lock.
    explicit DataDir(const std::filesystem::path& path);
    ~DataDir();
    DataDir(const DataDir&) = delete;
    DataDir& operator=(const DataDir&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

    // True when no deployment has been recorded here yet.
    [[nodiscard]] bool fresh() const;
    // Replaces a file of the folder at once, mode 0600. Throws InUse.
    void write(std::string_view name, std::string_view text) const;
    void remove(std::string_view name) const noexcept;

private:
    std::filesystem::path path_;
    int lock_ = -1;
};

}  // namespace tenon::runtime
