// SPDX-License-Identifier: Apache-2.0
// The published contracts: how long each table was in its first release, and which of its slots may
// be NULL.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace tenon::conformance {

struct KnownInterface {
    std::string_view id;
    std::uint32_t first_size;             // bytes of the table in its first release
    std::vector<std::uint32_t> optional;  // offsets of slots that may be NULL
};

// NULL for an interface that the kit does not know.
[[nodiscard]] const KnownInterface* known_interface(std::string_view id);

}  // namespace tenon::conformance
