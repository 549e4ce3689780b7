// SPDX-License-Identifier: Apache-2.0
// How often a limit granted and refused, counted by many threads that do not wait for each other's
// cache lines: each adds to one of a few cells, which one is told by where its stack is. Threads
// that share a cell are slower, and counted as exactly.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace tenon::token_bucket {

class StripedCounts {
public:
    void add(bool taken) noexcept {
        Cell& cell = cells_[mine()];
        (taken ? cell.taken : cell.limited).fetch_add(1, std::memory_order_relaxed);
    }

    [[nodiscard]] std::uint64_t taken() const noexcept { return sum(&Cell::taken); }

    [[nodiscard]] std::uint64_t limited() const noexcept { return sum(&Cell::limited); }

private:
    struct alignas(64) Cell {
        std::atomic<std::uint64_t> taken{0}, limited{0};
    };

    // No thread_local: in a library that is loaded at run time it costs a call.
    [[nodiscard]] static std::size_t mine() noexcept {
        const auto stack = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
        return static_cast<std::size_t>(((stack >> 18) * 0x9e3779b97f4a7c15U) >> 61);
    }

    [[nodiscard]] std::uint64_t sum(std::atomic<std::uint64_t> Cell::*of) const noexcept {
        std::uint64_t all = 0;
        for (const Cell& cell : cells_) {
            all += (cell.*of).load(std::memory_order_relaxed);
        }
        return all;
    }

    std::array<Cell, 8> cells_;
};

}  // namespace tenon::token_bucket
