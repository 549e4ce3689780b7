// SPDX-License-Identifier: Apache-2.0
// A model of an exchange's order side: orders by client id, fills, queries, events. In memory,
// exact, in the words of Binance's REST interface; time is given with each call.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace tenon::test {

struct ModelFill {
    std::uint64_t trade_id = 0;
    std::int64_t price = 0, quantity = 0;
    bool maker = false;
};

struct ModelOrder {
    std::uint64_t id = 0;
    std::string client_id, type, life, side;
    std::int64_t price = 0, quantity = 0, filled = 0;
    std::string status = "NEW";
    std::vector<ModelFill> fills;

    [[nodiscard]] bool open() const { return status == "NEW" || status == "PARTIALLY_FILLED"; }
};

class ModelExchange {
public:
    struct Answer {
        unsigned status = 200;
        std::string body;
    };

    using Parameters = std::map<std::string, std::string>;

    // `chance(n)` draws 0 .. n - 1. `event` gets each event of the user stream, as JSON.
    ModelExchange(
        std::function<std::uint64_t(std::uint64_t)> chance,
        std::function<void(std::string)> event
    )
        : chance_{std::move(chance)}, event_{std::move(event)} {}

    // One request, as it arrives. Outside of its window it is refused (-1021).
    Answer handle(
        const std::string& method,
        const std::string& path,
        const Parameters& parameters,
        std::int64_t now_ms,
        std::int64_t signed_ms,
        std::int64_t window_ms
    );

    // Somebody trades with an open order, or an order ends by itself.
    void stir();

    [[nodiscard]] const std::map<std::uint64_t, ModelOrder>& orders() const { return orders_; }

    [[nodiscard]] const ModelOrder* find(const std::string& client_id) const;

private:
    Answer place(const Parameters& parameters);
    Answer cancel(const Parameters& parameters);
    void fill(ModelOrder& order, std::int64_t quantity, bool maker);
    void report(const ModelOrder& order, const std::string& what, const ModelFill* trade);
    [[nodiscard]] static std::string row(const ModelOrder& order, bool with_fills);

    std::function<std::uint64_t(std::uint64_t)> chance_;
    std::function<void(std::string)> event_;
    std::map<std::uint64_t, ModelOrder> orders_;
    std::uint64_t next_order_ = 5'000, next_trade_ = 700;
};

}  // namespace tenon::test
