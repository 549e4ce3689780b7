// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/records/digest.hpp"

#include <array>
#include <sodium.h>
#include <vector>

namespace tenon::records {

std::string sha256_hex(std::string_view text) {
    const std::vector<unsigned char> raw{text.begin(), text.end()};
    std::array<unsigned char, crypto_hash_sha256_BYTES> hash{};
    crypto_hash_sha256(hash.data(), raw.data(), raw.size());
    std::array<char, 2 * crypto_hash_sha256_BYTES + 1> hex{};
    sodium_bin2hex(hex.data(), hex.size(), hash.data(), hash.size());
    return hex.data();
}

}  // namespace tenon::records
