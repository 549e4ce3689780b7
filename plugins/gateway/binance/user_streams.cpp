// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/user_streams.hpp"

#include "plugins/gateway/binance/errors.hpp"
#include "plugins/gateway/binance/list_render.hpp"

#include <algorithm>
#include <array>

namespace tenon::binance {
namespace {

[[nodiscard]] bool may_read(const tenon_api_key& key) noexcept {
    return key.revoked == 0 && (key.permissions & TENON_PERMISSION_READ) != 0;
}

}  // namespace

void UserStreams::subscribe(UserSubscription subscription) {
    const std::uint64_t account = subscription.account;
    const auto known = accounts_of_.find(subscription.connection);
    if (known != accounts_of_.end()) {
        const std::vector<std::uint64_t>& accounts = known->second;
        if (std::find(accounts.begin(), accounts.end(), account) != accounts.end()) {
            throw ApiError{-2035, "User Data Stream subscription already active."};
        }
        if (accounts.size() >= k_per_connection_max) {
            throw ApiError{-1034, "Too many User Data Stream subscriptions on this connection."};
        }
    }
    accounts_of_[subscription.connection].push_back(account);
    by_account_[account].push_back(std::move(subscription));
    ++size_;
}

void UserStreams::forget(std::uint64_t connection, std::uint64_t account) noexcept {
    const auto found = accounts_of_.find(connection);
    if (found != accounts_of_.end()) {
        std::erase(found->second, account);
        if (found->second.empty()) {
            accounts_of_.erase(found);
        }
    }
    --size_;
}

void UserStreams::write_end(const UserSubscription& one) {
    const std::int64_t now = clock_->now_real_ns(clock_.self);
    event_.clear();
    JsonWriter json{event_, one.micro};
    if (one.listen_key.empty()) {
        write_bare_event(json, "eventStreamTerminated", now);
    } else {
        json.raw("{")
            .field("e", "listenKeyExpired")
            .time_field("E", now)
            .field("listenKey", one.listen_key)
            .raw("}");
    }
    put_one(one, event_);
}

std::size_t UserStreams::end_at(std::uint64_t account, const Choose& choose) {
    const auto found = by_account_.find(account);
    if (found == by_account_.end()) {
        return 0;
    }
    const std::size_t ended = std::erase_if(found->second, [&](const UserSubscription& one) {
        if (!choose(one)) {
            return false;
        }
        write_end(one);
        forget(one.connection, account);
        return true;
    });
    if (found->second.empty()) {
        by_account_.erase(found);
    }
    flush();
    return ended;
}

std::size_t UserStreams::end_of(std::uint64_t connection, const Choose& choose) {
    const auto found = accounts_of_.find(connection);
    if (found == accounts_of_.end()) {
        return 0;
    }
    std::size_t ended = 0;
    for (const std::uint64_t account : std::vector{found->second}) {
        ended += end_at(account, [&](const UserSubscription& one) {
            return one.connection == connection && choose(one);
        });
    }
    return ended;
}

void UserStreams::revoke(std::uint64_t account, std::string_view api_key) {
    listen_keys_.revoke(account, api_key);
    (void)end_at(account, [&](const UserSubscription& one) {
        return api_key.empty() || one.api_key == api_key;
    });
}

void UserStreams::drop(std::uint64_t connection) noexcept {
    const auto found = accounts_of_.find(connection);
    if (found == accounts_of_.end()) {
        return;
    }
    for (const std::uint64_t account : found->second) {
        const auto followers = by_account_.find(account);
        if (followers == by_account_.end()) {
            continue;
        }
        size_ -= std::erase_if(followers->second, [&](const UserSubscription& one) {
            return one.connection == connection;
        });
        if (followers->second.empty()) {
            by_account_.erase(followers);
        }
    }
    accounts_of_.erase(found);
}

std::vector<std::uint32_t> UserStreams::numbers(std::uint64_t connection) const {
    std::vector<std::uint32_t> out;
    const auto found = accounts_of_.find(connection);
    if (found == accounts_of_.end()) {
        return out;
    }
    for (const std::uint64_t account : found->second) {
        for (const UserSubscription& one : by_account_.at(account)) {
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
        } else if (event.kind == TENON_EVENT_LIST && event.list != nullptr) {
            put(event.list->account,
                [&](JsonWriter& json) { write_list_status(json, instruments_, event); });
        } else if (event.kind == TENON_EVENT_LEDGER && event.ledger != nullptr) {
            tell_transfer(event);
        } else if (event.kind == TENON_EVENT_BALANCE) {
            positions = true;
        } else if (event.kind == TENON_EVENT_KEY && event.key != nullptr && !may_read(*event.key)) {
            revoke(event.key->account, view(event.key->key));
        } else if (event.kind == TENON_EVENT_ACCOUNT && event.account != nullptr && event.account->enabled == 0) {
            revoke(event.account->id, {});
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

void UserStreams::tick(std::int64_t now_ns) {
    for (const auto& [name, account] : listen_keys_.expire(now_ns)) {
        (void)end_at(account, [&key = name](const UserSubscription& one) {
            return one.listen_key == key;
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
