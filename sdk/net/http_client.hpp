// SPDX-License-Identifier: Apache-2.0
// A client of one HTTP/1.1 server: a pool of connections that are kept, one request at a time on
// each. All on one reactor; nothing blocks.
//
// An answer tells certainly whether the request may have reached the server. A request of which
// nothing has left is given to another connection; one that has left is sent again only when it is
// a GET and the options allow it. Answers must have a length or be chunked. No redirects, no
// proxies, no compression, no pipelining: a lost connection costs one request. A request with a
// control character in its head, which could be read as two, is not sent.
#pragma once

#include "sdk/net/stream.hpp"

#include <tenon/backoff.hpp>

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon::net {

struct HttpRequest {
    std::string method = "GET";
    std::string target = "/";  // path and query, percent-encoded
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    std::int64_t deadline_ns = 0;  // monotonic
    unsigned priority = 0;         // lower ones get a free connection first
    // Called when it is about to be written, to finish target, headers or body; may be empty.
    std::function<void(HttpRequest&)> prepare;
};

enum class HttpOutcome : std::uint8_t { answered, not_sent, unknown };

struct HttpReply {
    HttpOutcome outcome = HttpOutcome::not_sent;
    unsigned status = 0;
    std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
    std::string body;
    std::string reason;  // when there is no answer; nothing of the request

    // "" when there is none.
    [[nodiscard]] std::string_view header(std::string_view lower_case_name) const noexcept;
};

struct HttpClientOptions {
    Url url;  // of the server; its path is not used
    std::string user_agent = "tenon";
    std::size_t connections_max = 8;
    // A GET that has left and got no answer is sent again, twice at most. Off where each request
    // has a price: who pays asks again.
    bool repeat_gets = true;
    std::size_t waiting_max = 1024;
    std::size_t body_max = 16'777'216;
    std::int64_t connect_timeout_ns = 5'000'000'000;
    std::int64_t idle_ns = 50'000'000'000;  // a connection that was not used is closed
    BackoffOptions backoff{250'000'000, 30'000'000'000};
    std::uint64_t seed = 0;
};

struct HttpClientCounts {
    std::uint64_t connects = 0, connect_failures = 0, lost = 0, requests = 0, repeated = 0;
    std::size_t open = 0, waiting = 0;
};

class HttpClient {
public:
    using Done = std::function<void(HttpReply)>;

    HttpClient(const Network& network, HttpClientOptions options);
    // As close(). Not inside a `done`.
    ~HttpClient();
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    // `done` is called exactly once, in a later turn or when the client closes; by the deadline.
    void send(HttpRequest request, Done done);
    // Whatever waits or is under way is answered now, not_sent or unknown; so is what comes later.
    void close();

    [[nodiscard]] HttpClientCounts counts() const;

    // Why the last connect failed; "" when the last one succeeded.
    [[nodiscard]] const std::string& trouble() const noexcept { return trouble_; }

private:
    struct Pending;
    class Connection;
    using PendingPtr = std::shared_ptr<Pending>;

    void enqueue(PendingPtr pending, bool first);
    void dispatch();
    [[nodiscard]] Connection* idle_connection();
    [[nodiscard]] std::size_t connecting() const;
    void connect_one();
    void finish(const PendingPtr& pending, HttpReply reply);
    void expire(const PendingPtr& pending);
    // Of a connection: it is free again; it is gone, with what it carried.
    void connection_free();
    void connection_gone(Connection& connection, const std::string& reason, bool was_open);
    void request_lost(const PendingPtr& pending, bool left, const std::string& reason);
    [[nodiscard]] static HttpReply unanswered(const Pending& pending, const std::string& reason);
    void later();

    Network network_;
    HttpClientOptions options_;
    std::list<std::unique_ptr<Connection>> connections_, gone_;
    std::deque<PendingPtr> waiting_;
    Backoff backoff_;
    std::int64_t retry_at_ns_ = 0;
    std::unique_ptr<Timer> retry_timer_, later_timer_;
    std::string trouble_;
    HttpClientCounts counts_;
    bool closed_ = false;
    std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // what is posted looks at it
};

}  // namespace tenon::net
