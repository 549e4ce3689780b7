// SPDX-License-Identifier: Apache-2.0
// The data folder: made when missing, locked for as long as this object lives.
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>

namespace tenon::runtime {

// The folder or the port is not to be had: in use, read-only, no folder.
class InUse : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

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

// Checks that the address can be listened on: "ADDR:PORT", "[ADDR]:PORT" for IPv6; port 0 always
// can. Throws InUse; std::invalid_argument when it is no address.
void probe_listen(const std::string& listen);

// Tells systemd ("READY=1"), when it asked to be told. See sd_notify(3).
void notify_systemd(std::string_view state) noexcept;

}  // namespace tenon::runtime
