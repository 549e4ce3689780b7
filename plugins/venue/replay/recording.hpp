// SPDX-License-Identifier: Apache-2.0
// One recorded file, read as a stream of batches, pass after pass.
//
// A file is gzip or plain text; a line is `<local receive time, ns> <JSON>`, the JSON a message of
// Binance's combined streams (depth, bookTicker, trade) or one REST reply of /api/v3/depth. Other
// streams and other symbols are skipped. Memory is bounded: one batch and zlib's window.
//
// The first snapshot among the first k_records_per_batch records of a pass is moved to the front
// and takes the time of the first line, so that a pass starts with a book.
#pragma once

#include "plugins/venue/replay/record.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <zlib.h>

namespace tenon::replay {

inline constexpr std::size_t k_records_per_batch = 512;
inline constexpr std::size_t k_line_bytes_max = 1U << 20U;

struct RecordedSymbol {
    std::string symbol;
    int price_scale = 0;     // recorded prices must fit it
    int quantity_scale = 0;  // at most 8; finer recorded quantities are cut to it
};

// Parses one line into the batch. False: damaged. A line that is sound but of no interest adds
// nothing and is true.
[[nodiscard]] bool parse_line(std::string_view line, const RecordedSymbol& symbol, Batch& batch);

// May block; one caller at a time.
class Recording {
public:
    // Throws Error naming the file when it cannot be opened.
    Recording(std::string file, RecordedSymbol symbol);

    // The next records; after the end of a pass the file starts again. What cannot be read on ends
    // the pass with `error`.
    void next(Batch& batch);

    [[nodiscard]] const std::string& file() const noexcept { return file_; }

private:
    struct Close {
        void operator()(gzFile_s* file) const noexcept { (void)gzclose(file); }
    };

    void open();
    // False at the end of the file.
    [[nodiscard]] bool read_line(std::string& line, Batch& batch);
    [[nodiscard]] bool refill(Batch& batch);

    std::string file_;
    RecordedSymbol symbol_;
    std::unique_ptr<gzFile_s, Close> stream_;
    std::string buffer_;
    std::size_t at_ = 0;
    std::string line_;
    bool at_start_ = true;
};

}  // namespace tenon::replay
