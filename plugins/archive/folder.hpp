// SPDX-License-Identifier: Apache-2.0
// The archives of a folder, and the legal holds that lie on them. It reads the folder each time, so
// nothing is remembered that a crash could lose. Functions block and throw Error; [any], but two
// that write one at a time.
#pragma once

#include "plugins/archive/archive_format.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::archive {

// Nothing of `policy` ("": of any) in [from, to] may be deleted while it is there.
struct Hold {
    std::string id, policy, reason;
    std::int64_t from_real_ns = INT64_MIN, to_real_ns = INT64_MAX, since_real_ns = 0;

    [[nodiscard]] bool covers(std::string_view of, std::int64_t min_time, std::int64_t max_time)
        const noexcept {
        return (policy.empty() || policy == of) && from_real_ns <= max_time &&
               min_time <= to_real_ns;
    }
};

struct Listing {
    std::vector<Manifest> archives;                // by policy, then by range
    std::vector<std::string> damaged;              // manifests that cannot be read, and why
    std::map<std::string, std::string> damage_of;  // by policy: the first of them
};

class Folder {
public:
    explicit Folder(std::string path) : path_{std::move(path)} {}

    // Makes the folder when it is not there.
    void open() const;
    // policy "": all.
    [[nodiscard]] Listing list(std::string_view policy = "") const;
    // Throws TENON_NOT_FOUND, TENON_CORRUPT.
    [[nodiscard]] Manifest get(std::string_view id) const;
    // Atomic and on disk.
    void save(const Manifest& manifest) const;
    // Both files, when they are there.
    void remove(const Manifest& manifest) const;
    [[nodiscard]] std::string file_of(const Manifest& manifest) const;
    // An id that no archive of the range has.
    [[nodiscard]] std::string new_id(std::string_view policy, std::int64_t first, std::int64_t end)
        const;
    // File and manifest, made under their names when they are whole. Throws UNAVAILABLE.
    void copy_to(const Folder& other, const Manifest& manifest) const;

    // A file of holds that cannot be read is an error, not a folder without holds.
    [[nodiscard]] std::vector<Hold> holds() const;
    void save(const std::vector<Hold>& holds) const;

    // When runs are due (tenon/quiet_schedule.hpp); "" when nothing was saved.
    [[nodiscard]] std::string schedule() const;
    void save_schedule(std::string_view text) const;

    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    [[nodiscard]] std::string manifest_of(std::string_view policy, std::string_view id) const;

    std::string path_;
};

}  // namespace tenon::archive
