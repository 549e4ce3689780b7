// SPDX-License-Identifier: Apache-2.0
// Backups of a cluster: bases by pg_basebackup, and the log that the receiver stores after them.
//
// One thread at a time, but for cancel().
#pragma once

#include "plugins/backup/postgres/manifest.hpp"
#include "plugins/backup/postgres/process.hpp"
#include "plugins/backup/postgres/receiver.hpp"
#include "sdk/vault/retention.hpp"

#include <atomic>

namespace tenon::backup_postgres {

using Say = std::function<void(std::string_view phase, std::uint64_t done, std::uint64_t total)>;

struct BackupSettings {
    ServerSettings server;
    std::string tools;  // folder of PostgreSQL's programs; "": the system's
    std::chrono::milliseconds timeout{std::chrono::hours{6}};  // for each program
};

// The state to go back to: by time, by order, or as new as there is.
struct Target {
    std::int64_t real_ns = 0;
    std::int64_t order = 0;
    Timeline timeline = 0;  // 0: the newest
};

struct Restored {
    Manifest from;
    std::string until;  // what recovery stops at, or "the end of the log"
    Timeline timeline = 0;
    std::vector<std::string> passed_over;  // newer backups that are damaged, and how
    std::vector<std::string> pruned;       // ids of those that another process pruned meanwhile
};

class Backups {
public:
    Backups(Pieces& pieces, Receiver* receiver, BackupSettings settings)
        : pieces_{pieces}, wal_{pieces}, receiver_{receiver}, settings_{std::move(settings)} {}

    // Throws TENON_UNAVAILABLE (server or store not there, no room, cancelled) or TENON_TIMEOUT.
    Manifest create(std::string_view label, const Say& say);
    // Oldest first. A manifest that is damaged is named in `damaged`, the others are given.
    [[nodiscard]] std::vector<Manifest> list(std::vector<std::string>* damaged = nullptr);
    // Every piece of the base, and of the log after it. Throws TENON_CORRUPT with the piece and the
    // backups that are left, or TENON_NOT_FOUND.
    void verify(std::string_view id, const Say& say);
    // Makes a data folder that PostgreSQL starts from: it replays up to the target and goes on from
    // there, on a timeline of its own. It has all that it needs; the store is not asked again.
    // An empty id: the newest that leads there; one that is damaged, or pruned by another process
    // meanwhile, is passed over. Throws TENON_CONFLICT when the folder is not empty,
    // TENON_NOT_FOUND when nothing leads there, or no longer, with the backups that are left.
    Restored
    restore(std::string_view id, const Target& target, const std::string& to, const Say& say);
    // What the policy gives up goes, then what no kept one needs; nothing that no newer proof
    // covers. Gives back the ids.
    std::vector<std::string> prune(const vault::Retention& policy, bool dry_run);
    void mark_proven(const std::string& id, std::int64_t real_ns);

    // Throws as Receiver::wait_for does.
    void wait_until_stored(Lsn lsn);

    // [any] What is missing of the log after the newest backup, by what the store lists; "" when it
    // is whole, or when there is no backup.
    [[nodiscard]] std::string missing();

    // Commits up to then are stored; 0: not known.
    [[nodiscard]] std::int64_t reached_real_ns();

    // [any]
    void cancel() noexcept { cancelled_.store(true, std::memory_order_relaxed); }

    // [any] For good.
    void close() noexcept { closed_.store(true, std::memory_order_relaxed); }

    void allow() noexcept { cancelled_.store(false, std::memory_order_relaxed); }

    [[nodiscard]] bool cancelled() const noexcept {
        return closed_.load(std::memory_order_relaxed) ||
               cancelled_.load(std::memory_order_relaxed);
    }

    [[nodiscard]] Bounds bounds() const;

    [[nodiscard]] const BackupSettings& settings() const noexcept { return settings_; }

    struct Way;  // way.hpp

private:
    [[nodiscard]] Manifest manifest_of(std::string_view id);
    void take_base(Manifest& manifest, const Say& say, std::uint64_t total);
    void require_going_on() const;
    void require_log_of(const Manifest& manifest);
    [[nodiscard]] bool is_there(std::string_view id);
    // In words, for who cannot have `id`.
    [[nodiscard]] std::string others_than(std::string_view id);
    [[nodiscard]] std::vector<Manifest> leading_to(std::string_view id, const Target& target);
    [[nodiscard]] Way way_of(const Manifest& from, Timeline to);
    // Piece `i` of the way; when pruning has put a longer one in its place, the way goes over that.
    [[nodiscard]] WalPiece log_piece(Way& way, std::size_t i, const Manifest& from, Timeline to);
    [[nodiscard]] bool leads_to(const Manifest& from, const Target& target);
    void unpack(const Manifest& from, const std::string& folder, const Say& say);
    // What recovery is to be told to stop at.
    [[nodiscard]] std::string lay_out_log(
        const Manifest& from,
        const Target& target,
        const std::string& folder,
        const Say& say
    );
    void write_settings(const std::string& folder, const Target& target, const std::string& until)
        const;
    [[nodiscard]] bool goes_beyond(
        const Manifest& from,
        const Target& target,
        const std::string& folder,
        const Stretch& after
    );

    Pieces& pieces_;
    WalStore wal_;
    Receiver* receiver_;
    BackupSettings settings_;
    std::atomic<bool> cancelled_{false};
    std::atomic<bool> closed_{false};
};

}  // namespace tenon::backup_postgres
