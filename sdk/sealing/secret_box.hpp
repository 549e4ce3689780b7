// SPDX-License-Identifier: Apache-2.0
// tenon.secret/1: sealing at rest under the server's master key, and the rotation of that key.
//
// A sealed secret is: version byte 2, the 8 bytes of the master key's id, 24 bytes of random nonce,
// XChaCha20-Poly1305 ciphertext (libsodium's crypto_aead_xchacha20poly1305_ietf) with version, id
// and context as associated data. Version 1, which is opened still, had no id and the context
// alone.
//
// Threads: any. It keeps no secrets and knows none of their places: whoever keeps sealed values
// seals them anew when asked to (reseal.hpp).
#pragma once

#include "sdk/sealing/key_ring.hpp"

#include <tenon/abi/host.h>

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace tenon::sealing {

class SecretBox {
public:
    // As KeyRing.
    SecretBox(const std::filesystem::path& data_dir, bool first_start)
        : ring_{data_dir, first_start} {}

    // Throw Error: TENON_CORRUPT when the seal does not open under this context, TENON_DENIED when
    // it was made under a key that is not here, which the message names.
    [[nodiscard]] std::string seal(std::string_view context, std::string_view plain) const;
    [[nodiscard]] std::string open(std::string_view context, std::string_view sealed) const;

    // {"key","previous","rotating","advice"} as JSON: names of keys, previous null without one.
    [[nodiscard]] std::string status() const;
    // Begins a rotation, or finds one under way; the status. Throws Error.
    [[nodiscard]] std::string rotate();
    // Name of the key that a rotation replaces; "" when none is under way.
    [[nodiscard]] std::string previous() const;
    // Ends it: from now on nothing opens that was sealed under the old key. The caller knows that
    // nothing is. Throws Error.
    [[nodiscard]] std::string finish(std::string_view previous);

    [[nodiscard]] static const tenon_secret_1& table();

private:
    [[nodiscard]] Keys keys() const;
    [[nodiscard]] std::string status_locked() const;

    mutable std::mutex mutex_;
    KeyRing ring_;  // guarded by mutex_
};

}  // namespace tenon::sealing
