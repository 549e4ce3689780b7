// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/book_sync.hpp"

#include <algorithm>
#include <utility>

namespace tenon::binance_venue {

tenon_feed_event BookSync::event(std::uint32_t kind) const {
    tenon_feed_event out{};
    out.size = sizeof out;
    out.kind = kind;
    out.instrument = instrument_;
    out.event_real_ns = real_ns_;
    out.last_update_id = last_id_;
    return out;
}

void BookSync::connected() {
    waiting_.clear();
    state_ = State::waiting;
}

void BookSync::broken(std::int64_t real_ns) {
    waiting_.clear();
    if (state_ == State::following) {
        gap(real_ns);
    }
    state_ = State::offline;
}

void BookSync::gap(std::int64_t real_ns) {
    ++gaps_;
    has_book_ = false;
    real_ns_ = std::max(real_ns_, real_ns);
    emit_(event(TENON_FEED_GAP));
}

void BookSync::on_diff(DepthDiff diff) {
    if (state_ == State::following && diff.last_id <= last_id_) {
        return;
    }
    if (state_ == State::following && diff.first_id <= last_id_ + 1) {
        apply(diff);
        return;
    }
    if (state_ == State::following) {
        gap(diff.real_ns);
        state_ = State::waiting;
    }
    if (state_ == State::offline) {
        return;
    }
    // Diffs that do not join are no help to any snapshot before the break.
    if (!waiting_.empty() && diff.first_id > waiting_.back().last_id + 1) {
        waiting_.clear();
    }
    waiting_.push_back(std::move(diff));
    if (waiting_.size() > k_waiting_max) {
        waiting_.pop_front();
    }
}

void BookSync::apply(const DepthDiff& diff) {
    book_.apply(diff.bids, diff.asks);
    tenon_feed_event out = event(TENON_FEED_DIFF);
    out.first_update_id = last_id_ + 1;
    last_id_ = diff.last_id;
    real_ns_ = std::max(real_ns_, diff.real_ns);
    out.last_update_id = last_id_;
    out.event_real_ns = real_ns_;
    out.bids = diff.bids.data();
    out.bid_count = static_cast<std::uint32_t>(diff.bids.size());
    out.asks = diff.asks.data();
    out.ask_count = static_cast<std::uint32_t>(diff.asks.size());
    emit_(out);
}

bool BookSync::on_snapshot(const DepthSnapshot& snapshot, std::int64_t real_ns) {
    if (state_ == State::following) {
        return true;  // the book is newer
    }
    if (state_ == State::waiting && !waiting_.empty() &&
        waiting_.front().first_id > snapshot.last_id + 1) {
        return false;
    }
    book_.assign(snapshot.bids, snapshot.asks);
    has_book_ = true;
    last_id_ = snapshot.last_id;
    real_ns_ = std::max(real_ns_, real_ns);
    give_snapshot(emit_);
    if (state_ == State::waiting) {
        state_ = State::following;
        for (DepthDiff& diff : std::exchange(waiting_, {})) {
            on_diff(std::move(diff));
        }
    }
    return true;
}

void BookSync::give_snapshot(const Emit& to) const {
    tenon_feed_event out = event(TENON_FEED_SNAPSHOT);
    out.bids = book_.bids().data();
    out.bid_count = static_cast<std::uint32_t>(book_.bids().size());
    out.asks = book_.asks().data();
    out.ask_count = static_cast<std::uint32_t>(book_.asks().size());
    to(out);
}

}  // namespace tenon::binance_venue
