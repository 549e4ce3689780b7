// SPDX-License-Identifier: Apache-2.0
#include "plugins/backup/sqlite/shipper.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <fcntl.h>

namespace tenon::backup_sqlite {
namespace {

const std::string k_tail = "tail/";

std::string tail_name(const std::string& segment, std::uint64_t offset) {
    char digits[20];
    (void)std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(offset));
    return k_tail + segment + "/" + digits;
}

}  // namespace

std::string name_of(const std::string& file) {
    return file.substr(file.rfind('/') + 1);
}

bool is_segment(std::string_view name) noexcept {
    return name.starts_with("segment-");
}

std::vector<Tail> tails(vault::Vault& vault) {
    std::vector<Tail> all;
    for (const vault::Object& object : vault.place().list(k_tail)) {
        const std::size_t slash = object.name.rfind('/');
        Tail tail{object.name, "", 0};
        if (slash <= k_tail.size()) {
            continue;
        }
        tail.segment = object.name.substr(k_tail.size(), slash - k_tail.size());
        const char* const end = object.name.data() + object.name.size();
        const auto parsed = std::from_chars(object.name.data() + slash + 1, end, tail.offset, 16);
        if (parsed.ec == std::errc{} && parsed.ptr == end && is_segment(tail.segment)) {
            all.push_back(std::move(tail));
        }
    }
    return all;
}

// What the newest backup holds is there; the rest is shipped anew, since a segment may have been
// cut after a crash. Tails that are behind the backup, or that a cut segment has no more, go only
// when what is there now is in the store.
void Shipper::begin() {
    has_begun_ = true;  // a backup that is published from here on begins it anew
    const std::vector<vault::Manifest> known = vault_->list();
    if (known.empty()) {
        has_begun_ = false;
        return;
    }
    const vault::Manifest& newest = known.back();
    reached_.clear();
    first_.clear();
    for (const vault::File& file : newest.files) {
        if (is_segment(file.name)) {
            reached_[file.name] = file.bytes;
            first_ = std::max(first_, file.name);
        }
    }
    std::vector<std::string> kept;
    for (const capture::Piece& segment : capture::list(source_).segments) {
        const std::string name = name_of(segment.file);
        if (name >= first_) {
            for (std::uint64_t at = reached_[name]; at < segment.bytes;) {
                kept.push_back(tail_name(name, at));
                at += ship_segment(segment, at);
            }
        }
    }
    for (const Tail& tail : tails(*vault_)) {
        if (std::find(kept.begin(), kept.end(), tail.object) == kept.end()) {
            vault_->place().remove(tail.object);
        }
    }
}

// At most one piece of it.
std::uint64_t Shipper::ship_segment(const capture::Piece& segment, std::uint64_t from) {
    const capture::Descriptor fd{::open(segment.file.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!fd.is_open()) {
        throw capture::file_error("open", segment.file);
    }
    capture::Bytes bytes(static_cast<std::size_t>(
        std::min<std::uint64_t>(vault_->piece_bytes(), segment.bytes - from)
    ));
    bytes.resize(capture::read_at(fd.get(), bytes.data(), bytes.size(), from, segment.file));
    if (bytes.empty()) {
        throw Error{TENON_UNAVAILABLE, segment.file + " became shorter"};
    }
    const std::string name = name_of(segment.file);
    vault_->keep_named(tail_name(name, from), bytes);
    reached_[name] = from + bytes.size();
    return bytes.size();
}

bool Shipper::ship() {
    if (!has_begun_) {
        try {
            begin();
        } catch (...) {
            has_begun_ = false;
            throw;
        }
        return has_begun_;
    }
    for (const capture::Piece& segment : capture::list(source_).segments) {
        const std::string name = name_of(segment.file);
        if (name < first_) {
            continue;
        }
        std::uint64_t at = reached_[name];
        if (segment.bytes < at) {  // cut
            has_begun_ = false;
            continue;
        }
        while (at < segment.bytes) {
            at += ship_segment(segment, at);
        }
    }
    return has_begun_;
}

}  // namespace tenon::backup_sqlite
