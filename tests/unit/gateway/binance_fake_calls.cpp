// SPDX-License-Identifier: Apache-2.0
// What tests do with the fake world: requests in, answers of the engine back.
#include "tests/unit/gateway/binance_fakes.hpp"

#include <algorithm>

namespace tenon::test {

void FakeBinanceWorld::finish(
    std::uint32_t reject,
    const std::vector<tenon_order>& with,
    const std::vector<tenon_trade>& fills,
    const std::vector<tenon_order_list>& done_lists
) {
    tenon_trading_reply reply{};
    reply.size = sizeof reply;
    reply.reject = reject;
    reply.sequence = 7;
    reply.time_real_ns = k_now_ns;
    reply.orders = with.data();
    reply.order_count = static_cast<std::uint32_t>(with.size());
    reply.trades = fills.data();
    reply.trade_count = static_cast<std::uint32_t>(fills.size());
    reply.lists = done_lists.data();
    reply.list_count = static_cast<std::uint32_t>(done_lists.size());
    done.fn(done.ctx, TENON_OK, &reply, nullptr);
}

void FakeBinanceWorld::finish_status(tenon_status status, std::string_view message) {
    ErrorBuffer err;
    fail(&err, status, message);
    done.fn(done.ctx, status, nullptr, &err);
}

tenon_order FakeBinanceWorld::order(std::uint64_t id, std::string_view client) const {
    auto order = tenon::sized<tenon_order>();
    order.order_id = id;
    order.account = k_account;
    order.side = TENON_SIDE_BUY;
    order.type = TENON_ORDER_LIMIT;
    order.time_in_force = TENON_TIF_GTC;
    order.status = TENON_STATUS_NEW;
    order.price = 6'000'000;
    order.quantity = 100'000;
    order.created_real_ns = k_now_ns;
    order.working_real_ns = k_now_ns;
    order.updated_real_ns = k_now_ns + 1'000'000;
    order.client_id = client_id(client);
    return order;
}

std::uint64_t FakeBinanceWorld::send(
    binance::Api& api,
    std::string_view method,
    std::string_view target,
    std::string_view body,
    std::vector<std::pair<std::string, std::string>> headers,
    std::string_view remote
) {
    const std::string_view kept_target = kept_.emplace_back(target);
    const std::string_view kept_body = kept_.emplace_back(body);
    const std::string_view kept_remote = kept_.emplace_back(remote);
    const std::string_view kept_method = kept_.emplace_back(method);
    std::vector<tenon_http_header> raw;
    for (const auto& [name, value] : headers) {
        raw.push_back({str(kept_.emplace_back(name)), str(kept_.emplace_back(value))});
    }
    const std::size_t question = std::min(kept_target.find('?'), kept_target.size());
    tenon_http_request request{};
    request.size = sizeof request;
    request.handle = next_handle_++;
    request.method = str(kept_method);
    request.path = str(kept_target.substr(0, question));
    request.query =
        str(question == kept_target.size() ? std::string_view{} : kept_target.substr(question + 1));
    request.body = str(kept_body);
    request.headers = raw.data();
    request.header_count = static_cast<std::uint32_t>(raw.size());
    request.remote = str(kept_remote);
    request.received_real_ns = now_ns;
    api.handle(request);
    return request.handle;
}

std::uint64_t FakeBinanceWorld::send_signed(
    binance::Api& api,
    std::string_view method,
    const std::string& path,
    std::string params
) {
    params += (params.empty() ? "timestamp=" : "&timestamp=") + std::to_string(now_ns / 1'000'000) +
              "&signature=good";
    return send(api, method, path + "?" + params, {}, {{"x-mbx-apikey", "trader"}});
}

}  // namespace tenon::test
