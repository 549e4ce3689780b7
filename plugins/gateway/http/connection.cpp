// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/http/connection.hpp"

#include "plugins/gateway/http/client_address.hpp"
#include "plugins/gateway/http/handshake.hpp"

#include <tenon/address_key.hpp>
#include <tenon/plugin.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace tenon::http {
namespace {

constexpr std::int64_t k_ms = 1'000'000;
constexpr std::int64_t k_linger_ns = 2'000 * k_ms;
constexpr std::size_t k_first_capacity = 4 * 1024;
constexpr std::size_t k_kept_capacity = 64 * 1024;
constexpr std::size_t k_output_high = 256 * 1024;  // above it no further request is taken

constexpr ReadFault k_not_found{404, "not_found", "nothing is mounted at this path"};
constexpr ReadFault k_not_ready{503, "not_ready", "the server is not ready; try again later"};
constexpr ReadFault k_method{405, "method_not_allowed", "the path does not take this method"};
constexpr ReadFault k_timeout{408, "timeout", "the request was not complete in time"};
constexpr ReadFault k_websocket_only{426, "upgrade_required", "this path is a WebSocket"};
constexpr ReadFault k_unmounted{503, "unavailable", "the handler of this path has stopped"};
constexpr ReadFault k_pipelined_upgrade{
    400,
    "bad_upgrade",
    "a WebSocket cannot follow unanswered requests"};
constexpr ReadFault k_buffer_full{413, "body_too_large", "the request is too large"};

constexpr ReadFault k_overloaded{
    503,
    "overloaded",
    "the server has more to do than it can; try again later"};
constexpr ReadFault k_limited{429, "too_many_requests", "too many requests of this address"};

constexpr std::string_view k_json = "application/json";

}  // namespace

Connection::Connection(Shared& shared, std::uint64_t id, std::string remote)
    : shared_{shared},
      id_{id},
      remote_{std::move(remote)},
      reader_{{shared.settings.header_max_bytes, shared.settings.body_max_bytes, 100}},
      active_ns_{shared.now_ns} {}

Connection::~Connection() = default;

