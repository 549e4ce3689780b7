// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/cluster/routing.hpp"

#include <algorithm>
#include <utility>

namespace tenon::postgres {
namespace {

std::uint32_t in_use(const RouteRequest& request, std::size_t host) noexcept {
    return host < request.in_use.size() ? request.in_use[host] : 0;
}

// Rows of a replica that has all that was committed before `fresh_as_of` are at most that old.
bool is_young_enough(const HostView& host, const RouteRequest& request) noexcept {
    if (request.max_staleness_ns == INT64_MAX) {
        return true;
    }
    return host.fresh_as_of_ns != 0 &&
           request.now_ns - host.fresh_as_of_ns <= request.max_staleness_ns;
}

bool is_eligible(
    const TopologyView& view,
    std::size_t index,
    const RouteRequest& request
) noexcept {
    const HostView& host = view.hosts[index];
    const bool serves = host.health == Health::up ||
                        (host.health == Health::half_open && in_use(request, index) == 0);
    return serves && host.role == Role::replica && host.position.timeline == view.timeline &&
           is_young_enough(host, request);
}

bool less_busy(
    const TopologyView& view,
    const RouteRequest& request,
    std::size_t a,
    std::size_t b
) noexcept {
    return std::pair{in_use(request, a), view.hosts[a].latency_ns} <
           std::pair{in_use(request, b), view.hosts[b].latency_ns};
}

// Two choices: the best of two at random spreads nearly as well as the best of all, and does not
// send everybody to the one that looked idle a moment ago.
void put_best_first(
    const TopologyView& view,
    const RouteRequest& request,
    std::vector<std::size_t>& replicas
) {
    if (replicas.size() < 2) {
        return;
    }
    const std::size_t count = replicas.size();
    const std::size_t a = request.random % count;
    const std::size_t b = (a + 1 + request.random / count % (count - 1)) % count;
    const std::size_t best = less_busy(view, request, replicas[a], replicas[b]) ? a : b;
    std::swap(replicas[0], replicas[best]);
    std::sort(replicas.begin() + 1, replicas.end(), [&](std::size_t x, std::size_t y) {
        return less_busy(view, request, x, y);
    });
}

void add_replicas(const TopologyView& view, const RouteRequest& request, Route& out) {
    std::vector<std::size_t> up;
    std::vector<std::size_t> half_open;
    std::vector<std::size_t> behind;
    for (std::size_t i = 0; i < view.hosts.size(); ++i) {
        if (!is_eligible(view, i, request)) {
            continue;
        }
        if (request.after && view.hosts[i].position.lsn < request.after->lsn) {
            behind.push_back(i);
        } else if (view.hosts[i].health == Health::half_open) {
            half_open.push_back(i);
        } else {
            up.push_back(i);
        }
    }
    put_best_first(view, request, up);
    const bool check = request.after.has_value();
    for (const auto* group : {&up, &half_open}) {
        for (const std::size_t i : *group) {
            out.candidates.push_back({i, false, check, 0});
        }
    }
    if (out.candidates.empty() && !behind.empty()) {
        put_best_first(view, request, behind);
        out.candidates.push_back({behind.front(), false, true, k_position_wait_ns});
    }
}

std::string why_no_primary(const TopologyView& view) {
    std::string out = "no PostgreSQL server takes writes:";
    for (std::size_t i = 0; i < view.hosts.size(); ++i) {
        const HostView& host = view.hosts[i];
        out.append(i == 0 ? " server " : "; server ").append(std::to_string(i)).append(" is ");
        out.append(name_of(host.health));
        if (host.health == Health::up || host.health == Health::half_open) {
            out.append(", a ").append(name_of(host.role));
        } else if (host.reason != Reason::none) {
            out.append(", ")
                .append(name_of(host.reason))
                .append(" (")
                .append(host.detail)
                .append(")");
        }
    }
    return out;
}

}  // namespace

Route route(const TopologyView& view, const RouteRequest& request) {
    Route out;
    if (request.after && request.after->timeline > view.timeline) {
        out.outdated = true;
        out.refusal = "position " + to_text(*request.after) + " is of a newer timeline than " +
                      std::to_string(view.timeline) + ", which is all that is known here yet";
        return out;
    }
    const bool of_this_timeline = !request.after || request.after->timeline == view.timeline;
    if (request.intent == TENON_INTENT_READ && request.max_staleness_ns > 0 && of_this_timeline) {
        add_replicas(view, request, out);
    }
    if (view.primary) {
        out.candidates.push_back({*view.primary, true, false, 0});
    }
    if (out.candidates.empty()) {
        out.refusal = why_no_primary(view);
    }
    return out;
}

}  // namespace tenon::postgres
