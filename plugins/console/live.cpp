// SPDX-License-Identifier: Apache-2.0
#include "plugins/console/live.hpp"

#include <tenon/structs.hpp>

#include <boost/json/serialize.hpp>

#include <algorithm>
#include <utility>
#include <vector>

namespace tenon::console {

namespace json = boost::json;

void Live::open(Service<tenon_http_routes_1> routes) {
    static constexpr tenon_ws_handler k_handler{
        sizeof(tenon_ws_handler), 0, &Live::opened, &Live::on_text, &Live::closed};
    routes_ = routes;
    const auto& trading = desk_.services().trading;
    if (trading->subscribe(trading.self, this, &Live::on_events, &subscribed_) != TENON_OK) {
        throw Error{TENON_UNAVAILABLE, "the engine takes no subscription"};
    }
    const tenon_status status =
        routes_->mount_ws(routes_.self, str("/api/console/live"), &k_handler, this, &mounted_);
    if (status != TENON_OK) {
        throw Error{status, "cannot mount /api/console/live"};
    }
}

void Live::close() noexcept {
    if (mounted_ != 0) {
        routes_->unmount(routes_.self, std::exchange(mounted_, 0));
    }
    if (subscribed_ != 0) {
        const auto& trading = desk_.services().trading;
        trading->unsubscribe(trading.self, std::exchange(subscribed_, 0));
    }
    listeners_.clear();
}

tenon_status
Live::opened(void* ctx, std::uint64_t connection, const tenon_http_request* request, void** user) {
    return guard(nullptr, [&] {
        Live& self = *static_cast<Live*>(ctx);
        *user = nullptr;
        // A browser always tells the origin of a page that opens a WebSocket.
        const std::string_view origin = header_of(*request, "origin");
        const Sessions::Session* const session = is_same_origin(origin, header_of(*request, "host"))
                                                     ? self.desk_.session_of(*request, false)
                                                     : nullptr;
        if (session == nullptr || !session->who.may(k_right_account) ||
            !self.has_room(session->id)) {
            return TENON_DENIED;
        }
        self.listeners_.emplace(connection, Listener{session->id, session->who});
        return TENON_OK;
    });
}

bool Live::has_room(std::uint64_t session) const {
    const auto of_session =
        std::count_if(listeners_.begin(), listeners_.end(), [&](const auto& item) {
            return item.second.session == session;
        });
    return listeners_.size() < k_sockets_max &&
           static_cast<std::size_t>(of_session) < k_of_one_session_max;
}

void Live::closed(void* ctx, std::uint64_t connection, void*) {
    static_cast<Live*>(ctx)->listeners_.erase(connection);
}

void Live::session_ended(const Sessions::Session& session) noexcept {
    std::vector<std::uint64_t> theirs;
    (void)guard(nullptr, [&] {
        for (const auto& [connection, listener] : listeners_) {
            if (listener.session == session.id) {
                theirs.push_back(connection);
            }
        }
    });
    for (const std::uint64_t connection : theirs) {
        constexpr std::uint16_t k_policy = 1008;
        (void)routes_->ws_close(routes_.self, connection, k_policy, str("signed out"));
    }
}

void Live::on_events(void* ctx, const tenon_execution_event* events, std::uint32_t count) {
    Live& self = *static_cast<Live*>(ctx);
    for (std::uint32_t i = 0; i < count && !self.listeners_.empty(); ++i) {
        (void)guard(nullptr, [&] { self.tell(tenon::at(events, i)); });
    }
}

void Live::tell(const tenon_execution_event& event) {
    const Catalogue& catalogue = desk_.services().catalogue;
    if (event.kind == TENON_EVENT_ORDER && event.order != nullptr) {
        json::object message{{"type", "order"}, {"order", order_json(catalogue, *event.order)}};
        if (event.trade != nullptr) {
            message.emplace("trade", trade_json(catalogue, *event.trade));
        }
        send(event.order->account, std::move(message));
    } else if (event.kind == TENON_EVENT_BALANCE && event.balance != nullptr) {
        send(
            event.balance->account,
            {{"type", "balance"}, {"balance", balance_json(catalogue, *event.balance)}}
        );
    }
}

void Live::send(std::uint64_t account, json::object message) {
    tenon_ws_frame* frame = nullptr;
    std::vector<std::uint64_t> targets;
    for (const auto& [connection, listener] : listeners_) {
        const BoundAccount* const bound = listener.who.account(account);
        if (bound == nullptr) {
            continue;
        }
        if (frame == nullptr) {
            message.emplace("account", bound->name);
            frame = routes_->frame(routes_.self, str(json::serialize(message)));
        }
        targets.push_back(connection);
    }
    for (const std::uint64_t connection : targets) {
        (void)routes_->ws_send(routes_.self, connection, frame);
    }
    if (frame != nullptr) {
        routes_->frame_release(routes_.self, frame);
    }
}

}  // namespace tenon::console
