// SPDX-License-Identifier: Apache-2.0
#include "plugins/backup/sqlite/journal_source.hpp"

#include "sdk/journal/snapshot_format.hpp"

#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

namespace tenon::backup_sqlite {
namespace {

namespace fs = std::filesystem;

std::uint64_t size_of(const std::string& file) {
    std::error_code gone;
    const std::uintmax_t bytes = fs::file_size(file, gone);
    return gone ? 0 : bytes;
}

std::vector<std::uint64_t> segments_in(journal::Disk& disk, const std::string& folder) {
    std::error_code error;
    return fs::is_directory(folder, error) ? journal::list_segments(disk, folder)
                                           : std::vector<std::uint64_t>{};
}

}  // namespace

JournalSource::JournalSource(JournalFolders folders)
    : folders_{std::move(folders)},
      held_{folders_.journal + "/held"},
      disk_{journal::make_posix_disk()} {}

// One that was prepared and not used yet has zeros; the engine may delete one meanwhile.
bool JournalSource::is_used(std::uint64_t segment) const {
    const std::string file = folders_.journal + "/" + journal::segment_name(segment);
    const capture::Descriptor fd{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
    std::array<std::byte, journal::k_segment_header_size> head{};
    return fd.is_open() &&
           capture::read_at(
               fd.get(), reinterpret_cast<unsigned char*>(head.data()), head.size(), 0, file
           ) == head.size() &&
           journal::decode_header(head).has_value();
}

bool JournalSource::is_low() const {
    return disk_->free_bytes(folders_.journal) < folders_.held_bytes_max;
}

void JournalSource::link(std::uint64_t segment) const {
    const std::string name = journal::segment_name(segment);
    const std::string from = folders_.journal + "/" + name;
    const std::string to = held_ + "/" + name;
    std::error_code error;
    if (fs::equivalent(from, to, error)) {
        return;
    }
    (void)::unlink(to.c_str());  // a repair has put another file in its place
    (void)::link(from.c_str(), to.c_str());
}

JournalSource::Segments JournalSource::hold() {
    Segments found;
    held_bytes_ = 0;
    if (folders_.journal.empty()) {
        return found;
    }
    for (const std::uint64_t number : segments_in(*disk_, folders_.journal)) {
        if (is_used(number)) {
            found.numbers.push_back(number);
        }
    }
    if (found.numbers.empty()) {
        return found;
    }
    (void)::mkdir(held_.c_str(), 0700);
    found.first_live = found.numbers.front();
    for (const std::uint64_t number : found.numbers) {
        link(number);
    }
    const std::vector<std::uint64_t> held = segments_in(*disk_, held_);
    for (auto number = held.rbegin(); number != held.rend(); ++number) {
        if (*number < found.numbers.front()) {
            held_bytes_ += size_of(held_ + "/" + journal::segment_name(*number));
        }
        if (*number + 1 == found.numbers.front()) {
            found.numbers.insert(found.numbers.begin(), *number);
        }
    }
    return found;
}

void JournalSource::release(std::uint64_t segment) {
    if (folders_.journal.empty()) {
        return;
    }
    const std::vector<std::uint64_t> live = segments_in(*disk_, folders_.journal);
    if (live.empty()) {
        return;
    }
    const std::uint64_t first_live = live.front();
    const std::uint64_t bytes_max = is_low() ? 0 : folders_.held_bytes_max;
    std::uint64_t bytes = 0;
    const std::vector<std::uint64_t> held = segments_in(*disk_, held_);
    for (auto number = held.rbegin(); number != held.rend(); ++number) {
        const std::string file = held_ + "/" + journal::segment_name(*number);
        if (*number < first_live) {
            bytes += size_of(file);
        }
        const bool is_of_no_journal = *number > live.back();
        if (*number < segment || is_of_no_journal || bytes > bytes_max) {
            (void)::unlink(file.c_str());
        }
    }
}

std::string JournalSource::folder_of(std::uint64_t segment) const {
    std::error_code error;
    return fs::exists(folders_.journal + "/" + journal::segment_name(segment), error)
               ? folders_.journal
               : held_;
}

std::unique_ptr<journal::SegmentTip> JournalSource::tip(std::uint64_t segment) const {
    return std::make_unique<journal::SegmentTip>(*disk_, folder_of(segment), segment);
}

bool JournalSource::joins(const JournalMark& mark) const {
    if (folders_.journal.empty() ||
        size_of(folder_of(mark.segment) + "/" + journal::segment_name(mark.segment)) == 0) {
        return false;
    }
    const auto then = tip(mark.segment);
    then->advance(mark.bytes);
    return then->bytes() == mark.bytes && then->crc() == mark.crc;
}

std::vector<JournalSource::SnapshotFile> JournalSource::snapshots() const {
    std::error_code error;
    std::vector<SnapshotFile> found;
    if (!fs::is_directory(folders_.snapshots, error)) {
        return found;
    }
    std::vector<std::uint64_t> all = journal::list_snapshots(*disk_, folders_.snapshots);
    if (all.size() > 2) {
        all = {all.front(), all.back()};
    }
    for (const std::uint64_t sequence : all) {
        const std::string name = journal::snapshot_name(sequence);
        const std::string file = folders_.snapshots + "/" + name;
        SnapshotFile one{
            name, sequence, 0, capture::Descriptor{::open(file.c_str(), O_RDONLY | O_CLOEXEC)}};
        if (!one.fd.is_open()) {
            throw capture::file_error("open", file);
        }

        struct stat info {};

        if (::fstat(one.fd.get(), &info) != 0) {
            throw capture::file_error("read", file);
        }
        one.bytes = static_cast<std::uint64_t>(info.st_size);
        found.push_back(std::move(one));
    }
    return found;
}

}  // namespace tenon::backup_sqlite
