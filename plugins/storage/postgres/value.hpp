// SPDX-License-Identifier: Apache-2.0
// Values of the contract as PostgreSQL's types, and back.
//
//   there                                   here
//   int2, int4, int8, oid, bool             INT64 (bool: 0 or 1)
//   float4, float8                          REAL
//   bytea                                   BLOB
//   everything else, numeric among them     TEXT, as PostgreSQL prints it
//
// A parameter has the type that PostgreSQL finds for its place, and the value is brought to it: an
// integer goes into a text column as its digits and into numeric exactly; what does not fit is
// refused with TENON_INVALID, never rounded. Formats: PostgreSQL 15 source, utils/adt (send and
// receive functions). Not a number is refused, as on SQLite.
#pragma once

#include "plugins/storage/postgres/wire.hpp"

#include <tenon/abi/storage.h>

#include <cstdint>
#include <string>

namespace tenon::postgres {

// True: decode() knows the binary format of this type.
[[nodiscard]] bool has_binary(Oid type) noexcept;

// Throws DatabaseError TENON_INVALID. `storage` keeps what the parameter points to.
[[nodiscard]] Parameter
encode(const tenon_value& value, Oid type, std::uint32_t index, std::string& storage);

// Row 0 of a result. Borrowed from the result or from `scratch`.
[[nodiscard]] tenon_value decode(const PGresult* row, int column, Oid type, std::string& scratch);

// As encode() brings it to the place, but as a field of COPY's text format. `storage` is scratch.
void append_field(
    std::string& out,
    const tenon_value& value,
    Oid type,
    std::uint32_t index,
    std::string& storage
);

// As append_field(), of COPY's binary format, for which check_fits() has to have said true.
void append_binary_field(
    std::string& out,
    const tenon_value& value,
    Oid type,
    std::uint32_t index,
    std::string& storage
);

// encode() takes it there: throws what that throws, and spends little on the usual kinds. True: it
// has a binary form there.
[[nodiscard]] bool
check_fits(const tenon_value& value, Oid type, std::uint32_t index, std::string& storage);

// The shortest text that reads back as the same number.
void append_real(std::string& out, double value);

}  // namespace tenon::postgres
