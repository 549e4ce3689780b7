// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/http/ws_session.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace tenon::http {
namespace {

constexpr std::int64_t k_ms = 1'000'000;
constexpr std::int64_t k_close_wait_ns = 5'000 * k_ms;
constexpr std::uint16_t k_policy = 1008;
constexpr std::uint16_t k_handler_failed = 1011;
constexpr std::uint16_t k_no_status = 1005;

}  // namespace

WsSession::WsSession(Shared& shared, std::uint64_t connection, const Route& route, bool deflate)
    : shared_{shared},
      connection_{connection},
      deflate_{deflate},
      requests_{route.path == shared.settings.ws_request_path},
      route_{route.ws, route.ctx, nullptr, route.handle},
      reader_{shared.settings.ws_message_max_bytes, deflate ? &shared.inflater : nullptr},
      next_ping_ns_{shared.now_ns + shared.settings.ws_ping_interval_ms * k_ms},
      last_heard_ns_{shared.now_ns} {
    shared_.metrics.ws_connections.add(1);
}

WsSession::~WsSession() {
    detach();
    shared_.metrics.ws_connections.add(-1);
}

void WsSession::open(const tenon_http_request& request) {
    const tenon_status status = route_.table.open(route_.ctx, connection_, &request, &route_.user);
    if (status != TENON_OK) {
        route_ = {};
        (void)close(k_handler_failed, "the handler refused the connection");
        return;
    }
    opened_ = true;
}

std::size_t WsSession::receive(char* data, std::size_t size) {
    last_heard_ns_ = shared_.now_ns;  // also of a part of a frame
    std::size_t taken = 0;
    while (state_ != State::done) {
        const WsReader::Item item = reader_.next(data + taken, size - taken);
        if (item.event == WsReader::Event::need_more) {
            return taken;
        }
        taken += item.consumed;
        on_item(item);
    }
    return size;
}

void WsSession::on_item(const WsReader::Item& item) {
    using Event = WsReader::Event;
    if (item.event == Event::failed) {
        end(item.code, item.payload, State::done);
        return;
    }
    if (item.event == Event::close) {
        // The answer to our own close needs no answer (RFC 6455, 5.5.1).
        if (state_ == State::open) {
            end(item.code == k_no_status ? std::uint16_t{1000} : item.code, {}, State::done);
        }
        state_ = State::done;
        peer_closed_ = true;
        return;
    }
    if (state_ != State::open || item.event == Event::pong) {
        return;
    }
    const bool counts = item.event != Event::fragment && !(requests_ && item.event == Event::text);
    if (counts && !within_rate()) {
        shared_.metrics.ws_rate_closed.add();
        end(k_policy, "too many messages per second", State::closing);
        return;
    }
    if (item.event == Event::ping) {
        push_own(make_frame(Opcode::pong, item.payload));
    } else if (item.event == Event::text && opened_) {
        route_.table.text(
            route_.ctx, connection_, route_.user, {item.payload.data(), item.payload.size()}
        );
    }
}

// Generic cell rate algorithm (ITU-T I.371): one message an interval, `burst` of them at once.
bool WsSession::within_rate() {
    const std::int64_t rate = shared_.settings.ws_messages_per_second;
    if (rate == 0) {
        return true;
    }
    const std::int64_t interval_ns = 1'000 * k_ms / rate;
    const std::int64_t arrival_ns = std::max(arrival_ns_, shared_.now_ns);
    if (arrival_ns - shared_.now_ns > interval_ns * (shared_.settings.ws_message_burst - 1)) {
        return false;
    }
    arrival_ns_ = arrival_ns + interval_ns;
    return true;
}

tenon_status WsSession::send(tenon_ws_frame& given) {
    if (state_ != State::open) {
        return TENON_NOT_FOUND;
    }
    tenon_ws_frame& frame =
        deflate_ && shared_.settings.message_compression
            ? packed_frame(given, shared_.deflater, shared_.settings.ws_deflate_min_bytes)
            : given;
    if (output_.bytes() + frame.size > shared_.settings.ws_queue_max_bytes) {
        shared_.metrics.ws_slow_closed.add();
        output_.drop_unstarted();
        end(k_policy, "the client reads too slowly", State::closing);
        return TENON_UNAVAILABLE;
    }
    output_.push(frame);
    shared_.metrics.ws_frames.add();
    if (&frame != &given) {
        shared_.metrics.ws_compressed.add();
    }
    return TENON_OK;
}

tenon_status WsSession::close(std::uint16_t code, std::string_view reason) {
    if (state_ != State::open) {
        return TENON_NOT_FOUND;
    }
    end(code, reason, State::closing);
    return TENON_OK;
}

void WsSession::end(std::uint16_t code, std::string_view reason, State next) {
    if (state_ == State::open) {
        push_own(make_close_frame(code, reason));
        closing_until_ns_ = shared_.now_ns + k_close_wait_ns;
    }
    state_ = next;
}

void WsSession::push_own(tenon_ws_frame* frame) {
    const std::unique_ptr<tenon_ws_frame, decltype(&release_frame)> mine{frame, &release_frame};
    // Answers to pings are bounded like all else; a client that pings and never reads gets none.
    if (output_.bytes() <= shared_.settings.ws_queue_max_bytes) {
        output_.push(*frame);
    }
}

void WsSession::detach() noexcept {
    const Handler handler = std::exchange(route_, {});
    if (std::exchange(opened_, false)) {
        handler.table.close(handler.ctx, connection_, handler.user);
    }
}

std::int64_t WsSession::deadline_ns() const noexcept {
    if (state_ != State::open) {
        return closing_until_ns_;
    }
    return std::min(next_ping_ns_, last_heard_ns_ + shared_.settings.ws_pong_timeout_ms * k_ms);
}

void WsSession::due() {
    if (state_ != State::open) {
        if (shared_.now_ns >= closing_until_ns_) {
            state_ = State::done;
            output_.drop_unstarted();
        }
        return;
    }
    if (shared_.now_ns >= last_heard_ns_ + shared_.settings.ws_pong_timeout_ms * k_ms) {
        end(k_policy, "no answer to ping", State::closing);
        return;
    }
    if (shared_.now_ns >= next_ping_ns_) {
        push_own(make_frame(Opcode::ping, {}));
        next_ping_ns_ = shared_.now_ns + shared_.settings.ws_ping_interval_ms * k_ms;
    }
}

}  // namespace tenon::http
