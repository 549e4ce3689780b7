// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/connector.hpp"

#include <utility>

namespace tenon::binance_venue {
namespace {

constexpr std::int64_t k_second_ns = 1'000'000'000;
constexpr std::int64_t k_info_every_ns = 3'600 * k_second_ns;
constexpr std::int64_t k_info_again_ns = 10 * k_second_ns;

[[nodiscard]] RestOptions
rest_options(const BinanceSettings& settings, const Connector::Parts& parts) {
    RestOptions options;
    options.url = settings.rest_url;
    options.connections_max = settings.connections_max;
    options.queue_max = settings.queue_max;
    options.ping_ns = settings.ping_ns;
    options.window_ms = settings.recv_window_ms;
    options.share = settings.share;
    options.seed = parts.seed;
    options.gate = parts.gate;
    return options;
}

[[nodiscard]] FeedOptions
feed_options(const BinanceSettings& settings, const Connector::Parts& parts) {
    FeedOptions options;
    options.url = settings.stream_url;
    options.depth_limit = settings.depth_limit;
    options.fill_max = settings.fill_max;
    options.poll_ns = settings.poll_ns;
    options.age_max_ns = settings.age_max_ns;
    options.seed = parts.seed + 1;
    return options;
}

}  // namespace

Connector::Connector(const BinanceSettings& settings, Parts parts)
    : symbols_{parts.symbols},
      health_{parts.health},
      resolver_{parts.exec, 0},
      network_{parts.exec, 0, &resolver_, parts.tls},
      rest_{
          network_,
          parts.clock,
          rest_options(settings, parts),
          std::move(parts.weights),
          settings.signer},
      feed_{network_, rest_, feed_options(settings, parts), parts.symbols, std::move(parts.emit)},
      history_{rest_, parts.symbols},
      info_timer_{parts.exec, [this] { ask_info(); }} {
    rest_.set_metrics(parts.rest_metrics);
    rest_.set_health([this](bool well, const std::string& reason) { health_("rest", well, reason); }
    );
    feed_.set_metrics(parts.feed_metrics);
    feed_.set_health([this](const std::string& reason) {
        health_("streams", reason.empty(), reason);
    });
    if (settings.trades()) {
        UserSocketOptions user;
        user.url = settings.api_url;
        user.age_max_ns = settings.age_max_ns;
        user.window_ms = settings.recv_window_ms;
        user.seed = parts.seed + 2;
        user_ = std::make_unique<UserSocket>(network_, std::move(user), settings.signer, [this] {
            return rest_.exchange_now_ms();
        });
    }
}

Connector::~Connector() {
    info_timer_.cancel();
    if (user_) {
        user_->close();
    }
    rest_.close();  // whoever waits is answered while the feed is still here
}

void Connector::open() {
    rest_.open();
    ask_info();
    feed_.open();
}

void Connector::set_signer(const std::shared_ptr<const Signer>& signer) {
    rest_.set_signer(signer);
    if (user_) {
        user_->set_signer(signer);
    }
}

void Connector::ask_info() {
    const std::int64_t now = network_.exec->turn_now_ns(network_.exec.self);
    info_timer_.at(now + k_info_every_ns);
    RestRequest request;
    request.path = "/api/v3/exchangeInfo";
    request.query = "symbols=%5B";
    for (const FeedSymbol& symbol : symbols_) {
        request.query.append(&symbol == &symbols_.front() ? "" : "%2C");
        request.query.append("%22").append(symbol.name).append("%22");
    }
    request.query.append("%5D");
    request.deadline_ns = now + 10 * k_second_ns;
    request.client = "info";
    rest_.send(std::move(request), [this](const RestReply& reply) { info_answered(reply); });
}

void Connector::info_answered(const RestReply& reply) {
    if (reply.reason == "the connector stops") {
        return;
    }
    std::string trouble = reply.reason;
    if (reply.outcome == Outcome::answered) {
        trouble = "the exchange answers with status " + std::to_string(reply.status);
    }
    if (reply.outcome == Outcome::answered && reply.status == 200) {
        const tenon_status read = guard(nullptr, [&] {
            ExchangeInfo info = read_exchange_info(reply.body, symbols_);
            rest_.adopt_limits(std::move(info.limits));
            trouble = info.trouble;
        });
        trouble = read == TENON_OK ? trouble : "exchangeInfo cannot be read";
    } else {
        info_timer_.at(network_.exec->turn_now_ns(network_.exec.self) + k_info_again_ns);
    }
    health_("instruments", trouble.empty(), trouble);
}

}  // namespace tenon::binance_venue
