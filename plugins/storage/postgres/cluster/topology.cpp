// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/cluster/topology.hpp"

#include <algorithm>
#include <utility>

namespace tenon::postgres {

std::string_view name_of(Health health) noexcept {
    switch (health) {
        case Health::up:
            return "up";
        case Health::half_open:
            return "half_open";
        case Health::down:
            return "down";
        case Health::unknown:
            break;
    }
    return "unknown";
}

std::string_view name_of(Role role) noexcept {
    switch (role) {
        case Role::primary:
            return "primary";
        case Role::replica:
            return "replica";
        case Role::unknown:
            break;
    }
    return "unknown";
}

std::string_view name_of(Reason reason) noexcept {
    switch (reason) {
        case Reason::unreachable:
            return "unreachable";
        case Reason::other_cluster:
            return "other_cluster";
        case Reason::fenced:
            return "fenced";
        case Reason::rival:
            return "rival";
        case Reason::lagging:
            return "lagging";
        case Reason::none:
            break;
    }
    return "none";
}

Topology::Topology(std::size_t hosts, TopologySettings settings, Fence known)
    : settings_{settings}, fence_{known}, stored_{known}, hosts_(hosts) {
    view_.hosts.resize(hosts);
    view_.timeline = known.timeline;
}

const TopologyView& Topology::step(std::span<const Observation> observations, std::int64_t now_ns) {
    for (Host& host : hosts_) {
        host.fresh_probe = false;
    }
    for (const Observation& observation : observations) {
        record(observation, now_ns);
    }
    raise_fence();
    // Fences bind all at once, also those that were not probed just now.
    std::vector<Verdict> verdicts;
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
        verdicts.push_back(judge(i, now_ns));
    }
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
        advance(i, std::move(verdicts[i]));
    }
    choose_primary(now_ns);
    return view_;
}

std::optional<Fence> Topology::fence_to_store() const noexcept {
    return fence_ == stored_ ? std::nullopt : std::optional{fence_};
}

void Topology::record(const Observation& observation, std::int64_t now_ns) {
    Host& host = hosts_[observation.host];
    HostView& shown = view_.hosts[observation.host];
    host.probed = true;
    host.fresh_probe = true;
    host.answered = observation.answered;
    if (!observation.answered) {
        ++host.failures;
        host.failure = observation.failure;
        return;
    }
    host.failures = 0;
    const Role role = observation.in_recovery ? Role::replica : Role::primary;
    const bool same_run = host.seen.started_us == observation.started_us && shown.role == role;
    // A replica that loses its sender forgets the timeline that it was streaming; it cannot leave
    // it.
    const std::uint32_t known = same_run ? host.seen.position.timeline : 0;
    if (!same_run && shown.role != Role::unknown) {
        ++shown.epoch;
    }
    host.seen = observation;
    host.seen.position.timeline = std::max(known, observation.position.timeline);
    if (host.first_good_ns == 0 || !same_run) {
        host.first_good_ns = now_ns;
    }
    shown.role = role;
    shown.position = host.seen.position;
    shown.fresh_as_of_ns = observation.fresh_as_of_ns;
    shown.latency_ns = observation.latency_ns;
}

bool Topology::all_probed() const noexcept {
    return std::all_of(hosts_.begin(), hosts_.end(), [](const Host& h) { return h.probed; });
}

void Topology::raise_fence() {
    if (fence_.system == 0 && all_probed()) {
        // A new installation: the first server of the list that answers says which cluster it is.
        const auto first = std::find_if(hosts_.begin(), hosts_.end(), [](const Host& host) {
            return host.seen.answered;
        });
        fence_.system = first == hosts_.end() ? 0 : first->seen.system;
    }
    for (const Host& host : hosts_) {
        if (host.seen.answered && fence_.system != 0 && host.seen.system == fence_.system) {
            fence_.timeline = std::max(fence_.timeline, host.seen.position.timeline);
        }
    }
    view_.timeline = fence_.timeline;
}

bool Topology::is_unreachable(std::size_t index) const noexcept {
    const Host& host = hosts_[index];
    if (!host.probed || host.failures == 0) {
        return false;
    }
    return view_.hosts[index].health != Health::up || host.failures >= settings_.eject_after;
}

