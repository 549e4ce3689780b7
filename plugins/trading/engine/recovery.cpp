// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/recovery.hpp"

#include "sdk/journal/snapshot_format.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <vector>

namespace tenon::engine {
namespace {

std::string_view text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class Recovery {
public:
    Recovery(journal::Disk& disk, const RecoveryRequest& request, const Log& log)
        : disk_{disk},
          request_{request},
          log_{log},
          snapshots_{journal::list_snapshots(disk, request.snapshot_folder)} {}

    Recovered run() {
        load_base();
        request_.on_base(*result_.core, result_.base_sequence);
        replay();
        return std::move(result_);
    }

private:
    // Sequences worth trying, best first.
    [[nodiscard]] std::vector<std::uint64_t> candidates() const {
        std::vector<std::uint64_t> found = snapshots_;
        if (request_.projection && !request_.projected) {
            return found;  // ascending: the oldest covers what the database has for sure
        }
        if (request_.projection) {
            const auto beyond = std::upper_bound(found.begin(), found.end(), *request_.projected);
            // All of them lie beyond when the database was lost: then the oldest loses least.
            std::reverse(found.begin(), beyond);
        } else {
            std::reverse(found.begin(), found.end());
        }
        return found;
    }

    void load_base() {
        for (const std::uint64_t sequence : candidates()) {
            const bool beyond = request_.projected && sequence > *request_.projected;
            const bool unknown = !request_.projected;
            // The journal from its beginning is better than a snapshot that may skip events: as
            // long as it is whole, no snapshot may have been covered by the database.
            if (request_.projection && (beyond || unknown) && journal_reaches_back()) {
                break;
            }
            if (load_snapshot(sequence)) {
                if (request_.projection && beyond) {
                    log_.warn(
                        "projection_events_missing",
                        {{"from", *request_.projected + 1}, {"to", sequence}}
                    );
                }
                return;
            }
        }
        result_.core = request_.make_core();
    }

    [[nodiscard]] bool journal_reaches_back() {
        const auto segments = journal::list_segments(disk_, request_.journal_folder);
        return !segments.empty() && segments.front() == 1;
    }

    bool load_snapshot(std::uint64_t sequence) {
        journal::Snapshot snapshot;
        try {
            snapshot = journal::read_snapshot(disk_, request_.snapshot_folder, sequence);
        } catch (const Error& error) {
            if (error.code() != TENON_CORRUPT) {
                throw;
            }
            log_.warn("snapshot_damaged", {{"reason", error.what()}});
            return false;
        }
        result_.core = request_.make_core();
        result_.core->snapshot_read(text_of(snapshot.payload));
        // One that another version of the core or of a venue wrote is written otherwise now.
        std::string again;
        result_.core->snapshot_write(again);
        comparable_ = again == text_of(snapshot.payload);
        if (comparable_) {
            compare_hash(snapshot.info);
        } else {
            log_.info("snapshot_of_another_version", {{"sequence", sequence}});
        }
        result_.base_sequence = sequence;
        result_.fingerprint = snapshot.info.instruments;
        return true;
    }

    void compare_hash(const journal::SnapshotInfo& info) {
        const std::uint64_t hash = result_.core->state_hash();
        if (hash != info.hash) {
            throw Error{
                TENON_CORRUPT,
                "the state after command " + std::to_string(info.sequence) +
                    " is not that of its snapshot: hash " + std::to_string(hash) + ", expected " +
                    std::to_string(info.hash)};
        }
        ++result_.hashes_compared;
    }

    void replay() {
        journal::JournalReader reader{disk_, request_.journal_folder, result_.base_sequence + 1};
        journal::Record record;
        const std::uint64_t current = result_.core->instruments_fingerprint();
        while (reader.next(record)) {
            if (record.type == k_record_command) {
                if (result_.fingerprint != 0 && result_.fingerprint != current) {
                    throw other_instruments(record.sequence);
                }
                apply(record);
            } else if (record.type == k_record_instruments && record.payload.size() == 8) {
                std::memcpy(&result_.fingerprint, record.payload.data(), 8);
            } else {
                throw Error{
                    TENON_UNSUPPORTED,
                    "record " + std::to_string(record.sequence) + " of the journal has type " +
                        std::to_string(record.type) + ", written by a later version"};
            }
            verify_at(record.sequence);
        }
        result_.end = reader.end();
        // Numbers given a second time would be passed over by the next recovery.
        if (result_.end.next_sequence <= result_.base_sequence) {
            throw Error{
                TENON_CORRUPT,
                "the journal ends with record " + std::to_string(result_.end.next_sequence - 1) +
                    ", before its snapshot of command " + std::to_string(result_.base_sequence) +
                    ": put the missing segments back, or take the later snapshots out of " +
                    request_.snapshot_folder + " to go on from an older state"};
        }
    }

    void apply(const journal::Record& record) {
        trading::Command command;
        const auto status = trading::decode(text_of(record.payload), command);
        if (status != trading::DecodeStatus::ok) {
            throw Error{
                TENON_CORRUPT,
                "command " + std::to_string(record.sequence) +
                    " of the journal: " + std::string{trading::name(status)}};
        }
        output_.clear();
        const trading::Result& result = result_.core->apply(command, output_);
        request_.on_result(output_, result);
        ++result_.replayed;
    }

    void verify_at(std::uint64_t sequence) {
        if (!std::binary_search(snapshots_.begin(), snapshots_.end(), sequence)) {
            return;
        }
        try {
            const auto snapshot = journal::read_snapshot(disk_, request_.snapshot_folder, sequence);
            if (comparable_ && trading::Core::is_of_this_version(text_of(snapshot.payload))) {
                compare_hash(snapshot.info);
            }
        } catch (const Error& error) {
            if (std::string_view{error.what()}.find("snapshot damaged") != 0) {
                throw;
            }
            log_.warn("snapshot_damaged", {{"reason", error.what()}});
        }
    }

    [[nodiscard]] static Error other_instruments(std::uint64_t sequence) {
        return {
            TENON_CONFLICT,
            "command " + std::to_string(sequence) +
                " of the journal was written under another list of instruments, and would be "
                "replayed with another result; start once with the former list and stop cleanly, "
                "which writes a snapshot, then change it"};
    }

    journal::Disk& disk_;
    const RecoveryRequest& request_;
    const Log& log_;
    std::vector<std::uint64_t> snapshots_;
    bool comparable_ = true;  // states here have the hashes of what wrote the folder
    trading::Output output_;
    Recovered result_;
};

}  // namespace

Recovered recover(journal::Disk& disk, const RecoveryRequest& request, const Log& log) {
    return Recovery{disk, request, log}.run();
}

}  // namespace tenon::engine
