// SPDX-License-Identifier: Apache-2.0
// The REST surface, and the WebSocket API's requests for the same: finds the endpoint, applies
// limits, checks key, time and signature, runs the handler and answers. Everything runs on reactor
// 0; nothing blocks.
//
// A handler answers during the call (reply) or holds a Pending that answers when the engine is
// done.
#pragma once

#include "plugins/gateway/binance/json_writer.hpp"
#include "plugins/gateway/binance/limits.hpp"
#include "plugins/gateway/binance/params.hpp"
#include "plugins/gateway/binance/render.hpp"
#include "plugins/gateway/binance/rendered.hpp"
#include "plugins/gateway/binance/replacement.hpp"
#include "plugins/gateway/binance/signature.hpp"
#include "plugins/gateway/binance/user_streams.hpp"
#include "plugins/gateway/binance/weights.hpp"

#include <tenon/abi/auth.h>
#include <tenon/abi/host.h>
#include <tenon/abi/http.h>
#include <tenon/abi/throttle.h>
#include <tenon/history.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tenon::binance {

struct Services {
    Service<tenon_http_routes_1> http;
    Service<tenon_instruments_1> instruments;
    Service<tenon_market_data_1> market_data;
    Service<tenon_trading_1> trading;
    Service<tenon_auth_1> auth;
    Service<tenon_clock_1> clock;
    Service<tenon_throttle_1> throttle;  // empty: keys have no limit of their own
    std::uint32_t key_limit = 0;
};

class Api;
class OrderWaits;
struct Call;

// user_stream: an API key alone, without a signature.
enum class Security : std::uint8_t { none, user_stream, user_data, trade };

struct Endpoint {
    std::string_view method, path;
    Security security;
    std::uint8_t parameters_max;  // without signature, timestamp and recvWindow
    void (*handler)(Api&, Call&);
    bool market_data = false;  // the same for everybody: may be kept by a shared cache
};

// Where an answer goes, for as long as the request is open.
struct ReplyTo {
    std::uint64_t handle = 0;
    std::string_view remote;
    const Weight* weight = nullptr;
    bool micro = false;
    bool market_data = false;
    std::uint64_t order_count_of = 0;  // an account: the answer carries its order counts
    std::uint64_t connection = 0;      // of the WebSocket API: the answer goes there
    std::string_view id;               // of its request, as JSON
    bool rate_limits = true;           // which its answer carries
    // Of one instrument's market: how old the newest of it is, where it comes from, and whether
    // that source is lost.
    std::int64_t age_ms = -1;  // -1: not said
    std::uint32_t source = TENON_MD_SOURCE_FEED;
    bool stale = false;
};

// Who a request says that it is from.
struct Credential {
    std::string_view key;
    SignedParts parts;        // what was signed
    bool session = false;     // the connection has logged on with this key: no signature is needed
    std::string_view remote;  // the address of who asks
};

// A request of the WebSocket API, as REST's endpoint that does the same.
struct SocketCall {
    std::string_view method, path;
    std::string_view form;  // parameters, percent-encoded
    Credential credential;
};

// A request during its handler.
struct Call {
    const Credential& credential;
    const Endpoint& endpoint;
    Params& params;
    ReplyTo to;
    std::uint64_t account = 0;

    // Checks that every parameter has been read.
    void finish() const;
};

// A request that waits for the engine. From the pool of Api; goes back with its answer.
struct Pending {
    Api* api = nullptr;
    ReplyTo to;
    std::string remote, id;  // what `to` has views of: an answer may outlive its connection
    std::uint64_t account = 0;
    ResponseType response = ResponseType::full;
    CommandKind command = CommandKind::new_order;
    bool single = false;       // a query for one order
    std::uint32_t orders = 1;  // that the request places, and that count as unfilled
    bool omit_zero = false;    // account: without empty balances
    bool found = false;        // a row has come
    std::string_view none;     // what a query for one says when there is no such
    bool coins = false;        // balances in the form of capital/config/getall
    std::string text;          // rows, written as they come
    std::vector<tenon_balance> balances;
    std::optional<tenon_order_list> list;  // what the request placed, while it waits for its venue
    std::unique_ptr<Replacement> replacement;  // order/cancelReplace: what comes after the cancel
};

class Api {
public:
    Api(const Services& services, const LimitSettings& limits, std::string_view weights_json);
    ~Api();
    Api(const Api&) = delete;
    Api& operator=(const Api&) = delete;

    // Other limits from now on; what is used up stays used up.
    void set(const LimitSettings& limits) noexcept {
        limit_settings_ = limits;
        addresses_.set(limits);
        orders_.set(limits);
    }

    // How long a shared cache (a CDN) may give the same answer about the market; 0: it asks each
    // time, and is told when nothing has changed.
    void set_cdn_seconds(std::uint32_t seconds);

    // How old a book may be that has lost its place, to be given and marked as stale.
    void set_stale_book_ms(std::uint32_t ms) noexcept { stale_book_ms_ = ms; }

    [[nodiscard]] std::int64_t stale_book_ms() const noexcept { return stale_book_ms_; }

    // Answers every request below its prefixes.
    void handle(const tenon_http_request& request) noexcept;
    // The endpoint must be one of endpoints().
    void handle(const SocketCall& request, ReplyTo to) noexcept;
    // Runs `fn` and answers what it throws.
    void answer_errors(const ReplyTo& to, const std::function<void()>& fn) noexcept;
    // Takes weight of the address; throws ApiError 429 or 418 when there is none.
    void admit(const ReplyTo& to, std::uint32_t weight, std::int64_t now_real_ns, bool take);
    // Checks time, signature and permission, and marks their parameters as read.
    [[nodiscard]] tenon_identity
    authenticate(const Credential& credential, Params& params, Security security) const;

