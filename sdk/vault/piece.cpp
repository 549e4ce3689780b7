// SPDX-License-Identifier: Apache-2.0
#include "sdk/vault/piece.hpp"

#include <algorithm>
#include <sodium.h>

namespace tenon::vault {
namespace {

constexpr std::string_view k_magic = "TENONVP1";
constexpr std::size_t k_sum_at = 24;
constexpr std::uint32_t k_encrypted = 1;
constexpr std::uint32_t k_zstd = 2;
constexpr std::size_t k_message = std::size_t{1} << 20U;
constexpr std::size_t k_cipher_message = k_message + crypto_secretstream_xchacha20poly1305_ABYTES;
constexpr std::size_t k_stream_head = crypto_secretstream_xchacha20poly1305_HEADERBYTES;

View view_of(std::string_view text) noexcept {
    return {reinterpret_cast<const unsigned char*>(text.data()), text.size()};
}

Bytes associated(View head, const std::string& name) {
    Bytes data{head.begin(), head.end()};
    const View text = view_of(name);
    data.insert(data.end(), text.begin(), text.end());
    return data;
}

void append_encrypted(Bytes& to, View plain, const Key& key, const Bytes& first_data) {
    crypto_secretstream_xchacha20poly1305_state state;
    std::size_t at = to.size();
    const std::size_t messages =
        std::max<std::size_t>(1, (plain.size() + k_message - 1) / k_message);
    to.resize(
        at + k_stream_head + plain.size() + messages * crypto_secretstream_xchacha20poly1305_ABYTES
    );
    (void)crypto_secretstream_xchacha20poly1305_init_push(&state, to.data() + at, key.data());
    at += k_stream_head;
    for (std::size_t i = 0; i < messages; ++i) {
        const View part =
            plain.subspan(i * k_message, std::min(k_message, plain.size() - i * k_message));
        const bool is_last = i + 1 == messages;
        (void)crypto_secretstream_xchacha20poly1305_push(
            &state,
            to.data() + at,
            nullptr,
            part.data(),
            part.size(),
            i == 0 ? first_data.data() : nullptr,
            i == 0 ? first_data.size() : 0,
            is_last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL : 0
        );
        at += part.size() + crypto_secretstream_xchacha20poly1305_ABYTES;
    }
    sodium_memzero(&state, sizeof state);
}

// False: something of it is not what was encrypted under this key.
bool decrypt(View cipher, const Key& key, const Bytes& first_data, Bytes& plain) {
    crypto_secretstream_xchacha20poly1305_state state;
    if (cipher.size() < k_stream_head ||
        crypto_secretstream_xchacha20poly1305_init_pull(&state, cipher.data(), key.data()) != 0) {
        return false;
    }
    cipher = cipher.subspan(k_stream_head);
    plain.resize(cipher.size());
    std::size_t done = 0;
    unsigned char tag = 0;
    for (bool is_first = true; tag != crypto_secretstream_xchacha20poly1305_TAG_FINAL;
         is_first = false) {
        const std::size_t length = std::min(cipher.size(), k_cipher_message);
        unsigned long long got = 0;
        if (length < crypto_secretstream_xchacha20poly1305_ABYTES ||
            crypto_secretstream_xchacha20poly1305_pull(
                &state,
                plain.data() + done,
                &got,
                &tag,
                cipher.data(),
                length,
                is_first ? first_data.data() : nullptr,
                is_first ? first_data.size() : 0
            ) != 0) {
            return false;
        }
        done += static_cast<std::size_t>(got);
        cipher = cipher.subspan(length);
    }
    plain.resize(done);
    return cipher.empty();
}

capture::Hash sum_of(View head, const std::string& name, View body) {
    static constexpr unsigned char k_zero = 0;
    capture::Hasher hasher;
    hasher.begin();
    hasher.add(head);
    hasher.add(view_of(name));
    hasher.add({&k_zero, 1});
    hasher.add(body);
    return hasher.end();
}

[[noreturn]] void damaged(const std::string& what, const char* how) {
    throw Error{TENON_CORRUPT, what + " is damaged: " + how};
}

}  // namespace

Bytes seal_piece(const std::string& name, View content, int level, const Key* key) {
    if (content.size() > k_piece_bytes_max) {
        throw Error{
            TENON_INVALID,
            "a piece has at most " + std::to_string(k_piece_bytes_max) + " bytes, not " +
                std::to_string(content.size())};
    }
    Bytes packed;
    if (level > 0) {
        capture::Squeezer squeezer;
        packed = squeezer.compress(content, level);
    }
    const bool is_packed = level > 0 && packed.size() < content.size();
    const View body = is_packed ? View{packed} : content;
    Bytes piece;
    piece.reserve(k_piece_head_bytes + body.size() + 4096);
    const View magic = view_of(k_magic);
    piece.insert(piece.end(), magic.begin(), magic.end());
    capture::put_u32(piece, (key != nullptr ? k_encrypted : 0) | (is_packed ? k_zstd : 0));
    capture::put_u32(piece, static_cast<std::uint32_t>(content.size()));
    const Key::Id id = key != nullptr ? key->id() : Key::Id{};
    piece.insert(piece.end(), id.begin(), id.end());
    const Bytes data = associated(piece, name);
    piece.resize(k_piece_head_bytes);
    if (key != nullptr) {
        append_encrypted(piece, body, *key, data);
    } else {
        piece.insert(piece.end(), body.begin(), body.end());
    }
    const View whole{piece};
    const capture::Hash sum =
        sum_of(whole.first(k_sum_at), name, whole.subspan(k_piece_head_bytes));
    std::copy(sum.begin(), sum.end(), piece.begin() + k_sum_at);
    return piece;
}

void check_piece(const std::string& name, View piece, const std::string& what) {
    if (piece.size() < k_piece_head_bytes) {
        damaged(what, "it is cut short");
    }
    const View magic = view_of(k_magic);
    if (!std::equal(magic.begin(), magic.end(), piece.begin())) {
        damaged(what, "it does not begin as a piece does");
    }
    const capture::Hash sum =
        sum_of(piece.first(k_sum_at), name, piece.subspan(k_piece_head_bytes));
    if (!std::equal(sum.begin(), sum.end(), piece.begin() + k_sum_at)) {
        damaged(what, "its content or its name does not match its checksum");
    }
}

Bytes open_piece(const std::string& name, View piece, const Key* key, const std::string& what) {
    check_piece(name, piece, what);
    const std::uint32_t flags = capture::get_u32(piece, 8);
    const std::size_t raw = capture::get_u32(piece, 12);
    if ((flags & ~(k_encrypted | k_zstd)) != 0) {
        throw Error{
            TENON_UNSUPPORTED, what + " is of a later release: flags " + std::to_string(flags)};
    }
    if (raw > k_piece_bytes_max) {
        damaged(what, "it is bigger than a piece may be");
    }
    const View body = piece.subspan(k_piece_head_bytes);
    Bytes plain;
    View packed = body;
    if ((flags & k_encrypted) != 0) {
        const View id = piece.subspan(16, 8);
        if (key == nullptr || !std::equal(id.begin(), id.end(), key->id().begin())) {
            throw Error{
                TENON_DENIED,
                what + " is encrypted under the key " + capture::hex_of(id) + ", " +
                    (key == nullptr ? "and no key is set" : "not under " + key->name())};
        }
        if (!decrypt(body, *key, associated(piece.first(k_sum_at), name), plain)) {
            damaged(what, "it is not what was encrypted");
        }
        packed = plain;
    } else if (key != nullptr) {
        throw Error{TENON_DENIED, what + " is not encrypted, and a key is set"};
    }
    if ((flags & k_zstd) != 0) {
        Bytes content;
        capture::Squeezer squeezer;
        squeezer.decompress(packed, raw, content, what);
        return content;
    }
    if (packed.size() != raw) {
        damaged(what, "it has another length than it says");
    }
    return (flags & k_encrypted) != 0 ? plain : Bytes{body.begin(), body.end()};
}

}  // namespace tenon::vault
