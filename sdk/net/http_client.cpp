// SPDX-License-Identifier: Apache-2.0
#include "sdk/net/http_client.hpp"

#include <boost/beast/http.hpp>

#include <algorithm>
#include <cctype>
#include <optional>

namespace tenon::net {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;

constexpr std::uint32_t k_header_max = 65'536;
constexpr unsigned k_repeats_max = 2;

[[nodiscard]] std::string lower(std::string_view text) {
    std::string out{text};
    std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) {
        return static_cast<char>(std::tolower(c));
    });
    return out;
}

// A line of the head ends where a control character says so: none may be in what it is made of.
[[nodiscard]] bool is_clean(std::string_view text) noexcept {
    return std::none_of(text.begin(), text.end(), [](char c) {
        return static_cast<unsigned char>(c) < ' ' || c == '\x7f';
    });
}

[[nodiscard]] bool is_clean(const HttpRequest& request) noexcept {
    return is_clean(request.method) && is_clean(request.target) &&
           request.target.find(' ') == std::string::npos &&
           std::all_of(request.headers.begin(), request.headers.end(), [](const auto& header) {
               return is_clean(header.first) && is_clean(header.second);
           });
}

}  // namespace

std::string_view HttpReply::header(std::string_view lower_case_name) const noexcept {
    for (const auto& [name, value] : headers) {
        if (name == lower_case_name) {
            return value;
        }
    }
    return {};
}

struct HttpClient::Pending {
    HttpRequest request;
    Done done;
    std::unique_ptr<Timer> deadline;
    Connection* carrier = nullptr;
    unsigned repeats = 0;
    bool has_left = false;  // at some attempt, in part
    bool finished = false;
};

// One connection: it connects, carries a request, waits for the next one.
class HttpClient::Connection final : public Stream::Events {
public:
    explicit Connection(HttpClient& owner)
        : owner_{owner},
          timer_{owner.network_.exec, [this] { timed_out(); }},
          stream_{Stream::connect(owner.network_, owner.options_.url, *this)} {
        timer_.at(now_ns() + owner.options_.connect_timeout_ns);
    }

    virtual ~Connection() { stream_->close(); }

    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    [[nodiscard]] bool is_open() const noexcept { return open_; }

    [[nodiscard]] bool is_idle() const noexcept { return open_ && !current_; }

    [[nodiscard]] const PendingPtr& current() const noexcept { return current_; }

    // True: something of the request may have reached the server.
    [[nodiscard]] bool left() const noexcept { return current_ && stream_->taken() > mark_; }

    void carry(PendingPtr pending) {
        timer_.cancel();
        current_ = std::move(pending);
        current_->carrier = this;
        parser_.reset();
        input_.clear();
        mark_ = stream_->queued();
        const char* refused = "the request cannot be made";
        (void)guard(nullptr, [&] {
            if (current_->request.prepare) {
                current_->request.prepare(current_->request);
            }
            if (is_clean(current_->request)) {
                stream_->write(text_of(current_->request));
                refused = nullptr;
            } else {
                refused = "the request has a control character";
            }
        });
        if (refused != nullptr && left()) {
            owner_.connection_gone(*this, refused, true);
        } else if (refused != nullptr) {
            const PendingPtr none = std::exchange(current_, nullptr);
            none->carrier = nullptr;
            wait_idle();
            owner_.finish(none, unanswered(*none, refused));
        }
    }

    // No event comes afterwards.
    void detach() noexcept {
        stream_->close();
        timer_.cancel();
        current_.reset();
    }

    void stream_open() override {
        open_ = true;
        wait_idle();
        owner_.trouble_.clear();
        owner_.backoff_.reset();
        owner_.connection_free();
    }

    void stream_data(std::string_view bytes) override {
        if (!current_) {
            owner_.connection_gone(*this, "the server speaks without being asked", true);
            return;
        }
        input_.append(bytes);
        std::string trouble;
        try {
            if (!read_answer(trouble)) {
                return;
            }
        } catch (const boost::system::system_error& e) {
            trouble = e.code().message();
        }
        if (!trouble.empty()) {
            owner_.connection_gone(*this, "the answer cannot be read: " + trouble, true);
            return;
        }
        answered();
    }

    void stream_closed(const std::string& reason) override {
        owner_.connection_gone(*this, reason, open_);
    }

private:
    using Parser = http::response_parser<http::string_body>;

    [[nodiscard]] std::int64_t now_ns() const {
        return owner_.network_.exec->turn_now_ns(owner_.network_.exec.self);
    }

    void wait_idle() { timer_.at(now_ns() + owner_.options_.idle_ns); }

    void timed_out() {
        owner_.connection_gone(*this, open_ ? "not used for long" : "no connection in time", open_);
    }

