// SPDX-License-Identifier: Apache-2.0
// How many sessions of a storage stay in use: its own upkeep may take one for a moment.
#pragma once

#include <tenon/storage.hpp>

#include <cstdint>
#include <poll.h>

namespace tenon::test {

// Looks until it is 0, for 20 s at most.
[[nodiscard]] inline std::uint32_t in_use_at_rest(const Storage& storage) {
    for (int i = 0; i < 20'000 && storage.stats().in_use != 0; ++i) {
        (void)::poll(nullptr, 0, 1);
    }
    return storage.stats().in_use;
}

}  // namespace tenon::test
