// SPDX-License-Identifier: Apache-2.0
#include "sdk/journal/journal_repair.hpp"

#include "sdk/journal/journal_reader.hpp"

#include <algorithm>
#include <functional>

namespace tenon::journal {
namespace {

// Sequence of the last record that can be read in segments from `number` on.
std::uint64_t
last_readable(Disk& disk, const std::string& folder, std::uint64_t number, std::uint64_t offset) {
    std::uint64_t last = 0;
    for (const std::uint64_t segment : list_segments(disk, folder)) {
        if (segment < number) {
            continue;
        }
        SegmentCursor cursor{disk, folder, segment};
        Record record;
        while (cursor.next(record) == SegmentCursor::Step::record) {
            if (segment > number || record.offset >= offset) {
                last = std::max(last, record.sequence);
            }
        }
        last = std::max(last, cursor.scan_rest().last_sequence);
    }
    return last;
}

void copy_file(Disk& disk, const std::string& from, const std::string& to) {
    const auto source = disk.open(from, OpenMode::read);
    const auto target = disk.open(to, OpenMode::create);
    std::vector<std::byte> buffer(std::size_t{1} << 20);
    std::uint64_t offset = 0;
    while (const std::size_t n = read_all(*source, buffer, offset, from)) {
        require_ok(write_all(*target, std::span{buffer}.first(n), offset), "cannot write", to);
        offset += n;
    }
    require_ok(target->sync(), "cannot sync", to);
}

void fill_with_zeros(Disk& disk, const std::string& path, std::uint64_t offset) {
    const auto file = disk.open(path, OpenMode::read_write);
    const std::int64_t size = file->size();
    require_ok(size < 0 ? static_cast<int>(-size) : 0, "cannot read the size of", path);
    const std::vector<std::byte> zeros(std::size_t{1} << 20);
    while (offset < static_cast<std::uint64_t>(size)) {
        const auto n =
            std::min<std::uint64_t>(zeros.size(), static_cast<std::uint64_t>(size) - offset);
        require_ok(
            write_all(*file, std::span{zeros}.first(static_cast<std::size_t>(n)), offset),
            "cannot write",
            path
        );
        offset += n;
    }
    require_ok(file->sync(), "cannot sync", path);
}

}  // namespace

JournalReport check_journal(Disk& disk, const std::string& folder) {
    JournalReport report;
    const auto numbers = list_segments(disk, folder);
    report.segments = numbers.size();
    if (numbers.empty()) {
        return report;
    }
    try {
        const auto header = SegmentCursor{disk, folder, numbers.front()}.header();
        JournalReader reader{disk, folder, header ? header->first_sequence : 1};
        Record record;
        while (reader.next(record)) {
            report.first_sequence =
                report.first_sequence == 0 ? record.sequence : report.first_sequence;
            report.last_sequence = record.sequence;
            report.payload_bytes += record.payload.size();
            ++report.records;
        }
        report.torn_bytes = reader.end().torn_bytes;
    } catch (const Damage& damage) {
        report.damage = DamageReport{damage.file(), damage.offset(), damage.what()};
        const std::string name = damage.file().substr(damage.file().rfind('/') + 1);
        const std::uint64_t last =
            last_readable(disk, folder, segment_number(name).value_or(1), damage.offset());
        report.lost_records =
            last > report.last_sequence ? last - report.last_sequence : std::uint64_t{1};
    }
    return report;
}

RepairResult repair_journal(Disk& disk, const std::string& folder, bool confirm) {
    RepairResult result{check_journal(disk, folder), false, {}};
    const JournalReport& before = result.before;
    if (!before.damage) {
        return result;
    }
    if (!confirm) {
        throw Error{
            TENON_CONFLICT,
            "the repair would lose " + std::to_string(before.lost_records) +
                " records or more after record " + std::to_string(before.last_sequence) + " (" +
                before.damage->message + "); repeat with \"confirm\":true to do it"};
    }
    const std::string name = before.damage->file.substr(before.damage->file.rfind('/') + 1);
    const std::uint64_t damaged = segment_number(name).value_or(1);
    const bool whole = before.damage->offset < k_segment_header_size;
    auto numbers = list_segments(disk, folder);
    std::sort(numbers.begin(), numbers.end(), std::greater<>{});
    // From the end, so that a repair that is interrupted leaves a journal without gaps.
    for (const std::uint64_t number : numbers) {
        const std::string path = folder + "/" + segment_name(number);
        if (number > damaged || (number == damaged && whole)) {
            disk.rename(path, path + ".damaged");
            result.kept.push_back(path + ".damaged");
        } else if (number == damaged) {
            copy_file(disk, path, path + ".damaged");
            result.kept.push_back(path + ".damaged");
            fill_with_zeros(disk, path, before.damage->offset);
        }
    }
    disk.sync_folder(folder);
    result.changed = true;
    return result;
}

}  // namespace tenon::journal