bool Topology::is_lagging(std::size_t index, std::int64_t now_ns) const noexcept {
    const Host& host = hosts_[index];
    const HostView& shown = view_.hosts[index];
    // Without a primary nothing is written, and nobody knows how old a replica is.
    if (!host.seen.in_recovery || !view_.primary) {
        return host.seen.in_recovery && shown.reason == Reason::lagging;
    }
    const std::int64_t bound =
        shown.reason == Reason::lagging ? settings_.max_lag_ns / 2 : settings_.max_lag_ns;
    return now_ns - fresh_since(index) > bound;
}

std::int64_t Topology::fresh_since(std::size_t index) const noexcept {
    const Host& host = hosts_[index];
    if (view_.hosts[index].reason == Reason::lagging) {
        return host.seen.fresh_as_of_ns;
    }
    // One that was met just now, or whose primary was, has had no time to show how fresh it is.
    return std::max({host.seen.fresh_as_of_ns, host.first_good_ns, primary_since_ns_});
}

bool Topology::claims(std::size_t index) const noexcept {
    const Host& host = hosts_[index];
    return host.seen.answered && !host.seen.in_recovery && host.seen.system == fence_.system &&
           host.seen.position.timeline == fence_.timeline;
}

bool Topology::has_rival(std::size_t index) const noexcept {
    if (!claims(index)) {
        return false;
    }
    const bool chosen =
        last_primary_ && last_timeline_ == fence_.timeline && claims(*last_primary_);
    if (chosen) {
        return *last_primary_ != index;
    }
    for (std::size_t other = 0; other < hosts_.size(); ++other) {
        if (other != index && claims(other) && !is_unreachable(other)) {
            return true;
        }
    }
    return false;
}

Topology::Verdict Topology::judge(std::size_t index, std::int64_t now_ns) const {
    const Host& host = hosts_[index];
    if (is_unreachable(index)) {
        return {Reason::unreachable, host.failure};
    }
    if (!host.seen.answered || fence_.system == 0) {
        return {};
    }
    if (host.seen.system != fence_.system) {
        return {
            Reason::other_cluster,
            "database cluster " + std::to_string(host.seen.system) + ", expected " +
                std::to_string(fence_.system)};
    }
    if (!host.seen.in_recovery && host.seen.position.timeline < fence_.timeline) {
        return {
            Reason::fenced,
            "says it is primary on timeline " + std::to_string(host.seen.position.timeline) +
                ", timeline " + std::to_string(fence_.timeline) + " is known"};
    }
    if (has_rival(index)) {
        return {Reason::rival, "a second primary on timeline " + std::to_string(fence_.timeline)};
    }
    if (is_lagging(index, now_ns)) {
        return {
            Reason::lagging,
            "its rows may be " + std::to_string((now_ns - fresh_since(index)) / 1'000'000) +
                " ms old, " + std::to_string(settings_.max_lag_ns / 1'000'000) + " are allowed"};
    }
    return {};
}

void Topology::advance(std::size_t index, Verdict verdict) {
    Host& host = hosts_[index];
    HostView& shown = view_.hosts[index];
    if (verdict.reason != Reason::none) {
        if (shown.health != Health::down) {
            ++shown.epoch;
        }
        shown.health = Health::down;
        shown.reason = verdict.reason;
        shown.detail = std::move(verdict.detail);
        host.successes = 0;
        return;
    }
    if (!host.fresh_probe || !host.answered) {
        return;
    }
    ++host.successes;
    shown.reason = Reason::none;
    shown.detail.clear();
    if (shown.health == Health::unknown ||
        (shown.health == Health::half_open && host.successes >= settings_.readmit_after)) {
        shown.health = Health::up;
    } else if (shown.health == Health::down) {
        shown.health = settings_.readmit_after <= 1 ? Health::up : Health::half_open;
    }
}

void Topology::choose_primary(std::int64_t now_ns) {
    const std::optional<std::size_t> before = std::exchange(view_.primary, std::nullopt);
    if (!all_probed() || fence_to_store()) {
        return;
    }
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
        const Health health = view_.hosts[i].health;
        if (claims(i) && (health == Health::up || health == Health::half_open)) {
            view_.primary = i;
        }
    }
    if (!view_.primary) {
        return;
    }
    const bool took_over = last_primary_ != view_.primary || last_timeline_ != fence_.timeline;
    if (took_over && last_primary_) {
        ++view_.failovers;
    }
    if (took_over || !before) {
        primary_since_ns_ = now_ns;
    }
    last_primary_ = view_.primary;
    last_timeline_ = fence_.timeline;
}

}  // namespace tenon::postgres
