// SPDX-License-Identifier: Apache-2.0
// What was the state at T? Reads the journal and the snapshots of a data folder, of a stopped
// server or of one that runs, and brings a core to that moment. Nothing is ever written there, and
// no lock is taken. [control]
#pragma once

#include "plugins/trading/engine/core/core.hpp"
#include "sdk/journal/disk.hpp"
#include "sdk/journal/journal_reader.hpp"

#include <tenon/plugin.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace tenon::engine {

// One of the two; neither: the end of the journal.
struct Moment {
    std::optional<std::uint64_t> sequence;     // the state after this record
    std::optional<std::int64_t> time_real_ns;  // the state before the first command later than this
};

// "2026-05-04", "2026-05-04T03:02:01[.123]Z", or a whole number: nanoseconds since the epoch from
// 9 * 10^12 on, below milliseconds. Throws Error TENON_INVALID.
[[nodiscard]] std::int64_t parse_moment(std::string_view text);

[[nodiscard]] std::string moment_text(std::int64_t real_ns);  // "2026-05-04T03:02:01.123456789Z"

[[nodiscard]] inline bool
is_beyond(const Moment& moment, std::uint64_t sequence, std::int64_t time_real_ns) noexcept {
    return (moment.sequence && sequence > *moment.sequence) ||
           (moment.time_real_ns && time_real_ns > *moment.time_real_ns);
}

// Throws Error TENON_CORRUPT for a record that is no command.
void decode_command(const journal::Record& record, trading::Command& command);

// Is told of every command that is replayed.
class ViewFollower {
public:
    // Before the first command; again when the reading begins anew, since the journal's end was
    // being written meanwhile.
    virtual void begun(const trading::Core& core) = 0;
    virtual void before(const trading::Core& core, const trading::Command& command) = 0;
    virtual void after(const trading::Command& command, const trading::Output& output) = 0;

protected:
    ~ViewFollower() = default;
};

struct ViewRequest {
    std::string data_folder;
    Moment moment;
    Moment base;  // the snapshot to begin with is not beyond this either
    ViewFollower* follower = nullptr;
    std::function<std::unique_ptr<trading::Core>()> make_core;
};

struct View {
    std::unique_ptr<trading::Core> core;
    std::uint64_t sequence = 0;       // of the last record that is in it
    std::uint64_t base_sequence = 0;  // of the snapshot it began with; 0: none
    std::uint64_t replayed = 0;
    std::uint64_t hashes_compared = 0;
};

// Throws journal::Damage; Error TENON_NOT_FOUND when nothing is kept of that moment or the journal
// ends before it; TENON_CONFLICT when the deployment's instruments are not those of the journal, or
// a venue of its commands is missing; TENON_CORRUPT as recover() does.
[[nodiscard]] View view_at(journal::Disk& disk, const ViewRequest& request);

// "LIMIT", "STOP_LOSS_LIMIT", …; "?" for what is none.
[[nodiscard]] std::string_view order_type_word(std::uint8_t type);

// The view as JSON: accounts with balances, risk limits, open orders, the books of venues without a
// market of their own outside; the time is null before the first command. `account` and `symbol`:
// only that one; empty: all. Throws Error TENON_NOT_FOUND for one that is not known.
[[nodiscard]] std::string view_json(
    const View& view,
    const Service<tenon_instruments_1>& instruments,
    const std::string& account,
    const std::string& symbol
);

}  // namespace tenon::engine
