// SPDX-License-Identifier: Apache-2.0
// tenon.trading/1 as a table over the engine: checks what crosses the seam, and passes it on.
// Valid from the plugin's start to its stop; outside of that calls give TENON_UNAVAILABLE.
#pragma once

#include "plugins/trading/engine/engine.hpp"
#include "plugins/trading/engine/intake.hpp"
#include "plugins/trading/engine/queries.hpp"

namespace tenon::engine {

class TradingService {
public:
    TradingService(Engine& engine, std::size_t in_flight_max)
        : engine_{engine}, intake_{engine, in_flight_max}, queries_{engine} {}

    [[nodiscard]] Engine& engine() noexcept { return engine_; }

    [[nodiscard]] Intake& intake() noexcept { return intake_; }

    [[nodiscard]] Queries& queries() noexcept { return queries_; }

private:
    Engine& engine_;
    Intake intake_;
    Queries queries_;
};

// `self` of the table is a pointer to this: the service comes and goes with configure.
struct TradingHandle {
    TradingService* service = nullptr;
};

extern const tenon_trading_1 k_trading_table;

}  // namespace tenon::engine
