// SPDX-License-Identifier: Apache-2.0
#include "plugins/backup/sqlite/journal_shipper.hpp"

#include <algorithm>
#include <fcntl.h>

namespace tenon::backup_sqlite {

bool JournalShipper::begin(vault::Vault& vault, const vault::Manifest& newest) {
    segments_.clear();
    old_.clear();
    first_ = 0;
    capture_ = capture_of(newest);
    const auto part = journal_of(newest);
    is_without_ = !part;
    if (!part) {
        source_.release(0);
        return look();
    }
    if (!source_.joins(part->end)) {
        return false;
    }
    first_ = part->end.segment;
    segments_[first_].reached = part->end.bytes;
    source_.release(first_);
    const bool follows = look();
    find_old(vault);
    return follows;
}

// What a crash took back was never acknowledged: that goes at once, so that nothing of it comes
// behind what is written in its place. The rest goes when it is stored anew.
void JournalShipper::find_old(vault::Vault& vault) {
    for (const Tail& tail : tails(vault, k_journal_tails)) {
        if (tail.capture != capture_) {
            continue;
        }
        const std::uint64_t number = journal::segment_number(tail.segment).value_or(0);
        const auto segment = segments_.find(number);
        const bool is_behind_end =
            segment == segments_.end() ? number > first_ : tail.offset >= segment->second.bytes;
        if (is_behind_end) {
            vault.place().remove(tail.object);
        } else {
            old_.insert(tail.object);
        }
    }
}

JournalSource::Segments JournalShipper::held() {
    JournalSource::Segments there = source_.hold();
    if (source_.holds_too_much()) {
        source_.release(0);
        there = source_.hold();
    }
    return there;
}

void JournalShipper::hold() {
    (void)held();
}

bool JournalShipper::look() {
    const JournalSource::Segments there = held();
    const std::uint64_t front = there.numbers.empty() ? UINT64_MAX : there.numbers.front();
    for (const auto& [number, segment] : segments_) {
        if (number < front && (!segment.is_closed || segment.reached < segment.bytes)) {
            return false;  // it went before all of it was stored
        }
    }
    for (const std::uint64_t number : there.numbers) {
        if (number >= first_) {
            see(number, segments_[number], number == there.numbers.back());
        }
    }
    return !is_without_ || segments_.empty();
}

void JournalShipper::see(std::uint64_t number, Segment& segment, bool is_last) {
    if (segment.is_closed) {
        return;
    }
    if (!segment.tip) {
        segment.tip = source_.tip(number);
    }
    segment.tip->advance();
    segment.bytes = segment.tip->bytes();
    segment.is_closed = !is_last;
    if (segment.is_closed) {  // it was whole before the next one was begun
        if (!segment.tip->is_at_end()) {
            throw Error{
                TENON_CORRUPT,
                segment.tip->path() + " is damaged at offset " + std::to_string(segment.bytes)};
        }
        segment.tip.reset();
    }
}

void JournalShipper::ship(vault::Vault& vault) {
    for (auto& [number, segment] : segments_) {
        if (segment.reached < segment.bytes) {
            ship_segment(vault, number, segment);
        }
    }
    for (const std::string& object : old_) {
        vault.place().remove(object);
    }
    old_.clear();
}

void JournalShipper::ship_segment(vault::Vault& vault, std::uint64_t number, Segment& segment) {
    const std::string name = journal::segment_name(number);
    const std::string file = source_.folder_of(number) + "/" + name;
    const capture::Descriptor fd{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!fd.is_open()) {
        throw capture::file_error("open", file);
    }
    while (segment.reached < segment.bytes) {
        capture::Bytes bytes(static_cast<std::size_t>(
            std::min<std::uint64_t>(vault.piece_bytes(), segment.bytes - segment.reached)
        ));
        if (capture::read_at(fd.get(), bytes.data(), bytes.size(), segment.reached, file) !=
            bytes.size()) {
            throw Error{TENON_UNAVAILABLE, file + " became shorter"};
        }
        const std::string object = tail_name(k_journal_tails, capture_, name, segment.reached);
        vault.keep_named(object, bytes);
        old_.erase(object);
        segment.reached += bytes.size();
    }
}

std::uint64_t JournalShipper::behind_bytes() const noexcept {
    std::uint64_t bytes = 0;
    for (const auto& [number, segment] : segments_) {
        bytes += segment.bytes - segment.reached;
    }
    return bytes;
}

}  // namespace tenon::backup_sqlite
