// SPDX-License-Identifier: Apache-2.0
#include "plugins/backup/sqlite/journal_restore.hpp"

#include "plugins/backup/sqlite/tails.hpp"
#include "plugins/backup/sqlite/trial.hpp"
#include "sdk/journal/snapshot_format.hpp"

#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>

namespace tenon::backup_sqlite {
namespace {

namespace fs = std::filesystem;

class JournalRestore {
public:
    JournalRestore(
        vault::Vault& vault,
        const vault::Manifest& manifest,
        const std::string& to,
        const vault::Say& say
    )
        : vault_{vault},
          manifest_{manifest},
          part_{*journal_of(manifest)},
          to_{to},
          journal_{to + "/journal"},
          snapshots_{to + "/snapshots"},
          say_{say},
          disk_{journal::make_posix_disk()} {}

    JournalEnd run(const JournalWish& wish) {
        disk_->make_folder(journal_);
        disk_->make_folder(snapshots_);
        fetch_files();
        if (wish.with_tails) {
            fetch_tails();
        }
        find_end(wish);
        cut();
        settle_snapshots();
        for (const std::string& folder : {journal_, snapshots_, to_}) {
            disk_->sync_folder(folder);
        }
        return end_;
    }

private:
    [[nodiscard]] Error corrupt(const std::string& what) const {
        return {TENON_CORRUPT, "the backup " + manifest_.id + ": " + what};
    }

    void append(const std::string& file, vault::View content) {
        vault_.place().require_going_on();
        const capture::Descriptor fd{
            ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)};
        if (!fd.is_open()) {
            throw capture::file_error("create", file);
        }
        capture::write_all(fd.get(), content, file);
    }

    void fetch_files() {
        for (const vault::File& file : manifest_.files) {
            if (!is_of_journal(file.name) && !is_of_snapshots(file.name)) {
                continue;
            }
            std::uint64_t done = 0;
            vault_.fetch_file(file, [&](vault::View content) {
                append(to_ + "/" + file.name, content);
                done += content.size();
                say_(file.name, done, file.bytes);
            });
        }
    }

    // They overlap where one was put anew, and are in order.
    void fetch_tails() {
        const std::string capture = capture_of(manifest_);
        for (const Tail& tail : tails(vault_, k_journal_tails)) {
            const std::uint64_t segment = journal::segment_number(tail.segment).value_or(0);
            if (tail.capture != capture || segment < part_.end.segment) {
                continue;
            }
            const std::string file = journal_ + "/" + tail.segment;
            std::error_code missing;
            const std::uintmax_t size = fs::file_size(file, missing);
            const std::uint64_t bytes = missing ? 0 : size;
            if (tail.offset > bytes) {
                throw corrupt(
                    "bytes " + std::to_string(bytes) + " to " + std::to_string(tail.offset) +
                    " of the journal's segment " + tail.segment + " are missing before " +
                    vault_.place().where(tail.object)
                );
            }
            const vault::Bytes content = vault_.fetch_named(tail.object);
            const std::uint64_t known = bytes - tail.offset;
            if (known < content.size()) {
                append(file, vault::View{content}.subspan(static_cast<std::size_t>(known)));
            }
        }
    }

    // Every record on the way is checked, and that none is missing.
    void find_end(const JournalWish& wish) {
        const std::vector<std::uint64_t> numbers = journal::list_segments(*disk_, journal_);
        if (numbers.empty()) {
            throw corrupt("no segment of the journal is there");
        }
        const auto head = journal::SegmentCursor{*disk_, journal_, numbers.front()}.header();
        if (!head) {
            throw corrupt(
                "the journal's segment " + journal::segment_name(numbers.front()) +
                " has no readable header"
            );
        }
        first_sequence_ = head->first_sequence;
        const std::string database = to_ + "/tenon.db";
        const std::uint64_t projected = fs::exists(database) ? projected_sequence(database) : 0;
        journal::JournalReader reader{*disk_, journal_, first_sequence_};
        journal::Record record;
        end_.sequence = first_sequence_ - 1;
        while (reader.next(record)) {
            const auto time_ns = journal::command_time_ns(record);
            if (wish.until_ns && time_ns > wish.until_ns && record.sequence > projected) {
                cut_segment_ = record.segment;
                cut_offset_ = record.offset;
                break;
            }
            end_.sequence = record.sequence;
            end_.real_ns = time_ns.value_or(end_.real_ns);
        }
        if (cut_segment_ == 0) {
            cut_segment_ = reader.end().segment;
            cut_offset_ = reader.end().offset;
            require_reached(part_.sequence, "the backup was made");
        }
        require_reached(projected, "the database was written");
    }

