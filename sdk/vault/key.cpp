// SPDX-License-Identifier: Apache-2.0
#include "sdk/vault/key.hpp"

#include "sdk/capture/format.hpp"

#include <algorithm>
#include <sodium.h>

namespace tenon::vault {

void Key::Free::operator()(unsigned char* key) const noexcept {
    sodium_free(key);
}

Key::Key() {
    if (sodium_init() < 0) {
        throw Error{TENON_UNAVAILABLE, "libsodium cannot be used"};
    }
    key_.reset(static_cast<unsigned char*>(sodium_malloc(k_bytes)));
    if (!key_) {
        throw Error{TENON_UNAVAILABLE, "no guarded memory for a key"};
    }
}

std::shared_ptr<const Key> Key::parse(std::string_view text) {
    constexpr std::string_view k_blank = " \t\r\n";
    const std::size_t first = std::min(text.find_first_not_of(k_blank), text.size());
    text.remove_prefix(first);
    text = text.substr(0, text.find_last_not_of(k_blank) + 1);
    const std::shared_ptr<Key> key{new Key};
    std::size_t got = 0;
    const char* end = nullptr;
    if (text.size() != 2 * k_bytes ||
        sodium_hex2bin(key->key_.get(), k_bytes, text.data(), text.size(), nullptr, &got, &end) !=
            0 ||
        got != k_bytes || end != text.data() + text.size()) {
        throw Error{
            TENON_INVALID,
            "the key of the backups is not 64 hexadecimal digits, as `openssl rand -hex 32` makes "
            "them"};
    }
    const auto id = key->derived("id");
    std::copy_n(id.begin(), key->id_.size(), key->id_.begin());
    (void)sodium_mprotect_readonly(key->key_.get());
    return key;
}

std::string Key::name() const {
    return capture::hex_of(id_);
}

std::array<unsigned char, Key::k_bytes> Key::derived(std::string_view use) const {
    std::array<unsigned char, k_bytes> out{};
    const std::string context = "tenon vault " + std::string{use};
    (void)crypto_generichash(
        out.data(),
        out.size(),
        reinterpret_cast<const unsigned char*>(context.data()),
        context.size(),
        key_.get(),
        k_bytes
    );
    return out;
}

}  // namespace tenon::vault
