// SPDX-License-Identifier: Apache-2.0
// What abi_call_bench and its plugin share besides the contracts.
#pragma once

#include <tenon/abi/base.h>

#include <cstdint>

namespace tenon::bench {

// The same body as a bare C function, within the guard, and within the guard after a throw.
inline constexpr const char* k_guard_id = "bench.guard/1";

struct GuardTable {
    std::uint32_t size, flags;
    tenon_status (*bare)(void* self, std::uint64_t add, tenon_err*);
    tenon_status (*guarded)(void* self, std::uint64_t add, tenon_err*);
    tenon_status (*thrown)(void* self, std::uint64_t add, tenon_err*);
};

}  // namespace tenon::bench