    void require_reached(std::uint64_t sequence, const char* when) const {
        if (end_.sequence < sequence) {
            throw corrupt(
                "the journal that is stored ends with record " + std::to_string(end_.sequence) +
                ", it had " + std::to_string(sequence) + " when " + when
            );
        }
    }

    // A segment has its full size, and zeros where nothing was written.
    void cut() {
        for (const std::uint64_t number : journal::list_segments(*disk_, journal_)) {
            const std::string path = journal_ + "/" + journal::segment_name(number);
            if (number > cut_segment_) {
                disk_->remove(path);
                continue;
            }
            const auto head = journal::SegmentCursor{*disk_, journal_, number}.header();
            const auto file = disk_->open(path, journal::OpenMode::read_write);
            const bool is_last = number == cut_segment_;
            if (is_last) {
                journal::require_ok(file->resize(cut_offset_), "cannot cut", path);
                fill(*file, path, head->segment_size);
            }
            journal::require_ok(file->resize(head->segment_size), "cannot resize", path);
            journal::require_ok(file->sync(), "cannot sync", path);
        }
    }

    // The engine writes there again, and its syncs are to change no metadata.
    void fill(journal::File& file, const std::string& path, std::uint64_t end) const {
        const std::vector<std::byte> zeros(std::size_t{1} << 20U);
        for (std::uint64_t at = cut_offset_; at < end;) {
            const auto n =
                static_cast<std::size_t>(std::min<std::uint64_t>(zeros.size(), end - at));
            journal::require_ok(
                journal::write_all(file, std::span{zeros}.first(n), at), "cannot fill", path
            );
            at += n;
        }
    }

    // Later ones are of another future; one has to be left, unless the journal is there from its
    // beginning.
    void settle_snapshots() {
        bool is_covered = first_sequence_ == 1;
        for (const std::uint64_t sequence : journal::list_snapshots(*disk_, snapshots_)) {
            const std::string path = snapshots_ + "/" + journal::snapshot_name(sequence);
            if (sequence > end_.sequence) {
                disk_->remove(path);
                continue;
            }
            (void)journal::read_snapshot(*disk_, snapshots_, sequence);
            const auto file = disk_->open(path, journal::OpenMode::read_write);
            journal::require_ok(file->sync(), "cannot sync", path);
            is_covered = is_covered || sequence + 1 >= first_sequence_;
        }
        if (!is_covered) {
            throw Error{
                TENON_NOT_FOUND,
                "no snapshot of the engine reaches that moment: the journal of the backup " +
                    manifest_.id + " begins with record " + std::to_string(first_sequence_)};
        }
    }

    vault::Vault& vault_;
    const vault::Manifest& manifest_;
    const JournalPart part_;
    const std::string to_, journal_, snapshots_;
    const vault::Say& say_;
    std::unique_ptr<journal::Disk> disk_;
    std::uint64_t first_sequence_ = 0;
    std::uint64_t cut_segment_ = 0;  // where the journal ends
    std::uint64_t cut_offset_ = 0;
    JournalEnd end_;
};

}  // namespace

std::optional<JournalEnd> restore_journal(
    vault::Vault& vault,
    const vault::Manifest& manifest,
    const JournalWish& wish,
    const std::string& to,
    const vault::Say& say
) {
    if (!journal_of(manifest)) {
        return std::nullopt;
    }
    return JournalRestore{vault, manifest, to, say}.run(wish);
}

}  // namespace tenon::backup_sqlite
