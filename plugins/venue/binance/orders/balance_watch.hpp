// SPDX-License-Identifier: Apache-2.0
// The exchange account's balances beside what is booked here: at its first look it takes what is
// there as given; from then on every change there must be a fill or a commission that the engine
// booked. What is left over is a difference: a deposit, a trade of somebody else, or an error.
//
// A difference counts when two answers in a row show the same one and nothing was booked meanwhile:
// a fill that the exchange has and nobody here heard of yet is none. It books nothing itself, and
// knows no accounts: those here are parts of one account there. It starts anew with the process.
//
// Amounts in units of the asset. Reactor 0; reads no clock.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

namespace tenon::binance_venue {

class BalanceWatch {
public:
    // By asset id; free and locked together. An asset that is missing has nothing.
    using Totals = std::map<std::uint32_t, std::int64_t>;

    // The engine booked that the exchange account got (or gave, negative) so much.
    void booked(std::uint32_t asset, std::int64_t amount);

    // Counts calls of booked: what an answer is worth depends on what was booked while it was
    // under way.
    [[nodiscard]] std::uint64_t changes() const noexcept { return changes_; }

    // What an answer said, with changes() of when it was asked for. True when differences()
    // changed.
    bool told(const Totals& totals, std::uint64_t changes_when_asked);

    // An answer showed a difference that the next one has to confirm.
    [[nodiscard]] bool in_doubt() const noexcept { return seen_ && *seen_ != differences_; }

    // What the exchange has more (or less, negative) than is explained; no zeros.
    [[nodiscard]] const Totals& differences() const noexcept { return differences_; }

    [[nodiscard]] std::uint64_t compared() const noexcept { return compared_; }

private:
    [[nodiscard]] Totals difference(const Totals& totals) const;

    std::optional<Totals> expected_;
    std::optional<Totals> seen_;  // of the last answer
    Totals differences_;
    std::uint64_t changes_ = 0, seen_changes_ = 0, compared_ = 0;
};

}  // namespace tenon::binance_venue
