// SPDX-License-Identifier: Apache-2.0
// Brings what is captured after the newest backup to the store, as it grows, so that little is lost
// with the machine: objects tail/SEGMENT/OFFSET, each some bytes of a segment from that offset on.
// One thread at a time, but for backup_changed(). It has a vault to itself, so that a backup that
// is being made does not hold it up.
#pragma once

#include "sdk/capture/folder.hpp"
#include "sdk/vault/vault.hpp"

#include <atomic>
#include <map>

namespace tenon::backup_sqlite {

class Shipper {
public:
    Shipper(std::string source, std::unique_ptr<vault::Vault> vault)
        : source_{std::move(source)}, vault_{std::move(vault)} {}

    // Ships what is new; true when there was a backup to follow, so that everything that was there
    // when it began is in the store. Throws what Vault
    // throws; the next call goes on where this one ended.
    bool ship();

    // [any] A backup was made: what it holds is no tail any more.
    void backup_changed() noexcept { has_begun_.store(false, std::memory_order_relaxed); }

    [[nodiscard]] vault::Vault& vault() noexcept { return *vault_; }

private:
    void begin();
    [[nodiscard]] std::uint64_t ship_segment(const capture::Piece& segment, std::uint64_t from);

    std::string source_;
    std::unique_ptr<vault::Vault> vault_;
    std::atomic<bool> has_begun_{false};
    std::string first_;                             // the segments from this one on are shipped
    std::map<std::string, std::uint64_t> reached_;  // of a segment: bytes in the store
};

// Bytes from `offset` on of a segment.
struct Tail {
    std::string object;
    std::string segment;
    std::uint64_t offset = 0;
};

[[nodiscard]] std::vector<Tail> tails(vault::Vault& vault);
// Whether the file of a manifest or a folder is a segment.
[[nodiscard]] bool is_segment(std::string_view name) noexcept;
[[nodiscard]] std::string name_of(const std::string& file);

}  // namespace tenon::backup_sqlite
