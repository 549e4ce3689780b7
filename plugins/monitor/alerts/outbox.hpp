// SPDX-License-Identifier: Apache-2.0
// Notices on their way to each target: in order, one at a time, tried again with growing waits
// until they are too old. A target that does not answer holds up no other one.
//
// All on one reactor; nothing blocks. Bounded: a full queue loses its oldest notice, which is
// counted. Nothing is kept over a restart: what fires then is told anew.
#pragma once

#include "plugins/monitor/alerts/grouping.hpp"
#include "sdk/net/timer.hpp"

#include <tenon/backoff.hpp>
#include <tenon/metrics.hpp>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tenon::alerts {

struct SendResult {
    enum class Kind : std::uint8_t { sent, again, refused };  // refused: it would be so again

    Kind kind = Kind::again;
    std::string reason;  // for people, nothing secret; of what was sent: what is wrong all the same
    std::int64_t retry_after_ns = 0;  // as the other side asks for; 0: it does not
};

// One way to a target.
class Channel {
public:
    using Done = std::function<void(SendResult)>;

    virtual ~Channel() = default;
    // `done` is called once, in a later turn and by the deadline; not when the channel goes first.
    virtual void
    send(std::shared_ptr<const Notice> notice, std::int64_t deadline_ns, Done done) = 0;
};

struct TargetMetrics {
    Counter sent, failures, lost;
    Gauge waiting;
};

class Outbox {
public:
    static constexpr std::size_t k_waiting_max = 100;
    static constexpr std::int64_t k_attempt_ns = 30'000'000'000;
    static constexpr std::int64_t k_age_max_ns = 3'600'000'000'000;
    static constexpr BackoffOptions k_backoff{1'000'000'000, 300'000'000'000};

    // Failed so often in a row, a target is in trouble.
    static constexpr std::uint32_t k_patience = 3;

    // How a target does: "" when well, else why it is in trouble.
    using Tell = std::function<void(const std::string& target, const std::string& trouble)>;

    Outbox(net::Exec exec, std::uint64_t seed, Tell tell);
    ~Outbox();
    Outbox(const Outbox&) = delete;
    Outbox& operator=(const Outbox&) = delete;

    // Takes notices of that severity and worse.
    void add_target(
        std::string name,
        Severity least,
        std::unique_ptr<Channel> channel,
        TargetMetrics metrics
    );
    void put(const std::shared_ptr<const Notice>& notice);

    struct State {
        std::string target, trouble;
        std::size_t waiting = 0;
    };

    [[nodiscard]] std::vector<State> state() const;

private:
    struct Entry {
        std::shared_ptr<const Notice> notice;
        std::int64_t put_ns = 0;
    };

    struct Target {
        std::string name;
        Severity least = Severity::warning;
        std::unique_ptr<Channel> channel;
        TargetMetrics metrics;
        Backoff backoff;
        std::deque<Entry> waiting;
        bool busy = false;
        std::uint32_t failed = 0;  // in a row
        std::string trouble;
        std::unique_ptr<net::Timer> timer;
    };

    [[nodiscard]] std::int64_t now_ns() const { return exec_->turn_now_ns(exec_.self); }

    void lose(Target& target);
    void go_on(Target& target);
    void concluded(Target& target, const SendResult& result);

    net::Exec exec_;
    std::uint64_t seed_;
    Tell tell_;
    std::vector<std::unique_ptr<Target>> targets_;
};

}  // namespace tenon::alerts
