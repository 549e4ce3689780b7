// SPDX-License-Identifier: Apache-2.0
// Signatures of requests to the exchange: HMAC-SHA256 (RFC 2104) in hex with a text as the secret,
// or Ed25519 (RFC 8032) in percent-encoded base64 with a private key in PEM. A text stays in
// guarded memory (libsodium) and is wiped with it, a private key in OpenSSL's, which wipes it, too.
// Immutable; any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace tenon::binance_venue {

// Overwrites text that held a secret.
void wipe(std::string& text) noexcept;

class Signer {
public:
    // Both are wiped. Throws Error TENON_INVALID: an empty one, a key that is not printable ASCII,
    // or PEM that is no Ed25519 key or has a pass phrase.
    Signer(std::string api_key, std::string secret);
    ~Signer();
    Signer(const Signer&) = delete;
    Signer& operator=(const Signer&) = delete;

    // Of exactly these bytes; ready for a query string.
    [[nodiscard]] std::string sign(std::string_view payload) const;
    // The same, not percent-encoded.
    [[nodiscard]] std::string sign_plain(std::string_view payload) const;

    [[nodiscard]] const std::string& api_key() const noexcept { return api_key_; }

private:
    struct Secret;

    std::string api_key_;
    std::unique_ptr<Secret> secret_;
};

}  // namespace tenon::binance_venue
