// SPDX-License-Identifier: Apache-2.0
// Order ids to places in a pool: open addressing, linear probing, deletion by shifting back.
//
// Ids are > 0 and given once. Home is the top of id times the golden ratio, which spreads ids that
// run on (Knuth, The Art of Computer Programming 3, 6.4). Doubles when half full, else nothing is
// allocated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tenon {

class IdTable {
public:
    static constexpr std::uint32_t k_none = 0xffffffffU;

    IdTable() : entries_(1024) {}

    [[nodiscard]] std::uint32_t find(std::uint64_t id) const noexcept {
        for (std::size_t at = home(id);; at = next(at)) {
            if (entries_[at].id == id) {
                return entries_[at].place;
            }
            if (entries_[at].id == 0) {
                return k_none;
            }
        }
    }

    // A hint: the id is about to be inserted.
    void prefetch(std::uint64_t id) const noexcept { __builtin_prefetch(&entries_[home(id)]); }

    void insert(std::uint64_t id, std::uint32_t place) {
        if (used_ * 2 >= entries_.size()) {
            grow();
        }
        put({id, place});
        ++used_;
    }

    // Of an id that is there.
    void erase(std::uint64_t id) noexcept {
        std::size_t hole = home(id);
        while (entries_[hole].id != id) {
            hole = next(hole);
        }
        const std::size_t mask = entries_.size() - 1;
        for (std::size_t at = next(hole); entries_[at].id != 0; at = next(at)) {
            // An entry may fill the hole when its home is not between the hole and itself.
            if (((at - home(entries_[at].id)) & mask) >= ((at - hole) & mask)) {
                entries_[hole] = entries_[at];
                hole = at;
            }
        }
        entries_[hole] = {};
        --used_;
    }

private:
    struct Entry {
        std::uint64_t id = 0;
        std::uint32_t place = k_none;
    };

    [[nodiscard]] std::size_t home(std::uint64_t id) const noexcept {
        return static_cast<std::size_t>((id * 0x9e3779b97f4a7c15ULL) >> shift_);
    }

    [[nodiscard]] std::size_t next(std::size_t at) const noexcept {
        return (at + 1) & (entries_.size() - 1);
    }

    void put(Entry entry) noexcept {
        std::size_t at = home(entry.id);
        while (entries_[at].id != 0) {
            at = next(at);
        }
        entries_[at] = entry;
    }

    void grow() {
        std::vector<Entry> old(entries_.size() * 2);
        old.swap(entries_);
        --shift_;
        for (const Entry& entry : old) {
            if (entry.id != 0) {
                put(entry);
            }
        }
    }

    std::vector<Entry> entries_;
    int shift_ = 54;  // 64 - log2(size)
    std::size_t used_ = 0;
};

}  // namespace tenon
