// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/user_streams.hpp"

#include "plugins/gateway/binance/errors.hpp"

#include <algorithm>
#include <array>

namespace tenon::binance {

void UserStreams::subscribe(UserSubscription subscription) {
    std::size_t of_connection = 0;
    for (const auto& [account, followers] : by_account_) {
        for (const UserSubscription& one : followers) {
            if (one.connection != subscription.connection) {
                continue;
            }
            if (account == subscription.account) {
                throw ApiError{-2035, "User Data Stream subscription already active."};
            }
            ++of_connection;
        }
    }
    if (of_connection >= k_per_connection_max) {
        throw ApiError{-1034, "Too many User Data Stream subscriptions on this connection."};
    }
    const std::uint64_t account = subscription.account;
    by_account_[account].push_back(std::move(subscription));
    ++size_;
}

std::size_t UserStreams::end(
    std::string_view name,
    const std::function<bool(const UserSubscription&)>& choose
) {
    const std::int64_t now = clock_->now_real_ns(clock_.self);
    std::size_t ended = 0;
    for (auto& [account, followers] : by_account_) {
        for (auto one = followers.begin(); one != followers.end();) {
            if (!choose(*one)) {
                ++one;
                continue;
            }
            event_.clear();
            JsonWriter json{event_, one->micro};
            if (one->listen_key.empty()) {
                write_bare_event(json, name, now);
            } else {
                json.raw("{")
                    .field("e", "listenKeyExpired")
                    .time_field("E", now)
                    .field("listenKey", one->listen_key)
                    .raw("}");
            }
            put_one(*one, event_);
            one = followers.erase(one);
            --size_;
            ++ended;
        }
    }
    std::erase_if(by_account_, [](const auto& entry) { return entry.second.empty(); });
    flush();
    return ended;
}

void UserStreams::drop(std::uint64_t connection) noexcept {
    for (auto at = by_account_.begin(); at != by_account_.end();) {
        size_ -= std::erase_if(at->second, [&](const UserSubscription& one) {
            return one.connection == connection;
        });
        at = at->second.empty() ? by_account_.erase(at) : std::next(at);
    }
}

std::vector<std::uint32_t> UserStreams::numbers(std::uint64_t connection) const {
    std::vector<std::uint32_t> out;
    for (const auto& [account, followers] : by_account_) {
        for (const UserSubscription& one : followers) {
            if (one.connection == connection && one.form == UserSubscription::Form::numbered) {
                out.push_back(one.number);
            }
        }
    }
    std::sort(out.begin(), out.end());
    return out;
}

void UserStreams::on_execution(const tenon_execution_event* events, std::uint32_t count) {
    if (by_account_.empty() && listen_keys_.size() == 0) {
        return;
    }
    command_.clear();
    for (std::uint32_t i = 0; i < count; ++i) {
        const tenon_execution_event& event = tenon::at(events, i);
        if (!command_.empty() && command_.back()->sequence != event.sequence) {
            tell(command_);
            command_.clear();
        }
        command_.push_back(&event);
    }
    tell(command_);
    flush();
}

void UserStreams::tell(std::span<const tenon_execution_event* const> command) {
    bool positions = false;
    for (std::size_t at = 0; at < command.size(); ++at) {
        const tenon_execution_event& event = *command[at];
        if (is_reported(event)) {
            tell_order(command, at);
        } else if (event.kind == TENON_EVENT_LEDGER && event.ledger != nullptr) {
            tell_transfer(event);
        } else if (event.kind == TENON_EVENT_BALANCE) {
            positions = true;
        } else if (event.kind == TENON_EVENT_KEY && event.key != nullptr && event.key->revoked != 0) {
            const std::string_view key = view(event.key->key);
            listen_keys_.revoke(key);
            (void)end("eventStreamTerminated", [&](const UserSubscription& one) {
                return one.api_key == key;
            });
        }
    }
    if (positions) {
        tell_positions(command);
    }
}

// A market order by money ends when the rest buys nothing: its last fill has filled it, for which
// the engine has an event of its own.
void UserStreams::tell_order(
    std::span<const tenon_execution_event* const> command,
    std::size_t at
) {
    const tenon_execution_event& event = *command[at];
    const tenon_order* order = event.order;
    if (order->quote_quantity != 0) {
        const auto same = [&](const tenon_execution_event* other) {
            return other->kind == TENON_EVENT_ORDER && other->order->order_id == order->order_id;
        };
        if (event.trade != nullptr) {
            const auto next = std::find_if(
                command.begin() + static_cast<std::ptrdiff_t>(at) + 1, command.end(), same
            );
            if (next != command.end() && (*next)->trade == nullptr &&
                (*next)->order->status == TENON_STATUS_FILLED) {
                order = (*next)->order;
            }
        } else if (order->status == TENON_STATUS_FILLED && std::any_of(command.begin(), command.begin() + static_cast<std::ptrdiff_t>(at), [&](const tenon_execution_event* other) {
                       return same(other) && other->trade != nullptr;
                   })) {
            return;
        }
    }
    put(event.order->account,
        [&](JsonWriter& json) { write_execution_report(json, instruments_, event, *order); });
}

void UserStreams::tell_transfer(const tenon_execution_event& event) {
    for (const std::uint64_t account : std::array{event.ledger->from, event.ledger->to}) {
        put(account,
            [&](JsonWriter& json) { write_balance_update(json, instruments_, event, account); });
    }
}

void UserStreams::tell_positions(std::span<const tenon_execution_event* const> command) {
    std::vector<std::uint64_t> told;
    for (const tenon_execution_event* const event : command) {
        if (event->kind != TENON_EVENT_BALANCE || event->balance == nullptr ||
            !by_account_.contains(event->balance->account)) {
            continue;
        }
        const std::uint64_t account = event->balance->account;
        if (std::find(told.begin(), told.end(), account) != told.end()) {
            continue;
        }
        told.push_back(account);
        position_.clear();
        for (const tenon_execution_event* const other : command) {
            if (other->kind == TENON_EVENT_BALANCE && other->balance != nullptr &&
                other->balance->account == account) {
                position_.push_back(*other->balance);
            }
        }
        put(account, [&](JsonWriter& json) {
            write_account_position(json, instruments_, position_, event->time_real_ns);
        });
    }
}

template <class Write>
void UserStreams::put(std::uint64_t account, Write&& write) {
    const auto found = by_account_.find(account);
    if (found == by_account_.end()) {
        return;
    }
    for (const bool micro : {false, true}) {
        event_.clear();
        for (const UserSubscription& one : found->second) {
            if (one.micro != micro) {
                continue;
            }
            if (event_.empty()) {
                JsonWriter json{event_, micro};
                write(json);
            }
            put_one(one, event_);
        }
    }
}

void UserStreams::put_one(const UserSubscription& to, std::string_view event) {
    std::string& text = outbox_.emplace_back(to.connection, std::string{}).second;
    JsonWriter json{text};
    switch (to.form) {
        case UserSubscription::Form::numbered:
            json.raw("{").field("subscriptionId", to.number).key("event").raw(event).raw("}");
            break;
        case UserSubscription::Form::bare:
            json.raw(event);
            break;
        case UserSubscription::Form::named:
            json.raw("{").field("stream", to.listen_key).key("data").raw(event).raw("}");
            break;
    }
}

// A connection that is closed meanwhile calls drop(): nothing in here is looked at by then.
void UserStreams::flush() {
    std::vector<std::pair<std::uint64_t, std::string>> out;
    out.swap(outbox_);
    for (const auto& [connection, text] : out) {
        send(connection, text);
    }
    sent_ += out.size();
}

void UserStreams::tick(std::int64_t now_real_ns) {
    const std::vector<std::string> over = listen_keys_.expire(now_real_ns);
    if (!over.empty()) {
        (void)end("listenKeyExpired", [&](const UserSubscription& one) {
            return std::find(over.begin(), over.end(), one.listen_key) != over.end();
        });
    }
}

void UserStreams::send(std::uint64_t connection, std::string_view text) {
    tenon_ws_frame* const frame = http_->frame(http_.self, str(text));
    if (frame != nullptr) {
        (void)http_->ws_send(http_.self, connection, frame);
        http_->frame_release(http_.self, frame);
    }
}

}  // namespace tenon::binance
