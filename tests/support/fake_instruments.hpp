// SPDX-License-Identifier: Apache-2.0
// tenon.instruments/1 in miniature: BTCUSDT and ETHUSDT as Binance lists them, and what a test
// adds.
#pragma once

#include <tenon/abi/instruments.h>
#include <tenon/plugin.hpp>

#include <deque>
#include <string>
#include <string_view>

namespace tenon::test {

class FakeInstruments {
public:
    FakeInstruments() {
        add_asset("BTC");
        add_asset("ETH");
        add_asset("USDT");
        add("BTCUSDT", 0, 2, 2, 5);
        add("ETHUSDT", 1, 2, 2, 4);
    }

    FakeInstruments(const FakeInstruments&) = delete;
    FakeInstruments& operator=(const FakeInstruments&) = delete;

    void add_asset(std::string_view name) {
        const auto id = static_cast<std::uint32_t>(assets_.size());
        names_.emplace_back(name);
        assets_.push_back({sizeof(tenon_asset), id, str(names_.back()), 8, 0});
    }

    tenon_instrument& add(
        std::string_view symbol,
        std::uint32_t base,
        std::uint32_t quote,
        int price_scale,
        int quantity_scale
    ) {
        tenon_instrument made{};
        made.size = sizeof made;
        made.id = static_cast<std::uint32_t>(instruments_.size());
        names_.emplace_back(symbol);
        made.symbol = str(names_.back());
        made.venue = str("paper");
        made.base = base;
        made.quote = quote;
        made.price_scale = price_scale;
        made.quantity_scale = quantity_scale;
        made.status = TENON_INSTRUMENT_TRADING;
        made.price_tick = 1;
        made.quantity_step = 1;
        instruments_.push_back(made);
        return instruments_.back();
    }

    // To set filters and fees before use.
    [[nodiscard]] tenon_instrument& at(std::uint32_t id) { return instruments_.at(id); }

    [[nodiscard]] tenon_iface iface() noexcept { return {this, &k_table}; }

    [[nodiscard]] Service<tenon_instruments_1> service() noexcept { return {this, &k_table}; }

private:
    static FakeInstruments& of(void* self) { return *static_cast<FakeInstruments*>(self); }

    static std::uint32_t asset_count(void* self) {
        return static_cast<std::uint32_t>(of(self).assets_.size());
    }

    static std::uint32_t instrument_count(void* self) {
        return static_cast<std::uint32_t>(of(self).instruments_.size());
    }

    static const tenon_asset* asset(void* self, std::uint32_t id) {
        return id < of(self).assets_.size() ? &of(self).assets_[id] : nullptr;
    }

    static const tenon_instrument* instrument(void* self, std::uint32_t id) {
        return id < of(self).instruments_.size() ? &of(self).instruments_[id] : nullptr;
    }

    static tenon_status find_asset(void* self, tenon_str name, std::uint32_t* id) {
        for (const tenon_asset& asset : of(self).assets_) {
            if (view(asset.name) == view(name)) {
                *id = asset.id;
                return TENON_OK;
            }
        }
        return TENON_NOT_FOUND;
    }

    static tenon_status find_instrument(void* self, tenon_str symbol, std::uint32_t* id) {
        for (const tenon_instrument& instrument : of(self).instruments_) {
            if (view(instrument.symbol) == view(symbol)) {
                *id = instrument.id;
                return TENON_OK;
            }
        }
        return TENON_NOT_FOUND;
    }

    static constexpr tenon_instruments_1 k_table{
        sizeof(tenon_instruments_1),
        0,
        &asset_count,
        &instrument_count,
        &asset,
        &instrument,
        &find_asset,
        &find_instrument};

    std::deque<std::string> names_;
    std::deque<tenon_asset> assets_;
    std::deque<tenon_instrument> instruments_;
};

}  // namespace tenon::test
