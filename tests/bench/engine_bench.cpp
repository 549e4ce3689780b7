// SPDX-License-Identifier: Apache-2.0
// Commands a second of the trading core with the internal venue on one core, journal off.
//
// usage: engine_bench [rounds [commands]]
//
// 1,000 accounts, one instrument with all filters and fees, 1,000 price levels with about ten
// orders each. The commands are recorded once from a seeded mix and then applied to a fresh core in
// each round: 45 % resting orders spread over the levels, 40 % cancels by order id, 10 % orders
// that trade (limit, IOC, FOK), 5 % market orders by base and by quote. Every order has a client id
// of its own, of 22 characters, and every command goes through all checks and gives its reply and
// events. A batch of 64 commands shares an Output, as with the journal.
#include "tests/simulation/core_world.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

namespace {

using namespace tenon;
using namespace tenon::test;

constexpr std::uint64_t k_accounts = 1000;
constexpr std::int64_t k_levels = 500;  // a side
constexpr std::int64_t k_middle = 5'000'000;
constexpr std::size_t k_open = 10'000;
constexpr int k_batch = 64;
constexpr std::uint64_t k_seed = 20'261'122;

constexpr std::string_view k_instruments = R"({
  "instruments_version": 1,
  "assets": [{"name":"USDT","scale":8},{"name":"BTC","scale":8}],
  "instruments": [{"symbol":"BTCUSDT","base":"BTC","quote":"USDT","venue":"internal",
    "price_scale":2,"quantity_scale":5,
    "price":{"min":"0.01","max":"1000000","tick":"0.01"},
    "quantity":{"min":"0.00001","max":"9000","step":"0.00001"},
    "market_quantity":{"max":"120"},
    "notional":{"min":"5","max":"9000000","min_to_market":true},
    "percent_price":{"bid_up":"5","bid_down":"0.2","ask_up":"5","ask_down":"0.2"},
    "orders_max":1000000,"fees":{"maker":"0.001","taker":"0.001"},"position_max":"1000000"}]})";

// A mix that keeps the book about as deep as it was, given what is open now.
class Mix {
public:
    explicit Mix(CoreWorld& world) : world_{world} {}

    [[nodiscard]] trading::CommandBody prefill() { return resting(); }

    [[nodiscard]] trading::CommandBody next() {
        const std::uint64_t dice = random_() % 100;
        if (dice >= 85) {
            return taking(dice >= 95);
        }
        const std::size_t open = world_.core.open_order_count();
        const bool rest = open < k_open - k_open / 20 || (open < k_open + k_open / 20 && dice < 49);
        return rest ? resting() : cancel_one();
    }

    // Keeps the ids of what rests, with their accounts.
    void learn(const tenon_trading_reply& reply) {
        for (std::uint32_t i = 0; i < reply.order_count; ++i) {
            if (reply.orders[i].status <= TENON_STATUS_PARTIALLY_FILLED) {
                open_.push_back({reply.orders[i].order_id, reply.orders[i].account});
            }
        }
    }

private:
    struct Open {
        std::uint64_t id = 0, account = 0;
    };

    tenon_order_request request(std::uint8_t side) {
        tenon_order_request order{};
        order.size = sizeof order;
        order.account = TENON_ACCOUNT_FIRST + random_() % k_accounts;
        order.side = side;
        order.type = TENON_ORDER_LIMIT;
        order.time_in_force = TENON_TIF_GTC;
        order.quantity = 100 + static_cast<std::int64_t>(random_() % 1000);
        order.client_id.length = 22;
        std::snprintf(
            order.client_id.text,
            sizeof order.client_id.text,
            "x-%020llu",
            static_cast<unsigned long long>(++clients_ * 0x9e3779b97f4a7c15ULL)
        );
        std::memset(order.client_id.text + 22, 0, sizeof order.client_id.text - 22);
        return order;
    }

    trading::CommandBody resting() {
        const auto side = static_cast<std::uint8_t>(random_() % 2);
        const std::int64_t away = 1 + static_cast<std::int64_t>(random_() % k_levels);
        tenon_order_request order = request(side);
        order.price = side == TENON_SIDE_BUY ? k_middle - away : k_middle + away;
        return submit(order);
    }

