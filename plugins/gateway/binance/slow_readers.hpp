// SPDX-License-Identifier: Apache-2.0
// What a connection that reads too slowly has not been sent, so that it can be brought up to date
// when it reads again. Nothing is dropped unseen; what waits is bounded:
//   - newest value (tickers, best prices, partial depth, the candle in progress): one mark for each
//     value; the frame itself is the topic's and shared by all who wait for it
//   - all tickers: the instruments that changed
//   - differences of a book: one difference from the last one sent on. Above k_levels_max prices it
//     is given up; the next one's first update id then tells the client to start afresh.
// Trades and finished candles never wait: the server closes who lets too many of them queue up.
#pragma once

#include "plugins/gateway/binance/depth_diff.hpp"

#include <tenon/abi/http.h>
#include <tenon/plugin.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

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

    struct Missed {
        Topic* topic = nullptr;
        std::uint32_t key = 0;                // of the topic's kept frames
        std::size_t form = 0;                 // in which it listened then
        DepthDiff diff;                       // depth
        std::set<std::uint32_t> instruments;  // all tickers
    };

    // The entry of (topic, key), made when there is none.
    Missed& note(Topic& topic, std::uint32_t key, std::size_t form);
    // The difference joins what waits already. False: too much, all of it has been given up.
    [[nodiscard]] bool gather(Topic& topic, std::size_t form, DepthDiff& later);
    // The connection needs nothing of the topic any more.
    void forget(const Topic& topic) noexcept;

    [[nodiscard]] bool empty() const noexcept { return missed_.empty(); }

    [[nodiscard]] Missed& front() noexcept { return missed_.front(); }

    void pop_front() { missed_.erase(missed_.begin()); }

private:
    std::vector<Missed> missed_;
};

}  // namespace tenon::binance
