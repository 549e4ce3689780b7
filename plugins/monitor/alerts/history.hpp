// SPDX-License-Identifier: Apache-2.0
// Alerts that fired and when they ended: the newest in memory, all in the table `alerts` of a
// storage, when there is one. A row is added when an alert fires and gets its end once; it is
// deleted when it is older than what is kept.
//
// What cannot be written waits, bounded, and is written later: the storage may be what the alert is
// about. Thread-safe; writing and loading block [io].
#pragma once

#include "plugins/monitor/alerts/alert_book.hpp"

#include <tenon/storage.hpp>

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::alerts {

class History {
public:
    static constexpr std::size_t k_kept = 1'000;  // in memory
    static constexpr std::size_t k_pending_max = 1'000;
    static constexpr std::size_t k_clean_step = 500;  // rows that are deleted at a time

    // `server`: several may share a storage.
    void set_server(std::string_view server);
    void add(const AlertEvent& event, std::string_view summary, std::int64_t at_ms);

    // [io] Those that an earlier run left open have ended, at the latest, now; then the newest are
    // read. Throws StorageError.
    void load(const Storage& storage, std::int64_t now_ms, std::int64_t deadline_ns);
    // [io] Throws StorageError; then what is pending stays so.
    void save(const Storage& storage, std::int64_t deadline_ns);
    // [io] Deletes ended ones that fired before then; gives how many. Throws StorageError.
    static std::uint64_t
    clean(const Storage& storage, std::int64_t before_ms, std::int64_t deadline_ns);

    // {"alerts":[{"rule","severity","component","message","fired_ms","ended_ms"}],"unwritten":N,
    // "lost":N}, the newest first; ended_ms 0: it fires.
    [[nodiscard]] std::string json(std::size_t limit) const;
    // Events that no table will ever have.
    [[nodiscard]] std::uint64_t lost() const;

private:
    struct Entry {
        std::string rule, component, level, message;
        std::int64_t fired_ms = 0, ended_ms = 0;
    };

    [[nodiscard]] std::string component_of(const Alert& alert) const;
    void remember(Entry entry);

    mutable std::mutex mutex_;
    std::string prefix_;         // of components
    std::deque<Entry> entries_;  // the newest first
    std::deque<Entry> pending_;  // in order of happening; ended_ms 0: it fired
    std::uint64_t taken_ = 0;    // from the front of pending_ so far
    std::uint64_t lost_ = 0;
};

}  // namespace tenon::alerts
