// SPDX-License-Identifier: Apache-2.0
#include "plugins/backup/sqlite/journal_backup.hpp"

#include "sdk/journal/snapshot_format.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <fcntl.h>
#include <unistd.h>

namespace tenon::backup_sqlite {
namespace {

namespace json = boost::json;

const std::string k_journal = "journal/";
const std::string k_snapshots = "snapshots/";

std::uint64_t number(const json::object& from, const char* name) {
    return from.at(name).to_number<std::uint64_t>();
}

void write_to(vault::Manifest& manifest, const JournalPart& part) {
    json::array points;
    for (const JournalPoint& point : part.points) {
        points.push_back(
            {{"commit", point.commit}, {"segment", point.segment}, {"snapshot", point.snapshot}}
        );
    }
    manifest.about["journal"] = {
        {"segment", part.end.segment},
        {"bytes", part.end.bytes},
        {"crc", part.end.crc},
        {"sequence", part.sequence},
        {"points", std::move(points)}};
}

const vault::File* find(const vault::Manifest* manifest, const std::string& name) {
    if (manifest == nullptr) {
        return nullptr;
    }
    const auto found =
        std::find_if(manifest->files.begin(), manifest->files.end(), [&](const vault::File& file) {
            return file.name == name;
        });
    return found == manifest->files.end() ? nullptr : &*found;
}

// Bytes of an open file, from its beginning.
vault::Source content_of(int fd, std::uint64_t bytes, const std::string& file) {
    return [fd, bytes, file, at = std::uint64_t{0}](std::span<unsigned char> to) mutable {
        const auto wanted =
            static_cast<std::size_t>(std::min<std::uint64_t>(to.size(), bytes - at));
        const std::size_t got = capture::read_at(fd, to.data(), wanted, at, file);
        at += got;
        return got;
    };
}

}  // namespace

bool is_of_journal(std::string_view name) noexcept {
    return name.starts_with(k_journal);
}

bool is_of_snapshots(std::string_view name) noexcept {
    return name.starts_with(k_snapshots);
}

std::optional<JournalPart> journal_of(const vault::Manifest& manifest) {
    const json::value* const found = manifest.about.if_contains("journal");
    if (found == nullptr) {
        return std::nullopt;
    }
    const json::object& from = found->as_object();
    JournalPart part;
    part.end = {
        number(from, "segment"),
        number(from, "bytes"),
        static_cast<std::uint32_t>(number(from, "crc"))};
    part.sequence = number(from, "sequence");
    for (const json::value& one : from.at("points").as_array()) {
        const json::object& point = one.as_object();
        part.points.push_back(
            {number(point, "commit"), number(point, "segment"), number(point, "snapshot")}
        );
    }
    return part;
}

// Segments first: the snapshots that are listed afterwards need none before.
JournalBackup::JournalBackup(const JournalFolders& folders) : source_{folders} {
    first_segment_ = source_.hold().first_live;
    if (first_segment_ != 0) {
        snapshots_ = source_.snapshots();
    }
}

void JournalBackup::add_to(
    vault::Manifest& manifest,
    const vault::Manifest* before,
    vault::Vault& vault,
    bool anew,
    const vault::Say& say
) {
    if (first_segment_ == 0) {
        return;
    }
    std::optional<JournalPart> last = before == nullptr ? std::nullopt : journal_of(*before);
    if (!last || !source_.joins(last->end)) {
        last.reset();
        before = nullptr;
    }
    JournalPart part;
    if (last) {
        part.points = last->points;
    }
    part.points.push_back(
        {number(manifest.about, "to_sequence"),
         first_segment_,
         snapshots_.empty() ? 0 : snapshots_.front().sequence}
    );
    const std::uint64_t from = number(manifest.about, "from_sequence");
    while (part.points.size() > 1 && part.points[1].commit <= from) {
        part.points.erase(part.points.begin());
    }
    const auto keep = [&](const std::string& name, int fd, std::uint64_t bytes) {
        manifest.files.push_back(vault.keep_file(
            name,
            content_of(fd, bytes, name),
            false,
            anew,
            [&](std::uint64_t done) {
                vault.place().require_going_on();
                say(name, done, bytes);
            }
        ));
        if (manifest.files.back().bytes != bytes) {
            throw Error{TENON_UNAVAILABLE, name + " became shorter while it was copied"};
        }
    };
    add_segments(manifest, part, before, last ? last->end.segment : 0, keep);
    for (const JournalSource::SnapshotFile& one : snapshots_) {
        keep(k_snapshots + one.name, one.fd.get(), one.bytes);
    }
    for (const JournalPoint& point : part.points) {
        const std::string name = k_snapshots + journal::snapshot_name(point.snapshot);
        const vault::File* const known = find(before, name);
        if (point.snapshot != 0 && known != nullptr && find(&manifest, name) == nullptr) {
            manifest.files.push_back(*known);
        }
    }
    write_to(manifest, part);
}

// What is there, and before it what the backup before has whole, as far as no segment is missing.
void JournalBackup::add_segments(
    vault::Manifest& manifest,
    JournalPart& part,
    const vault::Manifest* before,
    std::uint64_t known_below,
    const Keep& keep
) {
    const JournalSource::Segments there = source_.hold();
    if (there.numbers.empty()) {
        throw Error{TENON_UNAVAILABLE, source_.folders().journal + " was emptied meanwhile"};
    }
    const auto known = [&](std::uint64_t segment) {
        return segment < known_below ? find(before, k_journal + journal::segment_name(segment))
                                     : nullptr;
    };
    std::uint64_t first = there.numbers.front();
    const std::uint64_t wanted = part.points.front().segment;
    while (first > wanted && known(first - 1) != nullptr) {
        --first;
    }
    std::erase_if(part.points, [&](const JournalPoint& point) { return point.segment < first; });
    if (part.points.empty()) {
        throw Error{TENON_UNAVAILABLE, "segments of the journal went before they were stored"};
    }
    for (std::uint64_t segment = part.points.front().segment; segment <= there.numbers.back();
         ++segment) {
        const std::string name = journal::segment_name(segment);
        if (segment < there.numbers.front()) {
            manifest.files.push_back(*known(segment));
            continue;
        }
        const std::string file = source_.folder_of(segment) + "/" + name;
        const capture::Descriptor fd{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
        if (!fd.is_open()) {
            throw capture::file_error("open", file);
        }
        std::uint64_t bytes = 0;
        if (segment == there.numbers.back()) {
            const auto tip = source_.tip(segment);
            tip->advance();
            part.end = {segment, tip->bytes(), tip->crc()};
            part.sequence = tip->next_sequence() - 1;
            bytes = tip->bytes();
        } else {
            bytes = static_cast<std::uint64_t>(::lseek(fd.get(), 0, SEEK_END));
        }
        keep(k_journal + name, fd.get(), bytes);
    }
}

}  // namespace tenon::backup_sqlite
