// SPDX-License-Identifier: Apache-2.0
// What a connection that reads too slowly has not been sent, so that it can be brought up to date
// when it reads again. Nothing is dropped unseen; what waits is bounded:
//   - newest value (tickers, best prices, partial depth, the candle in progress): one mark for each
//     value; the frame itself is the topic's and shared by all who wait for it
//   - all tickers: the instruments that changed
//   - differences of a book: one difference from the last one sent on. Above k_levels_max prices,
//     or k_all_levels_max of all books of the connection, it is given up; the next one's first
//     update id then tells the client to start afresh.
// Trades and finished candles never wait: the server closes who lets too many of them queue up.
#pragma once

#include "plugins/gateway/binance/depth_diff.hpp"

#include <tenon/abi/http.h>
#include <tenon/plugin.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <set>
#include <unordered_map>
#include <utility>

namespace tenon::binance {

struct Topic;

// A message in the forms in which somebody listens (raw or combined, milliseconds or microseconds).
class Frames {
public:
    static constexpr std::size_t k_forms = 4;

    explicit Frames(Service<tenon_http_routes_1> http) : http_{http} {}

    ~Frames() { clear(); }

    Frames(const Frames&) = delete;
    Frames& operator=(const Frames&) = delete;

    Frames(Frames&& other) noexcept : http_{other.http_}, made_{std::exchange(other.made_, {})} {}

    Frames& operator=(Frames&& other) noexcept {
        if (this != &other) {
            clear();
            made_ = std::exchange(other.made_, {});
        }
        return *this;
    }

    // Null until it is made.
    [[nodiscard]] tenon_ws_frame*& operator[](std::size_t form) noexcept { return made_.at(form); }

private:
    void clear() noexcept {
        for (tenon_ws_frame*& frame : made_) {
            if (frame != nullptr) {
                http_->frame_release(http_.self, std::exchange(frame, nullptr));
            }
        }
    }

    Service<tenon_http_routes_1> http_;
    std::array<tenon_ws_frame*, k_forms> made_{};
};

// What one connection waits for, in the order in which it began to wait.
class Backlog {
public:
    static constexpr std::size_t k_levels_max = 20'000;
    static constexpr std::size_t k_all_levels_max = 100'000;  // 1.6 MB

    struct Missed {
        Topic* topic = nullptr;
        std::uint32_t key = 0;                // of the topic's kept frames
        std::size_t form = 0;                 // in which it listened then
        DepthDiff diff;                       // depth
        std::size_t levels = 0;               // of it, as counted in all
        std::size_t join_at = k_levels_max;   // levels at which prices are joined and counted
        std::set<std::uint32_t> instruments;  // all tickers
    };

    Backlog() = default;
    ~Backlog() = default;
    Backlog(const Backlog&) = delete;
    Backlog& operator=(const Backlog&) = delete;
    Backlog(Backlog&&) = default;
    Backlog& operator=(Backlog&&) = default;

    // The entry of (topic, key), made when there is none.
    Missed& note(Topic& topic, std::uint32_t key, std::size_t form);
    // The difference joins what waits already. False: too much, all of it has been given up.
    [[nodiscard]] bool gather(Topic& topic, std::size_t form, DepthDiff& later);
    // The connection needs nothing of the topic any more.
    void forget(const Topic& topic) noexcept;

    [[nodiscard]] bool empty() const noexcept { return missed_.empty(); }

    [[nodiscard]] Missed& front() noexcept { return missed_.front(); }

    void pop_front() noexcept { erase(missed_.begin()); }

    // Kept of all differences; at most k_all_levels_max.
    [[nodiscard]] std::size_t levels() const noexcept { return levels_; }

private:
    using List = std::list<Missed>;

    struct Id {
        const Topic* topic = nullptr;
        std::uint32_t key = 0;

        [[nodiscard]] bool operator==(const Id&) const = default;
    };

    struct HashOfId {
        [[nodiscard]] std::size_t operator()(const Id& id) const noexcept {
            return std::hash<const Topic*>{}(id.topic) ^ (std::size_t{id.key} << 32U) ^ id.key;
        }
    };

    List::iterator erase(List::iterator at) noexcept;

    List missed_;
    std::unordered_map<Id, List::iterator, HashOfId> at_;
    std::size_t levels_ = 0;
};

}  // namespace tenon::binance
