// SPDX-License-Identifier: Apache-2.0
// Requests that wait for an upstream: bounded, in four lanes, fair between clients.
//
// lanes    urgent (cancels, risk) before orders before queries before back-fill. A lane that waits
//          while a later request of a better one goes gets one unit for every sixteen of theirs, so
//          none waits for ever; but nothing ever goes before urgent ones.
// clients  inside a lane, by turns: the client that was given least since it came is next
// (start-time
//          fair queuing, P. Goyal, H. Vin, H. Cheng, SIGCOMM 1996). Who floods waits for itself.
// deadline of one client's requests in a lane, the one with the earliest goes first.
// full     who comes pushes out the last of a worse lane, else the last of the client that has most
//          in its own, if that has more than the newcomer's client; else it is turned away.
//
// Decides only: no clock, no lock. Not thread-safe. Every function is at most linear in the number
// of clients that wait.
#pragma once

#include <tenon/upstream_ledger.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace tenon {

struct OutboundRequest {
    std::uint64_t id = 0;  // the caller's, not one that waits or is under way
    Lane lane = Lane::query;
    std::uint64_t client = 0;   // to whom it is fair
    std::uint64_t account = 0;  // whose order limits it takes of
    RequestCost cost;
    std::int64_t deadline_ns = 0;  // to be sent by then
    bool repeated = false;         // it was submitted before: it earns no further repetition
};

class OutboundQueue {
public:
    enum class May : std::uint8_t {
        go,     // taken
        wait,   // for what all share: nobody of this lane goes
        others  // for something of its own: the next client's turn
    };

    struct Pushed {
        bool accepted = false;
        std::optional<OutboundRequest> evicted;
    };

    explicit OutboundQueue(std::size_t size_max) : size_max_{size_max} {}

    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

    [[nodiscard]] std::size_t size(Lane lane) const noexcept { return of(lane).size; }

    [[nodiscard]] Pushed push(const OutboundRequest& request) {
        Pushed out;
        if (entries_.contains(request.id)) {
            return out;
        }
        if (entries_.size() >= size_max_) {
            out.evicted = victim(request);
            if (!out.evicted) {
                return out;
            }
            (void)remove(out.evicted->id);
        }
        out.accepted = true;
        insert(request);
        return out;
    }

    // The next that may go, taken out. `may` is asked for heads in their order.
    template <class Ask>
    [[nodiscard]] std::optional<OutboundRequest> pop(Ask may) {
        if (const auto urgent = pop_of(Lane::urgent, may);
            urgent.first || urgent.second == May::wait) {
            return urgent.first;
        }
        for (std::size_t i = k_lanes - 1; i > static_cast<std::size_t>(Lane::order); --i) {
            const auto lane = static_cast<Lane>(i);
            if (of(lane).size > 0 && of(lane).credit >= k_lane_share * units_of_next(lane)) {
                if (const auto credited = pop_of(lane, may); credited.first) {
                    return credited.first;
                }
            }
        }
        for (const Lane lane : {Lane::order, Lane::query, Lane::backfill}) {
            const auto next = pop_of(lane, may);
            if (next.first || next.second == May::wait) {
                return next.first;
            }
        }
        return std::nullopt;
    }

    // Takes it out. Nothing: it does not wait.
    std::optional<OutboundRequest> remove(std::uint64_t id) {
        const auto found = entries_.find(id);
        if (found == entries_.end()) {
            return std::nullopt;
        }
        const OutboundRequest request = found->second.request;
        LaneQueue& lane = of(request.lane);
        Client& client = lane.clients.at(request.client);
        client.waiting.erase(key_of(found->second));
        client.cost.weight -= request.cost.weight;
        client.cost.orders -= request.cost.orders;
        --lane.size;
        if (client.waiting.empty()) {
            lane.turns.erase({client.turn, request.client});
        }
        lane.credit = lane.size == 0 ? 0 : lane.credit;
        deadlines_.erase({request.deadline_ns, id});
        entries_.erase(found);
        return request;
    }

    // Takes out one whose deadline is before that.
    std::optional<OutboundRequest> expired(std::int64_t at_ns) {
        if (deadlines_.empty() || deadlines_.begin()->first >= at_ns) {
            return std::nullopt;
        }
        return remove(deadlines_.begin()->second);
    }

    // The earliest deadline; the largest number when nobody waits.
    [[nodiscard]] std::int64_t first_deadline_ns() const noexcept {
        return deadlines_.empty() ? std::numeric_limits<std::int64_t>::max()
                                  : deadlines_.begin()->first;
    }

    // What goes, roughly, before a request that came now. orders: of its account alone.
    [[nodiscard]] RequestCost ahead(const OutboundRequest& request) const {
        RequestCost out{0, 0};
        for (std::size_t i = 0; i < static_cast<std::size_t>(request.lane); ++i) {
            for (const auto& [id, client] : lanes_.at(i).clients) {
                out.weight += client.cost.weight;
                out.orders += client.cost.orders;
            }
        }
        const LaneQueue& lane = of(request.lane);
        const auto mine = lane.clients.find(request.client);
        const RequestCost own = mine == lane.clients.end() ? RequestCost{0, 0} : mine->second.cost;
        for (const auto& [id, client] : lane.clients) {
            // By turns, so of each other client as much as goes of this one.
            out.weight += std::min(client.cost.weight, own.weight + request.cost.weight);
            out.orders += id == request.client ? client.cost.orders : 0;
        }
        return out;
    }

private:
    struct Entry {
        OutboundRequest request;
        std::uint64_t sequence;
    };

