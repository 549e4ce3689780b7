// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/signer.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <sodium.h>
#include <utility>

namespace tenon::binance_venue {
namespace {

[[nodiscard]] const unsigned char* raw(std::string_view text) noexcept {
    const void* const bytes = text.data();
    return static_cast<const unsigned char*>(bytes);
}

[[nodiscard]] std::string hex(const unsigned char* bytes, std::size_t size) {
    constexpr std::string_view k_digits = "0123456789abcdef";
    std::string out;
    for (std::size_t i = 0; i < size; ++i) {
        out.push_back(k_digits[bytes[i] >> 4U]);
        out.push_back(k_digits[bytes[i] & 0x0FU]);
    }
    return out;
}

[[nodiscard]] std::string base64(const unsigned char* bytes, std::size_t size) {
    std::array<unsigned char, 128> text{};
    const int length = EVP_EncodeBlock(text.data(), bytes, static_cast<int>(size));
    return {text.begin(), text.begin() + length};
}

}  // namespace

void wipe(std::string& text) noexcept {
    sodium_memzero(text.data(), text.size());
    text.clear();
}

struct Signer::Secret {
    unsigned char* bytes = nullptr;  // of the HMAC
    std::size_t size = 0;
    EVP_PKEY* key = nullptr;  // of Ed25519

    Secret() = default;
    Secret(const Secret&) = delete;
    Secret& operator=(const Secret&) = delete;

    ~Secret() {
        sodium_free(bytes);
        EVP_PKEY_free(key);
    }

    void read_pem(const std::string& text) {
        BIO* const in = BIO_new_mem_buf(text.data(), static_cast<int>(text.size()));
        // Without this OpenSSL asks at the terminal for a pass phrase, and the start waits for it.
        const auto none = [](char*, int, int, void*) { return -1; };
        key = PEM_read_bio_PrivateKey(in, nullptr, none, nullptr);
        ERR_clear_error();
        BIO_free(in);
        if (key == nullptr || EVP_PKEY_get_id(key) != EVP_PKEY_ED25519) {
            throw Error{
                TENON_INVALID,
                "the secret is PEM, but not an Ed25519 private key without a pass phrase"};
        }
    }

    void keep(const std::string& text) {
        bytes = static_cast<unsigned char*>(sodium_malloc(text.size()));
        if (bytes == nullptr) {
            throw std::bad_alloc{};
        }
        size = text.size();
        std::memcpy(bytes, text.data(), size);
        (void)sodium_mprotect_readonly(bytes);
    }
};

Signer::Signer(std::string api_key, std::string secret)
    : api_key_{std::move(api_key)}, secret_{std::make_unique<Secret>()} {
    struct Wiped {
        std::string& text;

        explicit Wiped(std::string& of) noexcept : text{of} {}

        Wiped(const Wiped&) = delete;
        Wiped& operator=(const Wiped&) = delete;

        ~Wiped() { wipe(text); }
    } const wiped{secret};

    const bool printable = std::all_of(api_key_.begin(), api_key_.end(), [](char c) {
        return c > ' ' && c <= '~' && c != ':';
    });
    if (api_key_.empty() || secret.empty() || !printable || sodium_init() < 0) {
        throw Error{TENON_INVALID, "the exchange's key or secret is empty or not a key"};
    }
    if (secret.starts_with("-----BEGIN")) {
        secret_->read_pem(secret);
    } else {
        secret_->keep(secret);
    }
}

Signer::~Signer() {
    wipe(api_key_);
}

std::string Signer::sign(std::string_view payload) const {
    std::string out;
    for (const char c : sign_plain(payload)) {
        // The three of base64's characters that mean something in a query.
        out.append(c == '+' ? "%2B" : c == '/' ? "%2F" : c == '=' ? "%3D" : std::string{c});
    }
    return out;
}

std::string Signer::sign_plain(std::string_view payload) const {
    std::array<unsigned char, 64> out{};
    if (secret_->key == nullptr) {
        unsigned size = 0;
        const unsigned char* const done = HMAC(
            EVP_sha256(),
            secret_->bytes,
            static_cast<int>(secret_->size),
            raw(payload),
            payload.size(),
            out.data(),
            &size
        );
        if (done == nullptr) {
            throw Error{TENON_INTERNAL, "HMAC-SHA256 is not available"};
        }
        return hex(out.data(), size);
    }
    std::size_t size = out.size();
    EVP_MD_CTX* const context = EVP_MD_CTX_new();
    const bool done = context != nullptr &&
                      EVP_DigestSignInit(context, nullptr, nullptr, nullptr, secret_->key) == 1 &&
                      EVP_DigestSign(context, out.data(), &size, raw(payload), payload.size()) == 1;
    EVP_MD_CTX_free(context);
    if (!done) {
        throw Error{TENON_INTERNAL, "Ed25519 is not available"};
    }
    return base64(out.data(), size);
}

}  // namespace tenon::binance_venue
