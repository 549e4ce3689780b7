// SPDX-License-Identifier: Apache-2.0
// kill -9 under load, again and again, on one data folder: a real tenond with engine, internal
// venue, accounts, SQLite and migrations, and a plugin that sends random orders and writes what was
// acknowledged to a pipe. After each restart all of it must be there, once.
//
// TENON_KILLS (default 20) and TENON_CRASH_SEED lengthen or repeat it.
#include "tests/integration/crash/daemon.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <random>
#include <set>

namespace json = boost::json;
using tenon::test::Acknowledged;
using tenon::test::Daemon;
using tenon::test::environment_number;

namespace {

using Numbers = std::vector<std::int64_t>;

std::vector<Numbers> rows_of(const json::object& dump, std::string_view name) {
    std::vector<Numbers> rows;
    for (const json::value& row : dump.at(name).as_array()) {
        Numbers numbers;
        for (const json::value& number : row.as_array()) {
            numbers.push_back(number.to_number<std::int64_t>());
        }
        rows.push_back(std::move(numbers));
    }
    return rows;
}

bool closed(std::int64_t status) {
    return status >= 4;  // TENON_STATUS_FILLED
}

// Every acknowledged order and fill, as it was or later in its life.
void check_acknowledged(const json::object& dump, const Acknowledged& acknowledged) {
    std::map<std::int64_t, Numbers> orders;
    for (const Numbers& row : rows_of(dump, "orders")) {
        REQUIRE(orders.emplace(row[0], row).second);
    }
    for (const auto& [id, was] : acknowledged.orders) {
        INFO("order " << id);
        REQUIRE(orders.count(id) == 1);
        const Numbers& now = orders.at(id);
        REQUIRE(now[1] >= was[1]);
        if (closed(was[3])) {
            REQUIRE(now == was);
        }
    }
    std::map<std::pair<std::int64_t, std::int64_t>, Numbers> trades;
    for (const Numbers& row : rows_of(dump, "trades")) {
        REQUIRE(trades.emplace(std::pair{row[0], row[1]}, row).second);
    }
    for (const Numbers& was : acknowledged.trades) {
        INFO("trade " << was[0] << " of order " << was[1]);
        const auto found = trades.find({was[0], was[1]});
        REQUIRE(found != trades.end());
        const Numbers& now = found->second;
        REQUIRE(Numbers{now[0], now[1], now[4], now[5], now[6], now[7]} == was);
    }
}

// Each order's fills are its trades, each balance is the deposit and its trades, and the sum over
// all accounts is 0.
void check_books(const json::object& dump, std::int64_t deposit) {
    std::map<std::int64_t, std::int64_t> filled;
    std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> balances;
    std::set<std::int64_t> ids;
    for (const Numbers& t : rows_of(dump, "trades")) {
        const std::int64_t account = t[2], quantity = t[5] * 1'000, quote = t[6];
        const bool buy = t[3] == 0;
        filled[t[1]] += t[5];
        ids.insert(t[0]);
        balances[{account, 0}] += buy ? -quote : quote;
        balances[{account, 1}] += buy ? quantity : -quantity;
        balances[{account, t[8]}] -= t[7];
    }
    REQUIRE((ids.empty() || *ids.rbegin() == static_cast<std::int64_t>(ids.size())));
    for (const Numbers& order : rows_of(dump, "orders")) {
        INFO("order " << order[0]);
        REQUIRE(filled[order[0]] == order[1]);
    }
    std::map<std::int64_t, std::int64_t> sums;
    for (const Numbers& balance : rows_of(dump, "balances")) {
        sums[balance[1]] += balance[2] + balance[3];
        if (balance[0] >= 16) {
            INFO("account " << balance[0] << " asset " << balance[1]);
            REQUIRE(balance[2] >= 0);
            REQUIRE(balance[3] >= 0);
            REQUIRE(balance[2] + balance[3] == deposit + balances[{balance[0], balance[1]}]);
        }
    }
    for (const auto& [asset, sum] : sums) {
        INFO("asset " << asset);
        REQUIRE(sum == 0);
    }
}

}  // namespace

TEST_CASE("after kill -9 under load everything acknowledged is there once", "[crash][T5]") {
    const std::uint64_t seed = environment_number("TENON_CRASH_SEED", 20'261'122);
    const std::uint64_t kills = environment_number("TENON_KILLS", 20);
    WARN("seed " << seed << ", kills " << kills << " (TENON_CRASH_SEED, TENON_KILLS)");
    std::mt19937_64 random{seed};
    Daemon daemon;
    Acknowledged acknowledged;
    constexpr std::int64_t k_deposit = 1'000'000'000'000'000;
    for (std::uint64_t kill = 0; kill <= kills; ++kill) {
        INFO("kill " << kill << " of seed " << seed);
        daemon.start();
        const json::object dump = daemon.admin_when_available("load.dump");
        check_acknowledged(dump, acknowledged);
        check_books(dump, kill == 0 ? 0 : k_deposit);
        if (kill % 4 == 1) {
            // The same replay again gives the same state.
            const auto hash = daemon.admin("trading.status", {}).at("state_hash");
            daemon.kill();
            daemon.start();
            CHECK(daemon.admin("trading.status", {}).at("state_hash") == hash);
        }
        if (kill == kills) {
            break;
        }
        daemon.start_load(random());
        daemon.collect(acknowledged, 1 + random() % 3'000);
        daemon.kill();
        daemon.collect_rest(acknowledged);
    }
    WARN(acknowledged.orders.size() << " orders, " << acknowledged.trades.size() << " fills");
    CHECK(acknowledged.orders.size() > kills * 50);
    daemon.stop();
}
