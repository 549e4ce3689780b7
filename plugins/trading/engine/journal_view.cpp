// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/journal_view.hpp"

#include "plugins/trading/engine/recovery.hpp"
#include "sdk/journal/snapshot_format.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>

namespace tenon::engine {
namespace {

constexpr std::int64_t k_second_ns = 1'000'000'000;

std::string_view text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string described(const Moment& moment) {
    return moment.sequence ? "record " + std::to_string(*moment.sequence)
                           : moment_text(moment.time_real_ns.value_or(0));
}

class Viewer {
public:
    Viewer(journal::Disk& disk, const ViewRequest& request)
        : disk_{disk},
          request_{request},
          journal_folder_{request.data_folder + "/journal"},
          snapshot_folder_{request.data_folder + "/snapshots"},
          snapshots_{journal::list_snapshots(disk, snapshot_folder_)} {
        result_.core = request.make_core();
        result_.core->snapshot_write(nothing_);
    }

    View run() {
        // The end of a journal in use may be read while it is written, which looks like damage;
        // damage stays where it is.
        std::uint64_t last = 0;
        for (;;) {
            try {
                load_base();
                require_kept();
                if (request_.follower != nullptr) {
                    request_.follower->begun(*result_.core);
                }
                replay();
                return std::move(result_);
            } catch (const journal::Damage& damage) {
                if (damage.offset() == last) {
                    throw;
                }
                last = damage.offset();
            }
        }
    }

private:
    [[nodiscard]] bool beyond(std::uint64_t sequence, std::int64_t time_real_ns) const {
        return is_beyond(request_.moment, sequence, time_real_ns);
    }

    // The newest snapshot that is not beyond the moment, or else the empty state.
    void load_base() {
        oldest_.reset();
        result_.base_sequence = result_.replayed = result_.hashes_compared = fingerprint_ = 0;
        for (std::size_t i = snapshots_.size(); i-- > 0;) {
            const std::optional<journal::Snapshot> snapshot = readable(snapshots_[i]);
            if (!snapshot) {
                continue;
            }
            oldest_ = snapshot->info;
            if (beyond(snapshot->info.sequence, snapshot->info.time_real_ns) ||
                is_beyond(request_.base, snapshot->info.sequence, snapshot->info.time_real_ns)) {
                continue;
            }
            result_.core->snapshot_read(text_of(snapshot->payload));
            // One that another version of the core or of a venue wrote is written otherwise now.
            std::string again;
            result_.core->snapshot_write(again);
            comparable_ = again == text_of(snapshot->payload);
            if (comparable_) {
                compare_hash(snapshot->info);
            }
            result_.base_sequence = result_.sequence = snapshot->info.sequence;
            fingerprint_ = snapshot->info.instruments;
            return;
        }
        result_.core->snapshot_read(nothing_);
        result_.sequence = 0;
        comparable_ = true;
    }

    // Nothing when it is damaged: an older one, or the journal, gives the same state.
    [[nodiscard]] std::optional<journal::Snapshot> readable(std::uint64_t sequence) {
        try {
            return journal::read_snapshot(disk_, snapshot_folder_, sequence);
        } catch (const Error& error) {
            if (error.code() != TENON_CORRUPT) {
                throw;
            }
            return std::nullopt;
        }
    }

    void compare_hash(const journal::SnapshotInfo& info) {
        const std::uint64_t hash = result_.core->state_hash();
        if (hash != info.hash) {
            throw Error{
                TENON_CORRUPT,
                "the state after record " + std::to_string(info.sequence) +
                    " is not that of its snapshot: hash " + std::to_string(hash) + ", expected " +
                    std::to_string(info.hash) +
                    "; another deployment or another version wrote this journal"};
        }
        ++result_.hashes_compared;
    }

