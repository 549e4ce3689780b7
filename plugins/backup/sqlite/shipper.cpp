// SPDX-License-Identifier: Apache-2.0
#include "plugins/backup/sqlite/shipper.hpp"

#include <algorithm>
#include <fcntl.h>
#include <set>

namespace tenon::backup_sqlite {

// The chain of hashes says whether the source is what the backup was made of: a segment of the same
// name may be of another folder, or was cut after a power failure and went on otherwise.
bool Shipper::joins(const vault::Manifest& newest, const capture::Listing& all) {
    for (const vault::File& file : newest.files) {
        if (is_segment(file.name) && file.name >= first_) {
            first_ = file.name;
            segments_.clear();
            segments_[first_].reached = file.bytes;
        }
    }
    const auto piece = std::find_if(all.segments.begin(), all.segments.end(), [&](const auto& one) {
        return name_of(one.file) == first_;
    });
    const std::string chain = text_in(newest, "chain");
    if (piece == all.segments.end() || chain.empty()) {
        return false;
    }
    Segment& segment = segments_[first_];
    try {
        segment.tip = std::make_unique<capture::SegmentTip>(piece->file);
        segment.tip->advance(segment.reached);
    } catch (const Error& e) {
        if (e.code() != TENON_CORRUPT && e.code() != TENON_NOT_FOUND) {
            throw;
        }
        return false;
    }
    capture_ = capture::hex_of(segment.tip->header().uuid);
    epoch_ = piece->epoch;
    return segment.tip->bytes() == segment.reached &&
           capture::hex_of(segment.tip->chain()) == chain;
}

// What the newest backup holds is there; the rest is shipped anew, since a segment may have been
// cut after a crash. Tails that are behind the backup, or that a cut segment has no more, go only
// when what is there now is in the store; those of another capture folder stay.
void Shipper::begin(const capture::Listing& all) {
    has_begun_ = true;  // a backup that is published from here on begins it anew
    follows_ = false;
    segments_.clear();
    first_.clear();
    const std::vector<vault::Manifest> known = vault_->list();
    if (known.empty() || !joins(known.back(), all) || !journal_.begin(*vault_, known.back())) {
        return;
    }
    std::set<std::string> old;
    for (const Tail& tail : tails(*vault_)) {
        if (tail.capture == capture_) {
            old.insert(tail.object);
        }
    }
    std::map<std::string, std::uint64_t> from;
    for (const auto& [name, segment] : segments_) {
        from[name] = segment.reached;
    }
    if (!ship_segments(all)) {
        return;
    }
    for (const auto& [name, segment] : segments_) {
        for (std::uint64_t at = from[name]; at < segment.reached; at += vault_->piece_bytes()) {
            old.erase(tail_name(k_tails, capture_, name, at));
        }
    }
    for (const std::string& object : old) {
        vault_->place().remove(object);
    }
    follows_ = true;
}

// What is seen of the database first is stored last: then the journal in the store covers it.
// False: the journal does not go on where the newest backup ends.
bool Shipper::ship_segments(const capture::Listing& all) {
    std::vector<const capture::Piece*> seen;
    for (const capture::Piece& piece : all.segments) {
        const std::string name = name_of(piece.file);
        if (piece.epoch == epoch_ && name >= first_ && !segments_[name].is_done) {
            see(piece, segments_[name]);
            seen.push_back(&piece);
        }
    }
    if (!journal_.look()) {
        return false;
    }
    journal_.ship(*vault_);
    for (const capture::Piece* const piece : seen) {
        ship_segment(*piece, segments_[name_of(piece->file)]);
    }
    return true;
}

void Shipper::see(const capture::Piece& piece, Segment& segment) {
    if (!segment.tip) {
        segment.tip = std::make_unique<capture::SegmentTip>(piece.file);
    }
    segment.tip->advance();
}

void Shipper::ship_segment(const capture::Piece& piece, Segment& segment) {
    const capture::Descriptor fd{::open(piece.file.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!fd.is_open()) {
        throw capture::file_error("open", piece.file);
    }
    while (segment.reached < segment.tip->bytes()) {
        capture::Bytes bytes(static_cast<std::size_t>(
            std::min<std::uint64_t>(vault_->piece_bytes(), segment.tip->bytes() - segment.reached)
        ));
        bytes.resize(
            capture::read_at(fd.get(), bytes.data(), bytes.size(), segment.reached, piece.file)
        );
        if (bytes.empty()) {
            throw Error{TENON_UNAVAILABLE, piece.file + " became shorter"};
        }
        vault_->keep_named(
            tail_name(k_tails, capture_, name_of(piece.file), segment.reached), bytes
        );
        segment.reached += bytes.size();
    }
    segment.is_done = segment.tip->has_ended();
    if (segment.is_done) {
        segment.tip.reset();
    }
}

Shipped Shipper::ship() {
    journal_.hold();
    const capture::Listing all = capture::list(source_);
    if (all.segments.empty()) {
        follows_ = false;
        return Shipped::needs_base;
    }
    try {
        return ship_from(all);
    } catch (const Error& e) {
        if (e.code() == TENON_CONFLICT) {  // a segment of the journal was cut
            has_begun_ = false;
        }
        throw;
    }
}

Shipped Shipper::ship_from(const capture::Listing& all) {
    if (!has_begun_) {
        try {
            begin(all);
        } catch (...) {
            has_begun_ = false;
            throw;
        }
    } else if (follows_) {
        // In another folder there may be segments of the same names.
        const capture::SegmentReader newest{all.segments.back().file};
        follows_ = capture::hex_of(newest.header().uuid) == capture_ && ship_segments(all);
    }
    const std::uint64_t epoch = all.segments.back().epoch;
    if (follows_ && epoch == epoch_) {
        return journal_.is_backup_due() ? Shipped::all_but_due : Shipped::all;
    }
    return !all.bases.empty() && all.bases.back().epoch == epoch ? Shipped::needs_backup
                                                                 : Shipped::needs_base;
}

}  // namespace tenon::backup_sqlite