    [[nodiscard]] std::string text_of(const HttpRequest& request) const {
        std::string out;
        out.reserve(512 + request.target.size() + request.body.size());
        out.append(request.method).append(" ").append(request.target).append(" HTTP/1.1\r\nHost: ");
        out.append(owner_.options_.url.authority()).append("\r\nUser-Agent: ");
        out.append(owner_.options_.user_agent).append("\r\nAccept: application/json\r\n");
        for (const auto& [name, value] : request.headers) {
            out.append(name).append(": ").append(value).append("\r\n");
        }
        if (!request.body.empty() || (request.method != "GET" && request.method != "DELETE")) {
            out.append("Content-Length: ").append(std::to_string(request.body.size()));
            out.append("\r\n");
        }
        return out.append("\r\n").append(request.body);
    }

    // True when the whole answer is there, or `trouble` says why there is none.
    [[nodiscard]] bool read_answer(std::string& trouble) {
        while (!input_.empty()) {
            if (!parser_) {
                parser_.emplace();
                parser_->eager(true);
                parser_->header_limit(k_header_max);
                parser_->body_limit(owner_.options_.body_max);
            }
            boost::system::error_code failed;
            const std::size_t used = parser_->put(asio::buffer(input_), failed);
            input_.erase(0, used);
            if (failed == http::error::need_more) {
                return false;
            }
            if (failed) {
                trouble = failed.message();
                return true;
            }
            if (parser_->is_header_done() && parser_->need_eof() && !parser_->is_done()) {
                trouble = "it has no length";
                return true;
            }
            if (!parser_->is_done()) {
                if (used == 0) {
                    return false;
                }
                continue;
            }
            if (parser_->get().result_int() >= 200) {
                return true;
            }
            parser_.reset();  // an interim answer: the real one follows
        }
        return false;
    }

    void answered() {
        HttpReply reply;
        reply.outcome = HttpOutcome::answered;
        auto& message = parser_->get();
        reply.status = message.result_int();
        for (const auto& field : message) {
            reply.headers.emplace_back(lower(field.name_string()), std::string{field.value()});
        }
        reply.body = std::move(message.body());
        const bool keep = message.keep_alive() && input_.empty();
        parser_.reset();
        const PendingPtr done = std::exchange(current_, nullptr);
        done->carrier = nullptr;
        HttpClient& owner = owner_;
        const std::weak_ptr<int> alive = owner.alive_;
        if (keep) {
            wait_idle();
        } else {
            owner.connection_gone(*this, "", true);  // this object is gone
        }
        owner.finish(done, std::move(reply));
        if (!alive.expired()) {
            owner.connection_free();
        }
    }

    HttpClient& owner_;
    Timer timer_;  // until connected; then, while idle, until closed
    std::shared_ptr<Stream> stream_;
    bool open_ = false;
    PendingPtr current_;
    std::uint64_t mark_ = 0;
    std::string input_;
    std::optional<Parser> parser_;
};

HttpClient::HttpClient(const Network& network, HttpClientOptions options)
    : network_{network},
      options_{std::move(options)},
      backoff_{options_.backoff, options_.seed},
      retry_timer_{std::make_unique<Timer>(network.exec, [this] { dispatch(); })},
      later_timer_{std::make_unique<Timer>(network.exec, [this] {
          gone_.clear();
          dispatch();
      })} {}

HttpClient::~HttpClient() {
    close();
}

void HttpClient::send(HttpRequest request, Done done) {
    auto pending = std::make_shared<Pending>();
    pending->request = std::move(request);
    pending->done = std::move(done);
    ++counts_.requests;
    const bool is_late =
        pending->request.deadline_ns <= network_.exec->turn_now_ns(network_.exec.self);
    if (closed_ || is_late || waiting_.size() >= options_.waiting_max) {
        const char* const reason = closed_   ? "the client is closed"
                                   : is_late ? "the deadline has passed"
                                             : "too many requests wait";
        post(network_.exec, network_.reactor, [pending, reason] {
            pending->done({HttpOutcome::not_sent, 0, {}, {}, reason});
        });
        return;
    }
    const std::weak_ptr<Pending> weak = pending;
    pending->deadline = std::make_unique<Timer>(network_.exec, [this, weak] {
        if (const auto mine = weak.lock()) {
            expire(mine);
        }
    });
    pending->deadline->at(pending->request.deadline_ns);
    enqueue(std::move(pending), false);
    later();  // nothing is called inside this call
}

// By priority, in order of coming; `first`: before those of its priority.
void HttpClient::enqueue(PendingPtr pending, bool first) {
    const unsigned mine = pending->request.priority;
    const auto at = std::find_if(waiting_.begin(), waiting_.end(), [&](const PendingPtr& have) {
        return first ? have->request.priority >= mine : have->request.priority > mine;
    });
    waiting_.insert(at, std::move(pending));
}

