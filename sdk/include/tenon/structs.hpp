// SPDX-License-Identifier: Apache-2.0
// Structs of the ABI that start with their size.
#pragma once

#include <tenon/abi/base.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

namespace tenon {

// A zeroed struct of the ABI that says how long it is.
template <class Struct>
[[nodiscard]] Struct sized() noexcept {
    Struct value{};
    value.size = sizeof(Struct);
    return value;
}

// Element `index` of an array whose writer's structs may be longer than ours (TENON_AT of base.h).
template <class Struct>
[[nodiscard]] const Struct& at(const Struct* array, std::size_t index) noexcept {
    const auto* bytes = static_cast<const std::byte*>(static_cast<const void*>(array));
    return *static_cast<const Struct*>(static_cast<const void*>(bytes + index * array->size));
}

// A struct of a caller whose own may be shorter or longer: what it does not have is 0. Empty when
// it ends before `least` bytes.
template <class Struct>
[[nodiscard]] std::optional<Struct> copy_in(const Struct* in, std::size_t least) noexcept {
    if (in == nullptr || in->size < least) {
        return std::nullopt;
    }
    auto value = sized<Struct>();
    std::memcpy(&value, in, in->size < sizeof value ? in->size : sizeof value);
    value.size = sizeof value;
    return value;
}

// Gives a struct to a caller whose own may be shorter: no byte beyond the caller's `size`.
template <class Struct>
tenon_status copy_out(const Struct& value, Struct* out) noexcept {
    if (out == nullptr || out->size < sizeof(std::uint32_t)) {
        return TENON_INVALID;
    }
    const std::uint32_t room = out->size;
    std::memcpy(out, &value, room < value.size ? room : value.size);
    out->size = room;
    return TENON_OK;
}

}  // namespace tenon
