// SPDX-License-Identifier: Apache-2.0
// Allocations of the calling thread: counted, and made to fail.
//
// tenon-plugin-check defines malloc and its kin, so that every library of the process comes by
// here, whatever its C++ runtime. Other programs that link the kit, and builds with a sanitizer,
// have no hook: then nothing is counted, and allocation_hook() says so.
#pragma once

#include <cstdint>

namespace tenon::conformance {

[[nodiscard]] bool allocation_hook() noexcept;

// Calls of malloc, calloc, realloc and aligned_alloc on this thread so far, in plugin code alone.
[[nodiscard]] std::uint64_t allocations() noexcept;

// The n-th of them from now fails, once; 0 for none.
void fail_allocation(std::uint64_t n) noexcept;

// For the hook: counts one; true when it has to fail.
[[nodiscard]] bool note_allocation() noexcept;
void set_allocation_hook() noexcept;

}  // namespace tenon::conformance
