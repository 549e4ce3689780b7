// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/replay/replay.hpp"

#include <algorithm>
#include <cmath>

namespace tenon::replay {
namespace {

constexpr std::int64_t k_ms = 1'000'000;
constexpr int k_events_per_step = 256;
constexpr std::int64_t k_read_retry_ns = 2 * k_ms;
// Pause between two loops: the interval of the recorded depth stream.
constexpr std::int64_t k_seam_ns = 100 * k_ms;
// Delays vary by some milliseconds; without a margin a quick message would be dated after its
// arrival.
constexpr std::int64_t k_margin_ms = 10;
constexpr std::size_t k_pending_max = 1'000;
// Above every rate of ids seen (BTCUSDT: 0.6 update ids a millisecond), so that a later start
// always begins above an earlier run.
constexpr std::uint64_t k_ids_per_ms = 100;

}  // namespace

Replay::Replay(ReplaySettings settings, Emit emit, Trouble trouble)
    : settings_{settings}, emit_{std::move(emit)}, trouble_{std::move(trouble)} {}

void Replay::add(std::uint32_t instrument, std::string symbol, std::unique_ptr<Prefetch> source) {
    Symbol added;
    added.instrument = instrument;
    added.name = std::move(symbol);
    added.source = std::move(source);
    symbols_.push_back(std::move(added));
}

bool Replay::serves(std::uint32_t instrument) const {
    return std::any_of(symbols_.begin(), symbols_.end(), [&](const Symbol& symbol) {
        return symbol.instrument == instrument;
    });
}

void Replay::finish() {
    for (const Symbol& symbol : symbols_) {
        symbol.source->finish();
    }
}

// True when a record is at hand or the pass has ended.
bool Replay::fill(Symbol& symbol) {
    while (!symbol.pass_ended && symbol.next == symbol.batch.records.size()) {
        if (symbol.batch.pass_ended) {
            symbol.pass_ended = true;
            break;
        }
        if (!symbol.source->take(symbol.batch)) {
            return false;
        }
        symbol.next = 0;
        statistics_.damaged_lines += symbol.batch.damaged_lines;
        if (!symbol.batch.error.empty()) {
            trouble_(symbol.name, symbol.batch.error);
        } else if (symbol.batch.damaged_lines != 0) {
            trouble_(symbol.name, "damaged lines in " + symbol.source->file());
        }
    }
    return true;
}

bool Replay::begin_loop(std::int64_t now_ns, std::int64_t now_real_ns) {
    for (Symbol& symbol : symbols_) {
        if (!fill(symbol)) {
            return false;
        }
    }
    std::int64_t first = k_never;
    const Record* clock = nullptr;
    for (const Symbol& symbol : symbols_) {
        if (!symbol.pass_ended) {
            first = std::min(first, symbol.batch.records[symbol.next].local_ns);
        }
        for (const Record& record : symbol.batch.records) {
            if (clock == nullptr && record.kind == RecordKind::diff) {
                clock = &record;
            }
        }
    }
    origin_ns_ = first == k_never ? 0 : first / k_ms * k_ms;
    exchange_lead_ms_ =
        clock != nullptr ? clock->exchange_ms - clock->local_ns / k_ms + k_margin_ms : 0;
    if (statistics_.loops == 0) {
        loop_start_ns_ = now_ns;
        loop_start_real_ns_ = now_real_ns / k_ms * k_ms;
    } else if (settings_.speed > 0) {
        // The next start is planned, not measured, so that a late call does not add up.
        loop_start_real_ns_ = (now_real_ns - (now_ns - loop_start_ns_)) / k_ms * k_ms;
    }
    last_ns_ = origin_ns_;
    in_loop_ = true;
    ++statistics_.loops;
    return true;
}

Replay::Symbol* Replay::earliest() {
    const auto next = [](const Symbol& symbol) -> const Record& {
        return symbol.batch.records[symbol.next];
    };
    Symbol* found = nullptr;
    for (Symbol& symbol : symbols_) {
        const bool held = settings_.paused && (symbol.following || symbol.pass_ended ||
                                               next(symbol).kind != RecordKind::snapshot);
        if (!held && !symbol.pass_ended &&
            (found == nullptr || next(symbol).local_ns < next(*found).local_ns)) {
            found = &symbol;
        }
    }
    return found;
}

std::int64_t Replay::scaled(std::int64_t recorded_ns) const {
    if (settings_.speed == 1.0 || settings_.speed == 0.0) {
        return recorded_ns;
    }
    return std::llround(static_cast<double>(recorded_ns) / settings_.speed);
}

std::int64_t Replay::step(std::int64_t now_ns, std::int64_t now_real_ns) {
    for (int sent = 0; sent < k_events_per_step; ++sent) {
        if (!in_loop_ && !begin_loop(now_ns, now_real_ns)) {
            return now_ns + k_read_retry_ns;
        }
        for (Symbol& symbol : symbols_) {
            if (!fill(symbol)) {
                return now_ns + k_read_retry_ns;
            }
        }
        Symbol* const symbol = earliest();
        if (symbol == nullptr) {
            if (settings_.paused || !settings_.loop || last_ns_ == origin_ns_) {
                return k_never;  // the end, or files without a single record
            }
            const std::int64_t length = scaled(last_ns_ - origin_ns_ + k_seam_ns);
            loop_start_ns_ += length;
            loop_start_real_ns_ += length / k_ms * k_ms;
            for (Symbol& each : symbols_) {
                each.pass_ended = false;
                each.batch.clear();
                each.next = 0;
                each.bridge = each.bridge || each.following;
                each.following = false;
                each.trade_seam = true;
                each.pending.clear();
            }
            in_loop_ = false;
            continue;
        }
        const Record& record = symbol->batch.records[symbol->next];
        const std::int64_t due = loop_start_ns_ + scaled(record.local_ns - origin_ns_);
        if (settings_.speed > 0 && !settings_.paused && due > now_ns) {
            return due;
        }
        ++symbol->next;
        last_ns_ = std::max(last_ns_, record.local_ns);
        play(*symbol, record);
    }
    return now_ns;
}

std::int64_t Replay::real_time(const Record& record) const {
    const std::int64_t sent = loop_start_real_ns_ + scaled(record.local_ns - origin_ns_);
    if (record.exchange_ms == 0) {
        return sent;
    }
    const std::int64_t moved = (record.exchange_ms - exchange_lead_ms_) * k_ms - origin_ns_;
    return std::min(sent, loop_start_real_ns_ + scaled(moved));
}

tenon_feed_event Replay::event(const Symbol& symbol, std::uint32_t kind) const {
    tenon_feed_event made{};
    made.size = sizeof made;
    made.kind = kind;
    made.instrument = symbol.instrument;
    return made;
}

void Replay::play(Symbol& symbol, const Record& record) {
    if (!symbol.ids_started) {
        symbol.ids_started = true;
        const std::int64_t later_ms = (loop_start_real_ns_ - origin_ns_) / k_ms;
        symbol.update_shift =
            later_ms > 0 ? static_cast<std::uint64_t>(later_ms) * k_ids_per_ms : 0;
        symbol.sent_trade = symbol.update_shift;
    }
    switch (record.kind) {
        case RecordKind::snapshot:
            on_snapshot(symbol, record);
            break;
        case RecordKind::diff:
            on_diff(symbol, record, symbol.batch.bids(record), symbol.batch.asks(record));
            break;
        case RecordKind::trade:
            on_trade(symbol, record);
            break;
        case RecordKind::book_ticker:
            on_ticker(symbol, record);
            break;
    }
}

void Replay::on_snapshot(Symbol& symbol, const Record& record) {
    if (symbol.following) {
        return;  // the stream is sound and newer than any REST reply
    }
    const auto bids = symbol.batch.bids(record);
    const auto asks = symbol.batch.asks(record);
    std::uint64_t id = record.last_id + symbol.update_shift;
    if (symbol.sent_update != 0) {
        const std::uint64_t after = std::max(symbol.sent_update, symbol.sent_ticker) + 1;
        // A snapshot of a later loop lies before what was sent; after a gap it may as well.
        id = symbol.bridge || id < after ? after : id;
        symbol.update_shift = id - record.last_id;
    }
    symbol.book_real_ns = std::max(symbol.book_real_ns, real_time(record));

    tenon_feed_event made = event(symbol, TENON_FEED_SNAPSHOT);
    std::vector<tenon_level> bid_changes;
    std::vector<tenon_level> ask_changes;
    std::span<const tenon_level> sent_bids = bids;
    std::span<const tenon_level> sent_asks = asks;
    if (symbol.bridge) {
        made.kind = TENON_FEED_DIFF;
        made.first_update_id = symbol.sent_update + 1;
        level_changes(
            symbol.book.bids(), bids, [](auto a, auto b) { return a > b; }, bid_changes
        );
        level_changes(
            symbol.book.asks(), asks, [](auto a, auto b) { return a < b; }, ask_changes
        );
        sent_bids = bid_changes;
        sent_asks = ask_changes;
    }
    symbol.book.assign(bids, asks);
    symbol.snapshot_id = symbol.recorded_id = record.last_id;
    symbol.sent_update = symbol.sent_ticker = id;
    symbol.following = true;
    symbol.bridge = false;
    made.last_update_id = id;
    made.event_real_ns = symbol.book_real_ns;
    made.bids = sent_bids.data();
    made.asks = sent_asks.data();
    made.bid_count = static_cast<std::uint32_t>(sent_bids.size());
    made.ask_count = static_cast<std::uint32_t>(sent_asks.size());
    emit_(made);
    trouble_(symbol.name, {});

    std::deque<Diff> pending;
    pending.swap(symbol.pending);
    for (const Diff& diff : pending) {
        const std::span<const tenon_level> levels{diff.levels};
        on_diff(
            symbol,
            diff.record,
            levels.first(diff.record.bid_count),
            levels.last(diff.record.ask_count)
        );
    }
}

void Replay::keep(
    Symbol& symbol,
    const Record& record,
    std::span<const tenon_level> bids,
    std::span<const tenon_level> asks
) {
    if (symbol.pending.size() == k_pending_max) {
        symbol.pending.pop_front();
    }
    Diff diff{record, {bids.begin(), bids.end()}};
    diff.levels.insert(diff.levels.end(), asks.begin(), asks.end());
    symbol.pending.push_back(std::move(diff));
}

void Replay::break_off(Symbol& symbol, const std::string& reason) {
    symbol.following = false;
    ++statistics_.gaps;
    tenon_feed_event gap = event(symbol, TENON_FEED_GAP);
    gap.event_real_ns = symbol.book_real_ns;
    emit_(gap);
    trouble_(symbol.name, reason);
}

void Replay::on_diff(
    Symbol& symbol,
    const Record& record,
    std::span<const tenon_level> bids,
    std::span<const tenon_level> asks
) {
    if (symbol.following && record.first_id > symbol.recorded_id + 1) {
        break_off(
            symbol,
            "update ids " + std::to_string(symbol.recorded_id + 1) + " to " +
                std::to_string(record.first_id - 1) + " are missing in " + symbol.source->file()
        );
    }
    if (!symbol.following) {
        keep(symbol, record, bids, asks);
        return;
    }
    if (record.last_id <= symbol.recorded_id) {
        return;  // in the book already
    }
    symbol.book.apply(bids, asks);
    symbol.recorded_id = record.last_id;
    symbol.book_real_ns = std::max(symbol.book_real_ns, real_time(record));

    tenon_feed_event made = event(symbol, TENON_FEED_DIFF);
    made.first_update_id = symbol.sent_update + 1;
    made.last_update_id = symbol.sent_update = record.last_id + symbol.update_shift;
    made.event_real_ns = symbol.book_real_ns;
    made.bids = bids.data();
    made.asks = asks.data();
    made.bid_count = static_cast<std::uint32_t>(bids.size());
    made.ask_count = static_cast<std::uint32_t>(asks.size());
    emit_(made);
}

void Replay::on_trade(Symbol& symbol, const Record& record) {
    if (symbol.trade_seam) {
        // The first trade of a pass follows the last one sent; at the very first start it keeps its
        // distance from the recorded id.
        const bool first = symbol.recorded_trade == 0;
        symbol.trade_shift = first ? symbol.sent_trade : symbol.sent_trade + 1 - record.trade_id;
        symbol.trade_seam = false;
    } else if (record.trade_id <= symbol.recorded_trade) {
        return;
    }
    symbol.recorded_trade = record.trade_id;
    symbol.sent_trade = record.trade_id + symbol.trade_shift;
    symbol.trade_real_ns = std::max(symbol.trade_real_ns, real_time(record));

    tenon_feed_event made = event(symbol, TENON_FEED_TRADE);
    made.event_real_ns = symbol.trade_real_ns;
    made.trade_id = symbol.sent_trade;
    made.price = record.price;
    made.quantity = record.quantity;
    made.buyer_is_maker = record.buyer_is_maker ? 1 : 0;
    emit_(made);
}

void Replay::on_ticker(Symbol& symbol, const Record& record) {
    if (!symbol.following || record.last_id <= symbol.snapshot_id) {
        return;
    }
    const std::uint64_t id = record.last_id + symbol.update_shift;
    if (id < symbol.sent_ticker) {
        return;
    }
    symbol.sent_ticker = id;
    tenon_feed_event made = event(symbol, TENON_FEED_BOOK_TICKER);
    made.event_real_ns = real_time(record);
    made.last_update_id = id;
    const auto bids = symbol.batch.bids(record);
    const auto asks = symbol.batch.asks(record);
    made.bids = bids.data();
    made.asks = asks.data();
    made.bid_count = record.bid_count;
    made.ask_count = record.ask_count;
    emit_(made);
}

void Replay::snapshots(const Emit& to) const {
    for (const Symbol& symbol : symbols_) {
        if (!symbol.following && !symbol.bridge) {
            continue;
        }
        tenon_feed_event made = event(symbol, TENON_FEED_SNAPSHOT);
        const auto bids = symbol.book.bids();
        const auto asks = symbol.book.asks();
        made.event_real_ns = symbol.book_real_ns;
        made.last_update_id = symbol.sent_update;
        made.bids = bids.data();
        made.asks = asks.data();
        made.bid_count = static_cast<std::uint32_t>(bids.size());
        made.ask_count = static_cast<std::uint32_t>(asks.size());
        to(made);
    }
}

}  // namespace tenon::replay
