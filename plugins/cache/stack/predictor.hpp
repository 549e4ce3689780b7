// SPDX-License-Identifier: Apache-2.0
// What will be asked next: a Markov chain of order one over (cache, key), and whether it pays.
//
// A session is whose requests follow each other (a key that goes through several caches, a thread
// that serves a client). How often a pair was asked, and how often another came after it in the
// same session, is counted in a count-min sketch (Cormode, Muthukrishnan, "An improved data stream
// summary", 2005), which is halved now and then, so that old habits fade. For each pair the
// likeliest next one is remembered. A prediction counts as right when the pair is asked within its
// time. It is made in any case; it may be acted on only while at least half of the last thousand
// were right, and while what was fetched in vain is a tenth of all loads at most: so it turns
// itself on and off.
//
// Memory is bounded: about 1 MiB and the remembered keys. Thread-safe; who would have to wait is
// not counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tenon::cache_stack {

// Counts of many things in little room: never too small, seldom too large.
class CountMin {
public:
    CountMin();

    void add(std::uint64_t what);
    [[nodiscard]] std::uint32_t count(std::uint64_t what) const noexcept;

private:
    static constexpr std::size_t k_rows = 4;
    static constexpr std::size_t k_width = 1 << 14;

    [[nodiscard]] static std::size_t cell(std::uint64_t what, std::size_t row) noexcept;

    std::vector<std::uint16_t> cells_;
    std::uint32_t added_ = 0;  // since it was halved
};

class Predictor {
public:
    struct Next {
        std::uint32_t cache = 0;
        std::string key;
    };

    struct Numbers {
        std::uint64_t predicted = 0, right = 0, fetched = 0, in_vain = 0;
        std::uint32_t percent = 0;  // right of the last thousand
        bool on = false;
    };

    Predictor();

    // Somebody asks. Gives what probably comes next.
    [[nodiscard]] std::optional<Next>
    asked(std::uint64_t session, std::uint32_t cache, std::string_view key, std::int64_t now_ns);
    // What was predicted is not there: it is watched until until_ns, a minute at most, whether
    // somebody asks. True: it is to be fetched, and `free`, whether there is room for that, was
    // true.
    [[nodiscard]] bool
    missing(const Next& next, std::int64_t now_ns, std::int64_t until_ns, bool free);
    // Something was loaded, for whatever reason.
    void loaded() noexcept;
    [[nodiscard]] Numbers numbers() const;

private:
    static constexpr std::size_t k_sessions = 4096;
    static constexpr std::size_t k_candidates = 8192;
    static constexpr std::size_t k_watched_max = 4096;
    static constexpr std::int64_t k_horizon_ns = 60'000'000'000;
    static constexpr std::size_t k_window = 1000;
    static constexpr std::size_t k_enough = 100;  // before it is believed
    static constexpr std::uint32_t k_seen_min = 2;

    struct Session {
        std::uint64_t name = 0, last = 0;
    };

    struct Candidate {
        std::uint64_t before = 0, pair = 0;
        Next next;
    };

    struct Watched {
        std::int64_t until_ns = 0;
        bool fetched = false;
    };

    void learn(std::uint64_t before, std::uint64_t pair, std::uint32_t cache, std::string_view key);
    void resolve(bool right, bool fetched);
    void give_up(std::int64_t now_ns);
    [[nodiscard]] bool pays() const noexcept;

    mutable std::mutex mutex_;
    CountMin counts_;
    std::vector<Session> sessions_;
    std::vector<Candidate> candidates_;
    std::unordered_map<std::uint64_t, Watched> watched_;
    std::multimap<std::int64_t, std::uint64_t> by_time_;  // when what is watched is over
    std::deque<bool> window_;
    std::size_t right_ = 0;               // in the window
    std::uint64_t loads_ = 0, vain_ = 0;  // halved together now and then
    Numbers numbers_;
};

}  // namespace tenon::cache_stack
