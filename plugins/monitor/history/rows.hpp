// SPDX-License-Identifier: Apache-2.0
// The file that holds the history: rings of rows, one ring for each resolution, a row for each
// step of time, a cell of it for each series.
//
//   head   4,096 bytes: Head, one TierHead for each ring, a CRC-32 of both
//   rings  one after another; slot i of a ring has the row whose time / step % slots is i
//   row    RowHead, then `columns` cells
//
// All in the machine's byte order and as it lays out the structs below; a file of another order is
// refused by its magic. A row counts when its time is the one that was asked for and its CRC is
// right: one that was written by half, or that bits have left, is not there, and hurts no other.
// The file never grows beyond its rings, and what was never written takes no blocks of the disk.
// Not thread-safe. All calls block [io].
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

namespace tenon::history {

// What was seen of a series within one step; count 0: nothing.
struct Cell {
    float mean = 0, min = 0, max = 0;
    std::uint32_t count = 0;  // of values; the most that it counts to is enough for ever
};

// As if all values of both had been seen by one.
[[nodiscard]] Cell merged(const Cell& left, const Cell& right) noexcept;

struct Tier {
    std::int64_t step_s;
    std::int64_t slots;

    [[nodiscard]] std::int64_t keep_s() const noexcept { return step_s * slots; }

    // The begin of the step that has this time.
    [[nodiscard]] std::int64_t begin_of(std::int64_t at_s) const noexcept {
        return at_s - at_s % step_s;
    }

    friend bool operator==(const Tier&, const Tier&) = default;
};

struct Row {
    std::int64_t at_s = 0;  // the begin of its step
    std::uint32_t era = 0;  // see Recorder
    std::vector<Cell> cells;
};

class Rows {
public:
    struct Shape {
        std::vector<Tier> tiers;  // the finest first, each step a multiple of the one before
        std::uint32_t columns;

        [[nodiscard]] std::uint64_t bytes() const noexcept;
    };

    Rows() = default;
    // Opens what has this shape and id, or makes a new file when there is none. Throws Error:
    // TENON_CORRUPT for a file that is no history, of another shape or another id;
    // TENON_UNAVAILABLE when the disk refuses.
    Rows(const std::filesystem::path& file, Shape shape, std::uint64_t id);
    Rows(Rows&& other) noexcept;
    Rows& operator=(Rows&& other) noexcept;
    Rows(const Rows&) = delete;
    Rows& operator=(const Rows&) = delete;
    ~Rows();

    // Of the step that begins then. Throws Error TENON_UNAVAILABLE.
    [[nodiscard]] std::optional<Row> read(std::size_t tier, std::int64_t at_s) const;
    void write(std::size_t tier, const Row& row);
    // Of the newest era the newest row of the finest ring; none: the file is empty.
    [[nodiscard]] std::optional<Row> newest() const;
    // What was written is on the disk, also when the power goes.
    void sync();

    // Rows of the right time that did not count, so far.
    [[nodiscard]] std::uint64_t damaged() const noexcept { return damaged_; }

private:
    [[nodiscard]] std::int64_t offset_of(std::size_t tier, std::int64_t slot) const noexcept;
    [[nodiscard]] std::size_t row_bytes() const noexcept;
    [[nodiscard]] std::optional<Row> read_slot(std::size_t tier, std::int64_t slot) const;
    void check_head(std::span<const std::byte> expected) const;

    int fd_ = -1;
    Shape shape_{};
    mutable std::vector<std::byte> buffer_;
    mutable std::uint64_t damaged_ = 0;
};

}  // namespace tenon::history
