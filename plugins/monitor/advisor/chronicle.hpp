// SPDX-License-Identifier: Apache-2.0
// DATA_DIR/advice.log: what was tried, why, and what came of it; append-only, each line bound to
// the one before it (sdk/audit has the format; `action` is the event, `subject` the
// recommendation's id). The newest entries are also in memory.
//
// Events: trial_begun, then one of kept, rolled_back, failed (the knob was left as it is, because
// somebody else turned it) or recovered (by the next start); applied (no trial: indexes);
// taken_back (a kept change, by hand); dismissed.
//
// An entry is on disk when record() returns, so that a trial is known before it changes anything.
// Thread-safe.
#pragma once

#include "sdk/audit/audit_log.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace tenon::advisor {

struct Entry {
    std::uint64_t sequence = 0;
    std::int64_t time_ms = 0;
    std::string by, event, id;
    boost::json::object detail;
};

// {"seq","time_ms","by","event","id", and the detail's members}
[[nodiscard]] boost::json::object to_json(const Entry& entry);

class Chronicle {
public:
    static constexpr std::size_t k_in_memory = 500;

    // Throws Error TENON_UNAVAILABLE when the file cannot be read or written.
    explicit Chronicle(const std::filesystem::path& file);

    // Throws Error, with nothing written.
    void record(Entry entry);

    // Newest first; of one recommendation when an id is given.
    [[nodiscard]] boost::json::array json(std::size_t limit, std::string_view id = {}) const;
    // The trial that has begun and not ended; of the whole file when it was opened.
    [[nodiscard]] std::optional<Entry> unfinished() const;
    // The newest change of that recommendation that is in force: it was kept and not taken back.
    [[nodiscard]] std::optional<Entry> in_force(std::string_view id) const;
    // Until when a recommendation that was dismissed or rolled back is left alone.
    [[nodiscard]] std::int64_t
    left_alone_until_ms(std::string_view id, std::int64_t for_ms, bool rolled_back_too) const;

    // Lines of the file that do not fit, when it was opened.
    [[nodiscard]] std::uint64_t broken() const { return log_.found().broken; }

private:
    void remember(Entry entry);

    audit::Log log_;
    mutable std::mutex mutex_;
    std::deque<Entry> entries_;  // oldest first; guarded by mutex_
    // The newest of each event of a recommendation; guarded by mutex_. There are as many as knobs.
    std::map<std::string, std::map<std::string, Entry, std::less<>>, std::less<>> newest_;
    std::optional<Entry> unfinished_;  // guarded by mutex_
    std::uint64_t sequence_ = 0;       // guarded by mutex_
};

}  // namespace tenon::advisor