    void replay() {
        journal::JournalReader reader{disk_, journal_folder_, result_.base_sequence + 1};
        journal::Record record;
        while (!reached() && reader.next(record)) {
            if (record.type == k_record_command) {
                trading::Command command;
                decode_command(record, command);
                if (beyond(command.sequence, command.time_real_ns)) {
                    return;
                }
                apply(command);
            } else if (record.type == k_record_instruments && record.payload.size() == 8) {
                std::memcpy(&fingerprint_, record.payload.data(), 8);
            } else {
                throw Error{
                    TENON_UNSUPPORTED,
                    "record " + std::to_string(record.sequence) + " of the journal has type " +
                        std::to_string(record.type) + ", written by a later version"};
            }
            result_.sequence = record.sequence;
            verify_snapshot();
        }
        if (request_.moment.sequence && !reached()) {
            throw Error{
                TENON_NOT_FOUND,
                "the journal " + journal_folder_ + " ends with record " +
                    std::to_string(result_.sequence) + ", before " + described(request_.moment)};
        }
    }

    [[nodiscard]] bool reached() const {
        return request_.moment.sequence && result_.sequence >= *request_.moment.sequence;
    }

    // Without a snapshot to begin with the journal must go back to the first command.
    void require_kept() {
        const auto segments = journal::list_segments(disk_, journal_folder_);
        if (result_.base_sequence != 0 || (!segments.empty() && segments.front() == 1)) {
            return;
        }
        std::string message =
            "nothing is kept of " + described(request_.moment) + " in " + request_.data_folder;
        if (oldest_) {
            message += ": the oldest state is that after record " +
                       std::to_string(oldest_->sequence) + ", of " +
                       moment_text(oldest_->time_real_ns);
        } else if (segments.empty()) {
            message += ": there is no journal";
        }
        throw Error{TENON_NOT_FOUND, message};
    }

    void apply(const trading::Command& command) {
        trading::Core& core = *result_.core;
        if (fingerprint_ != 0 && fingerprint_ != core.instruments_fingerprint()) {
            throw Error{
                TENON_CONFLICT,
                "command " + std::to_string(command.sequence) +
                    " of the journal was written under another list of instruments; name the "
                    "deployment of that time with --deployment"};
        }
        if (const auto* found = std::get_if<trading::VenueApplyCommand>(&command.body)) {
            require_venue(command.sequence, view(found->venue));
        }
        if (request_.follower != nullptr) {
            request_.follower->before(core, command);
        }
        output_.clear();
        (void)core.apply(command, output_);
        ++result_.replayed;
        if (request_.follower != nullptr) {
            request_.follower->after(command, output_);
        }
    }

    void require_venue(std::uint64_t sequence, std::string_view name) const {
        const auto& venues = result_.core->venues();
        if (std::none_of(venues.begin(), venues.end(), [&](const trading::VenueBinding& one) {
                return one.name == name;
            })) {
            throw Error{
                TENON_CONFLICT,
                "command " + std::to_string(sequence) + " of the journal is of the venue \"" +
                    std::string{name} + "\", which the deployment does not have"};
        }
    }

    void verify_snapshot() {
        if (!std::binary_search(snapshots_.begin(), snapshots_.end(), result_.sequence)) {
            return;
        }
        const auto snapshot = readable(result_.sequence);
        if (snapshot && comparable_ &&
            trading::Core::is_of_this_version(text_of(snapshot->payload))) {
            compare_hash(snapshot->info);
        }
    }

