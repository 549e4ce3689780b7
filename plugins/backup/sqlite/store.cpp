// SPDX-License-Identifier: Apache-2.0
#include "plugins/backup/sqlite/store.hpp"

#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <set>

namespace tenon::backup_sqlite {

// The newest base that leaves no gap behind the last backup, and what comes after it.
std::vector<capture::Piece> Store::choose(const std::vector<Manifest>& known) const {
    const capture::Listing all = capture::list(source_);
    if (all.bases.empty()) {
        throw Error{TENON_UNAVAILABLE, source_ + " holds no base yet"};
    }
    const std::string before = known.empty() ? "" : capture_of(known.back());
    const auto newest = capture::read_base_header(all.bases.back().file);
    // The numbers of another folder say nothing: all there is is kept then.
    const std::uint64_t reached =
        known.empty() ? UINT64_MAX
        : !before.empty() && before != capture::hex_of(newest.uuid)
            ? 0
            : known.back().about.at("to_sequence").to_number<std::uint64_t>();
    const capture::Piece* first = &all.bases.front();
    for (const capture::Piece& base : all.bases) {
        first = base.txid <= reached ? &base : first;
    }
    std::vector<capture::Piece> chosen;
    for (const capture::Piece& base : all.bases) {
        if (base.txid >= first->txid) {
            chosen.push_back(base);
        }
    }
    for (const capture::Piece& segment : all.segments) {
        if (segment.txid > first->txid) {
            chosen.push_back(segment);
        }
    }
    return chosen;
}

// As many bytes as the listing had. What is captured is compressed already.
vault::File Store::copy(
    const capture::Piece& piece,
    bool anew,
    const std::function<void(std::uint64_t)>& done
) {
    const capture::Descriptor fd{::open(piece.file.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!fd.is_open()) {
        throw capture::file_error("open", piece.file);
    }
    std::uint64_t at = 0;
    const auto source = [&](std::span<unsigned char> to) {
        const auto wanted =
            static_cast<std::size_t>(std::min<std::uint64_t>(to.size(), piece.bytes - at));
        const std::size_t got = capture::read_at(fd.get(), to.data(), wanted, at, piece.file);
        at += got;
        return got;
    };
    vault::File made = vault_->keep_file(name_of(piece.file), source, true, anew, done);
    if (made.bytes != piece.bytes) {
        throw Error{TENON_UNAVAILABLE, piece.file + " became shorter while it was copied"};
    }
    return made;
}

// Of the pieces what a backup with `last` as its newest base has: no later base, nothing of a later
// epoch, which has no base yet, and of the segment that is being written only what is whole.
std::vector<capture::Piece> Store::belonging(
    std::vector<capture::Piece> pieces,
    const capture::BaseHeader& last,
    Manifest& manifest
) {
    std::vector<capture::Piece> chosen;
    for (capture::Piece& piece : pieces) {
        const bool is_base = !is_segment(name_of(piece.file));
        if (is_base ? piece.txid <= last.txid : piece.epoch <= last.epoch) {
            chosen.push_back(std::move(piece));
        }
    }
    capture::Piece& end = chosen.back();
    manifest.about["capture"] = capture::hex_of(last.uuid);
    manifest.about["epoch"] = last.epoch;
    for (capture::Piece& piece : chosen) {
        if (&piece != &end) {  // it may have grown since it was listed, but has ended since
            std::error_code gone;
            piece.bytes = std::filesystem::file_size(piece.file, gone);
            if (gone) {
                throw Error{TENON_UNAVAILABLE, piece.file + " is gone: " + gone.message()};
            }
        }
    }
    if (is_segment(name_of(end.file))) {
        capture::SegmentTip tip{end.file};
        tip.advance();
        end.bytes = tip.bytes();
        manifest.about["chain"] = capture::hex_of(tip.chain());
    }
    return chosen;
}

// How far the captured commits go now: what is listed afterwards holds them.
void Store::reach(Manifest& manifest, const capture::BaseHeader& last) {
    capture::Walker walker{source_, last};
    manifest.to_ns = last.real_ns;
    while (const auto commit = walker.next({})) {
        manifest.to_ns = commit->real_ns;
        vault_->place().require_going_on();
    }
    manifest.about["to_sequence"] = walker.txid();
}

Manifest Store::create(std::string_view label, std::int64_t now_real_ns, const Say& say) {
    if (label.size() > 128) {
        throw Error{TENON_INVALID, "a label has at most 128 bytes"};
    }
    vault_->place().require_going_on();
    JournalBackup journal{journal_};  // first: what the engine needs now is enough for what follows
    const std::vector<Manifest> known = vault_->list();
    const auto before = choose(known);
    Manifest manifest;
    manifest.id = vault::id_of_time(now_real_ns);
    manifest.label = label;
    manifest.started_ns = manifest.finished_ns = now_real_ns;
    const auto last_base = std::find_if(before.rbegin(), before.rend(), [](const auto& piece) {
        return !is_segment(name_of(piece.file));
    });
    const capture::BaseHeader last = capture::read_base_header(last_base->file);
    reach(manifest, last);
    const capture::BaseHeader first = capture::read_base_header(before.front().file);
    manifest.from_ns = first.real_ns;
    manifest.about["from_sequence"] = first.txid;
    manifest.about["database_bytes"] = std::uint64_t{last.pages} * last.page_size;
    // What a trial found damaged is put anew: the source may still have it.
    const bool anew = !known.empty() && vault_->proof(known.back().id).failed_ns != 0;
    const std::vector<capture::Piece> chosen = belonging(choose(known), last, manifest);
    std::uint64_t total = 0;
    for (const capture::Piece& piece : chosen) {
        total += piece.bytes;
    }
    std::uint64_t done = 0;
    say("copy", 0, total);
    for (const capture::Piece& piece : chosen) {
        manifest.files.push_back(copy(piece, anew, [&](std::uint64_t of_file) {
            vault_->place().require_going_on();
            say("copy", done + of_file, total);
        }));
        done += piece.bytes;
    }
    const bool follows = !known.empty() && capture_of(known.back()) == capture_of(manifest);
    journal.add_to(manifest, follows ? &known.back() : nullptr, *vault_, anew, say);
    vault_->publish(manifest);
    if (changed_) {
        changed_();
    }
    say("done", total, total);
    return manifest;
}

std::vector<std::string> Store::prune(const vault::Retention& policy, bool dry_run) {
    std::vector<std::string> gone = vault_->prune(policy, dry_run);
    if (dry_run) {
        return gone;
    }
    std::vector<std::string> damaged;
    std::set<std::string> needed;
    for (const Manifest& one : vault_->list(&damaged)) {
        needed.insert(capture_of(one));
    }
    if (!damaged.empty() || needed.empty()) {
        return gone;
    }
    for (const std::string& kind : {k_tails, k_journal_tails}) {
        for (const Tail& tail : tails(*vault_, kind)) {
            if (needed.count(tail.capture) == 0) {
                vault_->place().remove(tail.object);
            }
        }
    }
    return gone;
}

std::int64_t newest_proof_ns(vault::Vault& vault) {
    std::int64_t newest = 0;
    for (const Manifest& one : vault.list()) {
        const vault::Proof proof = vault.proof(one.id);
        newest = std::max(newest, proof.is_proven() ? proof.proven_ns : 0);
    }
    return newest;
}

}  // namespace tenon::backup_sqlite
