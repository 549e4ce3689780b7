// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/user_socket.hpp"

#include <tenon/json.hpp>
#include <tenon/json_text.hpp>

#include <utility>

namespace tenon::binance_venue {
namespace {

constexpr std::string_view k_request_id = "1";

}  // namespace

class UserSocket::Leg final : public net::WsClient::Events {
public:
    Leg(UserSocket& owner, net::WsClientOptions options)
        : owner_{owner},
          timer_{owner.network_.exec, [this] { give_up("no answer to the subscription"); }},
          client_{owner.network_, std::move(options), *this} {}

    virtual ~Leg() = default;
    Leg(const Leg&) = delete;
    Leg& operator=(const Leg&) = delete;

    [[nodiscard]] bool is_subscribed() const noexcept { return subscribed_; }

    void ws_open() override {
        timer_.at(owner_.now_ns() + owner_.options_.answer_timeout_ns);
        client_.send_text(owner_.subscription());
    }

    void ws_text(std::string_view text) override {
        std::string failure;
        std::string event;
        const tenon_status read = guard(nullptr, [&] { failure = hear(text, event); });
        if (read != TENON_OK) {
            failure = "a message cannot be read";
        }
        if (!failure.empty()) {
            give_up(failure);
        } else if (!event.empty()) {
            owner_.leg_event(*this, event);
        }
    }

    void ws_closed(const std::string& reason) override { give_up(reason); }

private:
    // The reason why it cannot go on, or empty; `event` when there is one.
    [[nodiscard]] std::string hear(std::string_view text, std::string& event) {
        const Json json = Json::parse(text);
        if (const Json* const inner = json.find("event")) {
            const Json* const kind = inner->find("e");
            if (kind != nullptr && kind->is(Json::Kind::text) &&
                (kind->text() == "eventStreamTerminated" || kind->text() == "serverShutdown")) {
                return "the exchange ends the stream";
            }
            append_json(event, *inner);
            return {};
        }
        const Json* const status = json.find("status");
        if (status == nullptr || subscribed_) {
            return {};
        }
        if (status->integer<int>() != 200) {
            const Json* const error = json.find("error");
            const Json* const code = error != nullptr ? error->find("code") : nullptr;
            return "the subscription is refused with code " +
                   std::to_string(code != nullptr ? code->integer<int>() : 0);
        }
        timer_.cancel();
        subscribed_ = true;
        owner_.leg_subscribed(*this);
        return {};
    }

    void give_up(std::string reason) { owner_.leg_closed(*this, reason); }

    UserSocket& owner_;
    net::Timer timer_;
    net::WsClient client_;
    bool subscribed_ = false;
};

UserSocket::UserSocket(
    const net::Network& network,
    UserSocketOptions options,
    std::shared_ptr<const Signer> signer,
    std::function<std::int64_t()> now_ms
)
    : network_{network},
      options_{std::move(options)},
      signer_{std::move(signer)},
      now_ms_{std::move(now_ms)},
      backoff_{options_.backoff, options_.seed},
      connect_timer_{network.exec, [this] { connect(); }},
      age_timer_{network.exec, [this] { replace(); }} {}

UserSocket::~UserSocket() = default;

std::int64_t UserSocket::now_ns() const {
    return network_.exec->turn_now_ns(network_.exec.self);
}

void UserSocket::open(UserStreamListener& listener) {
    listener_ = &listener;
    connect_timer_.at(now_ns());
}

void UserSocket::close() {
    listener_ = nullptr;
    connect_timer_.cancel();
    age_timer_.cancel();
    now_.reset();
    next_.reset();
    up_ = false;
}

void UserSocket::set_signer(std::shared_ptr<const Signer> signer) {
    signer_ = std::move(signer);
    next_.reset();
    if (listener_ == nullptr) {
        return;
    }
    if (signer_ && up_) {
        replace();  // what the old key hears counts until then
        return;
    }
    now_.reset();
    age_timer_.cancel();
    connect_timer_.at(now_ns());
    if (std::exchange(up_, false)) {
        listener_->user_stream_broken("the credential is gone");
    }
}

// Sorted parameters, not percent-encoded, are what is signed.
std::string UserSocket::subscription() const {
    const std::string key = signer_->api_key();
    const std::string window = std::to_string(options_.window_ms);
    const std::string time = std::to_string(now_ms_());
    const std::string payload = "apiKey=" + key + "&recvWindow=" + window + "&timestamp=" + time;
    std::string out = R"({"id":")" + std::string{k_request_id} +
                      R"(","method":"userDataStream.subscribe.signature","params":{"apiKey":)";
    append_json(out, key);
    out.append(",\"recvWindow\":").append(window).append(",\"timestamp\":").append(time);
    out.append(",\"signature\":");
    append_json(out, signer_->sign_plain(payload));
    return out.append("}}");
}

void UserSocket::connect() {
    if (!now_ && listener_ != nullptr && signer_) {
        net::WsClientOptions options;
        options.url = options_.url;
        now_ = std::make_unique<Leg>(*this, std::move(options));
    }
}

void UserSocket::replace() {
    if (up_ && !next_) {
        net::WsClientOptions options;
        options.url = options_.url;
        next_ = std::make_unique<Leg>(*this, std::move(options));
    }
}

void UserSocket::leg_subscribed(const Leg& leg) {
    backoff_.reset();
    age_timer_.at(now_ns() + options_.age_max_ns);
    if (&leg == next_.get()) {
        now_ = std::move(next_);  // both have told what happened since
        return;
    }
    up_ = true;
    listener_->user_stream_connected();
}

void UserSocket::leg_event(const Leg& leg, std::string_view json) {
    (void)leg;
    if (listener_ != nullptr) {
        listener_->user_stream_event(json);
    }
}

void UserSocket::leg_closed(const Leg& leg, const std::string& reason) {
    if (&leg == next_.get()) {
        next_.reset();
        age_timer_.at(now_ns() + backoff_.next());
        return;
    }
    const bool was_up = std::exchange(up_, false);
    now_ = std::move(next_);
    if (now_ && now_->is_subscribed()) {
        up_ = was_up;
        return;
    }
    age_timer_.cancel();
    if (!now_) {
        connect_timer_.at(now_ns() + backoff_.next());
    }
    if (was_up) {
        listener_->user_stream_broken(reason);
    }
}

}  // namespace tenon::binance_venue
