// SPDX-License-Identifier: Apache-2.0
// tenon.instruments/1 and tenon.market_data/1 in the hands of a check.
#pragma once

#include "sdk/conformance/suites/bench.hpp"

#include <tenon/abi/instruments.h>
#include <tenon/abi/market_data.h>

#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::suites {

// BTCUSDT and ETHUSDT, executed by `venue`: price scale 2, quantity scale 5 and 4, amounts of 8
// decimals, no filters.
class FakeInstruments {
public:
    explicit FakeInstruments(std::string_view venue);
    FakeInstruments(const FakeInstruments&) = delete;
    FakeInstruments& operator=(const FakeInstruments&) = delete;

    [[nodiscard]] tenon_iface iface() noexcept { return {this, &k_table}; }

    [[nodiscard]] std::uint32_t count() const noexcept {
        return static_cast<std::uint32_t>(instruments_.size());
    }

    // Units of the quote asset in one price unit times one quantity unit.
    [[nodiscard]] std::int64_t quote_unit(std::uint32_t instrument) const;
    // Units of the base asset in one quantity unit.
    [[nodiscard]] std::int64_t base_unit(std::uint32_t instrument) const;

private:
    static const tenon_instruments_1 k_table;

    void add_asset(std::string_view name);
    void add(std::string_view symbol, std::uint32_t base, int quantity_scale);

    std::string venue_;
    std::deque<std::string> names_;
    std::deque<tenon_asset> assets_;
    std::deque<tenon_instrument> instruments_;
};

// A market of one book an instrument, moved by the check. On reactor 0, but for subscribe.
class FakeMarket {
public:
    explicit FakeMarket(Bench& bench) : bench_{bench} {}

    FakeMarket(const FakeMarket&) = delete;
    FakeMarket& operator=(const FakeMarket&) = delete;

    [[nodiscard]] tenon_iface iface() noexcept { return {this, &k_table}; }

    // Replaces the book: subscribers get a snapshot. Bids descend, asks ascend.
    void set_book(
        std::uint32_t instrument,
        std::vector<tenon_level> bids,
        std::vector<tenon_level> asks
    );
    // A public trade, outside the book.
    void trade(std::uint32_t instrument, std::int64_t price, std::int64_t quantity, bool sold);

    [[nodiscard]] std::size_t subscribers() const;

private:
    struct Book {
        std::vector<tenon_level> bids, asks;
        std::uint64_t update_id = 0;
        std::uint64_t trade_id = 0;
        std::int64_t updated_real_ns = 0;
        std::int64_t last = 0, last_quantity = 0;
    };

    struct Listener {
        std::uint64_t handle;
        std::uint32_t kinds;
        void* ctx;
        void (*fn)(void* ctx, const tenon_md_event* event);
    };

    static const tenon_market_data_1 k_table;

    static FakeMarket& of(void* self) noexcept { return *static_cast<FakeMarket*>(self); }

    void send(const tenon_md_event& event);
    tenon_status book(std::uint32_t instrument, std::uint32_t depth, tenon_book* out) const;
    tenon_status ticker(std::uint32_t instrument, tenon_ticker* out) const;

    Bench& bench_;
    std::map<std::uint32_t, Book> books_;
    mutable std::mutex mutex_;  // of the listeners
    std::vector<Listener> listeners_;
    std::uint64_t next_handle_ = 1;
};

}  // namespace tenon::suites