HttpClient::Connection* HttpClient::idle_connection() {
    for (const auto& connection : connections_) {
        if (connection->is_idle()) {
            return connection.get();
        }
    }
    return nullptr;
}

std::size_t HttpClient::connecting() const {
    return static_cast<std::size_t>(std::count_if(
        connections_.begin(),
        connections_.end(),
        [](const auto& connection) { return !connection->is_open(); }
    ));
}

void HttpClient::dispatch() {
    while (!closed_ && !waiting_.empty()) {
        Connection* const free = idle_connection();
        if (free == nullptr) {
            break;
        }
        PendingPtr next = std::move(waiting_.front());
        waiting_.pop_front();
        free->carry(std::move(next));
    }
    while (!closed_ && connections_.size() < options_.connections_max &&
           connecting() < waiting_.size()) {
        const std::int64_t now = network_.exec->turn_now_ns(network_.exec.self);
        if (now < retry_at_ns_) {
            if (!retry_timer_->armed()) {
                retry_timer_->at(retry_at_ns_);
            }
            return;
        }
        connect_one();
    }
}

void HttpClient::connect_one() {
    ++counts_.connects;
    connections_.push_back(std::make_unique<Connection>(*this));
}

void HttpClient::connection_free() {
    dispatch();
}

void HttpClient::connection_gone(Connection& connection, const std::string& reason, bool was_open) {
    const auto at = std::find_if(connections_.begin(), connections_.end(), [&](const auto& have) {
        return have.get() == &connection;
    });
    if (at == connections_.end()) {
        return;
    }
    const PendingPtr carried = connection.current();
    const bool left = connection.left();
    connection.detach();
    // The caller may be the connection itself, in the middle of an event: it goes later.
    gone_.splice(gone_.end(), connections_, at);
    later();
    if (!was_open) {
        const std::int64_t now = network_.exec->turn_now_ns(network_.exec.self);
        ++counts_.connect_failures;
        trouble_ = reason;
        // Those that were tried together and fail together are one failure.
        retry_at_ns_ = now < retry_at_ns_ ? retry_at_ns_ : now + backoff_.next();
    }
    if (carried) {
        ++counts_.lost;
        carried->carrier = nullptr;
        request_lost(carried, left, reason);
    }
}

void HttpClient::later() {
    later_timer_->at(network_.exec->turn_now_ns(network_.exec.self));
}

void HttpClient::request_lost(const PendingPtr& pending, bool left, const std::string& reason) {
    pending->has_left = pending->has_left || left;
    const bool again = !left || (options_.repeat_gets && pending->request.method == "GET");
    if (!closed_ && again && pending->repeats < k_repeats_max) {
        ++pending->repeats;
        ++counts_.repeated;
        enqueue(pending, true);
        return;
    }
    finish(pending, unanswered(*pending, reason));
}

HttpReply HttpClient::unanswered(const Pending& pending, const std::string& reason) {
    return {pending.has_left ? HttpOutcome::unknown : HttpOutcome::not_sent, 0, {}, {}, reason};
}

void HttpClient::expire(const PendingPtr& pending) {
    if (pending->carrier != nullptr) {
        Connection& carrier = *pending->carrier;
        pending->repeats = k_repeats_max;
        connection_gone(carrier, "no answer in time", true);
        return;
    }
    std::erase(waiting_, pending);
    const std::string reason =
        trouble_.empty() ? "no connection was free in time" : "no connection in time: " + trouble_;
    finish(pending, unanswered(*pending, reason));
}

void HttpClient::finish(const PendingPtr& pending, HttpReply reply) {
    if (pending->finished) {
        return;
    }
    pending->finished = true;
    pending->deadline.reset();
    const Done done = std::move(pending->done);
    (void)guard(nullptr, [&] { done(std::move(reply)); });
}

void HttpClient::close() {
    if (closed_) {
        return;
    }
    closed_ = true;
    alive_.reset();
    retry_timer_->cancel();
    later_timer_->cancel();
    const auto waiting = std::move(waiting_);
    waiting_.clear();
    const auto connections = std::move(connections_);
    connections_.clear();
    constexpr const char* k_reason = "the client closes";
    for (const auto& connection : connections) {
        if (const PendingPtr carried = connection->current()) {
            carried->carrier = nullptr;
            request_lost(carried, connection->left(), k_reason);
        }
    }
    for (const PendingPtr& pending : waiting) {
        finish(pending, unanswered(*pending, k_reason));
    }
}

HttpClientCounts HttpClient::counts() const {
    HttpClientCounts counts = counts_;
    counts.waiting = waiting_.size();
    counts.open = static_cast<std::size_t>(std::count_if(
        connections_.begin(),
        connections_.end(),
        [](const auto& connection) { return connection->is_open(); }
    ));
    return counts;
}

}  // namespace tenon::net
