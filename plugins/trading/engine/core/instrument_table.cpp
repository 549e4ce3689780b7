// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/core/instrument_table.hpp"

#include <tenon/byte_codec.hpp>
#include <tenon/decimal.hpp>

namespace tenon::trading {
namespace {

void add_rules(Hash64& hash, const tenon_instrument& rules) {
    hash.add(view(rules.symbol));
    hash.add(view(rules.venue));
    for (const std::int64_t value :
         {std::int64_t{rules.base},
          std::int64_t{rules.quote},
          std::int64_t{rules.price_scale},
          std::int64_t{rules.quantity_scale},
          std::int64_t{rules.status},
          rules.price_min,
          rules.price_max,
          rules.price_tick,
          rules.quantity_min,
          rules.quantity_max,
          rules.quantity_step,
          rules.market_quantity_min,
          rules.market_quantity_max,
          rules.market_quantity_step,
          rules.notional_min,
          rules.notional_max,
          std::int64_t{rules.notional_min_to_market},
          std::int64_t{rules.notional_max_to_market},
          std::int64_t{rules.orders_max},
          std::int64_t{rules.bid_multiplier_up_ppm},
          std::int64_t{rules.bid_multiplier_down_ppm},
          std::int64_t{rules.ask_multiplier_up_ppm},
          std::int64_t{rules.ask_multiplier_down_ppm},
          std::int64_t{rules.maker_fee_ppm},
          std::int64_t{rules.taker_fee_ppm},
          rules.position_max}) {
        hash.add(static_cast<std::uint64_t>(value));
    }
}

Instrument
make_instrument(const tenon_instrument& rules, const tenon_asset* base, const tenon_asset* quote) {
    const auto refuse = [&](const char* why) {
        throw Error{TENON_INVALID, "instrument " + std::string{view(rules.symbol)} + ": " + why};
    };
    if (base == nullptr || quote == nullptr || rules.base == rules.quote) {
        refuse("base and quote are not two listed assets");
    }
    if (rules.price_scale < 0 || rules.quantity_scale < 0 ||
        rules.price_scale + rules.quantity_scale > quote->scale ||
        rules.quantity_scale > base->scale || quote->scale > k_scale_max ||
        base->scale > k_scale_max) {
        refuse("its scales do not fit those of its assets");
    }
    constexpr std::uint32_t k_million = 1'000'000;
    if (rules.maker_fee_ppm > k_million || rules.taker_fee_ppm > k_million) {
        refuse("a fee is above 1000000 ppm");
    }
    Instrument made;
    made.rules = rules;
    made.base_unit = power_of_ten(base->scale - rules.quantity_scale);
    made.quote_unit = power_of_ten(quote->scale - rules.price_scale - rules.quantity_scale);
    made.status = rules.status;
    return made;
}

}  // namespace

InstrumentTable::InstrumentTable(Service<tenon_instruments_1> provider) {
    Hash64 hash;
    const std::uint32_t assets = provider->asset_count(provider.self);
    for (std::uint32_t id = 0; id < assets; ++id) {
        const tenon_asset* asset = provider->asset(provider.self, id);
        if (asset == nullptr) {
            throw Error{TENON_INVALID, "asset " + std::to_string(id) + " is missing"};
        }
        assets_.emplace_back(view(asset->name));
        hash.add(assets_.back());
        hash.add(static_cast<std::uint64_t>(asset->scale));
    }
    const std::uint32_t count = provider->instrument_count(provider.self);
    for (std::uint32_t id = 0; id < count; ++id) {
        const tenon_instrument* rules = provider->instrument(provider.self, id);
        if (rules == nullptr) {
            throw Error{TENON_INVALID, "instrument " + std::to_string(id) + " is missing"};
        }
        instruments_.push_back(make_instrument(
            *rules,
            provider->asset(provider.self, rules->base),
            provider->asset(provider.self, rules->quote)
        ));
        add_rules(hash, *rules);
    }
    fingerprint_ = hash.value();
}

}  // namespace tenon::trading
