// SPDX-License-Identifier: Apache-2.0
// Plays recordings of several symbols on one timeline, in a loop, as events of tenon.feed/1.
//
// Times. The timeline is the recorder's local receive time. The first record of a loop is the
// loop's start; everything else follows at its distance, divided by the speed. An event's time is
// the exchange's own (E, T), moved by the same amount; whole milliseconds stay whole. It is never
// later than the moment the event is sent, and does not go back. Ids. Update ids and trade ids run
// on over loops; how far they are moved at first grows with the wall clock, so that they rise over
// restarts too. Book. A symbol starts with the recorded REST snapshot; diffs at or before it are
// dropped, the one that spans it is clipped. At the seam of two loops one diff turns the last book
// into the first one, so that who follows diffs sees no gap. When recorded diffs do not join, a GAP
// is sent and the next snapshot (in the file, or of the next loop) resyncs.
//
// It knows no files' format, no timers and no threads: one thread calls it with the time.
#pragma once

#include "plugins/venue/replay/prefetch.hpp"

#include <tenon/depth_book.hpp>

#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace tenon::replay {

struct ReplaySettings {
    double speed = 1.0;   // 0: as fast as it can be read; event times keep the recorded pace
    bool paused = false;  // opening books only, then nothing
    bool loop = true;
};

struct ReplayStatistics {
    std::uint64_t damaged_lines = 0;
    std::uint64_t gaps = 0;
    std::uint64_t loops = 0;  // begun
};

class Replay {
public:
    using Emit = std::function<void(const tenon_feed_event&)>;
    // Called when a symbol's feed breaks (reason not empty) and when it is sound again.
    using Trouble = std::function<void(const std::string& symbol, const std::string& reason)>;

    static constexpr std::int64_t k_never = std::numeric_limits<std::int64_t>::max();

    Replay(ReplaySettings settings, Emit emit, Trouble trouble);

    void add(std::uint32_t instrument, std::string symbol, std::unique_ptr<Prefetch> source);

    // Sends what is due, a bounded number of events; returns when to call again, k_never at the
    // end.
    [[nodiscard]] std::int64_t step(std::int64_t now_ns, std::int64_t now_real_ns);

    // The present book of every instrument that has one, as snapshots, to one new listener.
    void snapshots(const Emit& to) const;

    [[nodiscard]] bool serves(std::uint32_t instrument) const;

    [[nodiscard]] const ReplayStatistics& statistics() const noexcept { return statistics_; }

    // Waits for reads in flight.
    void finish();

private:
    struct Diff {  // kept while the symbol waits for a snapshot
        Record record;
        std::vector<tenon_level> levels;
    };

    struct Symbol {
        std::uint32_t instrument = 0;
        std::string name;
        std::unique_ptr<Prefetch> source;
        Batch batch;
        std::size_t next = 0;
        bool pass_ended = false;

        DepthBook book;
        bool following = false;    // the book is right and diffs are applied
        bool bridge = false;       // the book was right when the last pass ended
        std::deque<Diff> pending;  // diffs since the gap or the pass's start
        std::uint64_t snapshot_id = 0, recorded_id = 0;   // as recorded
        std::uint64_t update_shift = 0, trade_shift = 0;  // sent = recorded + shift, modulo 2^64
        std::uint64_t sent_update = 0, sent_ticker = 0, sent_trade = 0;
        std::uint64_t recorded_trade = 0;
        bool ids_started = false;
        bool trade_seam = true;
        std::int64_t book_real_ns = 0, trade_real_ns = 0;
    };

    [[nodiscard]] bool fill(Symbol& symbol);
    [[nodiscard]] bool begin_loop(std::int64_t now_ns, std::int64_t now_real_ns);
    [[nodiscard]] Symbol* earliest();
    [[nodiscard]] std::int64_t scaled(std::int64_t recorded_ns) const;
    [[nodiscard]] std::int64_t real_time(const Record& record) const;
    void play(Symbol& symbol, const Record& record);
    void on_snapshot(Symbol& symbol, const Record& record);
    void on_diff(
        Symbol& symbol,
        const Record& record,
        std::span<const tenon_level> bids,
        std::span<const tenon_level> asks
    );
    void on_trade(Symbol& symbol, const Record& record);
    void on_ticker(Symbol& symbol, const Record& record);
    void keep(
        Symbol& symbol,
        const Record& record,
        std::span<const tenon_level> bids,
        std::span<const tenon_level> asks
    );
    void break_off(Symbol& symbol, const std::string& reason);
    [[nodiscard]] tenon_feed_event event(const Symbol& symbol, std::uint32_t kind) const;

    ReplaySettings settings_;
    Emit emit_;
    Trouble trouble_;
    std::vector<Symbol> symbols_;
    ReplayStatistics statistics_;
    bool in_loop_ = false;
    std::int64_t loop_start_ns_ = 0, loop_start_real_ns_ = 0;
    std::int64_t origin_ns_ = 0;         // recorded time of the loop's start, whole milliseconds
    std::int64_t last_ns_ = 0;           // recorded time of the last record played
    std::int64_t exchange_lead_ms_ = 0;  // what the exchange's clock is ahead of the recorder's
};

}  // namespace tenon::replay