    using Key = std::tuple<std::int64_t, std::uint64_t, std::uint64_t>;  // deadline, sequence, id

    struct Client {
        std::uint64_t turn = 0;  // in units given, on the lane's own time
        std::set<Key> waiting;
        RequestCost cost{0, 0};  // of all that wait
    };

    struct LaneQueue {
        std::map<std::uint64_t, Client> clients;  // that wait, or were given more than others
        std::set<std::pair<std::uint64_t, std::uint64_t>> turns;  // turn, client: that wait
        std::uint64_t time = 0;                                   // the turn of who was last served
        std::size_t size = 0;
        std::int64_t credit = 0;  // units that better lanes took while this one waited
    };

    static constexpr std::int64_t k_lane_share = 16;

    [[nodiscard]] LaneQueue& of(Lane lane) noexcept {
        return lanes_.at(static_cast<std::size_t>(lane));
    }

    [[nodiscard]] const LaneQueue& of(Lane lane) const noexcept {
        return lanes_.at(static_cast<std::size_t>(lane));
    }

    [[nodiscard]] static Key key_of(const Entry& entry) noexcept {
        return {entry.request.deadline_ns, entry.sequence, entry.request.id};
    }

    [[nodiscard]] static std::int64_t units(const OutboundRequest& request) noexcept {
        return std::max({std::int64_t{1}, request.cost.weight, request.cost.orders});
    }

    [[nodiscard]] const OutboundRequest& head(const Client& client) const {
        return entries_.at(std::get<2>(*client.waiting.begin())).request;
    }

    [[nodiscard]] std::int64_t units_of_next(Lane lane) const {
        const LaneQueue& queue = of(lane);
        return units(head(queue.clients.at(queue.turns.begin()->second)));
    }

    void insert(const OutboundRequest& request) {
        const Entry entry{request, ++sequence_};
        entries_.emplace(request.id, entry);
        deadlines_.emplace(request.deadline_ns, request.id);
        LaneQueue& lane = of(request.lane);
        if (lane.clients.size() > 2 * size_max_) {
            forget_idle(lane);
        }
        Client& client = lane.clients[request.client];
        if (client.waiting.empty()) {
            client.turn = std::max(client.turn, lane.time);
            lane.turns.emplace(client.turn, request.client);
        }
        client.waiting.insert(key_of(entry));
        client.cost.weight += request.cost.weight;
        client.cost.orders += request.cost.orders;
        ++lane.size;
    }

    // An idle client whose turn has come has nothing to remember. When that is not enough, there
    // are more clients than places, and all that are idle begin anew.
    void forget_idle(LaneQueue& lane) const {
        for (const std::uint64_t until : {lane.time, std::numeric_limits<std::uint64_t>::max()}) {
            if (lane.clients.size() > size_max_) {
                std::erase_if(lane.clients, [&](const auto& item) {
                    return item.second.waiting.empty() && item.second.turn <= until;
                });
            }
        }
    }

    template <class Ask>
    std::pair<std::optional<OutboundRequest>, May> pop_of(Lane lane, Ask& may) {
        LaneQueue& queue = of(lane);
        for (const auto& [turn, id] : queue.turns) {
            const OutboundRequest next = head(queue.clients.at(id));
            const May answer = may(next);
            if (answer == May::go) {
                serve(lane, id, next);
                return {next, May::go};
            }
            if (answer == May::wait) {
                return {std::nullopt, May::wait};
            }
        }
        return {std::nullopt, May::others};
    }

    void serve(Lane lane, std::uint64_t id, const OutboundRequest& request) {
        LaneQueue& queue = of(lane);
        Client& client = queue.clients.at(id);
        queue.time = std::max(queue.time, client.turn);
        queue.turns.erase({client.turn, id});
        client.turn += static_cast<std::uint64_t>(units(request));
        queue.turns.emplace(client.turn, id);  // remove() takes it out when it was the last
        (void)remove(request.id);
        queue.credit = std::max<std::int64_t>(queue.credit - k_lane_share * units(request), 0);
        for (std::size_t i = static_cast<std::size_t>(lane) + 1; i < k_lanes; ++i) {
            LaneQueue& worse = lanes_.at(i);
            worse.credit += worse.size > 0 ? units(request) : 0;
        }
    }

    [[nodiscard]] std::optional<OutboundRequest> victim(const OutboundRequest& newcomer) const {
        for (std::size_t i = k_lanes - 1; i > static_cast<std::size_t>(newcomer.lane); --i) {
            if (lanes_.at(i).size > 0) {
                return last_of(lanes_.at(i), 0);
            }
        }
        const LaneQueue& lane = of(newcomer.lane);
        const auto mine = lane.clients.find(newcomer.client);
        return last_of(lane, (mine == lane.clients.end() ? 0 : mine->second.waiting.size()) + 1);
    }

    // Of the client that has most, if that is more than `than`.
    [[nodiscard]] std::optional<OutboundRequest> last_of(const LaneQueue& lane, std::size_t than)
        const {
        const Client* most = nullptr;
        for (const auto& [id, client] : lane.clients) {
            if (client.waiting.size() > (most == nullptr ? than : most->waiting.size())) {
                most = &client;
            }
        }
        if (most == nullptr) {
            return std::nullopt;
        }
        return entries_.at(std::get<2>(*most->waiting.rbegin())).request;
    }

    std::size_t size_max_;
    std::uint64_t sequence_ = 0;
    std::unordered_map<std::uint64_t, Entry> entries_;
    std::set<std::pair<std::int64_t, std::uint64_t>> deadlines_;
    std::array<LaneQueue, k_lanes> lanes_;
};

}  // namespace tenon
