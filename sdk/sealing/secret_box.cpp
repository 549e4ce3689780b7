// SPDX-License-Identifier: Apache-2.0
#include "sdk/sealing/secret_box.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <optional>
#include <sodium.h>

namespace tenon::sealing {
namespace {

namespace json = boost::json;

static_assert(MasterKey::k_bytes == crypto_aead_xchacha20poly1305_ietf_KEYBYTES);

constexpr std::size_t k_nonce_bytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t k_tag_bytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr char k_without_id = 1, k_with_id = 2;

const unsigned char* raw(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

unsigned char* raw(std::string& text) {
    return reinterpret_cast<unsigned char*>(text.data());
}

[[nodiscard]] std::string header_of(const MasterKey& key) {
    return k_with_id + key.id();
}

// `body`: nonce and ciphertext.
[[nodiscard]] std::optional<std::string>
decrypt(const MasterKey& key, std::string_view associated, std::string_view body) {
    const std::string_view cipher = body.substr(k_nonce_bytes);
    std::string out(cipher.size() - k_tag_bytes, '\0');
    const int opened = crypto_aead_xchacha20poly1305_ietf_decrypt(
        raw(out),
        nullptr,
        nullptr,
        raw(cipher),
        cipher.size(),
        raw(associated),
        associated.size(),
        raw(body),
        key.data()
    );
    return opened == 0 ? std::optional{std::move(out)} : std::nullopt;
}

[[noreturn]] void unreadable() {
    throw Error{TENON_CORRUPT, "the secret does not open: wrong master key, context or data"};
}

[[nodiscard]] std::string
open_without_id(const Keys& keys, std::string_view context, std::string_view body) {
    for (const auto& key : {keys.current, keys.previous}) {
        if (key) {
            if (auto plain = decrypt(*key, context, body)) {
                return std::move(*plain);
            }
        }
    }
    unreadable();
}

}  // namespace

Keys SecretBox::keys() const {
    const std::lock_guard lock{mutex_};
    return ring_.keys();
}

std::string SecretBox::seal(std::string_view context, std::string_view plain) const {
    const Keys keys = this->keys();
    std::string out = header_of(*keys.current);
    const std::string associated = out + std::string{context};
    const std::size_t header = out.size();
    out.resize(header + k_nonce_bytes + plain.size() + k_tag_bytes);
    unsigned char* nonce = raw(out) + header;
    randombytes_buf(nonce, k_nonce_bytes);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(
        nonce + k_nonce_bytes,
        nullptr,
        raw(plain),
        plain.size(),
        raw(associated),
        associated.size(),
        nullptr,
        nonce,
        keys.current->data()
    );
    return out;
}

std::string SecretBox::open(std::string_view context, std::string_view sealed) const {
    const Keys keys = this->keys();
    const bool has_id = !sealed.empty() && sealed[0] == k_with_id;
    const std::size_t header = has_id ? 1 + MasterKey::k_id_bytes : 1;
    if (sealed.size() < header + k_nonce_bytes + k_tag_bytes ||
        (!has_id && sealed[0] != k_without_id)) {
        throw Error{TENON_CORRUPT, "not a sealed secret"};
    }
    const std::string_view body = sealed.substr(header);
    if (!has_id) {
        return open_without_id(keys, context, body);
    }
    const std::string_view id = sealed.substr(1, MasterKey::k_id_bytes);
    for (const auto& key : {keys.current, keys.previous}) {
        if (key && key->id() == id) {
            const std::string associated =
                std::string{sealed.substr(0, header)} + std::string{context};
            if (auto plain = decrypt(*key, associated, body)) {
                return std::move(*plain);
            }
            throw Error{
                TENON_CORRUPT,
                "the secret does not open under the master key " + key->name() +
                    ": it was changed, or belongs elsewhere"};
        }
    }
    const std::lock_guard lock{mutex_};
    const std::string name = hex_of(id);
    throw Error{
        TENON_DENIED,
        "the secret was sealed under the master key " + name + ", which " +
            (ring_.is_retired(name) ? "was retired" : "is not here") + "; here is " +
            keys.current->name()};
}

std::string SecretBox::status_locked() const {
    const Keys& keys = ring_.keys();
    json::object out{
        {"key", keys.current->name()},
        {"previous", nullptr},
        {"rotating", keys.previous != nullptr},
        {"advice", ring_.advice()}};
    if (keys.previous) {
        out["previous"] = keys.previous->name();
    }
    return json::serialize(out);
}

std::string SecretBox::status() const {
    const std::lock_guard lock{mutex_};
    return status_locked();
}

std::string SecretBox::rotate() {
    const std::lock_guard lock{mutex_};
    ring_.rotate();
    return status_locked();
}

std::string SecretBox::previous() const {
    const Keys keys = this->keys();
    return keys.previous ? keys.previous->name() : "";
}

std::string SecretBox::finish(std::string_view previous) {
    const std::lock_guard lock{mutex_};
    const Keys& keys = ring_.keys();
    if (keys.previous && keys.previous->name() != previous) {
        throw Error{
            TENON_CONFLICT,
            "another rotation began meanwhile: first `tenon key rotate`, then finish it"};
    }
    ring_.finish();
    return status_locked();
}

const tenon_secret_1& SecretBox::table() {
    static constexpr tenon_secret_1 k_table{
        sizeof(tenon_secret_1),
        0,
        [](void* self, tenon_str context, tenon_bytes plain, tenon_sink out, tenon_err* err
        ) noexcept {
            return guard(err, [&] {
                const auto& box = *static_cast<const SecretBox*>(self);
                return out.put(out.ctx, bytes(box.seal(view(context), view(plain))));
            });
        },
        [](void* self, tenon_str context, tenon_bytes sealed, tenon_sink out, tenon_err* err
        ) noexcept {
            return guard(err, [&] {
                const auto& box = *static_cast<const SecretBox*>(self);
                std::string plain = box.open(view(context), view(sealed));
                const tenon_status status = out.put(out.ctx, bytes(plain));
                sodium_memzero(plain.data(), plain.size());
                return status;
            });
        }};
    return k_table;
}

}  // namespace tenon::sealing
