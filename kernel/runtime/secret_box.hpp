// SPDX-License-Identifier: Apache-2.0
// tenon.secret/1: sealing at rest under the server's master key.
//
// A sealed secret is: version byte 1, 24 bytes of random nonce, XChaCha20-Poly1305 ciphertext with
// the context as associated data (libsodium's crypto_aead_xchacha20poly1305_ietf).
#pragma once

#include <tenon/abi/host.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace tenon::runtime {

class SecretBox {
public:
    // The key comes from $CREDENTIALS_DIRECTORY/tenon-master-key, or else from DATA_DIR/master.key,
    // which is made when `first_start`. Throws Error when it is missing later on, open to others
    // than its owner, or of the wrong size.
    SecretBox(const std::filesystem::path& data_dir, bool first_start);

    // Throws Error: TENON_CORRUPT when the seal does not open under this key and context.
    [[nodiscard]] std::string seal(std::string_view context, std::string_view plain) const;
    [[nodiscard]] std::string open(std::string_view context, std::string_view sealed) const;

    [[nodiscard]] static const tenon_secret_1& table();

private:
    struct Free {
        void operator()(unsigned char* key) const noexcept;
    };

    std::unique_ptr<unsigned char, Free> key_;  // locked in memory, wiped when freed
};

}  // namespace tenon::runtime
