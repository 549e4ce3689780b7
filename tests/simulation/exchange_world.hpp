// SPDX-License-Identifier: Apache-2.0
// The order side of venue/binance against a model of the exchange, in virtual time, with every
// fault between them: requests and answers that are lost, late, doubled or garbled, a user stream
// that breaks, repeats and reorders, an engine that takes nothing, and a process that is killed and
// starts again with nothing but its journal.
#pragma once

#include "plugins/venue/binance/orders/desk.hpp"
#include "tests/simulation/model_exchange.hpp"
#include "tests/unit/venue/binance_orders_fixture.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace tenon::test {

namespace bv = binance_venue;

// What the engine would hold of an order: made from reports alone.
struct EngineOrder {
    bool accepted = false, ended = false;
    std::uint32_t end_kind = 0;  // TENON_REPORT_*, TENON_REPORT_TRADE when filled
    std::uint32_t reject = 0;
    std::int64_t quantity = 0, filled = 0;
    std::uint32_t trades = 0, commissions = 0;
};

class ExchangeWorld final : public bv::RestClient {
public:
    explicit ExchangeWorld(std::uint64_t seed);
    ~ExchangeWorld() override = default;

    // Faults and orders for so long.
    void live(std::int64_t duration_ns);
    // No more faults, no more orders, until everything has settled.
    void settle();
    // What is wrong, or empty.
    [[nodiscard]] std::string judge() const;

    // What happened, so that a run that tests nothing is seen.
    struct Seen {
        std::uint64_t orders = 0, restarts = 0, breaks = 0, cancels = 0;
        std::set<std::string> broken_in;  // states of orders when the user stream was cut
    };

    [[nodiscard]] const Seen& seen() const { return seen_; }

    void send(bv::RestRequest request, Done done) override;
    [[nodiscard]] std::int64_t exchange_now_ms() const override;

    [[nodiscard]] bool can_sign() const override { return true; }

private:
    enum class Kind { submit, cancel, evidence };

    struct Entry {
        Kind kind = Kind::submit;
        tenon_venue_order order{};
        std::uint64_t order_id = 0;
        std::int64_t time_ns = 0;
        std::string evidence;
    };

    [[nodiscard]] std::uint64_t chance(std::uint64_t n) { return random_() % n; }

    [[nodiscard]] bool unlucky(std::uint64_t percent) { return faults_ && chance(100) < percent; }

    void at(std::int64_t delay_ns, std::function<void()> what);
    void run(std::int64_t duration_ns);
    void pump();
    void act();
    void submit();
    void cancel();
    void kill();
    void boot();
    void commit();
    void apply(const Entry& entry, bool replay);
    tenon_status command(std::string_view bytes);
    void deliver(const std::string& event);
    void break_stream();
    void note_states();
    void deal(const bv::RestRequest& request, const Done& done, std::int64_t signed_ms);
    void arrive(const bv::RestRequest& request, std::int64_t signed_ms, bv::RestReply& reply);
    static void on_report(void* ctx, const tenon_venue_report* report);
    void complain(const std::string& what);

    std::mt19937_64 random_;
    std::int64_t now_ns_ = 1'700'000'000'000'000'000;
    std::multimap<std::int64_t, std::function<void()>> events_;
    bool faults_ = true;
    ModelExchange exchange_;
    bv::test::OneSymbol listing_;
    bv::OrderIds ids_{"sim"};

    // The disk.
    std::vector<Entry> journal_;
    std::size_t durable_ = 0;
    bool commit_due_ = false;

    // The process.
    std::uint64_t life_ = 0;
    std::unique_ptr<bv::OrderTable> table_;
    std::unique_ptr<bv::Desk> desk_;
    std::map<std::uint64_t, EngineOrder> engine_;
    std::uint64_t next_id_ = 1;
    std::int64_t engine_busy_until_ns_ = 0;
    bool connected_ = false;
    std::uint64_t connection_ = 0;

    std::map<std::string, int> posts_;
    std::string complaint_;
    Seen seen_;
};

}  // namespace tenon::test
