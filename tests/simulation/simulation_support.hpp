// SPDX-License-Identifier: Apache-2.0
// What the simulations of the engine share: names, bytes and numbers from the environment.
#pragma once

#include "plugins/trading/engine/core/core.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>

namespace tenon::test {

inline constexpr std::int64_t k_second_ns = 1'000'000'000;
inline const std::string k_journal = "journal";
inline const std::string k_snapshots = "snapshots";

// A number from the environment.
inline std::uint64_t number_of(const char* name, std::uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

inline std::span<const std::byte> as_bytes(const std::string& text) {
    return std::as_bytes(std::span{text.data(), text.size()});
}

inline trading::CoreOptions options() {
    trading::CoreOptions out;
    out.hash_seed = 99;
    return out;
}

}  // namespace tenon::test
