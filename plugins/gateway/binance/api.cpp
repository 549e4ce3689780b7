// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/api.hpp"

#include "plugins/gateway/binance/order_waits.hpp"
#include "plugins/gateway/binance/socket_reply.hpp"

#include <tenon/auth.hpp>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <utility>

namespace tenon::binance {
namespace {

constexpr std::string_view k_private = "no-store";
constexpr std::string_view k_json = "application/json;charset=UTF-8";

[[nodiscard]] std::string_view
header(const tenon_http_request& request, std::string_view name) noexcept {
    for (std::uint32_t at = 0; at < request.header_count; ++at) {
        if (view(request.headers[at].name) == name) {
            return view(request.headers[at].value);
        }
    }
    return {};
}

[[nodiscard]] bool wants_micro(const tenon_http_request& request) {
    const std::string_view unit = header(request, "x-mbx-time-unit");
    if (unit.empty() || unit == "MILLISECOND" || unit == "millisecond") {
        return false;
    }
    if (unit != "MICROSECOND" && unit != "microsecond") {
        throw ApiError{
            -1194, "Invalid value for time unit; expected either MICROSECOND or MILLISECOND."};
    }
    return true;
}

[[nodiscard]] bool is_key(std::string_view key) noexcept {
    return !key.empty() && key.size() <= 128 && std::all_of(key.begin(), key.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    });
}

// Bodies are parameters of these methods only; a body that a GET carries is signed but not read.
[[nodiscard]] std::string_view form_of(const tenon_http_request& request) noexcept {
    return view(request.method) == "GET" ? std::string_view{} : view(request.body);
}

// The only writer is this reactor; collectors read at any time.
void count(std::uint64_t* cell) noexcept {
    const std::atomic_ref<std::uint64_t> at{*cell};
    at.store(at.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

constexpr std::int64_t k_ms = 1'000'000;

// Where an answer about the market comes from: what the feed says, what it said before it was lost,
// what the database kept, or what the exchange was asked for it.
[[nodiscard]] std::string_view source_name(const ReplyTo& to) noexcept {
    if (to.stale) {
        return "stale";
    }
    return to.source == TENON_MD_SOURCE_API       ? "exchange"
           : to.source == TENON_MD_SOURCE_STORAGE ? "storage"
                                                  : "feed";
}

[[nodiscard]] HistoryCalls history_calls(const Service<tenon_market_data_1>& data) {
    const bool has = data && TENON_HAS(data.table, tenon_market_data_1, history) &&
                     TENON_HAS(data.table, tenon_market_data_1, cancel_history);
    return has ? HistoryCalls{data.self, data->history, data->cancel_history} : HistoryCalls{};
}

// Headers of an answer: name, value, with room for the numbers.
class Headers {
public:
    void add(std::string_view name, std::int64_t value) {
        auto& text = texts_[count_];
        const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
        add(name, std::string_view{text.data(), static_cast<std::size_t>(end - text.data())});
    }

    // The value is borrowed.
    void add(std::string_view name, std::string_view value) {
        headers_[count_] = {str(name), str(value)};
        ++count_;
    }

    [[nodiscard]] const tenon_http_header* data() const noexcept { return headers_.data(); }

    [[nodiscard]] std::uint32_t count() const noexcept { return count_; }

private:
    static constexpr std::size_t k_most = 8;

    std::array<tenon_http_header, k_most> headers_{};
    std::array<std::array<char, 24>, k_most> texts_{};
    std::uint32_t count_ = 0;
};

}  // namespace

void Call::finish() const {
    const bool is_signed = endpoint.security > Security::user_stream;
    const std::size_t signature = is_signed ? 3 : 0;
    params.finish(endpoint.parameters_max + signature);
}

Api::Api(const Services& services, const LimitSettings& limits, std::string_view weights_json)
    : services_{services},
      limit_settings_{limits},
      weights_{weights_json},
      addresses_{limits},
      orders_{limits},
      history_{history_calls(services.market_data)},
      user_streams_{services.http, services.instruments, services.clock},
      started_real_ns_{services.clock->now_real_ns(services.clock.self)},
      waits_{std::make_unique<OrderWaits>()} {
    for (const Endpoint& endpoint : endpoints()) {
        routes_[endpoint.path].push_back({&endpoint, &weights_.of(endpoint.method, endpoint.path)});
    }
}

Api::~Api() = default;

void Api::set_cdn_seconds(std::uint32_t seconds) {
    cdn_seconds_ = seconds;
    market_data_cache_ =
        seconds == 0 ? "no-cache" : "public, max-age=0, s-maxage=" + std::to_string(seconds);
}

const Api::Route* Api::find(std::string_view method, std::string_view path) const noexcept {
    const auto found = routes_.find(path);
    if (found == routes_.end()) {
        return nullptr;
    }
    for (const Route& route : found->second) {
        if (route.endpoint->method == method) {
            return &route;
        }
    }
    return nullptr;
}

void Api::handle(const tenon_http_request& request) noexcept {
    ReplyTo to;
    to.handle = request.handle;
    to.remote = view(request.remote);
    answer_errors(to, [&] { serve(request, to); });
}

// `to` is looked at after fn, which may have added what a failure costs.
void Api::answer_errors(const ReplyTo& to, const std::function<void()>& fn) noexcept {
    try {
        try {
            fn();
        } catch (const ApiError& error) {
            reply_error(to, error);
        } catch (const std::exception&) {
            reply_error(to, errors::unknown());
        }
    } catch (...) {
        // No memory even for the error's text.
        if (to.connection != 0) {
            (void
            )services_.http->ws_close(services_.http.self, to.connection, 1'011, str("no memory"));
            return;
        }
        const tenon_http_response response{
            sizeof response,
            503,
            str(k_json),
            str("{\"code\":-1001,\"msg\":\"Internal error.\"}"),
            nullptr,
            0,
            TENON_HTTP_CLOSE};
        services_.http->respond(services_.http.self, to.handle, &response);
    }
}

void Api::serve(const tenon_http_request& request, ReplyTo& to) {
    const std::int64_t now =
        request.received_real_ns != 0 ? request.received_real_ns : now_real_ns();
    const Route* const route = find(view(request.method), view(request.path));
    if (route == nullptr) {
        count(requests_);
        admit(to, 1, now, true);
        refuse_unknown(request, to);
        return;
    }
    try {
        params_.parse(view(request.query), form_of(request));
        to.micro = wants_micro(request);
    } catch (const ApiError&) {
        count(requests_);
        admit(to, 1, now, true);
        throw;
    }
    to.market_data = route->endpoint->market_data;
    const bool sbe = !header(request, "x-mbx-sbe").empty();
    const Credential credential{
        header(request, "x-mbx-apikey"),
        signed_parts(view(request.query), view(request.body)),
        false,
        view(request.remote)};
    run(*route, credential, to, now, sbe);
}

void Api::handle(const SocketCall& request, ReplyTo to) noexcept {
    answer_errors(to, [&] {
        const Route* const route = find(request.method, request.path);
        if (route == nullptr) {
            throw errors::unknown();
        }
        params_.parse(request.form, {});
        run(*route, request.credential, to, now_real_ns(), false);
    });
}

void Api::run(
    const Route& route,
    const Credential& credential,
    ReplyTo& to,
    std::int64_t now,
    bool sbe
) {
    count(requests_);
    const std::uint32_t weight = route.weight->of(params_);
    admit(to, weight, now, !route.weight->on_failure);
    // From here on a failure costs what the success is spared.
    to.weight = route.weight->on_failure ? route.weight : nullptr;
    if (sbe) {
        throw ApiError{-1155, "SBE is not enabled."};
    }
    Call call{credential, *route.endpoint, params_, to, 0};
    if (route.endpoint->security != Security::none) {
        call.account = authenticate(credential, params_, route.endpoint->security).account;
        limit_key(call, weight);
    }
    route.endpoint->handler(*this, call);
}

void Api::admit(const ReplyTo& to, std::uint32_t weight, std::int64_t now_real_ns, bool take) {
    const Admission admission = addresses_.admit(to.remote, weight, take, now_real_ns);
    if (admission.verdict == Admission::Verdict::admitted) {
        return;
    }
    std::string message;
    std::uint32_t status = 429;
    if (admission.verdict == Admission::Verdict::banned) {
        status = 418;
        message = "Way too much request weight used; IP banned until " +
                  std::to_string(admission.until_real_ns / 1'000'000) +
                  ". Please use WebSocket Streams for live updates to avoid bans.";
    } else if (admission.verdict == Admission::Verdict::too_many_requests) {
        message = "Too many requests; current limit is " +
                  std::to_string(limit_settings_.requests_per_5_minutes) +
                  " requests per 5 MINUTE. Please use WebSocket Streams for live updates to avoid "
                  "polling the API.";
    } else {
        message = "Too much request weight used; current limit is " +
                  std::to_string(limit_settings_.weight_per_minute) +
                  " request weight per 1 MINUTE. Please use WebSocket Streams for live updates to "
                  "avoid polling the API.";
    }
    ApiError error{status, -1003, std::move(message)};
    error.retry_after_s = admission.retry_after_s;
    throw error;
}

void Api::refuse_unknown(const tenon_http_request& request, const ReplyTo& to) {
    std::string what{view(request.method)};
    what.append(" ").append(view(request.path));
    const bool known_path = routes_.contains(view(request.path));
    reply_error(to, ApiError{known_path ? 405U : 404U, -1020, errors::unsupported(what).what()});
}

tenon_identity Api::authenticate(const Credential& credential, Params& params, Security security)
    const {
    if (!is_key(credential.key)) {
        throw errors::key_format();
    }
    const auto& auth = services_.auth;
    auto identity = sized<tenon_identity>();
    tenon_status status = TENON_OK;
    if (security == Security::user_stream) {
        status = auth->identify(auth.self, str(credential.key), &identity);
    } else {
        const auto timestamp = params.integer("timestamp");
        if (!timestamp) {
            throw errors::mandatory("timestamp");
        }
        const auto window = params.text("recvWindow");
        const bool session = credential.session && !params.peek("signature");
        const std::string_view signature =
            session ? std::string_view{} : params.mandatory("signature");
        check_timestamp(
            *timestamp,
            window ? parse_window_us(*window) : k_default_window_us,
            now_real_ns() / 1'000
        );
        // A session's key is looked up again: it may have been revoked.
        status = session ? auth->identify(auth.self, str(credential.key), &identity)
                         : auth->verify(
                               auth.self,
                               str(credential.key),
                               credential.parts.parts.data(),
                               credential.parts.count,
                               str(signature),
                               &identity
                           );
    }
    if (status == TENON_DENIED) {
        throw errors::signature();
    }
    if (status == TENON_NOT_FOUND) {
        throw errors::key_rejected();
    }
    if (status != TENON_OK) {
        throw status_error(status, nullptr);
    }
    if (!may_come_from(auth, credential.key, identity, str(credential.remote))) {
        throw errors::key_rejected();
    }
    const std::uint32_t needed =
        security == Security::trade ? TENON_PERMISSION_TRADE : TENON_PERMISSION_READ;
    if ((identity.permissions & needed) == 0) {
        throw errors::key_rejected();
    }
    return identity;
}

// What the operator lets one key do, whatever address it comes from. A cancel is counted when there
// is room, and goes in any case.
void Api::limit_key(const Call& call, std::uint32_t weight) const {
    if (!services_.throttle) {
        return;
    }
    const tenon_throttle_claim claim{
        services_.key_limit, std::max(weight, 1U), str(call.credential.key)};
    std::int64_t retry_ns = 0;
    const tenon_status status = services_.throttle->take(
        services_.throttle.self, &claim, 1, services_.clock->now_ns(services_.clock.self), &retry_ns
    );
    if (status == TENON_OK || call.endpoint.method == "DELETE") {
        return;
    }
    ApiError error{429, -1003, "Too much request weight used by this API key."};
    if (status == TENON_LIMITED) {
        error.retry_after_s = (retry_ns + 999'999'999) / 1'000'000'000;
    }
    throw error;
}

void Api::note_age(ReplyTo& to, std::uint32_t instrument, std::uint32_t kind) const {
    const auto& data = services_.market_data;
    if (TENON_HAS(data.table, tenon_market_data_1, origin)) {
        auto origin = sized<tenon_md_origin>();
        if (data->origin(data.self, instrument, kind, &origin) == TENON_OK) {
            note_origin(to, origin);
        }
        return;
    }
    auto book = sized<tenon_book>();
    if (data->book(data.self, instrument, 1, &book) == TENON_OK) {
        to.age_ms = std::max<std::int64_t>(0, now_real_ns() - book.updated_real_ns) / k_ms;
        to.stale = book.trusted == 0;
    }
}

void Api::note_origin(ReplyTo& to, const tenon_md_origin& origin) noexcept {
    to.age_ms = origin.age_ns < 0 ? -1 : origin.age_ns / k_ms;
    to.source = origin.source;
    to.stale = origin.trusted == 0;
}

void Api::reply(const ReplyTo& to, std::string_view body) {
    if (to.connection != 0) {
        socket_reply(to, 200, "result", body);
        return;
    }
    const std::int64_t now = now_real_ns();
    Headers headers;
    headers.add("cache-control", to.market_data ? std::string_view{market_data_cache_} : k_private);
    if (to.market_data && cdn_seconds_ != 0) {
        headers.add("vary", "X-MBX-TIME-UNIT");
    } else {
        // Not on what a shared cache keeps for others, whose weight is not this one.
        const std::uint32_t used = addresses_.used(to.remote, now);
        headers.add("x-mbx-used-weight", used);
        headers.add("x-mbx-used-weight-1m", used);
    }
    if (to.order_count_of != 0) {
        const OrderLimits::Counts counts = orders_.counts(to.order_count_of, now);
        headers.add("x-mbx-order-count-10s", counts.ten_seconds);
        headers.add("x-mbx-order-count-1d", counts.day);
    }
    if (to.age_ms >= 0) {
        headers.add("x-tenon-age-ms", to.age_ms);
        headers.add("x-tenon-source", source_name(to));
    }
    const tenon_http_response response{
        sizeof response, 200, str(k_json), str(body), headers.data(), headers.count(), 0};
    services_.http->respond(services_.http.self, to.handle, &response);
}

void Api::reply_error(const ReplyTo& to, const ApiError& error) {
    count(error.code() == -1003 || error.code() == -1015 ? refused_ : errors_);
    const std::int64_t now = now_real_ns();
    const std::uint32_t used = to.weight != nullptr
                                   ? addresses_.charge(to.remote, to.weight->one, now)
                                   : addresses_.used(to.remote, now);
    if (to.connection != 0) {
        std::string text;
        write_socket_error(text, error, now);
        socket_reply(to, error.http_status(), "error", text);
        return;
    }
    Headers headers;
    headers.add("x-mbx-used-weight", used);
    headers.add("x-mbx-used-weight-1m", used);
    if (to.order_count_of != 0) {
        const OrderLimits::Counts counts = orders_.counts(to.order_count_of, now);
        headers.add("x-mbx-order-count-10s", counts.ten_seconds);
        headers.add("x-mbx-order-count-1d", counts.day);
    }
    if (error.retry_after_s > 0) {
        headers.add("retry-after", error.retry_after_s);
    }
    std::string text;
    write_error(text, error);
    const tenon_http_response response{
        sizeof response,
        error.http_status(),
        str(k_json),
        str(text),
        headers.data(),
        headers.count(),
        0};
    services_.http->respond(services_.http.self, to.handle, &response);
}

void Api::on_execution(const tenon_execution_event* events, std::uint32_t count) noexcept {
    (void)guard(nullptr, [&] {
        for (std::uint32_t at = 0; at < count; ++at) {
            const tenon_execution_event& event = tenon::at(events, at);
            if (event.kind == TENON_EVENT_INSTRUMENT) {
                ++status_version_;
            } else if (event.kind == TENON_EVENT_BALANCE && event.balance != nullptr) {
                updated_[event.balance->account] = event.time_real_ns;
            } else if (
                event.kind == TENON_EVENT_ORDER && event.order != nullptr &&
                event.trade != nullptr &&
                event.order->filled_quantity == event.trade->quantity
            ) {
                orders_.release(event.order->account, event.time_real_ns);
            }
        }
        waits_->on_execution(events, count);
        user_streams_.on_execution(events, count);
    });
}

std::int64_t Api::account_updated_real_ns(std::uint64_t account) const noexcept {
    const auto found = updated_.find(account);
    return found == updated_.end() ? started_real_ns_ : found->second;
}

Pending& Api::hold(const Call& call) {
    if (free_.empty()) {
        pool_.push_back(std::make_unique<Pending>());
        free_.reserve(pool_.size());
        free_.push_back(pool_.back().get());
    }
    Pending& pending = *free_.back();
    free_.pop_back();
    pending.api = this;
    pending.to = call.to;
    pending.remote.assign(call.to.remote);
    pending.to.remote = pending.remote;
    pending.id.assign(call.to.id);
    pending.to.id = pending.id;
    pending.account = call.account;
    pending.single = false;
    pending.orders = 1;
    pending.list.reset();
    pending.omit_zero = false;
    pending.found = false;
    pending.coins = false;
    pending.text.clear();
    pending.balances.clear();
    pending.replacement.reset();
    ++in_flight_;
    return pending;
}

void Api::release(Pending& pending) noexcept {
    constexpr std::size_t k_keep_bytes = 64 * 1024;
    if (pending.text.capacity() > k_keep_bytes) {
        std::string{}.swap(pending.text);
    }
    free_.push_back(&pending);
    if (--in_flight_ == 0 && when_idle_) {
        std::exchange(when_idle_, {})();
    }
}

void Api::when_idle(std::function<void()> fn) {
    if (fn && in_flight_ == 0) {
        fn();
        return;
    }
    when_idle_ = std::move(fn);
}

void Api::count_in(
    std::uint64_t* requests,
    std::uint64_t* errors,
    std::uint64_t* refused
) noexcept {
    requests_ = requests == nullptr ? &uncounted_ : requests;
    errors_ = errors == nullptr ? &uncounted_ : errors;
    refused_ = refused == nullptr ? &uncounted_ : refused;
}

}  // namespace tenon::binance
