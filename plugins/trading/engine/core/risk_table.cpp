// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/core/risk_table.hpp"

#include <tenon/decimal.hpp>

#include <algorithm>
#include <utility>

namespace tenon::trading {
namespace {

constexpr std::int64_t k_ns_of_ms = 1'000'000;

[[nodiscard]] std::uint32_t tag_of(std::uint64_t account, std::uint32_t instrument) noexcept {
    const std::uint64_t mixed = (account * 0x9e3779b97f4a7c15ULL) ^ instrument;
    return static_cast<std::uint32_t>((mixed * 0xff51afd7ed558ccdULL) >> 32);
}

// How long it takes until the bucket has one order more.
[[nodiscard]] std::int64_t refill_ns(const RiskLimits& limits) noexcept {
    return limit_of(limits, RiskLimit::order_rate_ms) * k_ns_of_ms /
           limit_of(limits, RiskLimit::order_rate);
}

[[nodiscard]] bool has_rate(const RiskRow& row) noexcept {
    return limit_of(row.limits, RiskLimit::order_rate) != 0;
}

[[nodiscard]] bool same_rate(const RiskLimits& a, const RiskLimits& b) noexcept {
    return limit_of(a, RiskLimit::order_rate) == limit_of(b, RiskLimit::order_rate) &&
           limit_of(a, RiskLimit::order_rate_ms) == limit_of(b, RiskLimit::order_rate_ms);
}

[[nodiscard]] bool is_before(const RiskRow& row, std::pair<std::uint64_t, std::uint32_t> key) {
    return std::pair{row.account, row.instrument} < key;
}

}  // namespace

bool good_limits(std::uint32_t instrument, const RiskLimits& limits) noexcept {
    const bool positive =
        std::all_of(limits.begin(), limits.end(), [](std::int64_t limit) { return limit >= 0; });
    const bool has_amounts = limit_of(limits, RiskLimit::order_notional) != 0 ||
                             limit_of(limits, RiskLimit::position) != 0 ||
                             limit_of(limits, RiskLimit::exposure) != 0;
    const std::int64_t rate = limit_of(limits, RiskLimit::order_rate);
    const std::int64_t rate_ms = limit_of(limits, RiskLimit::order_rate_ms);
    return positive && (!has_amounts || instrument != TENON_ANY_INSTRUMENT) &&
           (rate == 0) == (rate_ms == 0) && rate <= k_order_rate_max &&
           rate_ms <= k_order_rate_ms_max;
}

bool has_tokens(
    const RiskRow& row,
    std::uint64_t account,
    std::int64_t now_ns,
    std::int64_t orders
) {
    if (!has_rate(row)) {
        return true;
    }
    const auto found = row.full_at_ns.find(account);
    // A time may be any that 64 bits can say.
    const Int128 behind =
        found == row.full_at_ns.end() ? 0 : std::max<Int128>(Int128{found->second} - now_ns, 0);
    const std::int64_t refill = refill_ns(row.limits);
    return behind + orders * refill <= limit_of(row.limits, RiskLimit::order_rate) * refill;
}

std::uint32_t RiskTable::at(std::uint64_t account, std::uint32_t instrument) const noexcept {
    return places_.find(tag_of(account, instrument), [&](std::uint32_t place) {
        return rows_[place].account == account && rows_[place].instrument == instrument;
    });
}

const RiskRow* RiskTable::find(std::uint64_t account, std::uint32_t instrument) const noexcept {
    const std::uint32_t place = at(account, instrument);
    return place == TagTable::k_empty ? nullptr : &rows_[place];
}

bool RiskTable::set(std::uint64_t account, std::uint32_t instrument, const RiskLimits& limits) {
    const auto place =
        std::lower_bound(rows_.begin(), rows_.end(), std::pair{account, instrument}, is_before);
    const bool none =
        std::all_of(limits.begin(), limits.end(), [](std::int64_t limit) { return limit == 0; });
    if (find(account, instrument) != nullptr) {
        if (none) {
            rows_.erase(place);
            index();
            return true;
        }
        if (!same_rate(place->limits, limits)) {
            place->full_at_ns.clear();
        }
        place->limits = limits;
        return true;
    }
    if (none) {
        return true;
    }
    if (rows_.size() >= k_risk_rows_max) {
        return false;
    }
    rows_.insert(place, RiskRow{account, instrument, limits, {}});
    index();
    return true;
}

void RiskTable::write(ByteWriter& out) const {
    out.put(static_cast<std::uint32_t>(rows_.size()));
    for (const RiskRow& row : rows_) {
        out.put(row.account);
        out.put(row.instrument);
        for (const std::int64_t limit : row.limits) {
            out.put(limit);
        }
        out.put(static_cast<std::uint32_t>(row.full_at_ns.size()));
        for (const auto& [account, full_at_ns] : row.full_at_ns) {
            out.put(account);
            out.put(full_at_ns);
        }
    }
}

bool RiskTable::read(
    ByteReader& in,
    std::uint32_t instruments,
    const std::function<bool(std::uint64_t)>& is_account
) {
    const auto count = in.get<std::uint32_t>();
    bool good = count <= k_risk_rows_max;
    for (std::uint32_t i = 0; i < count && good && in.ok(); ++i) {
        RiskRow row;
        row.account = in.get<std::uint64_t>();
        row.instrument = in.get<std::uint32_t>();
        for (std::int64_t& limit : row.limits) {
            limit = in.get<std::int64_t>();
        }
        good = (row.account == 0 || is_account(row.account)) &&
               (row.instrument == TENON_ANY_INSTRUMENT || row.instrument < instruments) &&
               good_limits(row.instrument, row.limits) &&
               (rows_.empty() || is_before(rows_.back(), {row.account, row.instrument}));
        const auto buckets = in.get<std::uint32_t>();
        for (std::uint32_t k = 0; k < buckets && good && in.ok(); ++k) {
            const auto account = in.get<std::uint64_t>();
            row.full_at_ns[account] = in.get<std::int64_t>();
            good = is_account(account);
        }
        rows_.push_back(std::move(row));
    }
    index();
    return good && in.ok();
}

void RiskTable::clear() {
    rows_.clear();
    places_.clear();
}

void RiskTable::index() {
    places_.clear();
    for (std::uint32_t place = 0; place < rows_.size(); ++place) {
        places_.insert(tag_of(rows_[place].account, rows_[place].instrument), place);
    }
}

void RiskTable::charge(
    std::uint64_t account,
    std::uint32_t instrument,
    std::int64_t now_ns,
    std::int64_t orders
) {
    for (const auto& [whose, which] :
         {std::pair{std::uint64_t{0}, TENON_ANY_INSTRUMENT},
          std::pair{std::uint64_t{0}, instrument},
          std::pair{account, TENON_ANY_INSTRUMENT},
          std::pair{account, instrument}}) {
        const std::uint32_t place = at(whose, which);
        if (place != TagTable::k_empty && has_rate(rows_[place])) {
            std::int64_t& full_at = rows_[place].full_at_ns[account];
            const Int128 after =
                Int128{std::max(full_at, now_ns)} + orders * refill_ns(rows_[place].limits);
            full_at = static_cast<std::int64_t>(std::min<Int128>(after, INT64_MAX));
        }
    }
}

}  // namespace tenon::trading