    trading::CommandBody taking(bool market) {
        const auto side = static_cast<std::uint8_t>(random_() % 2);
        tenon_order_request order = request(side);
        order.price = side == TENON_SIDE_BUY ? k_middle + k_levels : k_middle - k_levels;
        order.time_in_force =
            static_cast<std::uint8_t>(TENON_TIF_GTC + static_cast<int>(random_() % 3));
        if (market) {
            order.type = TENON_ORDER_MARKET;
            order.time_in_force = TENON_TIF_GTC;
            order.price = 0;
            if (random_() % 2 == 0) {
                order.quote_quantity = order.quantity * k_middle * 10;
                order.quantity = 0;
            }
        }
        return submit(order);
    }

    trading::CommandBody cancel_one() {
        const std::size_t at = random_() % open_.size();
        const Open open = open_[at];
        open_[at] = open_.back();
        open_.pop_back();
        if (world_.core.open_order(open.account, 0, open.id, {}) == nullptr && !open_.empty()) {
            return cancel_one();  // traded meanwhile
        }
        return cancel(open.account, 0, open.id);
    }

    CoreWorld& world_;
    std::mt19937_64 random_{k_seed};
    std::vector<Open> open_;
    std::uint64_t clients_ = 0;
};

void fund(CoreWorld& world) {
    for (std::uint64_t i = 0; i < k_accounts; ++i) {
        const std::uint64_t account = world.open("user" + std::to_string(i));
        world.deposit(account, "USDT", "10000000");
        world.deposit(account, "BTC", "1000");
    }
}

struct Recording {
    std::vector<trading::CommandBody> prefill, commands;
};

Recording record(std::size_t count) {
    CoreWorld world{{}, k_instruments};
    fund(world);
    Mix mix{world};
    Recording recording;
    const auto play = [&](std::vector<trading::CommandBody>& list, trading::CommandBody body) {
        list.push_back(body);
        (void)world.apply(body);
        mix.learn(world.reply());
    };
    for (std::size_t i = 0; i < k_open; ++i) {
        play(recording.prefill, mix.prefill());
    }
    std::uint64_t refused = 0;
    std::uint64_t trades = 0;
    while (recording.commands.size() < count) {
        play(recording.commands, mix.next());
        refused += world.output.results().back().reject != TENON_REJECT_NONE ? 1U : 0U;
        trades += world.reply().trade_count;
    }
    const internal::Book& book = *world.venue.book(0);
    std::printf(
        "engine: %zu commands, %llu trades, %llu refused; at the end %zu open orders on %zu "
        "levels\n",
        count,
        static_cast<unsigned long long>(trades),
        static_cast<unsigned long long>(refused),
        world.core.open_order_count(),
        book.level_count(TENON_SIDE_BUY) + book.level_count(TENON_SIDE_SELL)
    );
    return recording;
}

double round_of(const Recording& recording) {
    CoreWorld world{{}, k_instruments};
    fund(world);
    for (const trading::CommandBody& body : recording.prefill) {
        (void)world.apply(body);
    }
    std::vector<trading::Command> commands;
    commands.reserve(recording.commands.size());
    for (const trading::CommandBody& body : recording.commands) {
        commands.push_back({world.core.sequence() + commands.size() + 1, 1, body});
    }
    std::size_t in_batch = 0;
    const auto begin = std::chrono::steady_clock::now();
    for (const trading::Command& command : commands) {
        (void)world.core.apply(command, world.output);
        if (++in_batch == k_batch) {
            world.output.clear();
            in_batch = 0;
        }
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    if (const std::string broken = world.core.check_invariants(); !broken.empty()) {
        std::fprintf(stderr, "%s\n", broken.c_str());
        std::exit(1);
    }
    return static_cast<double>(recording.commands.size()) / seconds.count();
}

}  // namespace

int main(int argc, char** argv) {
    const int rounds = argc > 1 ? std::atoi(argv[1]) : 7;
    const std::size_t count = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1'000'000;
    if (rounds < 1 || count == 0) {
        std::fprintf(stderr, "usage: engine_bench [rounds [commands]]\n");
        return 2;
    }
    const Recording recording = record(count);
    std::vector<double> rates;
    for (int i = 1; i <= rounds; ++i) {
        rates.push_back(round_of(recording));
        std::printf("round %d: %.3f million commands/s\n", i, rates.back() / 1e6);
    }
    std::sort(rates.begin(), rates.end());
    std::printf(
        "median %.3f, best %.3f million commands/s\n",
        rates[rates.size() / 2] / 1e6,
        rates.back() / 1e6
    );
    return 0;
}
