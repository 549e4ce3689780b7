// SPDX-License-Identifier: Apache-2.0
// Who follows which account, and what they are told: every durable change of an order or a balance,
// once, in the engine's order. A connection that does not read is closed by the HTTP server (1008),
// never skipped. Nothing is repeated: after a break a client asks over REST or by query. Reactor 0.
#pragma once

#include "plugins/gateway/binance/listen_keys.hpp"
#include "plugins/gateway/binance/user_render.hpp"

#include <tenon/abi/http.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace tenon::binance {

// A follower of one account.
struct UserSubscription {
    // How the events are put: {"subscriptionId":N,"event":…}, as they are, {"stream":KEY,"data":…}.
    enum class Form : std::uint8_t { numbered, bare, named };

    std::uint64_t connection = 0;
    std::uint64_t account = 0;
    Form form = Form::numbered;
    bool micro = false;
    bool session = false;      // ends when its connection logs out
    std::uint32_t number = 0;  // numbered
    std::string api_key;       // ends when this is revoked
    std::string listen_key;    // bare, named
};

class UserStreams {
public:
    static constexpr std::size_t k_per_connection_max = 1'000;

    UserStreams(
        Service<tenon_http_routes_1> http,
        Service<tenon_instruments_1> instruments,
        Service<tenon_clock_1> clock
    )
        : http_{http}, instruments_{instruments}, clock_{clock} {}

    // Throws ApiError: -2035 when this connection follows the account already, or -1034 when it
    // follows too many.
    void subscribe(UserSubscription subscription);
    using Choose = std::function<bool(const UserSubscription&)>;

    // Ends what `choose` takes of a connection's, each with an event; returns how many.
    std::size_t end_of(std::uint64_t connection, const Choose& choose);
    // The same of an account's.
    std::size_t end_at(std::uint64_t account, const Choose& choose);
    // The connection is gone.
    void drop(std::uint64_t connection) noexcept;
    // Of a connection, in ascending order.
    [[nodiscard]] std::vector<std::uint32_t> numbers(std::uint64_t connection) const;

    void on_execution(const tenon_execution_event* events, std::uint32_t count);
    // Once in a while: ends what its listen key's time is over for.
    void tick(std::int64_t now_ns);

    [[nodiscard]] ListenKeys& listen_keys() noexcept { return listen_keys_; }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    [[nodiscard]] std::uint64_t events_sent() const noexcept { return sent_; }

    void send(std::uint64_t connection, std::string_view text);

private:
    // Ends what a key has, or with an empty key whatever an account has: it may read no more.
    void revoke(std::uint64_t account, std::string_view api_key);
    // Events of one command.
    void tell(std::span<const tenon_execution_event* const> command);
    void tell_order(std::span<const tenon_execution_event* const> command, std::size_t at);
    void tell_transfer(const tenon_execution_event& event);
    void tell_positions(std::span<const tenon_execution_event* const> command);
    // Puts what `write(JsonWriter&)` writes into the outbox for each follower of the account.
    template <class Write>
    void put(std::uint64_t account, Write&& write);
    void put_one(const UserSubscription& to, std::string_view event);
    // The connection follows the account no more.
    void forget(std::uint64_t connection, std::uint64_t account) noexcept;
    void write_end(const UserSubscription& one);
    void flush();

    Service<tenon_http_routes_1> http_;
    Service<tenon_instruments_1> instruments_;
    Service<tenon_clock_1> clock_;
    ListenKeys listen_keys_;
    std::unordered_map<std::uint64_t, std::vector<UserSubscription>> by_account_;
    // What each connection follows; most of them (of market streams) nothing.
    std::unordered_map<std::uint64_t, std::vector<std::uint64_t>> accounts_of_;
    std::size_t size_ = 0;
    std::vector<const tenon_execution_event*> command_;
    std::vector<tenon_balance> position_;
    std::vector<std::pair<std::uint64_t, std::string>> outbox_;  // sent when all are written
    std::string event_;
    std::uint64_t sent_ = 0;
};

class Api;

// Lets a connection of market streams follow the accounts whose listen keys its path or query
// names; unknown names are no streams. `combined`: the path is /stream.
void follow_listen_keys(
    Api& api,
    std::uint64_t connection,
    const tenon_http_request& request,
    bool combined
);

}  // namespace tenon::binance
