// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/alerts/outbox.hpp"

#include <algorithm>
#include <utility>

namespace tenon::alerts {

Outbox::Outbox(net::Exec exec, std::uint64_t seed, Tell tell)
    : exec_{exec}, seed_{seed}, tell_{std::move(tell)} {}

Outbox::~Outbox() = default;

void Outbox::add_target(
    std::string name,
    Severity least,
    std::unique_ptr<Channel> channel,
    TargetMetrics metrics
) {
    auto target = std::unique_ptr<Target>{new Target{
        std::move(name),
        least,
        std::move(channel),
        metrics,
        Backoff{k_backoff, seed_ + targets_.size()},
        {},
        false,
        0,
        {},
        nullptr}};
    target->timer =
        std::make_unique<net::Timer>(exec_, [this, raw = target.get()] { go_on(*raw); });
    targets_.push_back(std::move(target));
}

void Outbox::lose(Target& target) {
    target.waiting.pop_front();
    target.metrics.lost.add();
}

void Outbox::put(const std::shared_ptr<const Notice>& notice) {
    for (const auto& one : targets_) {
        Target& target = *one;
        if (notice->severity < target.least) {
            continue;
        }
        // The one that is under way stays: it may have arrived.
        if (target.waiting.size() >= k_waiting_max) {
            target.waiting.erase(target.waiting.begin() + (target.busy ? 1 : 0));
            target.metrics.lost.add();
        }
        target.waiting.push_back({notice, now_ns()});
        if (!target.timer->armed()) {
            go_on(target);
        }
        target.metrics.waiting.set(static_cast<std::int64_t>(target.waiting.size()));
    }
}

void Outbox::go_on(Target& target) {
    if (target.busy) {
        return;
    }
    while (!target.waiting.empty() && now_ns() - target.waiting.front().put_ns > k_age_max_ns) {
        lose(target);
    }
    target.metrics.waiting.set(static_cast<std::int64_t>(target.waiting.size()));
    if (target.waiting.empty()) {
        return;
    }
    target.busy = true;
    // The channel goes with the target, and with it whoever would call back.
    target.channel->send(
        target.waiting.front().notice,
        now_ns() + k_attempt_ns,
        [this, &target](const SendResult& result) { concluded(target, result); }
    );
}

void Outbox::concluded(Target& target, const SendResult& result) {
    target.busy = false;
    target.failed = result.kind == SendResult::Kind::sent ? 0 : target.failed + 1;
    switch (result.kind) {
        case SendResult::Kind::sent:
            target.backoff.reset();
            target.metrics.sent.add();
            target.waiting.pop_front();
            break;
        case SendResult::Kind::refused:
            target.metrics.failures.add();
            lose(target);
            break;
        case SendResult::Kind::again:
            target.metrics.failures.add();
            target.timer->at(now_ns() + std::max(target.backoff.next(), result.retry_after_ns));
            break;
    }
    const bool may_pass = result.kind == SendResult::Kind::again && target.failed < k_patience;
    target.trouble = may_pass ? "" : result.reason;
    tell_(target.name, target.trouble);
    if (result.kind != SendResult::Kind::again) {
        go_on(target);
    }
    target.metrics.waiting.set(static_cast<std::int64_t>(target.waiting.size()));
}

std::vector<Outbox::State> Outbox::state() const {
    std::vector<State> out;
    for (const auto& target : targets_) {
        out.push_back({target->name, target->trouble, target->waiting.size()});
    }
    return out;
}

}  // namespace tenon::alerts
