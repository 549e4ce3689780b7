// SPDX-License-Identifier: Apache-2.0
// Rows of before, asked of a feed (tenon.feed/1 `fetch`) or of the market data's keeper
// (tenon.market_data/1 `history`): both take one query and answer later.
//
// HistoryCalls is the asking side. It owns what is under way: clear() or the destructor ends it,
// and nobody is called afterwards. What a handler throws is dropped. Everything is [reactor 0].
#pragma once

#include <tenon/abi/market_data.h>
#include <tenon/plugin.hpp>
#include <tenon/structs.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace tenon {

// The one that the query's kind names has the rows, ascending.
struct HistoryRows {
    std::vector<tenon_public_trade> trades;
    std::vector<tenon_agg_trade> agg_trades;
    std::vector<tenon_candle> candles;

    [[nodiscard]] std::size_t size() const noexcept {
        return trades.size() + agg_trades.size() + candles.size();
    }
};

// As the contract has them. Borrowed from `rows`.
[[nodiscard]] inline tenon_history_rows
raw_rows(const HistoryRows& rows, std::uint32_t kind, const tenon_md_origin* origin = nullptr) {
    auto raw = sized<tenon_history_rows>();
    raw.kind = kind;
    raw.count = static_cast<std::uint32_t>(rows.size());
    raw.trades = rows.trades.data();
    raw.agg_trades = rows.agg_trades.data();
    raw.candles = rows.candles.data();
    raw.origin = origin;
    return raw;
}

// A copy whose structs are ours, whoever wrote them. Throws TENON_CORRUPT when an array is missing.
[[nodiscard]] inline HistoryRows copy_rows(const tenon_history_rows& raw) {
    HistoryRows rows;
    const auto copy = [&raw](const auto* from, auto& to) {
        if (from == nullptr && raw.count != 0) {
            throw Error{TENON_CORRUPT, "rows of another kind than asked for"};
        }
        for (std::uint32_t i = 0; i < raw.count; ++i) {
            auto row = sized<typename std::decay_t<decltype(to)>::value_type>();
            copy_out(at(from, i), &row);
            to.push_back(row);
        }
    };
    switch (raw.kind) {
        case TENON_HISTORY_TRADES:
            copy(raw.trades, rows.trades);
            break;
        case TENON_HISTORY_AGG_TRADES:
            copy(raw.agg_trades, rows.agg_trades);
            break;
        case TENON_HISTORY_CANDLES:
            copy(raw.candles, rows.candles);
            break;
        default:
            throw Error{TENON_CORRUPT, "rows of an unknown kind"};
    }
    return rows;
}

// `rows` is NULL unless the status is TENON_OK, and borrowed during the call; else the reason says
// why.
using HistoryHandler = std::function<
    void(tenon_status status, const tenon_history_rows* rows, std::string_view reason)>;

class HistoryCalls {
public:
    // Slots and their `self`; empty ones refuse with TENON_UNSUPPORTED.
    using Ask =
        tenon_status (*)(void* self, const tenon_history_query*, tenon_history_done, std::uint64_t* handle, tenon_err*);
    using Cancel = void (*)(void* self, std::uint64_t handle);

    HistoryCalls() = default;

    HistoryCalls(void* self, Ask ask_slot, Cancel cancel_slot)
        : self_{self}, ask_{ask_slot}, cancel_{cancel_slot} {}

    ~HistoryCalls() { clear(); }

    HistoryCalls(const HistoryCalls&) = delete;
    HistoryCalls& operator=(const HistoryCalls&) = delete;

    // 0: nothing is to be waited for, and the handler never runs. Throws what refuses the query.
    // NOLINTNEXTLINE(performance-unnecessary-value-param): it is kept
    std::uint64_t ask(tenon_history_query query, HistoryHandler handler) {
        if (ask_ == nullptr) {
            throw Error{TENON_UNSUPPORTED, "nothing of before can be asked for"};
        }
        query.size = sizeof query;
        auto call = std::make_unique<Call>(Call{this, 0, std::move(handler)});
        ErrorBuffer err;
        std::uint64_t handle = 0;
        const tenon_status status = ask_(self_, &query, {call.get(), &ended}, &handle, &err);
        if (status == TENON_OK) {
            return 0;
        }
        if (status != TENON_PENDING) {
            throw Error{status, std::string{err.message()}};
        }
        call->handle = handle;
        calls_.emplace(handle, std::move(call));
        return handle;
    }

    void cancel(std::uint64_t handle) noexcept {
        if (calls_.contains(handle)) {
            cancel_(self_, handle);
            calls_.erase(handle);
        }
    }

    void clear() noexcept {
        while (!calls_.empty()) {
            cancel(calls_.begin()->first);
        }
    }

    [[nodiscard]] std::size_t under_way() const noexcept { return calls_.size(); }

private:
    struct Call {
        HistoryCalls* owner;
        std::uint64_t handle;
        HistoryHandler handler;
    };

    static void ended(
        void* ctx,
        tenon_status status,
        const tenon_history_rows* rows,
        const tenon_err* err
    ) noexcept {
        HistoryCalls& owner = *static_cast<Call*>(ctx)->owner;
        // The handler may ask anew, or end the owner.
        const auto mine = owner.calls_.extract(static_cast<Call*>(ctx)->handle);
        const std::string_view reason =
            err == nullptr ? std::string_view{} : std::string_view{err->msg, err->len};
        (void)guard(nullptr, [&] { mine.mapped()->handler(status, rows, reason); });
    }

    void* self_ = nullptr;
    Ask ask_ = nullptr;
    Cancel cancel_ = nullptr;
    std::unordered_map<std::uint64_t, std::unique_ptr<Call>> calls_;
};

}  // namespace tenon
