// SPDX-License-Identifier: Apache-2.0
// Names of what is in the store: files of backups, and tails, which are what grew since a backup.
#pragma once

#include "sdk/vault/vault.hpp"

namespace tenon::backup_sqlite {

// Bytes from `offset` on of a segment.
struct Tail {
    std::string object;
    std::string capture;
    std::string segment;
    std::uint64_t offset = 0;
};

inline const std::string k_tails = "tail/";
inline const std::string k_journal_tails = "journal/";

// The objects of one of the two kinds, in order.
[[nodiscard]] std::vector<Tail> tails(vault::Vault& vault, const std::string& kind = k_tails);
[[nodiscard]] std::string tail_name(
    const std::string& kind,
    const std::string& capture,
    const std::string& segment,
    std::uint64_t offset
);
// Whether the file of a manifest or a folder is a segment, or a base, of the captured database.
[[nodiscard]] bool is_segment(std::string_view name) noexcept;
[[nodiscard]] bool is_base(std::string_view name) noexcept;
[[nodiscard]] std::string name_of(const std::string& file);
// Text that the manifest has under that name; empty: none.
[[nodiscard]] std::string text_in(const vault::Manifest& manifest, const char* name);
// The capture folder that a backup is of; empty when that is not known.
[[nodiscard]] std::string capture_of(const vault::Manifest& manifest);

}  // namespace tenon::backup_sqlite
