// SPDX-License-Identifier: Apache-2.0
// C++ side of tenon.market_data/1 for those who read it: books, tickers, trades, candles, events.
//
//   market_ = std::make_unique<tenon::MarketData>(host());                // in start
//   market_->subscribe(TENON_MD_TRADE, [this](const tenon_md_event& e) { … });
//
// Everything is [reactor 0] but the constructor, subscribe and clear, which are [control]. Scales
// are the instrument's. MarketData owns its subscriptions: clear() or the destructor ends them, and
// the reads of history that are under way.
#pragma once

#include <tenon/abi/market_data.h>
#include <tenon/history.hpp>
#include <tenon/plugin.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace tenon {

class MarketData {
public:
    using Handler = std::function<void(const tenon_md_event&)>;

    struct Best {
        tenon_level bid, ask;  // quantity 0: the side is empty
    };

    explicit MarketData(const Host& host)
        : MarketData{host.require<tenon_market_data_1>("tenon.market_data/1")} {}

    // For who has the service already.
    explicit MarketData(Service<tenon_market_data_1> service)
        : service_{service},
          history_{
              service.self,
              TENON_HAS(service.table, tenon_market_data_1, history) ? service->history : nullptr,
              TENON_HAS(service.table, tenon_market_data_1, cancel_history)
                  ? service->cancel_history
                  : nullptr} {}

    ~MarketData() { clear(); }

    MarketData(const MarketData&) = delete;
    MarketData& operator=(const MarketData&) = delete;

    // Levels are borrowed until the next turn. Nothing before a feed has sent a book. depth 0: all.
    [[nodiscard]] std::optional<tenon_book> book(std::uint32_t instrument, std::uint32_t depth = 0)
        const {
        auto book = sized<tenon_book>();
        if (!found(service_->book(service_.self, instrument, depth, &book), "book")) {
            return std::nullopt;
        }
        return book;
    }

    [[nodiscard]] std::optional<Best> best(std::uint32_t instrument) const {
        Best best{};
        if (!found(service_->best(service_.self, instrument, &best.bid, &best.ask), "best")) {
            return std::nullopt;
        }
        return best;
    }

    [[nodiscard]] std::optional<tenon_ticker> ticker(std::uint32_t instrument) const {
        auto ticker = sized<tenon_ticker>();
        if (!found(service_->ticker(service_.self, instrument, &ticker), "ticker")) {
            return std::nullopt;
        }
        return ticker;
    }

    // Calls row(const tenon_public_trade&) for the newest `limit`, the oldest of them first.
    template <class Row>
    void trades(std::uint32_t instrument, std::uint32_t limit, Row row) const {
        Rows<Row> rows{row, nullptr};
        const tenon_status status =
            service_
                ->trades(service_.self, instrument, 0, limit, &rows, &Rows<Row>::template put<tenon_public_trade>);
        rows.rethrow();
        (void)found(status, "trades");
    }

    // Calls row(const tenon_candle&) for the newest `limit`, the oldest of them first; the last may
    // be in progress.
    template <class Row>
    void candles(std::uint32_t instrument, std::uint32_t interval, std::uint32_t limit, Row row)
        const {
        Rows<Row> rows{row, nullptr};
        const tenon_status status =
            service_
                ->candles(service_.self, instrument, interval, 0, 0, 0, limit, &rows, &Rows<Row>::template put<tenon_candle>);
        rows.rethrow();
        (void)found(status, "candles");
    }

    // Where what is in memory comes from and how old it is: TENON_MD_KIND_*. Nothing: there is none
    // yet, or the service cannot tell.
    [[nodiscard]] std::optional<tenon_md_origin>
    origin(std::uint32_t instrument, std::uint32_t kind) const {
        auto origin = sized<tenon_md_origin>();
        if (!TENON_HAS(service_.table, tenon_market_data_1, origin) ||
            !found(service_->origin(service_.self, instrument, kind, &origin), "origin")) {
            return std::nullopt;
        }
        return origin;
    }

    // Rows that memory may not have. 0: it has all there is, read it; the handler never runs. Else
    // a handle for cancel_history. A service without the slot counts as one that has all there is.
    // Throws what refuses the query.
    std::uint64_t history(const tenon_history_query& query, HistoryHandler handler) {
        return TENON_HAS(service_.table, tenon_market_data_1, history)
                   ? history_.ask(query, std::move(handler))
                   : 0;
    }

    void cancel_history(std::uint64_t handle) noexcept { history_.cancel(handle); }

    // Changes whenever anything of the instrument does.
    [[nodiscard]] std::uint64_t version(std::uint32_t instrument) const noexcept {
        return service_->version(service_.self, instrument);
    }

    // kinds: a mask of TENON_MD_*. What the handler throws is dropped.
    void subscribe(std::uint32_t kinds, Handler handler) {
        subscribed_.push_back(std::make_unique<Subscribed>(Subscribed{std::move(handler), 0}));
        Subscribed& mine = *subscribed_.back();
        const auto run = [](void* ctx, const tenon_md_event* event) noexcept {
            (void)guard(nullptr, [&] { static_cast<const Subscribed*>(ctx)->handler(*event); });
        };
        const tenon_status status =
            service_->subscribe(service_.self, kinds, &mine, run, &mine.handle);
        if (status != TENON_OK) {
            subscribed_.pop_back();
            throw Error{status, "cannot subscribe to market data"};
        }
    }

    void clear() noexcept {
        for (const auto& subscribed : subscribed_) {
            service_->unsubscribe(service_.self, subscribed->handle);
        }
        subscribed_.clear();
        history_.clear();
    }

private:
    struct Subscribed {
        Handler handler;
        std::uint64_t handle;
    };

    // Rows on their way to a callable; what it throws stops them and comes out at the caller.
    template <class Row>
    struct Rows {
        Row& row;
        std::exception_ptr failure;

        template <class Struct>
        static tenon_status put(void* ctx, const Struct* one) noexcept {
            auto& mine = *static_cast<Rows*>(ctx);
            try {
                mine.row(*one);
                return TENON_OK;
            } catch (...) {
                mine.failure = std::current_exception();
                return TENON_INTERNAL;
            }
        }

        void rethrow() const {
            if (failure) {
                std::rethrow_exception(failure);
            }
        }
    };

    static bool found(tenon_status status, std::string_view what) {
        if (status == TENON_NOT_FOUND) {
            return false;
        }
        const ErrorBuffer none;
        check(status, none, what);
        return true;
    }

    Service<tenon_market_data_1> service_;
    HistoryCalls history_;
    std::vector<std::unique_ptr<Subscribed>> subscribed_;
};

}  // namespace tenon
