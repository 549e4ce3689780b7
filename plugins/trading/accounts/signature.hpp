// SPDX-License-Identifier: Apache-2.0
// Signatures of API requests: HMAC-SHA256 (RFC 2104, FIPS 180-4) in hex, Ed25519 (RFC 8032) in
// base64. Checks take the same time whatever the signature is. Any thread.
#pragma once

#include "plugins/trading/accounts/secret.hpp"

#include <tenon/abi/base.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace tenon::accounts {

// SHA-256 after the padded key, inside and outside: a check starts from copies of these.
class HmacKey {
public:
    explicit HmacKey(std::string_view secret);

    // 64 hex digits of either case.
    [[nodiscard]] bool verify(std::span<const tenon_bytes> parts, std::string_view hex)
        const noexcept;

private:
    // SHA256_CTX, without its header here.
    struct State {
        alignas(8) std::array<unsigned char, 128> inner, outer;
    };

    Secret<State> state_;
};

class Ed25519Key {
public:
    explicit Ed25519Key(std::string_view public_key);  // 32 bytes

    // Base64 of 64 bytes.
    [[nodiscard]] bool verify(std::span<const tenon_bytes> parts, std::string_view base64) const;

private:
    std::array<unsigned char, 32> public_key_{};
};

// 32 bytes from PEM ("BEGIN PUBLIC KEY"), base64 of such DER, or base64 of the bytes alone. Throws
// Error TENON_INVALID.
[[nodiscard]] std::string parse_ed25519_public_key(std::string_view text);

// `count` characters of [A-Za-z0-9], by the system's random source.
[[nodiscard]] std::string random_alphanumeric(std::size_t count);

}  // namespace tenon::accounts
