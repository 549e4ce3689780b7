// SPDX-License-Identifier: Apache-2.0
// tenon.auth/1 in C++: derive from Auth and call provide<tenon::Auth>(this) in the constructor.
// Secrets stay in the provider; compare in constant time.
#pragma once

#include <tenon/abi/auth.h>
#include <tenon/plugin.hpp>

#include <cstdint>
#include <span>
#include <string_view>

namespace tenon {

// Beside TENON_PERMISSION_READ and _TRADE: what is for administrators, in the native API.
inline constexpr std::uint32_t k_permission_admin = 4;

// Whether who is at `remote` may use the key that has just been identified.
[[nodiscard]] inline bool may_come_from(
    const Service<tenon_auth_1>& auth,
    std::string_view api_key,
    const tenon_identity& identity,
    tenon_str remote
) noexcept {
    return (identity.flags & TENON_IDENTITY_BOUND) == 0 ||
           (TENON_HAS(auth.table, tenon_auth_1, allows) &&
            auth->allows(auth.self, str(api_key), remote) == TENON_OK);
}

// All [any]. `out`: size is set, the rest is zero.
class Auth {
public:
    static constexpr std::string_view k_id = "tenon.auth/1";

    // TENON_OK | TENON_NOT_FOUND (unknown or revoked).
    [[nodiscard]] virtual tenon_status identify(std::string_view api_key, tenon_identity& out) = 0;
    // TENON_OK | TENON_DENIED (does not fit) | TENON_NOT_FOUND.
    [[nodiscard]] virtual tenon_status verify(
        std::string_view api_key,
        std::span<const tenon_bytes> parts,
        std::string_view signature,
        tenon_identity& out
    ) = 0;

    // Of a key whose identity has TENON_IDENTITY_BOUND. TENON_OK | TENON_DENIED | TENON_NOT_FOUND.
    [[nodiscard]] virtual tenon_status allows(std::string_view api_key, std::string_view address) {
        (void)api_key;
        (void)address;
        return TENON_OK;
    }

    [[nodiscard]] static const void* table(const Auth&) noexcept {
        static constexpr tenon_auth_1 k_table{
            sizeof(tenon_auth_1), 0, &identify_key, &verify_signature, &allows_address};
        return &k_table;
    }

protected:
    ~Auth() = default;

private:
    static Auth& of(void* self) noexcept { return *static_cast<Auth*>(self); }

    static tenon_status identify_key(void* self, tenon_str api_key, tenon_identity* out) noexcept {
        auto found = sized<tenon_identity>();
        const tenon_status status =
            guard(nullptr, [&] { return of(self).identify(view(api_key), found); });
        return status == TENON_OK ? copy_out(found, out) : status;
    }

    static tenon_status verify_signature(
        void* self,
        tenon_str api_key,
        const tenon_bytes* parts,
        std::uint32_t count,
        tenon_str signature,
        tenon_identity* out
    ) noexcept {
        auto found = sized<tenon_identity>();
        const tenon_status status = guard(nullptr, [&] {
            return of(self).verify(view(api_key), {parts, count}, view(signature), found);
        });
        return status == TENON_OK ? copy_out(found, out) : status;
    }

    static tenon_status allows_address(void* self, tenon_str api_key, tenon_str address) noexcept {
        return guard(nullptr, [&] { return of(self).allows(view(api_key), view(address)); });
    }
};

}  // namespace tenon
