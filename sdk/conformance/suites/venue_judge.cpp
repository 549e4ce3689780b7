// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/suites/venue_judge.hpp"

#include <tenon/conditional_order.hpp>

#include <cstring>
#include <utility>

namespace tenon::suites {
namespace {

[[nodiscard]] bool never_rests(const tenon_venue_order& order) {
    if (is_conditional(order.type)) {
        return false;  // it waits
    }
    return order.type == TENON_ORDER_MARKET || order.time_in_force == TENON_TIF_IOC ||
           order.time_in_force == TENON_TIF_FOK;
}

[[nodiscard]] bool has_limit(const tenon_venue_order& order) {
    return order.type == TENON_ORDER_LIMIT || order.type == TENON_ORDER_LIMIT_MAKER;
}

}  // namespace

void VenueJudge::expect_order(const tenon_venue_order& order) {
    const Tracked tracked{order, order.quantity, order.quote_quantity, Int128{order.funds}};
    const auto [found, made] = orders_.emplace(order.order_id, tracked);
    if (!made && found->second.comes_back) {
        found->second = tracked;
    }
}

std::optional<tenon_venue_order> VenueJudge::triggered(std::uint64_t order_id) const {
    const auto found = orders_.find(order_id);
    if (found == orders_.end() || !found->second.comes_back) {
        return std::nullopt;
    }
    tenon_venue_order order = found->second.order;
    order.type = working_type(order.type);
    order.stop_price = 0;
    return order;
}

void VenueJudge::expect_cancel(std::uint64_t order_id) {
    const auto found = orders_.find(order_id);
    if (found != orders_.end()) {
        found->second.canceling = true;
    }
}

std::vector<tenon_venue_report> VenueJudge::take() {
    return std::exchange(reports_, {});
}

void VenueJudge::put(void* ctx, const tenon_venue_report* report) noexcept {
    (void)guard(nullptr, [&] {
        auto& judge = *static_cast<VenueJudge*>(ctx);
        if (report->size < sizeof(tenon_venue_report)) {
            tenon_venue_report cut{};
            std::memcpy(&cut, report, report->size);
            judge.broken(Rule::first, cut, text("its size is ", report->size));
            judge.reports_.push_back(cut);
            return;
        }
        judge.reports_.push_back(*report);
        judge.judge(*report);
    });
}

std::string VenueJudge::name(const tenon_venue_order& order) {
    static constexpr const char* k_types[] = {
        "?",
        "LIMIT",
        "MARKET",
        "LIMIT_MAKER",
        "STOP_LOSS",
        "STOP_LOSS_LIMIT",
        "TAKE_PROFIT",
        "TAKE_PROFIT_LIMIT"};
    static constexpr const char* k_lives[] = {"?", "GTC", "IOC", "FOK"};
    return text(
        "order ",
        order.order_id,
        " (",
        order.side == TENON_SIDE_BUY ? "buy " : "sell ",
        k_types[order.type & 7U],
        " ",
        k_lives[order.time_in_force & 3U],
        ", price ",
        order.price,
        ", quantity ",
        order.quantity,
        ", quote quantity ",
        order.quote_quantity,
        ", funds ",
        order.funds,
        ")"
    );
}

std::string VenueJudge::describe(const tenon_venue_report& report) {
    switch (report.kind) {
        case TENON_REPORT_ACCEPTED:
            return text("ACCEPTED ", report.order_id);
        case TENON_REPORT_REJECTED:
            return text("REJECTED ", report.order_id, ", reject ", report.reject);
        case TENON_REPORT_TRADE:
            return text(
                "TRADE of taker ",
                report.order_id,
                " and maker ",
                report.maker_order_id,
                ", quantity ",
                report.quantity,
                " at price ",
                report.price
            );
        case TENON_REPORT_CANCELED:
            return text("CANCELED ", report.order_id);
        case TENON_REPORT_EXPIRED:
            return text("EXPIRED ", report.order_id);
        case TENON_REPORT_TRIGGERED:
            return text("TRIGGERED ", report.order_id);
        case TENON_REPORT_WORKING:
            return text("WORKING ", report.order_id);
        case TENON_REPORT_COMMISSION:
            return text("COMMISSION ", report.order_id, ", amount ", report.quantity);
        default:
            return text("a report of the unknown kind ", report.kind);
    }
}

void VenueJudge::broken(Rule rule, const tenon_venue_report& report, const std::string& why) {
    std::string& first = breaches_[static_cast<std::size_t>(rule)];
    if (first.empty()) {
        first = text(describe(report), ": ", why);
    }
}

void VenueJudge::judge(const tenon_venue_report& report) {
    if (report.kind == TENON_REPORT_TRADE) {
        ++trades_;
        judge_trade(report);
        return;
    }
    const auto found = orders_.find(report.order_id);
    if (found == orders_.end()) {
        broken(Rule::counterparty, report, "nobody sent this order");
        return;
    }
    Tracked& one = found->second;
    if (one.closed) {
        broken(Rule::closed, report, text(name(one.order), " had ended"));
        return;
    }
    switch (report.kind) {
        case TENON_REPORT_ACCEPTED:
            if (one.accepted) {
                broken(Rule::first, report, "accepted a second time");
            }
            one.accepted = true;
            break;
        case TENON_REPORT_REJECTED:
            if (one.accepted) {
                broken(Rule::first, report, "rejected after it was accepted");
            }
            if (report.reject == TENON_REJECT_NONE) {
                broken(Rule::first, report, "rejected without a reason");
            }
            one.rejected = one.closed = true;
            break;
        case TENON_REPORT_CANCELED:
            if (!one.canceling) {
                broken(Rule::ending, report, "nobody cancelled it");
            }
            one.closed = true;
            break;
        case TENON_REPORT_EXPIRED:
            if (!one.accepted) {
                broken(Rule::first, report, "expired before it was accepted");
            }
            if (!never_rests(one.order)) {
                broken(Rule::ending, report, text(name(one.order), " does not expire"));
            }
            if (one.order.time_in_force == TENON_TIF_FOK && one.filled != 0) {
                broken(Rule::ending, report, text(name(one.order), " was filled in part"));
            }
            one.closed = true;
            break;
        case TENON_REPORT_TRIGGERED:
        case TENON_REPORT_WORKING:
            if (!one.accepted || one.comes_back || !is_conditional(one.order.type)) {
                broken(Rule::first, report, text(name(one.order), " did not wait for a price"));
            } else if (report.kind == TENON_REPORT_TRIGGERED) {
                one.comes_back = true;
            } else {
                one.order.type = working_type(one.order.type);
            }
            break;
        case TENON_REPORT_COMMISSION:
            if (report.quantity < 0) {
                broken(Rule::first, report, "a commission below 0");
            }
            break;
        default:
            broken(Rule::first, report, "the contract has no such kind");
    }
}

void VenueJudge::judge_trade(const tenon_venue_report& report) {
    const auto taker = orders_.find(report.order_id);
    const auto maker = orders_.find(report.maker_order_id);
    const bool known_taker = taker != orders_.end();
    const bool known_maker = maker != orders_.end();
    if ((report.order_id != 0 && !known_taker) || (report.maker_order_id != 0 && !known_maker) ||
        (!known_taker && !known_maker)) {
        broken(Rule::counterparty, report, "a side that nobody sent");
        return;
    }
    if (known_taker && known_maker &&
        (taker == maker || taker->second.order.side == maker->second.order.side ||
         taker->second.order.instrument != maker->second.order.instrument)) {
        broken(Rule::counterparty, report, "the two orders cannot trade with each other");
    }
    for (const auto& side : {taker, maker}) {
        if (side != orders_.end() && side->second.order.instrument != report.instrument) {
            broken(
                Rule::counterparty,
                report,
                text("instrument ", report.instrument, " of ", name(side->second.order))
            );
        }
    }
    if (report.price <= 0) {
        broken(Rule::price, report, "a price must be positive");
    }
    if (report.quantity <= 0) {
        broken(Rule::quantity, report, "a quantity must be positive");
    }
    if (known_taker) {
        fill(taker->second, report, true);
    }
    if (known_maker) {
        fill(maker->second, report, false);
    }
}

void VenueJudge::fill(Tracked& one, const tenon_venue_report& report, bool taker) {
    const tenon_venue_order& order = one.order;
    if (one.closed) {
        broken(Rule::closed, report, text(name(order), " had ended"));
        return;
    }
    if (!one.accepted) {
        broken(Rule::first, report, text(name(order), " was not accepted yet"));
    }
    if (is_conditional(order.type)) {
        broken(Rule::first, report, text(name(order), " was not triggered yet"));
    }
    if (taker && order.type == TENON_ORDER_LIMIT_MAKER) {
        broken(Rule::ending, report, text(name(order), " may only make"));
    }
    const bool buys = order.side == TENON_SIDE_BUY;
    if (has_limit(order) && (buys ? report.price > order.price : report.price < order.price)) {
        broken(Rule::price, report, text("worse than the limit of ", name(order)));
    }
    const Int128 quote =
        Int128{report.price} * report.quantity * instruments_.quote_unit(order.instrument);
    const Int128 base = Int128{report.quantity} * instruments_.base_unit(order.instrument);
    if (order.quantity != 0) {
        if (report.quantity > one.left) {
            broken(Rule::quantity, report, text("only ", one.left, " is left of ", name(order)));
        }
        one.left -= report.quantity;
    } else {
        if (quote > one.quote_left) {
            broken(
                Rule::quantity,
                report,
                text("only ", one.quote_left, " is left of the quote quantity of ", name(order))
            );
        }
        one.quote_left -= static_cast<std::int64_t>(quote);
    }
    one.funds_left -= buys ? quote : base;
    if (one.funds_left < 0) {
        broken(Rule::funds, report, text("more than the funds of ", name(order)));
    }
    one.filled += report.quantity;
    if (order.quantity != 0 ? one.left <= 0 : one.quote_left <= 0) {
        one.closed = true;
    }
}

void VenueJudge::at_rest() {
    std::string& first = breaches_[static_cast<std::size_t>(Rule::ending)];
    for (const auto& [id, one] : orders_) {
        if (first.empty() && one.accepted && !one.closed && never_rests(one.order)) {
            first = text(name(one.order), " did not end");
        }
    }
}

void VenueJudge::at_end() {
    at_rest();
    std::string& first = breaches_[static_cast<std::size_t>(Rule::answered)];
    for (const auto& [id, one] : orders_) {
        if (first.empty() && !one.accepted && !one.rejected && !one.closed) {
            first = text(name(one.order), " got no report at all");
        }
    }
}

std::vector<std::uint64_t> VenueJudge::open_orders() const {
    std::vector<std::uint64_t> open;
    for (const auto& [id, one] : orders_) {
        if (!one.closed && one.accepted) {
            open.push_back(id);
        }
    }
    return open;
}

std::int64_t VenueJudge::filled(std::uint64_t order_id) const {
    const auto found = orders_.find(order_id);
    return found == orders_.end() ? 0 : found->second.filled;
}

}  // namespace tenon::suites
