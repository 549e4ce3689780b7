// SPDX-License-Identifier: Apache-2.0
// A cache tier in a table of the database, which all servers of it share. Thread-safe; every
// function waits for the database, at most `timeout`.
//
// The table is the tier's own (tenon_cache_entries), made when it is first wanted: what is in it
// can be had again, so that no migration carries it, and on PostgreSQL it is not logged and not
// replicated. Expiry goes by the real time of the servers, whose clocks must agree as well as times
// to live are to be kept. Expired entries go by sweep(), some hundreds in a transaction.
#pragma once

#include <tenon/storage.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string_view>

namespace tenon::database_cache {

struct TierOptions {
    std::chrono::milliseconds timeout{1000};  // of one operation
    std::uint64_t entries_max = 100'000;      // what is more goes at the next sweep, soonest first
    std::uint64_t value_bytes_max = 1U << 20;
    // Several servers count times to live by their real clocks; one alone by the clock of now_ns,
    // as far from the real one as at its start, so that a step of that one ends no entry early.
    bool shared = true;
    std::uint32_t batch = 500;  // entries that one transaction deletes
};

struct Counters {
    std::atomic<std::uint64_t> entries{0};  // at the last sweep
    std::atomic<std::uint64_t> hits{0}, misses{0}, puts{0}, erased{0}, evicted{0}, expired{0};
};

class DatabaseTier {
public:
    using Reader = std::function<void(std::string_view value)>;

    DatabaseTier(Storage storage, Service<tenon_clock_1> clock, TierOptions options);

    // Gives the expiry on the clock of now_ns.
    [[nodiscard]] std::optional<std::int64_t>
    get(std::string_view key, std::int64_t now_ns, const Reader& reader);
    // Throws Error TENON_INVALID when the value is too long; what was there stays.
    void
    put(std::string_view key, std::string_view value, std::int64_t now_ns, std::int64_t ttl_ns);
    bool erase(std::string_view key);
    void clear(std::string_view prefix);
    // Deletes what is expired, and what is more than entries_max.
    void sweep();

    [[nodiscard]] const Counters& counters() const noexcept { return counters_; }

private:
    void make_table();
    [[nodiscard]] std::int64_t deadline_ns() const noexcept;
    [[nodiscard]] std::int64_t real_ns() const noexcept;
    // The real time that stands for now_ns in the table.
    [[nodiscard]] std::int64_t stored_ns(std::int64_t now_ns) const noexcept;
    // In a write transaction that need not outlive a loss of power.
    template <class Body>
    void write(Body body) const;
    // Runs a statement that deletes at most `batch`, the last of its values, until it finds less.
    template <class... Values>
    [[nodiscard]] std::uint64_t delete_all(std::string_view sql, Values... values) const;

    Storage storage_;
    Service<tenon_clock_1> clock_;
    TierOptions options_;
    std::int64_t ahead_ns_;  // the real clock, of that of now_ns, at the start
    std::mutex making_;
    std::atomic<bool> made_{false};
    Counters counters_;
};

}  // namespace tenon::database_cache
