// SPDX-License-Identifier: Apache-2.0
// What the order side and the feed see of the exchange: REST requests and the user stream.
//
// Pure interfaces. The implementation signs, keeps to the exchange's limits, and tells certainly
// whether a request may have reached the exchange; it does not know what a request means, and it
// repeats nothing but GETs. Everything runs on reactor 0; nothing blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace tenon::binance_venue {

// Whose turn it is when the budget is short: cancels before orders before queries before back-fill.
enum class Lane : std::uint8_t { cancel, order, query, backfill };

struct RestRequest {
    std::string method = "GET";  // GET, POST, PUT, DELETE
    std::string path;            // "/api/v3/order"
    // Parameters as k=v joined by '&', percent-encoded. Without timestamp, recvWindow and
    // signature: `sign` adds them, when the request leaves and not when it is queued.
    std::string query;
    bool sign = false;
    Lane lane = Lane::query;
    std::uint32_t weight = 0;      // 0: by the table of weights
    std::uint32_t orders = 0;      // what it counts against the limits of new orders
    std::int64_t deadline_ns = 0;  // monotonic; the answer is there by then, whatever it is
    std::string client;            // fairness between those who ask; may be empty
};

enum class Outcome : std::uint8_t {
    answered,  // a complete answer of the exchange, whatever its status
    not_sent,  // certain: not one byte of the request has left this process
    unknown,   // sent, wholly or in part, and no complete answer came
};

struct RestReply {
    Outcome outcome = Outcome::not_sent;
    unsigned status = 0;  // HTTP, when answered. 5xx: the exchange itself does not know the outcome
    std::string body;     // when answered; at most the response bound of the settings
    std::string reason;   // otherwise: why, without parameters or secrets
    // From the answer's headers; -1: it has none.
    std::int64_t used_weight = -1, orders_10s = -1, orders_1d = -1;
    std::int64_t retry_after_ns = 0;  // not_sent too: when a slot was predicted
    // The timestamp that was signed and the window in which the exchange may accept it, both ms by
    // the exchange's clock; 0 when it was not sent or not signed. After signed_ms + window_ms (and
    // a margin for the clock) the exchange accepts this request no more.
    std::int64_t signed_ms = 0, window_ms = 0;
    std::int64_t sent_ns = 0;  // monotonic, when it was written; 0: it was not
};

class RestClient {
public:
    using Done = std::function<void(RestReply)>;

    virtual ~RestClient() = default;

    // [reactor 0] Calls `done` exactly once, on reactor 0, in a later turn and never inside send;
    // by the deadline, or when the client stops.
    virtual void send(RestRequest request, Done done) = 0;
    // [reactor 0] The exchange's clock as it is estimated, in ms; our own before the first sample.
    [[nodiscard]] virtual std::int64_t exchange_now_ms() const = 0;
    // [reactor 0] False: no credential is set, and signed requests are refused as not_sent.
    [[nodiscard]] virtual bool can_sign() const = 0;
};

// The account's events. Between broken() and the next connected() events may have been missed: who
// listens asks for what happened since.
class UserStreamListener {
public:
    // Subscribed: what happens from now on is told.
    virtual void user_stream_connected() = 0;
    virtual void user_stream_broken(std::string_view reason) = 0;
    // One event as JSON text: executionReport, outboundAccountPosition, balanceUpdate, … It is
    // unwrapped, and borrowed during the call.
    virtual void user_stream_event(std::string_view json) = 0;

protected:
    ~UserStreamListener() = default;
};

class UserStream {
public:
    virtual ~UserStream() = default;

    // [reactor 0] Connects and keeps connecting, with growing pauses, until close.
    virtual void open(UserStreamListener& listener) = 0;
    // [reactor 0] No call to the listener comes afterwards.
    virtual void close() = 0;
};

}  // namespace tenon::binance_venue
