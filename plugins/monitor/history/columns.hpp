// SPDX-License-Identifier: Apache-2.0
// Which series has which column of the rows, kept in a file of its own: text, a line for each.
//
//   tenon-history-columns 1 ID
//   COLUMN SINCE_S SEEN_S SERIES
//   …
//   end COUNT CRC-32
//
// It is written whole, to the side, and put in the place of the old one. ID is the rows' file's:
// rows without their list, or a list without its rows, say nothing. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace tenon::history {

struct Column {
    std::uint32_t index = 0;
    std::int64_t since_s = 0;  // what its rows have from before is of another series
    std::int64_t seen_s = 0;
};

class Columns {
public:
    // A series that was not seen for so long gives its column to a new one when all are taken.
    static constexpr std::int64_t k_unseen_s = 86'400;
    static constexpr std::size_t k_name_max = 512;

    explicit Columns(std::uint32_t count, std::uint64_t id = 0) : count_{count}, id_{id} {}

    // [io] None: there is no file. Throws Error: TENON_CORRUPT, TENON_UNAVAILABLE.
    [[nodiscard]] static std::optional<Columns>
    read(const std::filesystem::path& file, std::uint32_t count);
    // [io] Throws Error TENON_UNAVAILABLE; then the old file is still there.
    void write(const std::filesystem::path& file) const;

    // The column of a series that was seen then, a new one when it has none. None: all are taken,
    // or the name is none that can be kept.
    [[nodiscard]] std::optional<std::uint32_t> take(std::string_view series, std::int64_t at_s);

    [[nodiscard]] const std::map<std::string, Column, std::less<>>& all() const noexcept {
        return columns_;
    }

    [[nodiscard]] std::uint64_t id() const noexcept { return id_; }

    // Whether a column changed hands since the last call.
    [[nodiscard]] bool take_changed() noexcept;

private:
    [[nodiscard]] std::optional<std::uint32_t> free_column(std::int64_t at_s);

    std::uint32_t count_;
    std::uint64_t id_;
    bool is_changed_ = false;
    std::map<std::string, Column, std::less<>> columns_;
};

}  // namespace tenon::history
