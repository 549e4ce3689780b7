// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/command_generator.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>
#include <cstring>

namespace tenon::test {
namespace {

constexpr std::uint64_t k_accounts_first = 6;  // opened before anything else
constexpr std::int64_t k_middle_start = 50'000;

}  // namespace

std::uint64_t CommandGenerator::account() {
    if (one_in(200)) {
        return below(TENON_ACCOUNT_FIRST + accounts_ + 2);
    }
    return TENON_ACCOUNT_FIRST + below(std::min<std::uint64_t>(accounts_, 8));
}

std::uint32_t CommandGenerator::instrument() {
    return static_cast<std::uint32_t>(one_in(300) ? instruments_ + below(3) : below(instruments_));
}

std::int64_t CommandGenerator::odd_number() {
    constexpr std::int64_t k_odd[] = {0, -1, 1, INT64_MAX, INT64_MIN, INT64_MAX / 2, 1'000'000'007};
    return k_odd[below(std::size(k_odd))];
}

tenon_client_id CommandGenerator::client_id() {
    tenon_client_id id{};
    if (one_in(3)) {
        return id;
    }
    // From a small set, so that ids come again; now and then one that the core would make.
    text_ = one_in(20) ? "tnn-" + std::to_string(orders_ / 2 + below(4))
                       : "id-" + std::to_string(below(400));
    if (one_in(500)) {
        text_ = "a b";
    }
    id.length = static_cast<std::uint8_t>(text_.size());
    std::memcpy(id.text, text_.data(), text_.size());
    return id;
}

void CommandGenerator::saw(const tenon_order& order) {
    constexpr std::size_t k_seen_max = 60;
    seen_.push_back(order);
    if (seen_.size() > k_seen_max) {
        seen_.pop_front();
    }
}

// nullptr: now and then, and as long as none was seen.
const tenon_order* CommandGenerator::known_order() {
    return seen_.empty() || one_in(3) ? nullptr : &seen_[below(seen_.size())];
}

trading::SubmitCommand CommandGenerator::order() {
    ++orders_;
    tenon_order_request order{};
    order.size = sizeof order;
    order.instrument = instrument();
    order.account = account();
    order.side = static_cast<std::uint8_t>(below(2));
    middle_.resize(instruments_, k_middle_start);
    std::int64_t& middle = middle_[order.instrument % instruments_];
    middle = std::clamp<std::int64_t>(
        middle + static_cast<std::int64_t>(below(21)) - 10, k_middle_start / 2, k_middle_start * 2
    );
    order.client_id = client_id();
    order.type = TENON_ORDER_LIMIT;
    order.time_in_force = static_cast<std::uint8_t>(one_in(4) ? 1 + below(3) : TENON_TIF_GTC);
    order.price = middle + static_cast<std::int64_t>(below(61)) - 30;
    order.quantity = 1 + static_cast<std::int64_t>(below(one_in(10) ? 100'000 : 2'000));
    if (one_in(6)) {
        order.type = TENON_ORDER_MARKET;
        order.time_in_force = 0;
        order.price = 0;
        if (one_in(2)) {
            order.quote_quantity = static_cast<std::int64_t>(below(50'000'000'000));
            order.quantity = 0;
        }
    } else if (one_in(8)) {
        order.type = TENON_ORDER_LIMIT_MAKER;
        order.time_in_force = TENON_TIF_GTC;
    }
    if (one_in(5)) {
        // Near the market, so that many come true and trigger each other.
        order.type = static_cast<std::uint8_t>(TENON_ORDER_STOP_LOSS + below(4));
        order.stop_price = middle + static_cast<std::int64_t>(below(121)) - 60;
        order.quote_quantity = 0;
        order.quantity = 1 + static_cast<std::int64_t>(below(2'000));
        const bool limit = order.type == TENON_ORDER_STOP_LOSS_LIMIT ||
                           order.type == TENON_ORDER_TAKE_PROFIT_LIMIT;
        order.price = limit ? order.stop_price + static_cast<std::int64_t>(below(21)) - 10 : 0;
        order.time_in_force = limit ? static_cast<std::uint8_t>(1 + below(3)) : std::uint8_t{0};
        if (one_in(2)) {
            order.trailing_delta = static_cast<std::uint32_t>(10 + below(8));
            order.stop_price = one_in(2) ? 0 : order.stop_price;
        }
    }
    if (one_in(2)) {
        order.stp_mode = static_cast<std::uint8_t>(below(one_in(50) ? 8 : 6));
    }
    if (one_in(5) && order.price != 0) {
        order.display_quantity = 1 + order.quantity / static_cast<std::int64_t>(2 + below(6));
    }
    if (one_in(150)) {
        order.stop_price = odd_number();
    }
    if (one_in(6) && order.price != 0 && order.time_in_force <= TENON_TIF_GTC) {
        order.expires_real_ns = now_real_ns_ - 2'000 + static_cast<std::int64_t>(below(100'000));
    }
    if (one_in(150)) {
        order.expires_real_ns = odd_number();
    }
    if (one_in(150)) {
        order.display_quantity = odd_number();
    }
    if (one_in(150)) {
        order.trailing_delta = static_cast<std::uint32_t>(odd_number());
    }
    if (one_in(60)) {
        (one_in(3)   ? order.price
         : one_in(2) ? order.quantity
                     : order.quote_quantity) = odd_number();
    }
    if (one_in(150)) {
        order.type = static_cast<std::uint8_t>(below(9));
    }
    if (one_in(150)) {
        order.time_in_force = static_cast<std::uint8_t>(below(5));
    }
    if (one_in(300)) {
        order.side = static_cast<std::uint8_t>(below(4));
    }
    return {order, {}};
}

// Around the market mostly, so that each of the two orders comes first now and then.
trading::SubmitListCommand CommandGenerator::list() {
    trading::SubmitListCommand command;
    command.contingency = one_in(100) ? 2 : TENON_CONTINGENCY_OCO;
    command.client_id = client_id();
    command.orders = &list_orders_;
    trading::SubmitCommand& stop = list_orders_[0];
    trading::SubmitCommand& target = list_orders_[1];
    stop = order();
    const bool sell = stop.order.side == TENON_SIDE_SELL;
    const std::int64_t middle = middle_[stop.order.instrument % instruments_];
    const auto away = [&] { return 1 + static_cast<std::int64_t>(below(60)); };
    stop.order.quantity = 1 + static_cast<std::int64_t>(below(2'000));
    stop.order.quote_quantity = 0;
    stop.order.time_in_force = TENON_TIF_GTC;
    stop.order.display_quantity = 0;
    stop.order.trailing_delta = 0;
    target = stop;
    target.order.client_id = client_id();
    if (one_in(3)) {
        stop.order.trailing_delta = 10 + static_cast<std::uint32_t>(below(8));
    }
    stop.order.stop_price = sell ? middle - away() : middle + away();
    stop.order.type = one_in(2) ? TENON_ORDER_STOP_LOSS : TENON_ORDER_STOP_LOSS_LIMIT;
    stop.order.price = stop.order.type == TENON_ORDER_STOP_LOSS
                           ? 0
                           : stop.order.stop_price + static_cast<std::int64_t>(below(21)) - 10;
    if (stop.order.trailing_delta != 0 && one_in(2)) {
        stop.order.stop_price = 0;
    }
    const std::int64_t aim = sell ? middle + away() : middle - away();
    if (one_in(3)) {
        target.order.type = one_in(2) ? TENON_ORDER_TAKE_PROFIT : TENON_ORDER_TAKE_PROFIT_LIMIT;
        target.order.stop_price = aim;
        target.order.price = target.order.type == TENON_ORDER_TAKE_PROFIT ? 0 : aim;
    } else {
        target.order.type = TENON_ORDER_LIMIT_MAKER;
        target.order.stop_price = 0;
        target.order.price = aim;
    }
    if (one_in(100)) {
        target.order.quantity = odd_number();
    }
    if (one_in(100)) {
        target.order.account = account();
    }
    if (one_in(2)) {
        std::swap(stop, target);
    }
    return command;
}

trading::CancelListCommand CommandGenerator::cancel_list() {
    trading::CancelListCommand command;
    tenon_list_cancel& request = command.request;
    request.account = account();
    request.instrument = one_in(2) ? TENON_ANY_INSTRUMENT : instrument();
    if (!one_in(3)) {
        request.list_id = 1 + orders_ / 2 - below(std::min<std::uint64_t>(orders_ / 2 + 1, 40));
    }
    if (request.list_id == 0 || one_in(10)) {
        request.client_id = client_id();
    }
    if (one_in(3)) {
        request.cancel_client_id = client_id();
    }
    return command;
}

trading::CancelCommand CommandGenerator::cancel() {
    tenon_cancel_request request{};
    request.size = sizeof request;
    request.account = account();
    request.instrument = one_in(2) ? TENON_ANY_INSTRUMENT : instrument();
    if (!one_in(4)) {
        request.order_id = 1 + orders_ / 2 - below(std::min<std::uint64_t>(orders_ / 2 + 1, 40));
    }
    if (request.order_id == 0 || one_in(10)) {
        request.client_id = client_id();
    }
    if (one_in(3)) {
        request.cancel_client_id = client_id();
    }
    if (const tenon_order* known = one_in(2) ? known_order() : nullptr; known != nullptr) {
        request.account = known->account;
        request.order_id = known->order_id;
        request.client_id = {};
    }
    if (one_in(5)) {
        request.restriction = static_cast<std::uint32_t>(below(one_in(50) ? 4 : 3));
    }
    return {request};
}

trading::AmendCommand CommandGenerator::amend() {
    trading::AmendCommand command;
    tenon_amend_request& request = command.request;
    request.account = account();
    request.instrument = one_in(2) ? TENON_ANY_INSTRUMENT : instrument();
    if (!one_in(4)) {
        request.order_id = 1 + orders_ / 2 - below(std::min<std::uint64_t>(orders_ / 2 + 1, 40));
    }
    if (request.order_id == 0 || one_in(10)) {
        request.client_id = client_id();
    }
    const tenon_order* known = known_order();
    if (known != nullptr) {
        request.account = known->account;
        request.instrument = known->instrument;
        request.order_id = known->order_id;
        request.client_id = {};
    }
    request.quantity = one_in(50) ? odd_number() : 1 + static_cast<std::int64_t>(below(1'500));
    if (known != nullptr && known->quantity > 1 && !one_in(5)) {
        request.quantity =
            1 + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(known->quantity)));
    }
    if (one_in(2)) {
        request.new_client_id = one_in(3) ? request.client_id : client_id();
    }
    return command;
}

trading::TransferCommand CommandGenerator::transfer() {
    auto entry = tenon::sized<tenon_ledger_entry>();
    entry.from = one_in(4) ? account() : TENON_ACCOUNT_EXTERNAL;
    entry.to = one_in(8) ? 1 + below(4) : account();
    entry.asset = static_cast<std::uint32_t>(one_in(100) ? assets_ : below(assets_));
    entry.amount = 1 + static_cast<std::int64_t>(below(1'000'000'000'000));
    if (one_in(30)) {
        entry.amount = odd_number();
    }
    text_ = one_in(2) ? "" : "ref-" + std::to_string(below(60));
    entry.reference = str(text_);
    return {entry};
}

// Near what orders come to, so that each limit refuses some of them.
trading::RiskLimitsCommand CommandGenerator::risk_limits() {
    trading::RiskLimitsCommand command;
    command.account = one_in(3) ? 0 : account();
    command.instrument = one_in(3) ? TENON_ANY_INSTRUMENT : instrument();
    if (!one_in(4)) {
        return command;  // all of them away
    }
    const auto some = [&](std::uint64_t end) {
        return one_in(2) ? trading::k_keep_limit : 1 + static_cast<std::int64_t>(below(end));
    };
    const bool amounts = command.instrument != TENON_ANY_INSTRUMENT || one_in(20);
    const std::int64_t none = trading::k_keep_limit;
    const std::int64_t rate = one_in(3) ? 0 : some(100);
    command.limits = {
        some(20'000),
        amounts ? some(200'000'000'000) : none,
        amounts ? some(40'000'000) : none,
        amounts ? some(400'000'000'000'000) : none,
        some(120),
        rate,
        rate > 0 ? static_cast<std::int64_t>(1 + below(3)) : rate};
    if (one_in(20)) {
        command.limits[below(command.limits.size())] = odd_number();
    }
    return command;
}

trading::CommandBody CommandGenerator::administration() {
    switch (below(8)) {
        case 0:
            text_ = one_in(5) ? "Bad Name" : "user" + std::to_string(below(30));
            ++accounts_;
            return trading::AccountOpenCommand{str(text_)};
        case 1: {
            trading::KeyAddCommand command;
            text_ = one_in(9) ? "bad key" : "key" + std::to_string(below(40));
            material_.assign(one_in(3) ? 32 : below(40), one_in(2) ? '\2' : 'm');
            label_ = "label";
            command.key.key = str(text_);
            command.key.account = account();
            command.key.kind = static_cast<std::uint32_t>(1 + below(2));
            command.key.permissions = static_cast<std::uint32_t>(one_in(3) ? below(9) : 7);
            command.key.material = bytes(material_);
            command.key.label = str(label_);
            return command;
        }
        case 2:
            text_ = "key" + std::to_string(below(40));
            if (one_in(2)) {
                label_ = one_in(9)   ? "no address"
                         : one_in(3) ? ""
                                     : "10.0.0." + std::to_string(below(3));
                return trading::KeyAddressesCommand{str(text_), str(label_)};
            }
            return trading::KeyRevokeCommand{str(text_)};
        case 3:
            text_ = one_in(2) ? "internal" : "elsewhere";
            return trading::VenueApplyCommand{str(text_), {}};
        case 4:
        case 5: {
            // Mostly enabled again.
            trading::AccountStatusCommand command;
            command.account = one_in(6) ? 0 : account();
            command.enabled = static_cast<std::uint8_t>(one_in(4) ? below(2) : 1);
            command.cancels = static_cast<std::uint8_t>(
                command.enabled == 0 || one_in(20) ? below(one_in(20) ? 3 : 2) : 0
            );
            return command;
        }
        default:
            // Mostly open again.
            return trading::InstrumentStatusCommand{
                instrument(),
                static_cast<std::uint32_t>(one_in(4) ? below(5) : TENON_INSTRUMENT_TRADING)};
    }
}

trading::CommandBody CommandGenerator::next() {
    if (accounts_ < k_accounts_first) {
        text_ = "first" + std::to_string(accounts_++);
        return trading::AccountOpenCommand{str(text_)};
    }
    const std::uint64_t dice = below(100);
    if (dice < 54) {
        return order();
    }
    if (dice < 62) {
        return list();
    }
    if (dice < 64) {
        return cancel_list();
    }
    if (dice < 81) {
        return cancel();
    }
    if (dice < 85) {
        return amend();
    }
    if (dice < 95) {
        return transfer();
    }
    if (dice < 96) {
        return risk_limits();
    }
    if (dice < 97) {
        return trading::CancelAllCommand{
            account(), one_in(2) ? TENON_ANY_INSTRUMENT : instrument()};
    }
    return administration();
}

}  // namespace tenon::test
