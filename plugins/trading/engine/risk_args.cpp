// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/risk_args.hpp"

#include "plugins/trading/engine/admin_args.hpp"

#include <tenon/decimal.hpp>

#include <boost/json.hpp>

#include <string>
#include <utility>

namespace tenon::engine {
namespace {

namespace json = boost::json;
using trading::RiskLimit;

constexpr std::int64_t k_order_rate_ms = 10'000;  // of a rate that says no time

[[nodiscard]] bool is_amount(RiskLimit limit) noexcept {
    return limit == RiskLimit::order_notional || limit == RiskLimit::exposure ||
           limit == RiskLimit::position;
}

// Decimals of a limit's value; of an amount only with an instrument, which may be nullptr.
[[nodiscard]] int scale_of(
    RiskLimit limit,
    const tenon_instrument* instrument,
    const Service<tenon_instruments_1>& instruments
) {
    if (instrument == nullptr) {
        return 0;
    }
    switch (limit) {
        case RiskLimit::order_notional:
        case RiskLimit::exposure:
            return instruments->asset(instruments.self, instrument->quote)->scale;
        case RiskLimit::position:
            return instrument->quantity_scale;
        default:
            return 0;
    }
}

// nullptr: TENON_ANY_INSTRUMENT.
[[nodiscard]] const tenon_instrument*
instrument_of(const Service<tenon_instruments_1>& instruments, std::uint32_t id) {
    return id == TENON_ANY_INSTRUMENT ? nullptr : instruments->instrument(instruments.self, id);
}

}  // namespace

trading::RiskLimitsCommand risk_scope(
    const json::object& args,
    const Service<tenon_instruments_1>& instruments,
    const std::function<std::uint64_t(std::string_view)>& account_id
) {
    trading::RiskLimitsCommand command;
    command.limits.fill(trading::k_keep_limit);
    command.instrument = TENON_ANY_INSTRUMENT;
    if (args.contains("account")) {
        const std::string name = text(args, "account");
        command.account = account_id(name);
        if (command.account < TENON_ACCOUNT_FIRST) {
            throw Error{TENON_INVALID, "args/account: \"" + name + "\" is the system's own"};
        }
    }
    if (args.contains("symbol")) {
        const std::string symbol = text(args, "symbol");
        if (instruments->find_instrument(instruments.self, str(symbol), &command.instrument) !=
            TENON_OK) {
            throw Error{TENON_NOT_FOUND, "args/symbol: there is no symbol \"" + symbol + "\""};
        }
    }
    return command;
}

void read_risk_limits(
    const json::object& args,
    const Service<tenon_instruments_1>& instruments,
    trading::RiskLimitsCommand& command
) {
    const tenon_instrument* instrument = instrument_of(instruments, command.instrument);
    bool named = false;
    for (std::size_t i = 0; i < command.limits.size(); ++i) {
        const auto limit = static_cast<RiskLimit>(i);
        const std::string_view name = trading::k_risk_limit_names[i];
        if (!args.contains(name)) {
            continue;
        }
        named = true;
        const std::string given = text(args, name);
        if (is_amount(limit) && instrument == nullptr) {
            throw Error{
                TENON_INVALID,
                "args/" + std::string{name} + ": an amount is for one symbol; name it"};
        }
        const int scale = scale_of(limit, instrument, instruments);
        const ParsedDecimal value = parse_decimal(given, scale);
        if (!value || value.value < 0) {
            throw Error{
                TENON_INVALID,
                "args/" + std::string{name} + ": found \"" + given +
                    "\", expected a decimal of 0 (no limit) or above with at most " +
                    std::to_string(scale) + " decimals, as text"};
        }
        command.limits[i] = value.value;
    }
    if (!named) {
        throw Error{TENON_INVALID, "args: no limit is named"};
    }
    const std::int64_t rate = limit_of(command.limits, RiskLimit::order_rate);
    std::int64_t& rate_ms = command.limits[static_cast<std::size_t>(RiskLimit::order_rate_ms)];
    if (rate != trading::k_keep_limit && rate_ms == trading::k_keep_limit) {
        rate_ms = rate == 0 ? 0 : k_order_rate_ms;
    }
    if (rate > trading::k_order_rate_max || rate_ms > trading::k_order_rate_ms_max) {
        throw Error{
            TENON_INVALID,
            "args/order_rate: at most " + std::to_string(trading::k_order_rate_max) +
                " orders within at most " + std::to_string(trading::k_order_rate_ms_max) + " ms"};
    }
}

json::array risk_rows(
    const trading::Core& core,
    const Service<tenon_instruments_1>& instruments,
    std::uint64_t account
) {
    json::array out;
    for (const trading::RiskRow& row : core.risk().rows()) {
        if (account != 0 && row.account != 0 && row.account != account) {
            continue;
        }
        const tenon_instrument* instrument = instrument_of(instruments, row.instrument);
        json::object shown{{"account", nullptr}, {"symbol", nullptr}};
        if (row.account != 0) {
            shown["account"] = core.find_account(row.account)->name;
        }
        if (instrument != nullptr) {
            shown["symbol"] = json::string{view(instrument->symbol)};
        }
        for (std::size_t i = 0; i < row.limits.size(); ++i) {
            const auto limit = static_cast<RiskLimit>(i);
            if (row.limits[i] != 0) {
                shown[trading::k_risk_limit_names[i]] =
                    decimal(row.limits[i], scale_of(limit, instrument, instruments));
            }
        }
        out.push_back(std::move(shown));
    }
    return out;
}

}  // namespace tenon::engine