    [[nodiscard]] UserStreams& user_streams() noexcept { return user_streams_; }

    // Follows orders, for the counts of unfilled ones and the accounts' last change.
    void on_execution(const tenon_execution_event* events, std::uint32_t count) noexcept;

    void reply(const ReplyTo& to, std::string_view body);
    // What the answer says of the age and source of this instrument's market: of a TENON_MD_KIND_*.
    // Without any it says nothing.
    void note_age(ReplyTo& to, std::uint32_t instrument, std::uint32_t kind) const;
    static void note_origin(ReplyTo& to, const tenon_md_origin& origin) noexcept;
    void reply_error(const ReplyTo& to, const ApiError& error);

    // For tenon.http_routes/1's other users in this plugin.
    [[nodiscard]] const Services& services() const noexcept { return services_; }

    [[nodiscard]] const LimitSettings& limit_settings() const noexcept { return limit_settings_; }

    [[nodiscard]] AddressLimits& addresses() noexcept { return addresses_; }

    [[nodiscard]] OrderLimits& orders() noexcept { return orders_; }

    [[nodiscard]] OrderWaits& waits() noexcept { return *waits_; }

    // How long the answer to an order waits for its venue.
    [[nodiscard]] std::int64_t order_wait_ns() const noexcept {
        return std::int64_t{limit_settings_.order_wait_ms} * 1'000'000;
    }

    // Called whenever a request begins to wait for its venue; may be empty.
    void on_wait(std::function<void()> fn) { on_wait_ = std::move(fn); }

    void waiting() const {
        if (on_wait_) {
            on_wait_();
        }
    }

    // Reads of older market data than memory has.
    [[nodiscard]] HistoryCalls& history() noexcept { return history_; }

    [[nodiscard]] Rendered& rendered() noexcept { return rendered_; }

    // An empty string whose memory is kept. Used up by the next call.
    [[nodiscard]] std::string& buffer() noexcept {
        buffer_.clear();
        return buffer_;
    }

    // Monotonic.
    [[nodiscard]] std::int64_t now_ns() const noexcept {
        return services_.clock->now_ns(services_.clock.self);
    }

    [[nodiscard]] std::int64_t now_real_ns() const noexcept {
        return services_.clock->now_real_ns(services_.clock.self);
    }

    // Counts the changes of trading status, for answers that are kept.
    [[nodiscard]] std::uint64_t status_version() const noexcept { return status_version_; }

    // The last change of an account that was seen, or when this object was made.
    [[nodiscard]] std::int64_t account_updated_real_ns(std::uint64_t account) const noexcept;

    [[nodiscard]] Pending& hold(const Call& call);
    void release(Pending& pending) noexcept;

    [[nodiscard]] std::size_t in_flight() const noexcept { return in_flight_; }

    // Runs `fn` once nothing waits for the engine, at once if so already. An empty one takes it
    // back.
    void when_idle(std::function<void()> fn);
    // Cells of tenon.metrics/1; NULL counts nowhere.
    void count_in(std::uint64_t* requests, std::uint64_t* errors, std::uint64_t* refused) noexcept;

    [[nodiscard]] static std::span<const Endpoint> endpoints() noexcept;

private:
    struct Route {
        const Endpoint* endpoint;
        const Weight* weight;
    };

    struct Hash {
        using is_transparent = void;

        std::size_t operator()(std::string_view text) const noexcept {
            return std::hash<std::string_view>{}(text);
        }
    };

    [[nodiscard]] const Route* find(std::string_view method, std::string_view path) const noexcept;
    void serve(const tenon_http_request& request, ReplyTo& to);
    void refuse_unknown(const tenon_http_request& request, const ReplyTo& to);
    void
    run(const Route& route, const Credential& credential, ReplyTo& to, std::int64_t now, bool sbe);
    // The answer to a request of the WebSocket API.
    void socket_reply(
        const ReplyTo& to,
        std::uint32_t status,
        std::string_view name,
        std::string_view body
    );
    void limit_key(const Call& call, std::uint32_t weight) const;

    Services services_;
    LimitSettings limit_settings_;
    Weights weights_;
    AddressLimits addresses_;
    OrderLimits orders_;
    Rendered rendered_;
    HistoryCalls history_;
    std::unordered_map<std::string_view, std::vector<Route>> routes_;  // by path
    Params params_;
    std::string buffer_;
    std::string socket_text_;
    UserStreams user_streams_;
    std::unordered_map<std::uint64_t, std::int64_t> updated_;  // by account
    std::int64_t started_real_ns_;
    std::uint32_t cdn_seconds_ = 0;
    std::uint32_t stale_book_ms_ = 0;
    std::string market_data_cache_{"no-cache"};  // Cache-Control
    std::uint64_t status_version_ = 1;
    std::vector<std::unique_ptr<Pending>> pool_;
    std::vector<Pending*> free_;
    std::size_t in_flight_ = 0;
    std::function<void()> when_idle_;
    std::unique_ptr<OrderWaits> waits_;
    std::function<void()> on_wait_;
    std::uint64_t uncounted_ = 0;
    std::uint64_t* requests_ = &uncounted_;
    std::uint64_t* errors_ = &uncounted_;
    std::uint64_t* refused_ = &uncounted_;
};

}  // namespace tenon::binance
