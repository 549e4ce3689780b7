// SPDX-License-Identifier: Apache-2.0
// tenon.migrations/1 in C++: derive from Migrations and call provide<tenon::Migrations>(this) in
// the constructor. Migrate up in start, before the dependants start.
#pragma once

#include <tenon/abi/migrations.h>
#include <tenon/plugin.hpp>

#include <cstdint>
#include <string>

namespace tenon {

class Migrations {
public:
    static constexpr std::string_view k_id = "tenon.migrations/1";

    // [any] The version that the schema has now; 0: empty.
    [[nodiscard]] virtual std::uint32_t version() const noexcept = 0;
    // [io] JSON, as abi/migrations.h has it.
    [[nodiscard]] virtual std::string report() = 0;

    [[nodiscard]] static const void* table(const Migrations&) noexcept {
        static constexpr tenon_migrations_1 k_table{
            sizeof(tenon_migrations_1),
            0,
            [](void* self) noexcept { return static_cast<Migrations*>(self)->version(); },
            [](void* self, tenon_sink out, tenon_err* err) noexcept {
                return guard(err, [&] {
                    const std::string text = static_cast<Migrations*>(self)->report();
                    return out.put(out.ctx, bytes(text));
                });
            }};
        return &k_table;
    }

protected:
    ~Migrations() = default;
};

}  // namespace tenon
