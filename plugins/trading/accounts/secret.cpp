// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/accounts/secret.hpp"

#include <algorithm>
#include <sodium.h>

namespace tenon::accounts {

void* allocate_secret(std::size_t size) {
    // Idempotent and thread-safe.
    if (sodium_init() < 0) {
        throw std::bad_alloc{};
    }
    // Placed at the end of a page: kept a multiple of 16, so that it stays aligned.
    void* memory = sodium_malloc((std::max<std::size_t>(size, 1) + 15) / 16 * 16);
    if (memory == nullptr) {
        throw std::bad_alloc{};
    }
    return memory;
}

void free_secret(void* memory) noexcept {
    sodium_free(memory);
}

void wipe(std::string& text) noexcept {
    sodium_memzero(text.data(), text.size());
    text.clear();
}

SecretBytes::SecretBytes(std::span<const char> bytes)
    : size_{bytes.size()}, bytes_{static_cast<unsigned char*>(allocate_secret(bytes.size()))} {
    std::copy(bytes.begin(), bytes.end(), bytes_.get());
}

}  // namespace tenon::accounts
