// SPDX-License-Identifier: Apache-2.0
// What a trading engine leaves in its folders, without one: records with a sequence, a time and a
// text that follows from both, snapshots, and segments that it deletes.
#pragma once

#include "plugins/backup/sqlite/journal_source.hpp"
#include "sdk/journal/journal_writer.hpp"
#include "sdk/journal/snapshot_format.hpp"

#include <catch2/catch.hpp>

#include <cstring>
#include <filesystem>
#include <optional>

namespace tenon::test {

// Version, kind, sequence and time of a command, then bytes of some length.
[[nodiscard]] inline std::string command_bytes(std::uint64_t sequence, std::int64_t time_ns) {
    std::string bytes(2 + sizeof sequence + sizeof time_ns, '\1');
    std::memcpy(bytes.data() + 2, &sequence, sizeof sequence);
    std::memcpy(bytes.data() + 10, &time_ns, sizeof time_ns);
    return bytes + std::string(500 + sequence * 7 % 3000, static_cast<char>('a' + sequence % 26));
}

class EngineFiles {
public:
    explicit EngineFiles(const std::filesystem::path& data)
        : folders{(data / "journal").string(), (data / "snapshots").string(), 1U << 28U},
          disk_{journal::make_posix_disk()} {
        disk_->make_folder(folders.journal);
        disk_->make_folder(folders.snapshots);
        start();
    }

    // As a process does that was killed.
    void start() {
        writer_.reset();
        const auto there = journal::list_segments(*disk_, folders.journal);
        std::uint64_t first = 1;
        if (!there.empty()) {
            const auto head =
                journal::SegmentCursor{*disk_, folders.journal, there.front()}.header();
            first = head ? head->first_sequence : 1;
        }
        journal::JournalReader reader{*disk_, folders.journal, first};
        journal::Record record;
        while (reader.next(record)) {}
        writer_ = std::make_unique<journal::JournalWriter>(
            *disk_, folders.journal, journal::WriterOptions{65'536, 16'384}, reader.end()
        );
    }

    std::uint64_t append(std::int64_t time_ns) {
        const std::string bytes = command_bytes(writer_->next_sequence(), time_ns);
        if (!writer_->fits(bytes.size()) && writer_->wants_segment()) {
            writer_->prepare();
        }
        const std::uint64_t sequence = writer_->append(
            journal::k_record_command, std::as_bytes(std::span{bytes.data(), bytes.size()})
        );
        REQUIRE(writer_->commit() == 0);
        return sequence;
    }

    // As the engine's housekeeping does when the database has `projected`.
    void snapshot(std::uint64_t projected) {
        const std::uint64_t sequence = writer_->durable_sequence();
        const std::string state = command_bytes(sequence, 0);
        journal::write_snapshot(
            *disk_,
            folders.snapshots,
            {sequence, 1, sequence, 0},
            std::as_bytes(std::span{state.data(), state.size()})
        );
        const auto oldest = journal::prune_snapshots(*disk_, folders.snapshots, projected);
        if (oldest && *oldest <= projected) {
            (void)journal::remove_segments_below(*disk_, folders.journal, *oldest + 1);
        }
    }

    [[nodiscard]] std::uint64_t sequence() const { return writer_->durable_sequence(); }

    [[nodiscard]] journal::Disk& disk() { return *disk_; }

    backup_sqlite::JournalFolders folders;

private:
    std::unique_ptr<journal::Disk> disk_;
    std::unique_ptr<journal::JournalWriter> writer_;
};

struct RestoredJournal {
    std::uint64_t first = 0, last = 0;
    std::int64_t last_ns = 0;
    std::vector<std::uint64_t> snapshots;

    // An engine whose database has `projected` misses nothing.
    [[nodiscard]] bool covers(std::uint64_t projected) const {
        const bool has_snapshot = std::any_of(snapshots.begin(), snapshots.end(), [&](auto one) {
            return one <= projected && one + 1 >= first;
        });
        return last >= projected && (first == 1 || has_snapshot);
    }
};

// Every record and snapshot is what was written, and a writer goes on behind the last one.
[[nodiscard]] inline RestoredJournal restored_journal(const std::string& data) {
    const auto disk = journal::make_posix_disk();
    const std::string folder = data + "/journal";
    RestoredJournal found;
    const auto numbers = journal::list_segments(*disk, folder);
    REQUIRE_FALSE(numbers.empty());
    found.first = journal::SegmentCursor{*disk, folder, numbers.front()}.header()->first_sequence;
    found.last = found.first - 1;
    journal::JournalReader reader{*disk, folder, found.first};
    journal::Record record;
    while (reader.next(record)) {
        found.last = record.sequence;
        found.last_ns = *journal::command_time_ns(record);
        const std::string bytes = command_bytes(found.last, found.last_ns);
        REQUIRE(std::memcmp(record.payload.data(), bytes.data(), bytes.size()) == 0);
    }
    for (const std::uint64_t number : numbers) {
        const auto file = folder + "/" + journal::segment_name(number);
        CHECK(std::filesystem::file_size(file) == 65'536);
    }
    CHECK(reader.end().torn_bytes == 0);
    journal::JournalWriter writer{*disk, folder, {65'536, 16'384}, reader.end()};
    CHECK(writer.next_sequence() == found.last + 1);
    found.snapshots = journal::list_snapshots(*disk, data + "/snapshots");
    for (const std::uint64_t sequence : found.snapshots) {
        REQUIRE(sequence <= found.last);
        (void)journal::read_snapshot(*disk, data + "/snapshots", sequence);
    }
    return found;
}

}  // namespace tenon::test
