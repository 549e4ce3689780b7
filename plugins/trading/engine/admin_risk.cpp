// SPDX-License-Identifier: Apache-2.0
// risk.show, risk.set, risk.clear: the limits of core/risk_table.hpp, by name and in decimals.
#include "plugins/trading/engine/admin.hpp"
#include "plugins/trading/engine/admin_args.hpp"

#include <tenon/decimal.hpp>

#include <boost/json.hpp>

namespace tenon::engine {
namespace {

namespace json = boost::json;
using trading::RiskLimit;

constexpr std::int64_t k_order_rate_ms = 10'000;  // of a rate that says no time

// Decimals of a limit's value; of an amount only with an instrument.
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

[[nodiscard]] bool is_amount(RiskLimit limit) noexcept {
    return limit == RiskLimit::order_notional || limit == RiskLimit::exposure ||
           limit == RiskLimit::position;
}

[[nodiscard]] const tenon_instrument*
instrument_of(const Service<tenon_instruments_1>& instruments, std::uint32_t id) {
    return id == TENON_ANY_INSTRUMENT ? nullptr : instruments->instrument(instruments.self, id);
}

}  // namespace

trading::RiskLimitsCommand Admin::limits_of(const json::object& args) const {
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
        const auto instruments = engine_.instruments();
        if (instruments->find_instrument(instruments.self, str(symbol), &command.instrument) !=
            TENON_OK) {
            throw Error{TENON_NOT_FOUND, "args/symbol: there is no symbol \"" + symbol + "\""};
        }
    }
    return command;
}

std::string Admin::risk_show(std::string_view args) {
    const json::object parsed = parse_args(args, {"account"});
    const std::uint64_t only = parsed.contains("account") ? limits_of(parsed).account : 0;
    json::array out;
    call_on_reactor(engine_.exec(), 0, [&] {
        const auto instruments = engine_.instruments();
        for (const trading::RiskRow& row : engine_.core().risk().rows()) {
            if (only != 0 && row.account != 0 && row.account != only) {
                continue;
            }
            const tenon_instrument* instrument = instrument_of(instruments, row.instrument);
            json::object shown{{"account", nullptr}, {"symbol", nullptr}};
            if (row.account != 0) {
                shown["account"] = engine_.core().find_account(row.account)->name;
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
    });
    return json::serialize(out);
}

std::string Admin::risk_set(std::string_view args) {
    const json::object parsed = parse_args(
        args,
        {"account",
         "symbol",
         "by",
         "price_band_ppm",
         "order_notional",
         "position",
         "exposure",
         "open_orders",
         "order_rate",
         "order_rate_ms"}
    );
    trading::RiskLimitsCommand command = limits_of(parsed);
    const auto instruments = engine_.instruments();
    const tenon_instrument* instrument = instrument_of(instruments, command.instrument);
    bool named = false;
    for (std::size_t i = 0; i < command.limits.size(); ++i) {
        const auto limit = static_cast<RiskLimit>(i);
        const std::string_view name = trading::k_risk_limit_names[i];
        if (!parsed.contains(name)) {
            continue;
        }
        named = true;
        const std::string given = text(parsed, name);
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
    return send_limits(parsed, "risk.set", command);
}

std::string Admin::risk_clear(std::string_view args) {
    const json::object parsed = parse_args(args, {"account", "symbol", "by"});
    trading::RiskLimitsCommand command = limits_of(parsed);
    bool there = false;
    call_on_reactor(engine_.exec(), 0, [&] {
        there = engine_.core().risk().find(command.account, command.instrument) != nullptr;
    });
    if (!there) {
        throw Error{TENON_NOT_FOUND, "no limits are set for that account and symbol"};
    }
    command.limits.fill(0);
    return send_limits(parsed, "risk.clear", command);
}

std::string Admin::send_limits(
    const json::object& args,
    std::string_view action,
    const trading::RiskLimitsCommand& command
) {
    const std::string subject = args.contains("account") ? text(args, "account") : "";
    json::object detail = args;
    detail.erase("by");
    record(args, action, subject, json::serialize(detail));
    const tenon_trading_reply reply = send(command, Admission::relief);
    return json::serialize(json::object{
        {"account", args.contains("account") ? json::value(subject) : json::value(nullptr)},
        {"symbol", args.contains("symbol") ? args.at("symbol") : json::value(nullptr)},
        {"sequence", reply.sequence}});
}

}  // namespace tenon::engine
