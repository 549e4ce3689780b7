// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/rest.hpp"

#include <tenon/json.hpp>

#include <algorithm>
#include <charconv>

namespace tenon::binance_venue {
namespace {

constexpr std::int64_t k_ms_ns = 1'000'000;
constexpr std::int64_t k_second_ns = 1'000'000'000;
constexpr std::size_t k_first_samples = 5;
constexpr std::int64_t k_first_samples_ns = 200'000'000;
constexpr std::int64_t k_time_deadline_ns = 5'000'000'000;
constexpr std::int64_t k_time_ms_max = 4'102'444'800'000;  // the year 2100
// Between two tries, so that an exchange that is back is noticed soon.
constexpr std::int64_t k_longest_wait_ns = 2 * k_second_ns;

[[nodiscard]] std::int64_t number_of(std::string_view text) {
    std::int64_t value = -1;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    return parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size() && value >= 0 ? value
                                                                                             : -1;
}

constexpr std::string_view k_no_credential = "no credential is set";

// The exchange's own code in the body of a refusal; 0: it has none.
[[nodiscard]] int code_of(const RestReply& reply) {
    if (reply.status < 400 || reply.body.size() > 4096) {
        return 0;
    }
    int code = 0;
    (void)guard(nullptr, [&] {
        const Json json = Json::parse(reply.body);
        const Json* const found = json.is(Json::Kind::object) ? json.find("code") : nullptr;
        code = found != nullptr ? found->integer<int>() : 0;
    });
    return code;
}

[[nodiscard]] tenon::Lane lane_of(Lane lane) noexcept {
    return static_cast<tenon::Lane>(lane);
}

static_assert(static_cast<unsigned>(Lane::cancel) == static_cast<unsigned>(tenon::Lane::urgent));
static_assert(
    static_cast<unsigned>(Lane::backfill) == static_cast<unsigned>(tenon::Lane::backfill)
);

[[nodiscard]] std::string text_of(Upstream::Refusal why) {
    switch (why) {
        case Upstream::Refusal::never:
            return "it costs more than the exchange ever allows";
        case Upstream::Refusal::full:
            return "too many requests wait for the exchange";
        case Upstream::Refusal::too_late:
            return "the exchange's limits leave no place before the deadline";
        case Upstream::Refusal::pushed_out:
            return "pushed out by a request of a better lane";
        case Upstream::Refusal::none:
            break;
    }
    return "refused";
}

}  // namespace

ExchangeRest::ExchangeRest(
    const net::Network& network,
    Service<tenon_clock_1> clock,
    RestOptions options,
    RequestWeights weights,
    std::shared_ptr<const Signer> signer
)
    : network_{network},
      clock_{clock},
      options_{std::move(options)},
      weights_{std::move(weights)},
      signer_{std::move(signer)},
      pump_timer_{network.exec, [this] { pump(); }},
      time_timer_{network.exec, [this] { ask_time(); }} {
    net::HttpClientOptions http;
    http.url = options_.url;
    http.connections_max = options_.connections_max;
    http.waiting_max = options_.queue_max;
    http.body_max = options_.response_max;
    http.connect_timeout_ns = options_.connect_timeout_ns;
    http.repeat_gets = false;
    http.backoff.longest_ns = k_longest_wait_ns;
    http.seed = options_.seed;
    http_ = std::make_unique<net::HttpClient>(network_, std::move(http));
    upstream_ = make_upstream();
}

ExchangeRest::~ExchangeRest() {
    close();
}

std::int64_t ExchangeRest::now_ns() const {
    return network_.exec->turn_now_ns(network_.exec.self);
}

std::unique_ptr<Upstream> ExchangeRest::make_upstream() const {
    UpstreamOptions upstream;
    upstream.limits = options_.limits;
    upstream.queue_max = options_.queue_max;
    upstream.in_flight_max = std::max<std::size_t>(options_.connections_max, 2);
    upstream.share = options_.share;
    upstream.seed = options_.seed + 1;
    upstream.gate = options_.gate;
    upstream.breaker.backoff.longest_ns = k_longest_wait_ns;
    auto made = std::make_unique<Upstream>(std::move(upstream));
    UpstreamClock clock;
    if (offset_.samples() > 0) {
        clock = {offset_.offset_ns(), offset_.error_ns()};
    } else {
        clock.offset_ns = clock_->now_real_ns(clock_.self) - now_ns();
    }
    made->set_clock(clock);
    return made;
}

void ExchangeRest::open() {
    open_ = true;
    upstream_ = make_upstream();
    ask_time();
}

void ExchangeRest::close() {
    open_ = false;
    time_timer_.cancel();
    pump_timer_.cancel();
    http_->close();  // ends what is under way
    PendingMap waiting = std::move(pending_);
    pending_.clear();
    for (auto& [id, pending] : waiting) {
        RestReply reply;
        reply.outcome = pending.has_left ? Outcome::unknown : Outcome::not_sent;
        reply.reason = "the connector stops";
        reply.signed_ms = pending.signed_ms;
        reply.window_ms = pending.signed_ms != 0 ? options_.window_ms : 0;
        const auto done = std::move(pending.done);
        (void)guard(nullptr, [&] { done(std::move(reply)); });
    }
}

std::int64_t ExchangeRest::exchange_now_ms() const {
    return offset_.samples() > 0 ? (now_ns() + offset_.offset_ns()) / k_ms_ns
                                 : clock_->now_real_ns(clock_.self) / k_ms_ns;
}

void ExchangeRest::send(RestRequest request, Done done) {
    const std::uint64_t id = next_id_++;
    Pending& pending = pending_[id];
    pending.outbound.id = id;
    pending.outbound.lane = lane_of(request.lane);
    pending.outbound.client = std::hash<std::string>{}(request.client);
    pending.outbound.deadline_ns = request.deadline_ns;
    const std::uint32_t listed = weights_.of(request.method, request.path, request.query);
    pending.outbound.cost = {request.weight != 0 ? request.weight : listed, request.orders};
    pending.request = std::move(request);
    pending.done = std::move(done);
    // Submitted, refused and sent in a later turn.
    pending.timer = std::make_unique<net::Timer>(network_.exec, [this, id] { submit(id); });
    pending.timer->at(now_ns());
}

void ExchangeRest::submit(std::uint64_t id) {
    Pending& pending = pending_.at(id);
    if (!open_ || (pending.request.sign && !signer_)) {
        refuse(id, open_ ? std::string{k_no_credential} : "the connector stops", 0);
        return;
    }
    if (adopting_) {
        wait_until_deadline(id);  // it is submitted when the new limits are in force
        return;
    }
    const Upstream::Told told = upstream_->submit(pending.outbound, now_ns());
    if (!told.accepted) {
        refuse(id, text_of(told.why), told.retry_after_ns);
        return;
    }
    wait_until_deadline(id);
    pump();
}

void ExchangeRest::wait_until_deadline(std::uint64_t id) {
    Pending& pending = pending_.at(id);
    pending.timer = std::make_unique<net::Timer>(network_.exec, [this, id] { expire(id); });
    pending.timer->at(pending.request.deadline_ns);
}

// Under way it has a deadline of its own.
void ExchangeRest::expire(std::uint64_t id) {
    const auto found = pending_.find(id);
    if (found != pending_.end() && !found->second.in_flight) {
        (void)upstream_->withdraw(id);
        refuse(id, text_of(Upstream::Refusal::too_late), 0);
    }
}

void ExchangeRest::refuse(
    std::uint64_t id,
    const std::string& reason,
    std::int64_t retry_after_ns
) {
    metrics_.refused.add();
    const Pending& pending = pending_.at(id);
    RestReply reply;
    reply.outcome = pending.has_left ? Outcome::unknown : Outcome::not_sent;
    reply.reason = reason;
    reply.retry_after_ns = retry_after_ns;
    reply.signed_ms = pending.signed_ms;
    reply.window_ms = pending.signed_ms != 0 ? options_.window_ms : 0;
    finish(id, std::move(reply));
}

void ExchangeRest::later() {
    if (open_) {
        pump_timer_.at(now_ns());
    }
}

void ExchangeRest::pump() {
    if (!open_) {
        return;
    }
    if (adopting_) {
        if (in_flight_ == 0) {
            // Before when the exchange wants nothing only the old budget knows.
            const std::int64_t shut_ns = upstream_->stats(now_ns()).blocked_until_ns;
            if (shut_ns > now_ns()) {
                pump_timer_.at(shut_ns);
            } else {
                rebuild();
            }
        }
        return;
    }
    const bool quiet = !heard_ && in_flight_ > 0;
    while (!quiet) {
        const Upstream::Step step = upstream_->next(now_ns());
        if (step.kind == Upstream::Step::Kind::refuse) {
            refuse(step.id, text_of(step.why), step.retry_after_ns);
            continue;
        }
        if (step.kind == Upstream::Step::Kind::send) {
            dispatch(step.id);
            if (heard_) {
                continue;
            }
        } else if (step.kind == Upstream::Step::Kind::wait) {
            pump_timer_.at(step.at_ns);
        }
        break;
    }
    metrics_.queued.set(static_cast<std::int64_t>(upstream_->stats(now_ns()).queued));
}

void ExchangeRest::dispatch(std::uint64_t id) {
    Pending& pending = pending_.at(id);
    pending.in_flight = true;
    ++in_flight_;
    if (pending.request.sign && !signer_) {  // it went while the request waited
        ended(id, {net::HttpOutcome::not_sent, 0, {}, {}, std::string{k_no_credential}});
        return;
    }
    net::HttpRequest http;
    http.method = pending.request.method;
    http.deadline_ns = pending.request.deadline_ns;
    http.priority = static_cast<unsigned>(pending.request.lane);
    http.prepare = [this, id, signer = signer_](net::HttpRequest& made) {
        prepare(pending_.at(id), made, signer.get());
    };
    try {
        http_->send(std::move(http), [this, id](net::HttpReply reply) {
            ended(id, std::move(reply));
        });
    } catch (const Error& e) {
        ended(id, {net::HttpOutcome::not_sent, 0, {}, {}, e.what()});  // not one place is lost
    }
}

void ExchangeRest::prepare(Pending& pending, net::HttpRequest& http, const Signer* signer) const {
    const RestRequest& request = pending.request;
    std::string query = request.query;
    pending.sent_ns = now_ns();
    if (request.sign) {
        pending.signed_ms = exchange_now_ms();
        query.append(query.empty() ? "" : "&").append("recvWindow=");
        query.append(std::to_string(options_.window_ms)).append("&timestamp=");
        query.append(std::to_string(pending.signed_ms));
        const std::string signature = signer->sign(query);
        query.append("&signature=").append(signature);
    }
    http.headers.clear();
    if (signer != nullptr) {
        http.headers.emplace_back("X-MBX-APIKEY", signer->api_key());
    }
    http.target = request.path + (query.empty() ? "" : "?" + query);
}

RestReply ExchangeRest::read(const Pending& pending, net::HttpReply& from) const {
    RestReply reply;
    switch (from.outcome) {
        case net::HttpOutcome::answered:
            reply.outcome = Outcome::answered;
            break;
        case net::HttpOutcome::not_sent:
            reply.outcome = Outcome::not_sent;
            break;
        case net::HttpOutcome::unknown:
            reply.outcome = Outcome::unknown;
            break;
    }
    reply.status = from.status;
    reply.used_weight = number_of(from.header("x-mbx-used-weight-1m"));
    reply.orders_10s = number_of(from.header("x-mbx-order-count-10s"));
    reply.orders_1d = number_of(from.header("x-mbx-order-count-1d"));
    const std::int64_t retry_s = number_of(from.header("retry-after"));
    constexpr std::int64_t k_retry_max_s = 604'800;
    reply.retry_after_ns = std::clamp<std::int64_t>(retry_s, 0, k_retry_max_s) * k_second_ns;
    reply.body = std::move(from.body);
    reply.reason = std::move(from.reason);
    const bool left = reply.outcome != Outcome::not_sent;
    reply.signed_ms = left ? pending.signed_ms : 0;
    reply.window_ms = reply.signed_ms != 0 ? options_.window_ms : 0;
    reply.sent_ns = left ? pending.sent_ns : 0;
    return reply;
}

UpstreamAnswer::Outcome ExchangeRest::classify(const RestReply& reply, int code) const {
    using Kind = UpstreamAnswer::Outcome;
    constexpr int k_too_many_orders = -1015;
    if (reply.status == 418) {
        metrics_.banned.add();
        return Kind::banned;
    }
    if (reply.status == 429 || reply.status == 403) {
        metrics_.limited.add();
        return code == k_too_many_orders ? Kind::limited_orders : Kind::limited;
    }
    return reply.status >= 500 ? Kind::failed : Kind::ok;
}

void ExchangeRest::tell_upstream(std::uint64_t id, const RestReply& reply) {
    const std::int64_t now = now_ns();
    if (reply.outcome == Outcome::unknown) {
        upstream_->lost(id, now);
        return;
    }
    if (reply.outcome == Outcome::not_sent) {
        upstream_->not_sent(id, now, true);
        return;
    }
    UpstreamAnswer answer;
    const int code = code_of(reply);
    answer.outcome = classify(reply, code);
    answer.retry_after_ns = reply.retry_after_ns;
    std::size_t address = 0, orders = 0;
    for (const PublishedLimit& limit : options_.limits) {
        if (limit.unit == LimitUnit::orders) {
            if (orders < answer.used_orders.size()) {
                const bool is_day = limit.period_ns == 86'400 * k_second_ns;
                const bool is_ten = limit.period_ns == 10 * k_second_ns;
                answer.used_orders[orders++] = is_day   ? reply.orders_1d
                                               : is_ten ? reply.orders_10s
                                                        : -1;
            }
        } else if (address < answer.used.size()) {
            const bool is_minute =
                limit.unit == LimitUnit::weight && limit.period_ns == 60 * k_second_ns;
            answer.used[address++] = is_minute ? reply.used_weight : -1;
        }
    }
    upstream_->answered(id, answer, now);
    constexpr int k_bad_timestamp = -1021;
    // What was measured since it was signed holds: several that were late are refused together.
    if (code == k_bad_timestamp && reply.sent_ns >= sampled_ns_) {
        offset_.forget();
        time_timer_.at(now);
    }
}

void ExchangeRest::ended(std::uint64_t id, net::HttpReply from) {
    const auto found = pending_.find(id);
    if (found == pending_.end()) {
        return;
    }
    Pending& pending = found->second;
    pending.in_flight = false;
    --in_flight_;
    RestReply now = read(pending, from);
    heard_ = heard_ || now.outcome == Outcome::answered;
    tell_upstream(id, now);
    note_health(now);
    metrics_.requests[static_cast<std::size_t>(now.outcome)].add();
    if (now.outcome == Outcome::answered) {
        metrics_.answer_seconds.observe(std::chrono::nanoseconds{now_ns() - pending.sent_ns});
        if (now.used_weight >= 0) {
            metrics_.used_weight.set(now.used_weight);
        }
    }
    later();
    pending.has_left = pending.has_left || now.outcome == Outcome::unknown;
    if (now.outcome != Outcome::answered && pending.request.method == "GET" && submit_again(id)) {
        return;
    }
    if (now.outcome == Outcome::not_sent && pending.has_left) {
        now.outcome = Outcome::unknown;  // by an attempt before
    }
    finish(id, std::move(now));
}

bool ExchangeRest::submit_again(std::uint64_t id) {
    Pending& pending = pending_.at(id);
    const auto wait_ns = open_ ? upstream_->retry_after() : std::nullopt;
    if (!wait_ns || now_ns() + *wait_ns >= pending.request.deadline_ns) {
        return false;
    }
    metrics_.repeated.add();
    pending.outbound.repeated = true;
    pending.timer = std::make_unique<net::Timer>(network_.exec, [this, id] { submit(id); });
    pending.timer->at(now_ns() + *wait_ns);
    return true;
}

void ExchangeRest::finish(std::uint64_t id, RestReply reply) {
    auto node = pending_.extract(id);
    if (node.empty()) {
        return;
    }
    (void)guard(nullptr, [&] { node.mapped().done(std::move(reply)); });
}

void ExchangeRest::note_health(const RestReply& reply) {
    const bool banned = reply.status == 418 || reply.status == 403;
    const bool well = reply.outcome == Outcome::answered && reply.status < 500 && !banned;
    if (well_ == well || !health_) {
        return;
    }
    well_ = well;
    std::string reason = reply.reason;
    if (reply.outcome == Outcome::answered) {
        reason = "the exchange answers with status " + std::to_string(reply.status);
    }
    health_(well, well ? "" : reason);
}

void ExchangeRest::ask_time() {
    if (!open_) {
        return;
    }
    const bool first = offset_.samples() < k_first_samples;
    time_timer_.at(now_ns() + (first ? k_second_ns : options_.ping_ns));
    RestRequest request;
    request.path = "/api/v3/time";
    request.lane = Lane::cancel;  // small, and health hangs on it
    request.deadline_ns = now_ns() + k_time_deadline_ns;
    send(std::move(request), [this](const RestReply& reply) { time_answered(reply); });
}

void ExchangeRest::time_answered(const RestReply& reply) {
    if (!open_ || reply.outcome != Outcome::answered || reply.status != 200) {
        return;  // asked again by the timer
    }
    const Json json = Json::parse(reply.body);
    const Json* const time = json.is(Json::Kind::object) ? json.find("serverTime") : nullptr;
    if (time == nullptr) {
        return;
    }
    const auto exchange_ms = time->integer<std::int64_t>();
    if (exchange_ms <= 0 || exchange_ms > k_time_ms_max) {
        return;  // no time at all: it would leave 64 bits in nanoseconds
    }
    offset_.sample(reply.sent_ns, now_ns(), exchange_ms);
    sampled_ns_ = now_ns();
    upstream_->set_clock({offset_.offset_ns(), offset_.error_ns()});
    const std::int64_t ours_ms = clock_->now_real_ns(clock_.self) / k_ms_ns;
    metrics_.clock_offset.set((exchange_now_ms() - ours_ms) / 1000);
    if (offset_.samples() < k_first_samples) {
        time_timer_.at(now_ns() + k_first_samples_ns);
    }
}

void ExchangeRest::adopt_limits(std::vector<PublishedLimit> limits) {
    for (const PublishedLimit& mine : options_.limits) {
        const bool named =
            std::any_of(limits.begin(), limits.end(), [&](const PublishedLimit& theirs) {
                return theirs.unit == mine.unit && theirs.period_ns == mine.period_ns;
            });
        if (!named) {
            limits.push_back(mine);
        }
    }
    const auto same = [](const PublishedLimit& a, const PublishedLimit& b) {
        return a.unit == b.unit && a.limit == b.limit && a.period_ns == b.period_ns;
    };
    const bool changed =
        limits.size() != options_.limits.size() ||
        !std::is_permutation(limits.begin(), limits.end(), options_.limits.begin(), same);
    if (changed) {
        adopting_ = std::move(limits);
        later();
    }
}

// Nothing is under way: all that waits goes into a new queue, in the order it came.
void ExchangeRest::rebuild() {
    options_.limits = std::move(*adopting_);
    adopting_.reset();
    upstream_ = make_upstream();
    heard_ = false;  // what is used already is learnt from the next answer
    std::vector<std::uint64_t> waiting;
    for (const auto& [id, pending] : pending_) {
        waiting.push_back(id);
    }
    std::sort(waiting.begin(), waiting.end());
    for (const std::uint64_t id : waiting) {
        Pending& pending = pending_.at(id);
        pending.timer = std::make_unique<net::Timer>(network_.exec, [this, id] { submit(id); });
        pending.timer->at(now_ns());
    }
}

void ExchangeRest::set_share(std::int64_t per_mille) {
    options_.share = per_mille;
    upstream_->set_share(per_mille);
}

}  // namespace tenon::binance_venue
