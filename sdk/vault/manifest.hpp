// SPDX-License-Identifier: Apache-2.0
// What a backup is made of, and the object that says it: two lines, the backup as JSON and the
// checksum of that line -- SHA-256, or with a key a keyed BLAKE2b and the key's id, so that nobody
// without the key can make one.
#pragma once

#include "sdk/vault/key.hpp"

#include <boost/json/object.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::vault {

// A piece that is named by its content.
struct Ref {
    std::string sum;          // of the content: SHA-256, with a key a keyed BLAKE2b; hexadecimal
    std::uint32_t bytes = 0;  // of content
};

struct File {
    std::string name;
    std::uint64_t bytes = 0;
    std::vector<Ref> pieces;  // in order
};

struct Manifest {
    std::string id;
    std::string kind = "full";
    std::string label;
    std::int64_t started_ns = 0;  // Unix time, as all here
    std::int64_t finished_ns = 0;
    std::int64_t from_ns = 0;
    std::int64_t to_ns = 0;
    std::vector<File> files;
    boost::json::object about;  // the provider's own

    [[nodiscard]] std::uint64_t bytes() const noexcept;
};

// What was found out about a backup after it was made.
struct Proof {
    std::int64_t proven_ns = 0;  // a restore of it was whole; 0: none was
    std::int64_t failed_ns = 0;  // the newest trial failed
    std::string reason;          // why
    boost::json::object about;   // the provider's own

    [[nodiscard]] bool is_proven() const noexcept { return proven_ns != 0 && failed_ns == 0; }
};

[[nodiscard]] std::string encode(const Manifest& manifest, const Key* key);
// Throw TENON_CORRUPT and TENON_DENIED (another key), naming `where`.
[[nodiscard]] Manifest
decode_manifest(std::string_view text, const Key* key, const std::string& where);
[[nodiscard]] std::string encode(const Proof& proof, const Key* key);
[[nodiscard]] Proof decode_proof(std::string_view text, const Key* key, const std::string& where);

// As abi/backup.h has a backup, with "proven_at" and "failed" too.
[[nodiscard]] boost::json::object describe(const Manifest& manifest, const Proof& proof);

[[nodiscard]] std::string iso_time(std::int64_t real_ns);
// "2026-05-04T03:02:01Z", with or without a fraction. Throws TENON_INVALID.
[[nodiscard]] std::int64_t time_of_iso(const std::string& text);
// An id for a backup begun then: "20260504T030201.000Z".
[[nodiscard]] std::string id_of_time(std::int64_t real_ns);
[[nodiscard]] bool is_id(std::string_view id) noexcept;

}  // namespace tenon::vault
