// SPDX-License-Identifier: Apache-2.0
// Commands from any reactor: at once on the engine's, else handed over and answered where they came
// from. The number of commands on their way is bounded.
#pragma once

#include "plugins/trading/engine/engine.hpp"

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace tenon::engine {

class Intake {
public:
    Intake(Engine& engine, std::size_t in_flight_max)
        : engine_{engine}, in_flight_max_{in_flight_max} {}

    // [reactor, any of them] As in tenon.trading/1.
    tenon_status
    take(const trading::CommandBody& body, Admission admission, tenon_trading_done done, tenon_err*);

private:
    struct HandOver;

    static tenon_status run_here(
        Engine& engine,
        const trading::CommandBody& body,
        Admission admission,
        tenon_trading_done done,
        tenon_err* err
    );
    static void
    answer(void* ctx, tenon_status status, const tenon_trading_reply*, const tenon_err*);

    Engine& engine_;
    const std::size_t in_flight_max_;
    std::atomic<std::size_t> in_flight_{0};
};

}  // namespace tenon::engine
