// SPDX-License-Identifier: Apache-2.0
// The balances of the exchange account: asked for now and then, compared with what was booked.
#include "plugins/venue/binance/orders/order_venue.hpp"

#include <tenon/decimal.hpp>

#include <algorithm>
#include <limits>
#include <string>

namespace tenon::binance_venue {
namespace {

constexpr std::int64_t k_second_ns = 1'000'000'000;
constexpr std::int64_t k_again_ns = 5 * k_second_ns;

// value * 10^(to - from); `to` is at least `from`. The engine books nothing that leaves 64 bits.
[[nodiscard]] std::int64_t rescaled(Int128 value, int from, int to) noexcept {
    const Int128 amount = value * power_of_ten(std::max(to - from, 0));
    constexpr Int128 k_most = std::numeric_limits<std::int64_t>::max();
    return static_cast<std::int64_t>(std::clamp(amount, -k_most, k_most));
}

}  // namespace

void OrderVenue::book(const tenon_venue_order& order, const tenon_venue_report& report) {
    if (report.kind == TENON_REPORT_COMMISSION) {
        balances_.booked(report.reject, -report.quantity);
        return;
    }
    const tenon_instrument* const i =
        links_.instruments->instrument(links_.instruments.self, order.instrument);
    if (report.kind != TENON_REPORT_TRADE || i == nullptr) {
        return;
    }
    const auto scale_of = [&](std::uint32_t id) {
        const tenon_asset* const asset = links_.instruments->asset(links_.instruments.self, id);
        return asset == nullptr ? 0 : asset->scale;
    };
    const std::int64_t base = rescaled(report.quantity, i->quantity_scale, scale_of(i->base));
    const std::int64_t quote = rescaled(
        Int128{report.price} * report.quantity,
        i->price_scale + i->quantity_scale,
        scale_of(i->quote)
    );
    const bool buy = order.side == TENON_SIDE_BUY;
    balances_.booked(i->base, buy ? base : -base);
    balances_.booked(i->quote, buy ? -quote : quote);
}

// Only while nothing is under way: what is there then is what was booked.
void OrderVenue::ask_balances() {
    const std::int64_t now = links_.clock->now_ns(links_.clock.self);
    if (asking_balances_ || balances_due_ns_ == Desk::k_never) {
        return;
    }
    if (now < balances_due_ns_) {
        arm(balances_due_ns_);
        return;
    }
    if (!desk_->quiet() || !desk_->stream_up()) {
        arm(now + k_second_ns);
        return;
    }
    asking_balances_ = true;
    RestRequest request;
    request.path = "/api/v3/account";
    request.sign = true;
    request.lane = Lane::query;
    request.deadline_ns = now + settings_.query_timeout_ns;
    request.client = "balances";
    links_.rest->send(
        std::move(request),
        [this,
         changes = balances_.changes(),
         alive = std::weak_ptr<char>{alive_}](const RestReply& reply) {
            if (!alive.expired()) {
                on_balances(reply, changes);
            }
        }
    );
}

void OrderVenue::on_balances(const RestReply& reply, std::uint64_t changes_when_asked) {
    const std::int64_t now = links_.clock->now_ns(links_.clock.self);
    asking_balances_ = false;
    balances_due_ns_ = now + settings_.balances_ns;
    const bool good = reply.outcome == Outcome::answered && reply.status == 200;
    const std::optional<Json> json = good ? read_json(reply.body) : std::nullopt;
    const auto totals = json ? read_balances(*json, *listing_) : std::nullopt;
    // What came while something was under way may be from before or after it.
    if (totals && desk_->quiet()) {
        tell_balances(balances_.told(*totals, changes_when_asked));
    }
    if (!totals || balances_.in_doubt()) {
        balances_due_ns_ = std::min(balances_due_ns_, now + k_again_ns);
    }
    arm(balances_due_ns_);
}

void OrderVenue::tell_balances(bool changed) {
    std::string text;
    for (const auto& [id, amount] : balances_.differences()) {
        const tenon_asset* const asset = links_.instruments->asset(links_.instruments.self, id);
        if (asset != nullptr) {
            text.append(text.empty() ? "" : ", ").append(view(asset->name)).append(" ");
            text.append(amount > 0 ? "+" : "").append(decimal_text(amount, asset->scale));
        }
    }
    if (changed) {
        links_.warn("exchange_balances_differ", text.empty() ? "no more" : text);
    }
    if (links_.balances) {
        links_.balances(balances_, text);
    }
}

}  // namespace tenon::binance_venue
