// SPDX-License-Identifier: Apache-2.0
// SHA-256 by its plain functions: OpenSSL 3 discourages them, but only they let a key's state be
// computed once and copied for each request, without an allocation.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "plugins/trading/accounts/signature.hpp"

#include <tenon/plugin.hpp>

#include <cstring>
#include <openssl/sha.h>
#include <sodium.h>

namespace tenon::accounts {
namespace {

constexpr std::size_t k_block = 64;
constexpr std::string_view k_alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
// SubjectPublicKeyInfo of RFC 8410 before the key.
constexpr std::array<unsigned char, 12>
    k_der_prefix{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

static_assert(sizeof(SHA256_CTX) <= 128 && std::is_trivially_copyable_v<SHA256_CTX>);

void start_with(
    std::array<unsigned char, 128>& state,
    const std::array<unsigned char, k_block>& pad
) {
    SHA256_CTX context;
    SHA256_Init(&context);
    SHA256_Update(&context, pad.data(), pad.size());
    std::memcpy(state.data(), &context, sizeof context);
    sodium_memzero(&context, sizeof context);
}

SHA256_CTX copy_of(const std::array<unsigned char, 128>& state) noexcept {
    SHA256_CTX context;
    std::memcpy(&context, state.data(), sizeof context);
    return context;
}

// Bytes of base64 with or without padding, white space ignored; nothing when it is not that.
bool from_base64(std::string_view text, std::span<unsigned char> out, std::size_t& size) noexcept {
    return sodium_base642bin(
               out.data(),
               out.size(),
               text.data(),
               text.size(),
               " \t\r\n",
               &size,
               nullptr,
               sodium_base64_VARIANT_ORIGINAL
           ) == 0;
}

}  // namespace

HmacKey::HmacKey(std::string_view secret) {
    std::array<unsigned char, k_block> key{}, pad{};
    if (secret.size() > k_block) {
        SHA256(reinterpret_cast<const unsigned char*>(secret.data()), secret.size(), key.data());
    } else {
        std::memcpy(key.data(), secret.data(), secret.size());
    }
    const auto padded = [&](unsigned char with) {
        for (std::size_t i = 0; i < k_block; ++i) {
            pad[i] = static_cast<unsigned char>(key[i] ^ with);
        }
        return pad;
    };
    start_with(state_.get().inner, padded(0x36));
    start_with(state_.get().outer, padded(0x5c));
    sodium_memzero(key.data(), key.size());
    sodium_memzero(pad.data(), pad.size());
}

bool HmacKey::verify(std::span<const tenon_bytes> parts, std::string_view hex) const noexcept {
    std::array<unsigned char, SHA256_DIGEST_LENGTH> given{}, expected{};
    std::size_t size = 0;
    if (hex.size() != 2 * given.size() ||
        sodium_hex2bin(
            given.data(), given.size(), hex.data(), hex.size(), nullptr, &size, nullptr
        ) != 0) {
        return false;
    }
    SHA256_CTX inner = copy_of(state_.get().inner);
    for (const tenon_bytes& part : parts) {
        SHA256_Update(&inner, part.p, part.n);
    }
    SHA256_Final(expected.data(), &inner);
    SHA256_CTX outer = copy_of(state_.get().outer);
    SHA256_Update(&outer, expected.data(), expected.size());
    SHA256_Final(expected.data(), &outer);
    const bool fits =
        size == given.size() && sodium_memcmp(given.data(), expected.data(), given.size()) == 0;
    sodium_memzero(&inner, sizeof inner);
    sodium_memzero(&outer, sizeof outer);
    return fits;
}

Ed25519Key::Ed25519Key(std::string_view public_key) {
    if (public_key.size() != public_key_.size()) {
        throw Error{TENON_INVALID, "an Ed25519 public key has 32 bytes"};
    }
    std::memcpy(public_key_.data(), public_key.data(), public_key_.size());
}

bool Ed25519Key::verify(std::span<const tenon_bytes> parts, std::string_view base64) const {
    std::array<unsigned char, crypto_sign_BYTES> signature{};
    std::size_t size = 0;
    if (!from_base64(base64, signature, size) || size != signature.size()) {
        return false;
    }
    std::string message;
    for (const tenon_bytes& part : parts) {
        message.append(view(part));
    }
    return crypto_sign_verify_detached(
               signature.data(),
               reinterpret_cast<const unsigned char*>(message.data()),
               message.size(),
               public_key_.data()
           ) == 0;
}

std::string parse_ed25519_public_key(std::string_view text) {
    constexpr std::string_view k_begin = "-----BEGIN PUBLIC KEY-----";
    constexpr std::string_view k_end = "-----END PUBLIC KEY-----";
    if (const auto begin = text.find(k_begin); begin != std::string_view::npos) {
        const auto end = text.find(k_end, begin);
        text = end == std::string_view::npos
                   ? std::string_view{}
                   : text.substr(begin + k_begin.size(), end - begin - k_begin.size());
    }
    std::array<unsigned char, 64> bytes{};
    std::size_t size = 0;
    const bool decoded = from_base64(text, bytes, size);
    const std::string_view all{reinterpret_cast<const char*>(bytes.data()), size};
    if (decoded && size == 32) {
        return std::string{all};
    }
    if (decoded && size == k_der_prefix.size() + 32 &&
        std::memcmp(bytes.data(), k_der_prefix.data(), k_der_prefix.size()) == 0) {
        return std::string{all.substr(k_der_prefix.size())};
    }
    throw Error{
        TENON_INVALID,
        "public_key: expected an Ed25519 public key, as PEM or as base64 of its 32 bytes"};
}

std::string random_alphanumeric(std::size_t count) {
    std::string out(count, ' ');
    for (char& c : out) {
        c = k_alphabet[randombytes_uniform(static_cast<std::uint32_t>(k_alphabet.size()))];
    }
    return out;
}

}  // namespace tenon::accounts
