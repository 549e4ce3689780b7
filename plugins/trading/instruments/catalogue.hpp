// SPDX-License-Identifier: Apache-2.0
// Assets and instruments, read from JSON text and checked as a whole.
//
// It does not watch the file, and knows nothing of the state of trading. The format is in the
// plugin's README; rules of scales are those of tenon/abi/instruments.h. Thread-safe once made:
// nothing changes any more.
#pragma once

#include <tenon/abi/instruments.h>

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

namespace tenon::instruments {

class Catalogue {
public:
    // Reads `text`; `file` is the name for messages. Throws Error (TENON_INVALID) whose message has
    // one line for each mistake: file, JSON pointer, what was found, what was expected.
    static Catalogue parse(std::string_view text, const std::string& file);

    // The same with the file's content. Throws Error (TENON_NOT_FOUND) when it cannot be read.
    static Catalogue load(const std::string& file);

    [[nodiscard]] std::uint32_t asset_count() const noexcept {
        return static_cast<std::uint32_t>(assets_.size());
    }

    [[nodiscard]] std::uint32_t instrument_count() const noexcept {
        return static_cast<std::uint32_t>(instruments_.size());
    }

    // nullptr when out of range. Valid as long as the catalogue.
    [[nodiscard]] const tenon_asset* asset(std::uint32_t id) const noexcept;
    [[nodiscard]] const tenon_instrument* instrument(std::uint32_t id) const noexcept;

    // False when there is none of that name; `id` is untouched then.
    [[nodiscard]] bool find_asset(std::string_view name, std::uint32_t& id) const;
    [[nodiscard]] bool find_instrument(std::string_view symbol, std::uint32_t& id) const;

    // tenon.instruments/1 over a catalogue: `self` is a const Catalogue*.
    static const tenon_instruments_1 k_table;

private:
    friend class CatalogueReader;

    std::deque<std::string> texts_;  // what names point to; never moves
    std::deque<tenon_asset> assets_;
    std::deque<tenon_instrument> instruments_;
    std::unordered_map<std::string, std::uint32_t> asset_ids_;
    std::unordered_map<std::string, std::uint32_t> instrument_ids_;
};

}  // namespace tenon::instruments
