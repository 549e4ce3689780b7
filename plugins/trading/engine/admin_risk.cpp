// SPDX-License-Identifier: Apache-2.0
// risk.show, risk.set, risk.clear: the limits of core/risk_table.hpp, by name and in decimals.
#include "plugins/trading/engine/admin.hpp"
#include "plugins/trading/engine/admin_args.hpp"
#include "plugins/trading/engine/risk_args.hpp"

#include <boost/json.hpp>

namespace tenon::engine {

namespace json = boost::json;

trading::RiskLimitsCommand Admin::limits_of(const json::object& args) const {
    return risk_scope(args, engine_.instruments(), [this](std::string_view name) {
        return account_id(name);
    });
}

std::string Admin::risk_show(std::string_view args) {
    const json::object parsed = parse_args(args, {"account"});
    const std::uint64_t only = parsed.contains("account") ? limits_of(parsed).account : 0;
    json::array out;
    call_on_reactor(engine_.exec(), 0, [&] {
        out = risk_rows(engine_.core(), engine_.instruments(), only);
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
    read_risk_limits(parsed, engine_.instruments(), command);
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