std::span<char> Connection::room() {
    if (lingering_) {
        begin_ = end_ = 0;  // read and thrown away
    } else if (!wants_input()) {
        return {};
    }
    if (begin_ != 0) {
        std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    if (end_ == capacity_) {
        const Settings& settings = shared_.settings;
        const std::size_t largest =
            std::max(
                settings.header_max_bytes + settings.body_max_bytes, settings.ws_message_max_bytes
            ) +
            k_first_capacity;
        const std::size_t wanted = std::min(std::max(capacity_ * 2, k_first_capacity), largest);
        if (wanted <= capacity_) {
            refuse(k_buffer_full);
            return {};
        }
        std::unique_ptr<char[]> grown{new char[wanted]};
        if (end_ != 0) {
            std::memcpy(grown.get(), buffer_.get(), end_);
        }
        buffer_ = std::move(grown);
        capacity_ = wanted;
    }
    return {buffer_.get() + end_, capacity_ - end_};
}

void Connection::received(std::size_t size) {
    if (lingering_) {
        return;
    }
    end_ += size;
    active_ns_ = shared_.now_ns;
    process();
}

void Connection::lost() noexcept {
    lost_ = true;
    input_ended_ = true;
    if (ws_) {
        ws_->detach();
    }
}

void Connection::resume() {
    process();
}

bool Connection::can_take() const noexcept {
    return !lost_ && !last_request_ && !lingering_ && count_ < shared_.settings.pipeline_max &&
           out_.size() - out_written_ < k_output_high;
}

void Connection::process() {
    stalled_ = false;
    while (!ws_ && begin_ < end_) {
        if (!can_take()) {
            stalled_ = !lost_ && !last_request_;
            return;
        }
        std::size_t size = end_ - begin_;
        const RequestReader::State state = reader_.advance(buffer_.get() + begin_, size);
        end_ = begin_ + size;
        if (state == RequestReader::State::failed) {
            return refuse(reader_.fault());
        }
        if (state == RequestReader::State::need_more) {
            partial_since_ns_ = partial_since_ns_ == 0 ? shared_.now_ns : partial_since_ns_;
            in_body_ = reader_.header_done();
            wants_continue_ = wants_continue_ || reader_.take_expectation();
            break;
        }
        take_request();
    }
    if (wants_continue_ && count_ == 0) {
        wants_continue_ = false;
        out_.append("HTTP/1.1 100 Continue\r\n\r\n");
    }
    if (ws_) {
        process_websocket();
    }
    shrink();
}

void Connection::process_websocket() {
    begin_ += ws_->receive(buffer_.get() + begin_, end_ - begin_);
    lingers_ = ws_->cut_off();
}

// An idle connection keeps little memory.
void Connection::shrink() {
    if (begin_ != end_ || count_ != 0) {
        return;
    }
    begin_ = end_ = 0;
    if (capacity_ > k_kept_capacity) {
        buffer_.reset();
        capacity_ = 0;
    }
}

tenon_str Connection::text_at(Span span) const noexcept {
    return {buffer_.get() + begin_ + span.at, span.size};
}

void Connection::fill_request(Exchange& exchange) {
    exchange.headers.clear();
    for (const HeaderSpan& header : reader_.headers()) {
        exchange.headers.push_back({text_at(header.name), text_at(header.value)});
    }
    tenon_http_request& request = exchange.request;
    request.method = text_at(reader_.method());
    request.path = reader_.path().size == 0 ? str("/") : text_at(reader_.path());
    request.query = text_at(reader_.query());
    request.tail = {};
    request.body = text_at(reader_.body());
    request.headers = exchange.headers.data();
    request.header_count = static_cast<std::uint32_t>(exchange.headers.size());
    request.remote =
        str(client_address(remote_, exchange.headers, shared_.settings.trusted_proxies));
    exchange.head = view(request.method) == "HEAD";
    exchange.close = !reader_.keep_alive();
    exchange.say_keep_alive = reader_.http_1_0() && reader_.keep_alive();
}

Connection::Exchange& Connection::push_exchange() {
    if (count_ == ring_.size()) {
        std::rotate(
            ring_.begin(), ring_.begin() + static_cast<std::ptrdiff_t>(first_), ring_.end()
        );
        first_ = 0;
        ring_.push_back(std::make_unique<Exchange>());
    }
    Exchange& exchange = exchange_at(count_++);
    exchange.answer.clear();
    exchange.route = 0;
    exchange.begin_ns = 0;
    exchange.answered = exchange.head = exchange.close = exchange.say_keep_alive = false;
    exchange.request = {};
    exchange.request.size = sizeof(tenon_http_request);
    exchange.request.handle = id_ | (next_sequence_++ & k_sequence_mask);
    exchange.request.received_ns = shared_.now_ns;
    exchange.request.received_real_ns = shared_.now_real_ns;
    return exchange;
}

void Connection::take_request() {
    Exchange& exchange = push_exchange();
    fill_request(exchange);
    const bool upgrade_wanted = reader_.wants_upgrade();
    begin_ += reader_.consumed();
    reader_.reset();
    partial_since_ns_ = 0;
    wants_continue_ = false;
    last_request_ = exchange.close;
    if (over_limit(exchange)) {
        return;
    }
    if (upgrade_wanted && asks_for_websocket(exchange.request)) {
        const auto match = shared_.routes.find_websocket(view(exchange.request.path));
        if (match.route != nullptr) {
            return upgrade(exchange, match);
        }
    }
    dispatch(exchange);
}

// Whoever watches the server is told the truth however many share his address: a balancer that got
// 429 would take a server out that is well.
bool Connection::over_limit(Exchange& exchange) {
    constexpr std::array<std::string_view, 3> k_watched{"/healthz", "/readyz", "/metrics"};
    const std::string_view path = view(exchange.request.path);
    if (!shared_.address_limit ||
        std::find(k_watched.begin(), k_watched.end(), path) != k_watched.end()) {
        return false;
    }
    const AddressKey address{view(exchange.request.remote)};
    const tenon_throttle_claim claim{*shared_.address_limit, 1, str(address.view())};
    std::int64_t retry_ns = 0;
    if (shared_.throttle->take(shared_.throttle.self, &claim, 1, shared_.now_ns, &retry_ns) !=
        TENON_LIMITED) {
        return false;
    }
    shared_.metrics.limited.add();
    constexpr std::int64_t k_second_ns = 1'000'000'000;
    const std::string seconds =
        std::to_string(std::max<std::int64_t>((retry_ns + k_second_ns - 1) / k_second_ns, 1));
    const tenon_http_header retry{str("Retry-After"), str(seconds)};
    answer_error(exchange, k_limited, &retry);
    return true;
}

// What ends something is never refused: it is how a client gets out of trouble.
bool Connection::overloaded(Exchange& exchange, const Route& route) {
    const std::string_view method = view(exchange.request.method);
    if (!shared_.concurrency_limit || method == "DELETE" ||
        !view(exchange.request.path).starts_with(shared_.settings.concurrency_path)) {
        return false;
    }
    exchange.place.assign(method).append(" ").append(route.path);
    exchange.place.resize(std::min<std::size_t>(exchange.place.size(), TENON_THROTTLE_KEY_MAX));
    const tenon_throttle_claim claim{*shared_.concurrency_limit, 1, str(exchange.place)};
    const std::int64_t now_ns = shared_.clock->now_ns(shared_.clock.self);
    const auto& throttle = shared_.throttle;
    const tenon_status taken = throttle->take(throttle.self, &claim, 1, now_ns, nullptr);
    exchange.begin_ns = taken == TENON_OK ? now_ns : 0;
    if (taken != TENON_LIMITED) {
        return false;
    }
    shared_.metrics.overloaded.add();
    const tenon_http_header retry{str("Retry-After"), str("1")};
    answer_error(exchange, k_overloaded, &retry);
    return true;
}

void Connection::leave_place(Exchange& exchange, std::uint32_t status) {
    const auto& throttle = shared_.throttle;
    const std::int64_t now_ns = shared_.clock->now_ns(shared_.clock.self);
    if (TENON_HAS(throttle.table, tenon_throttle_1, observe)) {
        auto feedback = sized<tenon_throttle_feedback>();
        feedback.outcome = status < 500 ? TENON_UPSTREAM_OK : TENON_UPSTREAM_FAILED;
        feedback.latency_ns = now_ns - exchange.begin_ns;
        throttle->observe(
            throttle.self, *shared_.concurrency_limit, str(exchange.place), &feedback, now_ns
        );
    }
    exchange.begin_ns = 0;
}

void Connection::dispatch(Exchange& exchange) {
    if (answer_preflight(exchange)) {
        return;
    }
    const auto match =
        shared_.routes.find(view(exchange.request.method), view(exchange.request.path));
    if (match.route == nullptr) {
        return answer_unrouted(exchange, match.path_known);
    }
    exchange.route = match.route->handle;
    exchange.request.tail = str(match.tail);
    if (overloaded(exchange, *match.route)) {
        return;
    }
    match.route->fn(match.route->ctx, &exchange.request);
}

void Connection::answer_unrouted(Exchange& exchange, bool path_known) {
    const std::string_view path = view(exchange.request.path);
    const std::string allowed = path_known ? shared_.routes.allowed(path) : std::string{};
    if (!allowed.empty()) {
        const tenon_http_header allow{str("Allow"), str(allowed)};
        answer_error(exchange, k_method, &allow);
    } else if (path_known) {
        const tenon_http_header upgrade_to{str("Upgrade"), str("websocket")};
        answer_error(exchange, k_websocket_only, &upgrade_to);
    } else if (!shared_.ready()) {
        const tenon_http_header retry{str("Retry-After"), str("1")};
        answer_error(exchange, k_not_ready, &retry);
    } else {
        answer_error(exchange, k_not_found, nullptr);
    }
}

bool Connection::answer_preflight(Exchange& exchange) {
    const bool preflight =
        !shared_.settings.cors_origin.empty() && view(exchange.request.method) == "OPTIONS" &&
        header_of(exchange.request, "access-control-request-method").data() != nullptr;
    if (!preflight) {
        return false;
    }
    const std::string_view asked = header_of(exchange.request, "access-control-request-headers");
    const tenon_http_header headers[] = {
        {str("Access-Control-Allow-Methods"), str("GET, POST, PUT, DELETE, HEAD")},
        {str("Access-Control-Allow-Headers"), str(asked.empty() ? "*" : asked)},
        {str("Access-Control-Max-Age"), str("600")}};
    tenon_http_response response{};
    response.size = sizeof response;
    response.status = 204;
    response.headers = headers;
    response.header_count = 3;
    answer(exchange, response);
    return true;
}

void Connection::upgrade(Exchange& exchange, const RouteTable::Match& match) {
    if (count_ != 1) {
        return answer_error(exchange, k_pipelined_upgrade, nullptr);
    }
    const HandshakeFault fault = check_handshake(exchange.request);
    if (fault.status != 0) {
        const tenon_http_header version{str("Sec-WebSocket-Version"), str("13")};
        return answer_error(exchange, {fault.status, "bad_handshake", fault.message}, &version);
    }
    const Packs whose = shared_.settings.ws_deflate;
    const DeflateOffer deflate =
        whose == Packs::always || !is_this_machine(view(exchange.request.remote))
            ? choose_deflate(exchange.request)
            : DeflateOffer{};
    out_.append(handshake_answer(
        header_of(exchange.request, "sec-websocket-key"),
        deflate.accepted ? deflate_answer(deflate) : std::string{}
    ));
    exchange.request.tail = str(match.tail);
    shared_.metrics.requests[0].add();
    ws_ = std::make_unique<WsSession>(shared_, id_, *match.route, deflate.accepted);
    ws_->open(exchange.request);
    exchange.answered = true;
    release_answered();
}

void Connection::answer_error(
    Exchange& exchange,
    const ReadFault& fault,
    const tenon_http_header* extra
) {
    const std::string body = error_body(fault.code, fault.message);
    tenon_http_response response{};
    response.size = sizeof response;
    response.status = fault.status;
    response.content_type = str(k_json);
    response.body = str(body);
    response.headers = extra;
    response.header_count = extra == nullptr ? 0 : 1;
    answer(exchange, response);
}

void Connection::refuse(const ReadFault& fault) {
    last_request_ = true;
    lingers_ = true;
    if (ws_ || lost_) {
        return lost();
    }
    Exchange& exchange = push_exchange();
    exchange.close = true;
    answer_error(exchange, fault, nullptr);
}

tenon_status Connection::respond(std::uint64_t handle, const tenon_http_response& response) {
    const std::uint64_t first = next_sequence_ - count_;
    const std::uint64_t i = (handle - first) & k_sequence_mask;
    if (i >= count_ || exchange_at(i).answered) {
        return TENON_NOT_FOUND;
    }
    answer(exchange_at(i), response);
    return TENON_OK;
}

void Connection::answer(Exchange& exchange, const tenon_http_response& response) {
    exchange.answered = true;
    if (exchange.begin_ns != 0) {
        leave_place(exchange, response.status);
    }
    exchange.close = exchange.close || (response.flags & TENON_HTTP_CLOSE) != 0 || shared_.draining;
    const std::uint32_t status_class = response.status / 100;
    shared_.metrics.requests[status_class >= 1 && status_class <= 5 ? status_class - 1 : 4].add();
    shared_.answered.push_back(exchange.request.received_ns);
    const bool is_first = &exchange == ring_[first_].get();
    if (!lost_ && !last_answer_) {
        const ResponseContext context{
            shared_.date.at(shared_.now_real_ns),
            shared_.settings.cors_origin,
            exchange.head,
            exchange.close,
            exchange.say_keep_alive};
        const Representation chosen =
            shared_.negotiator.choose(exchange.request, response, shared_.settings);
        append_response(is_first ? out_ : exchange.answer, response, chosen, context);
    }
    if (is_first) {
        release_answered();
    }
}

// Gives up the front exchanges that are answered, and what their answers say.
void Connection::release_answered() {
    while (count_ != 0 && exchange_at(0).answered) {
        Exchange& exchange = exchange_at(0);
        if (!lost_ && !last_answer_) {
            out_.append(exchange.answer);
        }
        if (exchange.close && !ws_) {
            last_answer_ = last_request_ = true;
        }
        exchange.answer.clear();
        first_ = (first_ + 1) % ring_.size();
        --count_;
    }
    active_ns_ = shared_.now_ns;
}

void Connection::unmount(std::uint64_t route) {
    // From the back: answering the first one releases it and moves the others up.
    for (std::size_t i = count_; i-- != 0;) {
        Exchange& exchange = exchange_at(i);
        if (exchange.route == route && !exchange.answered) {
            answer_error(exchange, k_unmounted, nullptr);
        }
    }
    if (ws_ && ws_->route() == route) {
        ws_->detach();
        (void)ws_->close(1001, "the server is stopping");
    }
}

void Connection::drain(bool also_unused) {
    if (ws_) {
        (void)ws_->close(1001, "the server is stopping");
    }
    const bool used = next_sequence_ != 0;
    if (count_ == 0 && begin_ == end_ && (used || also_unused)) {
        last_request_ = last_answer_ = true;
    }
}

std::size_t Connection::gather(iovec* out, std::size_t room) const noexcept {
    std::size_t filled = 0;
    if (out_written_ < out_.size()) {
        // Written from, never to.
        out[filled++] = {const_cast<char*>(out_.data()) + out_written_, out_.size() - out_written_};
    }
    return ws_ ? filled + ws_->output().gather(out + filled, room - filled) : filled;
}

void Connection::written(std::size_t size) noexcept {
    active_ns_ = shared_.now_ns;
    const std::size_t own = std::min(size, out_.size() - out_written_);
    out_written_ += own;
    if (out_written_ == out_.size()) {
        out_written_ = 0;
        out_.clear();
        if (out_.capacity() > k_output_high) {
            out_.shrink_to_fit();
        }
    }
    if (ws_ && size != own) {
        ws_->output().written(size - own);
    }
}

bool Connection::has_output() const noexcept {
    return !lost_ && (!out_.empty() || (ws_ && !ws_->output().empty()));
}

bool Connection::wants_input() const noexcept {
    if (lost_ || input_ended_) {
        return false;
    }
    if (lingering_) {
        return true;
    }
    return ws_ ? !ws_->done() : count_ == 0 && !last_request_ && !stalled_;
}

bool Connection::finished() const noexcept {
    if (lost_) {
        return true;
    }
    if (lingering_) {
        return input_ended_;
    }
    if (has_output()) {
        return false;
    }
    if (ws_) {
        return ws_->done() || input_ended_;
    }
    return last_answer_ || (input_ended_ && count_ == 0 && !stalled_);
}

void Connection::start_lingering() noexcept {
    lingering_ = true;
    lingers_ = false;
    if (ws_) {
        ws_->detach();
    }
    active_ns_ = shared_.now_ns;
}

std::int64_t Connection::deadline_ns() const noexcept {
    if (lingering_) {
        return active_ns_ + k_linger_ns;
    }
    if (ws_) {
        return ws_->deadline_ns();
    }
    const Settings& settings = shared_.settings;
    if (count_ != 0 && !has_output()) {
        return k_never;  // the handler's turn
    }
    if (partial_since_ns_ != 0 && !has_output()) {
        const std::int64_t body_ms = in_body_ ? settings.body_timeout_ms : 0;
        return partial_since_ns_ + (settings.header_timeout_ms + body_ms) * k_ms;
    }
    return active_ns_ + settings.idle_timeout_ms * k_ms;
}

void Connection::due() {
    if (ws_ && !lingering_) {
        ws_->due();
        if (ws_->done()) {
            lost();
        }
        return;
    }
    if (!lingering_ && partial_since_ns_ != 0 && !has_output()) {
        partial_since_ns_ = 0;
        return refuse(k_timeout);
    }
    lost();
}

}  // namespace tenon::http
