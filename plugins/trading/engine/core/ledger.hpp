// SPDX-License-Identifier: Apache-2.0
// Balances of all accounts, flat, with a note of what a command touched.
//
// Rows are account ids, columns asset ids. It moves what it is told to; whether an account may is
// the core's question. Bounds: see core.hpp.
#pragma once

#include <tenon/abi/trading.h>

#include <cstdint>
#include <vector>

namespace tenon::trading {

// Bound of what EXTERNAL and VENUES may owe or hold.
inline constexpr std::int64_t k_system_balance_max = std::int64_t{1} << 61;

struct alignas(32) Balance {
    std::int64_t free = 0;
    std::int64_t locked = 0;
    std::uint64_t touched = 0;  // mark of the command that changed it last; not state
    std::uint64_t used = 0;     // 1: is or was not zero
};

class Ledger {
public:
    struct Cell {
        std::uint64_t account = 0;
        std::uint32_t asset = 0;
    };

    explicit Ledger(std::uint32_t asset_count) : assets_{asset_count} {
        cells_.resize(std::size_t{assets_} * TENON_ACCOUNT_FIRST);
        touched_.reserve(256);
    }

    // Makes room for the next account id.
    void add_account() {
        cells_.resize(cells_.size() + assets_);
        ++accounts_;
    }

    [[nodiscard]] std::uint64_t account_end() const noexcept { return accounts_; }

    [[nodiscard]] std::uint32_t asset_count() const noexcept { return assets_; }

    [[nodiscard]] const Balance& at(std::uint64_t account, std::uint32_t asset) const noexcept {
        return cells_[account * assets_ + asset];
    }

    // A hint: the account's balances are about to be used.
    void prefetch(std::uint64_t account) const noexcept {
        if (account < account_end()) {
            __builtin_prefetch(&cells_[account * assets_]);
        }
    }

    // Forgets what was touched.
    void begin() noexcept {
        touched_.clear();
        ++mark_;
    }

    // Cells changed since begin, in the order of first change.
    [[nodiscard]] const std::vector<Cell>& touched() const noexcept { return touched_; }

    void add_free(std::uint64_t account, std::uint32_t asset, std::int64_t amount) {
        Balance& cell = touch(account, asset);
        cell.free += amount;
        cell.used = 1;
    }

    void lock(std::uint64_t account, std::uint32_t asset, std::int64_t amount) {
        Balance& cell = touch(account, asset);
        cell.free -= amount;
        cell.locked += amount;
        cell.used = 1;
    }

    void unlock(std::uint64_t account, std::uint32_t asset, std::int64_t amount) {
        lock(account, asset, -amount);
    }

    // Takes `paid` for good and gives `rest` back, both out of what was locked.
    void spend(std::uint64_t account, std::uint32_t asset, std::int64_t paid, std::int64_t rest) {
        Balance& cell = touch(account, asset);
        cell.locked -= paid + rest;
        cell.free += rest;
    }

    // For snapshots: sets a cell as it was.
    void
    restore(std::uint64_t account, std::uint32_t asset, std::int64_t free, std::int64_t locked) {
        Balance& cell = cells_[account * assets_ + asset];
        cell.free = free;
        cell.locked = locked;
        cell.used = 1;
    }

    void reset() {
        cells_.assign(std::size_t{assets_} * TENON_ACCOUNT_FIRST, Balance{});
        accounts_ = TENON_ACCOUNT_FIRST;
        touched_.clear();
    }

private:
    Balance& touch(std::uint64_t account, std::uint32_t asset) {
        Balance& cell = cells_[account * assets_ + asset];
        if (cell.touched != mark_) {
            cell.touched = mark_;
            touched_.push_back({account, asset});
        }
        return cell;
    }

    std::uint32_t assets_;
    std::uint64_t accounts_ = TENON_ACCOUNT_FIRST;
    std::uint64_t mark_ = 1;
    std::vector<Balance> cells_;
    std::vector<Cell> touched_;
};

}  // namespace tenon::trading
