// SPDX-License-Identifier: Apache-2.0
// A piece: some bytes of what is backed up, compressed, encrypted when there is a key, and bound to
// a name. Format, version 1, numbers little endian:
//
//     piece := head body
//     head  := magic u64      "TENONVP1"
//              flags u32      1: the body is encrypted; 2: it is a frame of zstd
//              raw u32        bytes of the content
//              key byte{8}    id of the key; zeros without one
//              sum byte{32}   SHA-256 of the 24 bytes before, the name, a zero byte and the body
//     body  := content, as it is or a frame of zstd; encrypted: a header of libsodium's
//              secretstream_xchacha20poly1305 (24 bytes), then messages of 1 MiB of it, the last
//              one shorter and tagged as final. The first one has the 24 bytes and the name as
//              associated data.
//
// So a piece that was flipped, cut, or put in another one's place fails by itself, without a key.
#pragma once

#include "sdk/vault/key.hpp"
#include "sdk/vault/place.hpp"

namespace tenon::vault {

inline constexpr std::size_t k_piece_head_bytes = 56;
// Of content.
inline constexpr std::size_t k_piece_bytes_max = std::size_t{16} << 20U;

// level: of zstd; 0: no compression. What does not become smaller is kept as it is.
[[nodiscard]] Bytes seal_piece(const std::string& name, View content, int level, const Key* key);

// Throws Error: TENON_CORRUPT with `what` and where the damage shows; TENON_DENIED when it is
// encrypted under a key that is not this one, naming both, or is plain although there is a key,
// since anybody could have put it there; TENON_UNSUPPORTED.
[[nodiscard]] Bytes
open_piece(const std::string& name, View piece, const Key* key, const std::string& what);

// Fails as open_piece(), but looks at the checksum alone and needs no key.
void check_piece(const std::string& name, View piece, const std::string& what);

}  // namespace tenon::vault
