// SPDX-License-Identifier: Apache-2.0
// An instrument as the tables of market data mean it. [io]
//
// Rows of an instrument are read back only while its symbol and scales are what they were when the
// rows were written: its numbers would mean something else.
#pragma once

#include <tenon/storage.hpp>

#include <cstdint>
#include <string>

namespace tenon::market_data {

// A delete that holds the only writer for long would hold trading's rows up.
inline constexpr std::int64_t k_rows_a_delete = 2'000;

struct StoredInstrument {
    std::uint32_t id = 0;
    std::string symbol;
    int price_scale = 0;
    int quantity_scale = 0;
};

// Its row, which the others refer to. The engine describes instruments further; it may not have
// come to it yet.
void put_instrument(Session& session, const StoredInstrument& instrument);

// Until the transaction ends, another one that calls this for the instrument waits: for what is
// read and then written by that, under any isolation.
void hold_instrument(Session& session, std::uint32_t id);

}  // namespace tenon::market_data