    journal::Disk& disk_;
    const ViewRequest& request_;
    std::string journal_folder_;
    std::string snapshot_folder_;
    std::vector<std::uint64_t> snapshots_;
    std::string nothing_;  // the state before the first command
    std::optional<journal::SnapshotInfo> oldest_;
    std::uint64_t fingerprint_ = 0;
    bool comparable_ = true;  // states here have the hashes of what wrote the folder
    trading::Output output_;
    View result_;
};

// A number of exactly `digits` digits at the front of `text`, which is cut.
std::optional<int> take_number(std::string_view& text, std::size_t digits) {
    int value = 0;
    if (text.size() < digits ||
        std::from_chars(text.data(), text.data() + digits, value).ptr != text.data() + digits ||
        text.front() == '-') {
        return std::nullopt;
    }
    text.remove_prefix(digits);
    return value;
}

bool take(std::string_view& text, char expected) {
    if (text.empty() || text.front() != expected) {
        return false;
    }
    text.remove_prefix(1);
    return true;
}

std::optional<std::int64_t> parse_day(std::string_view& text) {
    const auto year = take_number(text, 4);
    const bool first = take(text, '-');
    const auto month = take_number(text, 2);
    const bool second = take(text, '-');
    const auto day = take_number(text, 2);
    if (!year || !first || !month || !second || !day) {
        return std::nullopt;
    }
    const std::chrono::year_month_day date{
        std::chrono::year{*year},
        std::chrono::month{static_cast<unsigned>(*month)},
        std::chrono::day{static_cast<unsigned>(*day)}};
    // Nanoseconds of later years do not fit.
    if (!date.ok() || *year < 1970 || *year > 2200) {
        return std::nullopt;
    }
    return std::chrono::sys_days{date}.time_since_epoch().count() * std::int64_t{86'400};
}

// "T03:02:01[.123]Z" as nanoseconds of the day.
std::optional<std::int64_t> parse_clock(std::string_view text) {
    const bool begins = take(text, 'T');
    const auto hour = take_number(text, 2);
    const bool first = take(text, ':');
    const auto minute = take_number(text, 2);
    const bool second = take(text, ':');
    const auto seconds = take_number(text, 2);
    if (!begins || !hour || !first || !minute || !second || !seconds || *hour > 23 ||
        *minute > 59 || *seconds > 59) {
        return std::nullopt;
    }
    std::int64_t fraction = 0;
    if (take(text, '.')) {
        const std::string_view digits = text.substr(0, text.find('Z'));
        const auto value = take_number(text, digits.size());
        if (digits.empty() || digits.size() > 9 || !value) {
            return std::nullopt;
        }
        fraction = *value;
        for (std::size_t i = digits.size(); i < 9; ++i) {
            fraction *= 10;
        }
    }
    if (text != "Z") {
        return std::nullopt;
    }
    return ((*hour * 60 + *minute) * 60 + *seconds) * k_second_ns + fraction;
}

}  // namespace

std::int64_t parse_moment(std::string_view text) {
    constexpr std::int64_t k_nanoseconds_from = 9'000'000'000'000;
    constexpr std::int64_t k_ms = 1'000'000;
    std::int64_t number = 0;
    const char* const end = text.data() + text.size();
    if (const auto [last, ec] = std::from_chars(text.data(), end, number);
        ec == std::errc{} && last == end && number >= 0) {
        return number >= k_nanoseconds_from ? number : number * k_ms;
    }
    std::string_view rest = text;
    if (const auto day = parse_day(rest)) {
        const auto clock = rest.empty() ? std::optional<std::int64_t>{0} : parse_clock(rest);
        if (clock) {
            return *day * k_second_ns + *clock;
        }
    }
    throw Error{
        TENON_INVALID,
        "found the time \"" + std::string{text} +
            "\", expected 2026-05-04, 2026-05-04T03:02:01.123Z, or milliseconds or nanoseconds "
            "since 1970"};
}

std::string moment_text(std::int64_t real_ns) {
    using namespace std::chrono;
    const sys_time<nanoseconds> time{nanoseconds{real_ns}};
    const auto day = floor<days>(time);
    const year_month_day date{day};
    const hh_mm_ss clock{time - day};
    std::array<char, 64> out{};
    const int size = std::snprintf(
        out.data(),
        out.size(),
        "%04d-%02u-%02uT%02d:%02d:%02d.%09dZ",
        static_cast<int>(date.year()),
        static_cast<unsigned>(date.month()),
        static_cast<unsigned>(date.day()),
        static_cast<int>(clock.hours().count()),
        static_cast<int>(clock.minutes().count()),
        static_cast<int>(clock.seconds().count()),
        static_cast<int>(clock.subseconds().count())
    );
    return {out.data(), static_cast<std::size_t>(size)};
}

void decode_command(const journal::Record& record, trading::Command& command) {
    const auto status = trading::decode(text_of(record.payload), command);
    if (status != trading::DecodeStatus::ok) {
        throw Error{
            TENON_CORRUPT,
            "command " + std::to_string(record.sequence) +
                " of the journal: " + std::string{trading::name(status)}};
    }
}

View view_at(journal::Disk& disk, const ViewRequest& request) {
    return Viewer{disk, request}.run();
}

}  // namespace tenon::engine
