// SPDX-License-Identifier: Apache-2.0
// CRC-32C (Castagnoli, reflected polynomial 0x82f63b78; RFC 3720 appendix B.4 has test vectors).
// SSE4.2's instruction where the processor has it, slicing by eight elsewhere. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace tenon::journal {

// The CRC of `data` continued from `seed`: crc32c(crc32c(0, a), b) == crc32c(0, a ++ b).
[[nodiscard]] std::uint32_t crc32c(std::uint32_t seed, std::span<const std::byte> data) noexcept;

// The same without the processor's instruction: for tests and for comparison.
[[nodiscard]] std::uint32_t
crc32c_portable(std::uint32_t seed, std::span<const std::byte> data) noexcept;

}  // namespace tenon::journal
