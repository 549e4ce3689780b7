// SPDX-License-Identifier: Apache-2.0
// Backups in a place: what they are made of, what they are, and what was found out about them.
//
//     backups/ID      a manifest; it comes last, so a run that was killed left nothing that looks
//                     like a backup
//     proofs/ID       whether a restore of it was tried
//     pieces/SUM      content, named by its checksum and so shared by backups
//     anything else   named pieces of the provider (logs that are shipped between backups)
//
// One thread at a time, but for cancel() and allow().
#pragma once

#include "sdk/vault/manifest.hpp"
#include "sdk/vault/piece.hpp"
#include "sdk/vault/place.hpp"
#include "sdk/vault/retention.hpp"

#include <functional>
#include <memory>

namespace tenon::vault {

using Say = std::function<void(std::string_view phase, std::uint64_t done, std::uint64_t total)>;

// Gives the next bytes, at most as many as fit, none at the end.
using Source = std::function<std::size_t(std::span<unsigned char> to)>;
using Sink = std::function<void(View content)>;

struct Options {
    int level = 3;  // of zstd; 0: none
    std::shared_ptr<const Key> key;
    std::size_t piece_bytes = std::size_t{8} << 20U;  // of content, 4096 .. k_piece_bytes_max
};

class Vault {
public:
    Vault(std::shared_ptr<Place> place, Options options);

    // All throw what Place throws.

    // What is there already is not put again, unless `anew`: so that damage heals.
    [[nodiscard]] Ref keep(View content, bool anew = false);
    // As keep(), without compression: for what is compressed already.
    [[nodiscard]] Ref keep_packed(View content, bool anew = false);
    // A file in pieces; `going_on` is called with the bytes after each of them.
    [[nodiscard]] File keep_file(
        const std::string& name,
        const Source& source,
        bool is_packed,
        bool anew,
        const std::function<void(std::uint64_t)>& going_on
    );
    // The sink gets the pieces in order, on the calling thread; up to three are in memory. Throws
    // TENON_CORRUPT, also for a missing piece, which it names; TENON_DENIED for another key.
    void fetch_file(const File& file, const Sink& sink);

    // Of its own name, at most k_piece_bytes_max.
    void keep_named(const std::string& name, View content);
    // Throws TENON_NOT_FOUND, TENON_CORRUPT, TENON_DENIED.
    [[nodiscard]] Bytes fetch_named(const std::string& name);

    // The backup is there when it returns. Throws TENON_CONFLICT when there is one of that id.
    void publish(const Manifest& manifest);
    // Oldest first. A manifest that is damaged is named in `damaged`, the others are given.
    [[nodiscard]] std::vector<Manifest> list(std::vector<std::string>* damaged = nullptr);
    // Throws TENON_NOT_FOUND, TENON_INVALID, TENON_CORRUPT, TENON_DENIED.
    [[nodiscard]] Manifest manifest(std::string_view id);
    // A damaged proof proves nothing.
    [[nodiscard]] Proof proof(const std::string& id);
    void set_proof(const std::string& id, const Proof& proof);

    // Reads every piece of it. Throws TENON_CORRUPT and names the file and the piece.
    void check(const Manifest& manifest, const Say& say);

    // Deletes what the policy gives up, then pieces that no backup needs, and what killed runs
    // left. While a manifest is damaged no piece goes: what it needs is not known.
    std::vector<std::string> prune(const Retention& policy, bool dry_run);

    [[nodiscard]] Place& place() noexcept { return *place_; }

    [[nodiscard]] const Key* key() const noexcept { return options_.key.get(); }

    [[nodiscard]] std::size_t piece_bytes() const noexcept { return options_.piece_bytes; }

    // [any] As Place has them.
    void cancel() noexcept { place_->cancel(); }

    void allow() noexcept { place_->allow(); }

private:
    [[nodiscard]] Ref keep_at(View content, int level, bool anew);
    [[nodiscard]] std::string sum_of(View content) const;
    [[nodiscard]] std::string told(const Ref& piece, const std::string& what) const;
    [[nodiscard]] Bytes read(const Ref& piece, const std::string& what);
    [[nodiscard]] Bytes open(const Ref& piece, const Bytes& stored, const std::string& what) const;

    std::shared_ptr<Place> place_;
    Options options_;
};

}  // namespace tenon::vault
