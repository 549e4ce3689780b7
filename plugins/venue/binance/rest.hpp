// SPDX-License-Identifier: Apache-2.0
// RestClient over HTTP: one queue and one budget for the exchange's address (tenon/upstream.hpp),
// signatures made when a request leaves, the exchange's clock, its limits and its health.
//
// Until the first answer has told how much of the budget is used already, one request is under way
// at a time. A GET without an answer is submitted again, within its deadline and within a tenth of
// all requests; nothing else ever is. All on reactor 0.
#pragma once

#include "plugins/venue/binance/clock_offset.hpp"
#include "plugins/venue/binance/rest_client.hpp"
#include "plugins/venue/binance/signer.hpp"
#include "plugins/venue/binance/weights.hpp"
#include "sdk/net/http_client.hpp"

#include <tenon/metrics.hpp>
#include <tenon/upstream.hpp>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace tenon::binance_venue {

struct RestOptions {
    net::Url url;
    std::size_t connections_max = 8;
    std::size_t queue_max = 1000;
    std::size_t response_max = 16'777'216;
    std::int64_t connect_timeout_ns = 5'000'000'000;
    std::int64_t ping_ns = 30'000'000'000;
    std::int64_t window_ms = 5000;  // recvWindow
    std::int64_t share = 950;       // per mille of the published limits
    std::uint64_t seed = 0;
    UpstreamGate* gate = nullptr;
    // Until the exchange tells its own.
    std::vector<PublishedLimit> limits{
        {LimitUnit::weight, 6000, 60'000'000'000},
        {LimitUnit::requests, 61'000, 300'000'000'000},
        {LimitUnit::orders, 100, 10'000'000'000},
        {LimitUnit::orders, 200'000, 86'400'000'000'000}};
};

struct RestMetrics {
    std::array<Counter, 3> requests;  // by Outcome
    Counter limited, banned, repeated, refused;
    Gauge used_weight, queued, clock_offset;  // offset: whole seconds
    Histogram answer_seconds;
};

class ExchangeRest final : public RestClient {
public:
    // Whether the exchange answers, and why not; told on changes.
    using Health = std::function<void(bool well, const std::string& reason)>;

    ExchangeRest(
        const net::Network& network,
        Service<tenon_clock_1> clock,
        RestOptions options,
        RequestWeights weights,
        std::shared_ptr<const Signer> signer  // empty: signed requests are refused
    );
    ~ExchangeRest() override;

    // Before open.
    void set_metrics(const RestMetrics& metrics) { metrics_ = metrics; }

    void set_health(Health health) { health_ = std::move(health); }

    // Begins to ask for the time, every ping_ns and more often at first.
    void open();
    // Answers everybody; nothing is sent afterwards.
    void close();

    void send(RestRequest request, Done done) override;
    [[nodiscard]] std::int64_t exchange_now_ms() const override;

    [[nodiscard]] bool can_sign() const override { return signer_ != nullptr; }

    // The exchange's published limits, as in exchangeInfo's "rateLimits". What it does not name
    // keeps its value.
    void adopt_limits(std::vector<PublishedLimit> limits);
    void set_share(std::int64_t per_mille);

    // Of requests that leave from now on; empty: they are refused.
    void set_signer(std::shared_ptr<const Signer> signer) { signer_ = std::move(signer); }

    [[nodiscard]] const ClockOffset& offset() const noexcept { return offset_; }

    [[nodiscard]] Upstream::Stats stats() { return upstream_->stats(now_ns()); }

private:
    struct Pending {
        RestRequest request;
        Done done;
        OutboundRequest outbound;
        std::int64_t signed_ms = 0;
        std::int64_t sent_ns = 0;
        bool has_left = false;  // at some attempt
        bool in_flight = false;
        std::unique_ptr<net::Timer> timer;  // to submit it, then its deadline in the queue
    };

    using PendingMap = std::unordered_map<std::uint64_t, Pending>;

    [[nodiscard]] std::int64_t now_ns() const;
    [[nodiscard]] std::unique_ptr<Upstream> make_upstream() const;
    void submit(std::uint64_t id);
    void refuse(std::uint64_t id, const std::string& reason, std::int64_t retry_after_ns);
    void pump();
    void dispatch(std::uint64_t id);
    void prepare(Pending& pending, net::HttpRequest& http, const Signer* signer) const;
    void ended(std::uint64_t id, net::HttpReply reply);
    [[nodiscard]] bool submit_again(std::uint64_t id);
    void finish(std::uint64_t id, RestReply reply);
    // Of this attempt, whatever was before it.
    [[nodiscard]] RestReply read(const Pending& pending, net::HttpReply& reply) const;
    void tell_upstream(std::uint64_t id, const RestReply& reply);
    [[nodiscard]] UpstreamAnswer::Outcome classify(const RestReply& reply, int code) const;
    void note_health(const RestReply& reply);
    void ask_time();
    void time_answered(const RestReply& reply);
    void wait_until_deadline(std::uint64_t id);
    void expire(std::uint64_t id);
    void later();
    void rebuild();

    net::Network network_;
    Service<tenon_clock_1> clock_;
    RestOptions options_;
    RequestWeights weights_;
    std::shared_ptr<const Signer> signer_;
    RestMetrics metrics_;
    Health health_;
    ClockOffset offset_;
    std::unique_ptr<net::HttpClient> http_;
    std::unique_ptr<Upstream> upstream_;
    std::optional<std::vector<PublishedLimit>> adopting_;
    PendingMap pending_;
    std::uint64_t next_id_ = 1;
    std::size_t in_flight_ = 0;
    bool heard_ = false;  // the first answer has come
    bool open_ = false;
    std::optional<bool> well_;
    std::int64_t sampled_ns_ = 0;  // when the exchange's time was last heard
    net::Timer pump_timer_, time_timer_;
};

}  // namespace tenon::binance_venue
