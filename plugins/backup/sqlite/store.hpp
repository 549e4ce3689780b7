// SPDX-License-Identifier: Apache-2.0
// The folder of backups: `pieces/` with what they are made of, and ID.json for each that is whole.
//
// Pieces are named by their content too, and shared. One thread at a time, but for cancel().
#pragma once

#include "plugins/backup/sqlite/manifest.hpp"
#include "sdk/capture/folder.hpp"

#include <atomic>

namespace tenon::backup_sqlite {

using Say = std::function<void(std::string_view phase, std::uint64_t done, std::uint64_t total)>;

class Store {
public:
    Store(std::string source, std::string folder) noexcept
        : source_{std::move(source)}, folder_{std::move(folder)} {}

    // Throws TENON_UNAVAILABLE: nothing to back up yet, no room, or cancelled.
    Manifest create(std::string_view label, std::int64_t now_real_ns, const Say& say);
    // Oldest first. A manifest that is damaged is named in `damaged`, the others are given.
    [[nodiscard]] std::vector<Manifest> list(std::vector<std::string>* damaged = nullptr) const;
    // Every piece, and the chain of commits in them. Throws TENON_CORRUPT or TENON_NOT_FOUND.
    void verify(std::string_view id, const Say& say);
    // Makes `to`/tenon.db. An empty id: the newest backup that reaches the target. Throws
    // TENON_CONFLICT when the folder is not empty.
    capture::Position restore(
        std::string_view id,
        const capture::Target& target,
        const std::string& to,
        const Say& say
    );
    // Keeps the newest; gives back the ids of the others.
    std::vector<std::string> prune(std::size_t keep, bool dry_run);

    // [any]
    void cancel() noexcept { cancelled_.store(true, std::memory_order_relaxed); }

    void allow() noexcept { cancelled_.store(false, std::memory_order_relaxed); }

private:
    [[nodiscard]] std::string pieces() const { return folder_ + "/pieces"; }

    [[nodiscard]] Manifest manifest_of(std::string_view id) const;
    [[nodiscard]] std::vector<capture::Piece> choose() const;
    [[nodiscard]] Part copy(const capture::Piece& piece, std::uint64_t bytes);
    void check(const Manifest& manifest, const Say& say);
    void link_parts(const Manifest& manifest, const std::string& folder) const;
    void write_manifest(const Manifest& manifest) const;
    void require_going_on() const;

    std::string source_;
    std::string folder_;
    std::atomic<bool> cancelled_{false};
};

}  // namespace tenon::backup_sqlite
