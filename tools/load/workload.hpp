// SPDX-License-Identifier: Apache-2.0
// What users ask a server: requests of some kinds, drawn by weight, each an operation with figures
// of its own. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::load {

class Workload {
public:
    virtual ~Workload() = default;
    Workload() = default;
    Workload(const Workload&) = delete;
    Workload& operator=(const Workload&) = delete;

    // The weight of each kind of request.
    [[nodiscard]] const std::vector<std::uint32_t>& weights() const noexcept { return weights_; }

    // The names of the operations, each measured apart.
    [[nodiscard]] const std::vector<std::string>& operations() const noexcept {
        return operations_;
    }

    // Makes `out` the user's next request of the kind; which operation it is.
    virtual std::uint32_t write(std::uint32_t user, std::uint32_t kind, std::string& out) = 0;

    // What came of the user's last request; status 0: no answer. True when it is what was wanted.
    virtual bool answered(std::uint32_t user, std::uint32_t operation, int status) = 0;

    // What may be left on the server after a run: the user and the client's id of the order.
    struct Left {
        std::uint32_t user;
        std::string client_id;
    };

    [[nodiscard]] virtual std::vector<Left> left() const { return {}; }

protected:
    std::vector<std::uint32_t> weights_;
    std::vector<std::string> operations_;
};

// GETs of some targets.
struct Target {
    std::string name, target;
    std::uint32_t weight = 1;
};

[[nodiscard]] std::unique_ptr<Workload>
make_gets(const std::string& host, const std::vector<Target>& targets);

// What a trading front end reads, of the symbols in turn: tickers, books, trades, candles.
[[nodiscard]] std::vector<Target> market_data_targets(const std::vector<std::string>& symbols);

// A key of HMAC-SHA256.
struct Credentials {
    std::string api_key, secret;
};

// Each user places a limit order that rests, and cancels it with the next request.
struct OrderDesk {
    std::string host, symbol, price, quantity;
    std::vector<Credentials> keys;          // users take them in turn
    std::function<std::int64_t()> real_ms;  // the server's time, for signatures
    std::uint32_t users = 1;
    std::string prefix = "load";  // of client order ids: differs from run to run
    std::vector<Target> reads;    // besides, with their weights; may be empty
    std::uint32_t weight = 1;     // of orders beside `reads`
};

[[nodiscard]] std::unique_ptr<Workload> make_orders(OrderDesk desk);

}  // namespace tenon::load
