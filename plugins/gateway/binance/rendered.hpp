// SPDX-License-Identifier: Apache-2.0
// Answers that are kept until what they show changes: a repeated read costs a look-up and a copy.
// Bounded: a few forms an instrument, the oldest makes room.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::binance {

class Rendered {
public:
    // Forms of an answer. A depth's key is k_depth + its limit.
    static constexpr std::uint32_t k_depth = 0x10000;
    static constexpr std::uint32_t k_ticker = 1;  // + TickerForm

    // Off: each answer is rendered anew.
    void keep(bool on) noexcept { keeps_ = on; }

    // Answers that were kept ones.
    [[nodiscard]] std::uint64_t hits() const noexcept { return hits_; }

    // The kept text of (instrument, key), when it was made at this version; else what
    // `render(std::string&)` appends to an empty string. Valid until the next call.
    template <class Render>
    [[nodiscard]] std::string_view
    get(std::uint32_t instrument, std::uint32_t key, std::uint64_t version, Render&& render) {
        Slot& slot = slot_of(instrument, key);
        if (keeps_ && slot.key == key && slot.version == version) {
            ++hits_;
        } else {
            slot.key = 0;
            slot.text.clear();
            render(slot.text);
            slot.key = key;
            slot.version = version;
        }
        return slot.text;
    }

private:
    static constexpr std::size_t k_forms = 12;

    struct Slot {
        std::uint32_t key = 0;  // 0: empty
        std::uint64_t version = 0;
        std::string text;
    };

    struct Row {
        std::array<Slot, k_forms> slots;
        std::size_t next = 0;
    };

    [[nodiscard]] Slot& slot_of(std::uint32_t instrument, std::uint32_t key) {
        if (instrument >= rows_.size()) {
            rows_.resize(instrument + 1);
        }
        Row& row = rows_[instrument];
        for (Slot& slot : row.slots) {
            if (slot.key == key) {
                return slot;
            }
        }
        row.next = (row.next + 1) % k_forms;
        return row.slots[row.next];
    }

    std::vector<Row> rows_;
    bool keeps_ = true;
    std::uint64_t hits_ = 0;
};

}  // namespace tenon::binance
