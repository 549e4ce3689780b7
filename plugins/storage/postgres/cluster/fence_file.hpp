// SPDX-License-Identifier: Apache-2.0
// The highest timeline ever seen, on disk: what keeps a server that was replaced from being taken
// for the primary after a restart.
//
// One line of text: "tenon-fence 1 SYSTEM TIMELINE\n", both decimal; SYSTEM is the database
// cluster's identifier. Replaced by a rename, so it is the old or the new one, never half of it.
// A file that cannot be read is an error and not taken for none: an operator has to look.
#pragma once

#include "plugins/storage/postgres/cluster/topology.hpp"

#include <filesystem>

namespace tenon::postgres {

class FenceFile {
public:
    explicit FenceFile(std::filesystem::path path) : path_{std::move(path)} {}

    // A fence of zeros when there is no file. Throws Error: TENON_CORRUPT, TENON_UNAVAILABLE.
    [[nodiscard]] Fence load() const;
    // Returns when it is durable. Throws Error TENON_UNAVAILABLE; then the old one stands.
    void store(const Fence& fence) const;

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

private:
    std::filesystem::path path_;
};

}  // namespace tenon::postgres
