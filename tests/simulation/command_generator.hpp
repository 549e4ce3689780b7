// SPDX-License-Identifier: Apache-2.0
// Random commands from a seed: mostly sensible, some odd, some absurd.
//
// The same seed gives the same commands. Texts of a command live until the next one is made.
#pragma once

#include "plugins/trading/engine/core/command.hpp"

#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <vector>

namespace tenon::test {

class CommandGenerator {
public:
    CommandGenerator(std::uint64_t seed, std::uint32_t instruments, std::uint32_t assets)
        : random_{seed}, instruments_{instruments}, assets_{assets} {}

    // Sequence and time are for the caller to set.
    [[nodiscard]] trading::CommandBody next();

    // The time of the next command, for orders that are good till a date.
    void at(std::int64_t time_real_ns) { now_real_ns_ = time_real_ns; }

    // An order is or was open: commands that name an order name it now and then.
    void saw(const tenon_order& order);

private:
    [[nodiscard]] std::uint64_t below(std::uint64_t end) { return random_() % end; }

    [[nodiscard]] bool one_in(std::uint64_t n) { return below(n) == 0; }

    [[nodiscard]] std::uint64_t account();
    [[nodiscard]] std::uint32_t instrument();
    [[nodiscard]] std::int64_t odd_number();
    [[nodiscard]] tenon_client_id client_id();
    [[nodiscard]] const tenon_order* known_order();
    [[nodiscard]] trading::SubmitCommand order();
    [[nodiscard]] trading::SubmitListCommand list();
    [[nodiscard]] trading::CancelListCommand cancel_list();
    [[nodiscard]] trading::AmendCommand amend();
    [[nodiscard]] trading::CancelCommand cancel();
    [[nodiscard]] trading::TransferCommand transfer();
    [[nodiscard]] trading::RiskLimitsCommand risk_limits();
    [[nodiscard]] trading::CommandBody administration();

    std::mt19937_64 random_;
    std::uint32_t instruments_;
    std::uint32_t assets_;
    std::uint64_t accounts_ = 0;  // that were asked for
    std::uint64_t orders_ = 0;    // that were sent
    std::int64_t now_real_ns_ = 1'000'000;
    std::vector<std::int64_t> middle_;
    std::deque<tenon_order> seen_;  // the newest
    std::string text_, material_, label_;
    trading::ListOrders list_orders_;
};

}  // namespace tenon::test
