// SPDX-License-Identifier: Apache-2.0
// What one line of a recording says, parsed, and a batch of such records.
#pragma once

#include <tenon/abi/feed.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace tenon::replay {

enum class RecordKind : std::uint8_t { snapshot, diff, trade, book_ticker };

// Ids and times as recorded. Prices and quantities in the instrument's scales.
struct Record {
    RecordKind kind = RecordKind::diff;
    bool buyer_is_maker = false;
    std::int64_t local_ns = 0;     // when the recorder received it
    std::int64_t exchange_ms = 0;  // E or T; 0 when the message has none
    std::uint64_t first_id = 0;    // diff
    std::uint64_t last_id = 0;     // diff, snapshot, book ticker
    std::uint64_t trade_id = 0;
    std::int64_t price = 0;
    std::int64_t quantity = 0;
    std::size_t first_level = 0;  // in Batch::levels: bids, then asks
    std::uint32_t bid_count = 0;
    std::uint32_t ask_count = 0;
};

struct Batch {
    std::vector<Record> records;
    std::vector<tenon_level> levels;
    std::uint64_t damaged_lines = 0;  // met while this batch was read
    bool pass_ended = false;          // nothing follows in this pass over the file
    std::string error;                // why the pass ended early, or empty

    void clear() {
        records.clear();
        levels.clear();
        damaged_lines = 0;
        pass_ended = false;
        error.clear();
    }

    [[nodiscard]] std::span<const tenon_level> bids(const Record& record) const {
        return std::span{levels}.subspan(record.first_level, record.bid_count);
    }

    [[nodiscard]] std::span<const tenon_level> asks(const Record& record) const {
        return std::span{levels}.subspan(record.first_level + record.bid_count, record.ask_count);
    }
};

}  // namespace tenon::replay
