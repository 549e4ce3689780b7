// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/model_exchange.hpp"

#include <tenon/decimal.hpp>

#include <algorithm>

namespace tenon::test {
namespace {

constexpr int k_price_scale = 2, k_quantity_scale = 5;

std::string price_text(std::int64_t value) {
    return decimal_text(value, k_price_scale, 8);
}

std::string quantity_text(std::int64_t value) {
    return decimal_text(value, k_quantity_scale, 8);
}

std::string quoted(const std::string& key, const std::string& value) {
    return "\"" + key + "\":\"" + value + "\"";
}

ModelExchange::Answer refuse(int code, const std::string& words) {
    return {400, "{\"code\":" + std::to_string(code) + "," + quoted("msg", words) + "}"};
}

}  // namespace

const ModelOrder* ModelExchange::find(const std::string& client_id) const {
    for (const auto& [id, order] : orders_) {
        if (order.client_id == client_id) {
            return &order;
        }
    }
    return nullptr;
}

std::string ModelExchange::row(const ModelOrder& order, bool with_fills) {
    std::string text =
        "{" + quoted("symbol", "BTCUSDT") + ",\"orderId\":" + std::to_string(order.id) + "," +
        quoted("clientOrderId", order.client_id) + "," + quoted("status", order.status) + "," +
        quoted("executedQty", quantity_text(order.filled));
    if (with_fills) {
        text += ",\"fills\":[";
        for (const ModelFill& fill : order.fills) {
            text += text.back() == '[' ? "{" : ",{";
            text += "\"tradeId\":" + std::to_string(fill.trade_id) + "," +
                    quoted("price", price_text(fill.price)) + "," +
                    quoted("qty", quantity_text(fill.quantity)) + "," +
                    quoted("commission", "0.00000003") + "," + quoted("commissionAsset", "BNB") +
                    "}";
        }
        text += "]";
    }
    return text + "}";
}

void ModelExchange::report(
    const ModelOrder& order,
    const std::string& what,
    const ModelFill* trade
) {
    const bool canceled = what == "CANCELED";
    std::string text =
        "{" + quoted("e", "executionReport") + "," + quoted("s", "BTCUSDT") + "," +
        quoted("c", canceled ? "cancel-" + order.client_id.substr(0, 20) : order.client_id) + "," +
        quoted("C", canceled ? order.client_id : "") + "," + quoted("x", what) + "," +
        quoted("X", order.status) + ",\"i\":" + std::to_string(order.id) + "," +
        quoted("z", quantity_text(order.filled));
    if (trade != nullptr) {
        text += ",\"t\":" + std::to_string(trade->trade_id) + "," +
                quoted("L", price_text(trade->price)) + "," +
                quoted("l", quantity_text(trade->quantity)) + "," + quoted("n", "0.00000003") +
                "," + quoted("N", "BNB") + ",\"m\":" + (trade->maker ? "true" : "false");
    }
    event_(text + "}");
}

void ModelExchange::fill(ModelOrder& order, std::int64_t quantity, bool maker) {
    order.filled += quantity;
    order.status = order.filled == order.quantity ? "FILLED" : "PARTIALLY_FILLED";
    order.fills.push_back({next_trade_++, order.price, quantity, maker});
    const ModelFill trade = order.fills.back();
    report(order, "TRADE", &trade);
}

ModelExchange::Answer ModelExchange::place(const Parameters& parameters) {
    const std::string client_id = parameters.at("newClientOrderId");
    const ModelOrder* const twin = find(client_id);
    if (twin != nullptr && twin->open()) {
        return refuse(-2010, "Duplicate order sent.");
    }
    if (chance_(12) == 0) {
        return refuse(-2010, "Account has insufficient balance for requested action.");
    }
    ModelOrder order;
    order.id = next_order_++;
    order.client_id = client_id;
    order.side = parameters.at("side");
    order.type = parameters.at("type");
    const auto life = parameters.find("timeInForce");
    order.life = life == parameters.end() ? "GTC" : life->second;
    order.price = parse_decimal(parameters.at("price"), k_price_scale).value;
    order.quantity = parse_decimal(parameters.at("quantity"), k_quantity_scale).value;
    ModelOrder& placed = orders_.emplace(order.id, order).first->second;
    report(placed, "NEW", nullptr);
    for (std::uint64_t n = chance_(4); n > 1 && placed.open(); --n) {
        const auto left = static_cast<std::uint64_t>(placed.quantity - placed.filled);
        fill(placed, 1 + static_cast<std::int64_t>(chance_(left)), false);
    }
    if (placed.open() && placed.life == "IOC") {
        placed.status = "EXPIRED";
        report(placed, "EXPIRED", nullptr);
    }
    return {200, row(placed, true)};
}

ModelExchange::Answer ModelExchange::cancel(const Parameters& parameters) {
    const ModelOrder* const found = find(parameters.at("origClientOrderId"));
    if (found == nullptr || !found->open()) {
        return refuse(-2011, "Unknown order sent.");
    }
    ModelOrder& order = orders_.at(found->id);
    order.status = "CANCELED";
    report(order, "CANCELED", nullptr);
    std::string text = row(order, false);
    const std::string own = quoted("clientOrderId", order.client_id);
    text.replace(
        text.find(own),
        own.size(),
        quoted("origClientOrderId", order.client_id) + "," + quoted("clientOrderId", "the-cancel")
    );
    return {200, text};
}

ModelExchange::Answer ModelExchange::handle(
    const std::string& method,
    const std::string& path,
    const Parameters& parameters,
    std::int64_t now_ms,
    std::int64_t signed_ms,
    std::int64_t window_ms
) {
    if (now_ms > signed_ms + window_ms) {
        return refuse(-1021, "Timestamp for this request is outside of the recvWindow.");
    }
    if (method == "POST") {
        return place(parameters);
    }
    if (method == "DELETE") {
        return cancel(parameters);
    }
    if (path == "/api/v3/openOrders") {
        std::string text = "[";
        for (const auto& [id, order] : orders_) {
            if (order.open()) {
                text += (text.size() > 1 ? "," : "") + row(order, false);
            }
        }
        return {200, text + "]"};
    }
    if (path == "/api/v3/myTrades") {
        const ModelOrder& order = orders_.at(std::stoull(parameters.at("orderId")));
        std::string text = "[";
        for (const ModelFill& fill : order.fills) {
            text += (text.size() > 1 ? ",{" : "{") + std::string{"\"id\":"} +
                    std::to_string(fill.trade_id) + ",\"orderId\":" + std::to_string(order.id) +
                    "," + quoted("price", price_text(fill.price)) + "," +
                    quoted("qty", quantity_text(fill.quantity)) + "," +
                    quoted("commission", "0.00000003") + "," + quoted("commissionAsset", "BNB") +
                    ",\"isMaker\":" + (fill.maker ? "true" : "false") + "}";
        }
        return {200, text + "]"};
    }
    const ModelOrder* const order = find(parameters.at("origClientOrderId"));
    return order == nullptr ? refuse(-2013, "Order does not exist.")
                            : Answer{200, row(*order, false)};
}

void ModelExchange::stir() {
    std::vector<ModelOrder*> open;
    for (auto& [id, order] : orders_) {
        if (order.open()) {
            open.push_back(&order);
        }
    }
    if (open.empty()) {
        return;
    }
    ModelOrder& order = *open[chance_(open.size())];
    if (chance_(10) == 0) {
        order.status = "EXPIRED";
        report(order, "EXPIRED", nullptr);
        return;
    }
    const auto left = static_cast<std::uint64_t>(order.quantity - order.filled);
    fill(order, 1 + static_cast<std::int64_t>(chance_(left)), true);
}

}  // namespace tenon::test
