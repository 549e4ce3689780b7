// SPDX-License-Identifier: Apache-2.0
#include "plugins/backup/sqlite/shipper.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <fcntl.h>
#include <set>

namespace tenon::backup_sqlite {
namespace {

const std::string k_tail = "tail/";

std::string
tail_name(const std::string& capture, const std::string& segment, std::uint64_t offset) {
    char digits[20];
    (void)std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(offset));
    return k_tail + capture + "/" + segment + "/" + digits;
}

std::string text_of(const vault::Manifest& manifest, const char* name) {
    const boost::json::value* const found = manifest.about.if_contains(name);
    return found != nullptr && found->is_string() ? found->get_string().c_str() : "";
}

}  // namespace

std::string name_of(const std::string& file) {
    return file.substr(file.rfind('/') + 1);
}

bool is_segment(std::string_view name) noexcept {
    return name.starts_with("segment-");
}

std::string capture_of(const vault::Manifest& manifest) {
    return text_of(manifest, "capture");
}

std::vector<Tail> tails(vault::Vault& vault) {
    std::vector<Tail> all;
    for (const vault::Object& object : vault.place().list(k_tail)) {
        const std::string rest = object.name.substr(k_tail.size());
        const std::size_t first = rest.find('/');
        const std::size_t second = rest.rfind('/');
        if (first == second) {
            continue;
        }
        Tail tail{
            object.name, rest.substr(0, first), rest.substr(first + 1, second - first - 1), 0};
        const char* const end = rest.data() + rest.size();
        const auto parsed = std::from_chars(rest.data() + second + 1, end, tail.offset, 16);
        if (parsed.ec == std::errc{} && parsed.ptr == end && is_segment(tail.segment)) {
            all.push_back(std::move(tail));
        }
    }
    return all;
}

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
    const std::string chain = text_of(newest, "chain");
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
    if (known.empty() || !joins(known.back(), all)) {
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
    ship_segments(all);
    for (const auto& [name, segment] : segments_) {
        for (std::uint64_t at = from[name]; at < segment.reached; at += vault_->piece_bytes()) {
            old.erase(tail_name(capture_, name, at));
        }
    }
    for (const std::string& object : old) {
        vault_->place().remove(object);
    }
    follows_ = true;
}

void Shipper::ship_segments(const capture::Listing& all) {
    for (const capture::Piece& piece : all.segments) {
        const std::string name = name_of(piece.file);
        if (piece.epoch == epoch_ && name >= first_) {
            ship_segment(piece, segments_[name]);
        }
    }
}

void Shipper::ship_segment(const capture::Piece& piece, Segment& segment) {
    if (segment.is_done) {
        return;
    }
    if (!segment.tip) {
        segment.tip = std::make_unique<capture::SegmentTip>(piece.file);
    }
    segment.tip->advance();
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
        vault_->keep_named(tail_name(capture_, name_of(piece.file), segment.reached), bytes);
        segment.reached += bytes.size();
    }
    segment.is_done = segment.tip->has_ended();
    if (segment.is_done) {
        segment.tip.reset();
    }
}

Shipped Shipper::ship() {
    const capture::Listing all = capture::list(source_);
    if (all.segments.empty()) {
        follows_ = false;
        return Shipped::needs_base;
    }
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
        follows_ = capture::hex_of(newest.header().uuid) == capture_;
        if (follows_) {
            ship_segments(all);
        }
    }
    const std::uint64_t epoch = all.segments.back().epoch;
    if (follows_ && epoch == epoch_) {
        return Shipped::all;
    }
    return !all.bases.empty() && all.bases.back().epoch == epoch ? Shipped::needs_backup
                                                                 : Shipped::needs_base;
}

}  // namespace tenon::backup_sqlite
