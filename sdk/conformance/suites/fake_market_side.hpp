// SPDX-License-Identifier: Apache-2.0
// What a gateway may require besides routes: instruments, market data, trading, auth. All there,
// all quiet: no key is known, no order is taken, no event comes.
#pragma once

#include "sdk/conformance/suites/fakes.hpp"

#include <tenon/abi/auth.h>
#include <tenon/abi/trading.h>

namespace tenon::suites {

class FakeMarketSide {
public:
    explicit FakeMarketSide(Bench& bench) : bench_{bench}, instruments_{"venue"}, market_{bench} {}

    // Before open().
    void bind() {
        bench_.bind("tenon.instruments/1", instruments_.iface());
        bench_.bind("tenon.market_data/1", market_.iface());
        bench_.bind("tenon.trading/1", {this, &trading_table()});
        bench_.bind("tenon.auth/1", {this, &auth_table()});
    }

private:
    [[nodiscard]] static const tenon_trading_1& trading_table() noexcept;
    [[nodiscard]] static const tenon_auth_1& auth_table() noexcept;

    Bench& bench_;
    FakeInstruments instruments_;
    FakeMarket market_;
};

}  // namespace tenon::suites
