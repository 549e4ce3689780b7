// SPDX-License-Identifier: Apache-2.0
// News and signals as the console's JSON, from the tables of migrations/0002_records, which the
// native API and what feeds it write. Newest first, a page at a time.
//
// Prices are exact decimals as text, confidence and sentiment numbers from -1 to 1, times in
// milliseconds. Does not write.
#pragma once

#include <tenon/storage.hpp>

#include <boost/json/object.hpp>

#include <cstdint>
#include <string>

namespace tenon::console {

inline constexpr std::int64_t k_records_shown = 100;

struct RecordPage {
    std::string symbol;          // only of this one; empty: of all
    std::int64_t before_ms = 0;  // only older ones; 0: from the newest on
    std::int64_t deadline_ns = 0;
};

// [io] {"news":[{"symbol","title","summary","url","source","sentiment","at_ms"}]}. Throws
// StorageError.
[[nodiscard]] boost::json::object read_news(const Storage& storage, const RecordPage& page);
// [io] {"signals":[{"symbol","side","strategy","source","price","confidence","at_ms",
// "expires_ms"}]}; expires_ms is 0 for one that does not. Throws StorageError.
[[nodiscard]] boost::json::object read_signals(const Storage& storage, const RecordPage& page);

}  // namespace tenon::console
