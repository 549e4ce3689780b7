// SPDX-License-Identifier: Apache-2.0
// A venue on a stage: an engine in miniature that sends orders, journals evidence and keeps every
// call with the reports and the hash that followed, so that another instance can repeat them.
#pragma once

#include "sdk/conformance/suites/venue_judge.hpp"

#include <tenon/abi/venue.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace tenon::suites {

// A call of the engine, and what it led to.
struct VenueStep {
    enum class Kind : std::uint8_t { submit, cancel, apply };

    Kind kind;
    tenon_venue_order order;  // submit; cancel: order_id and instrument
    std::string evidence;
    std::int64_t now_real_ns;
    tenon_status status;  // apply
    std::vector<tenon_venue_report> reports;
    std::uint64_t hash;
};

[[nodiscard]] bool
same_reports(const std::vector<tenon_venue_report>& a, const std::vector<tenon_venue_report>& b);

class VenueScene {
public:
    enum class Mode : std::uint8_t {
        live,   // attached, live, a market that the check moves
        replay  // attached and not live; the market has not moved yet
    };

    VenueScene(Bench& bench, Mode mode);
    ~VenueScene();
    VenueScene(const VenueScene&) = delete;
    VenueScene& operator=(const VenueScene&) = delete;

    // Calls of the engine; evidence is asked for as the engine does.
    void submit(tenon_venue_order order);
    void cancel(std::uint64_t order_id, std::uint32_t instrument);
    tenon_status apply(std::string_view evidence);

    // Lets the venue do what it does by itself and applies the evidence that comes of it.
    void settle();
    // The same for all that is still under way, and says so to the judge.
    void finish();

    // `calls` random orders and cancels, moves of the market between them.
    void play(Random& random, int calls);

    // Repeats recorded calls; a Breach when reports or hash differ. `from` the step's number.
    void repeat(const std::vector<VenueStep>& steps, std::size_t from = 0);

    // One level a side for a taker to meet, in the market and in the venue's own book.
    void
    offer(std::uint32_t instrument, std::uint8_t side, std::int64_t price, std::int64_t quantity);

    [[nodiscard]] std::string snapshot();
    [[nodiscard]] tenon_status restore(std::string_view bytes);
    [[nodiscard]] std::uint64_t hash();

    // TENON_VENUE_*, as the venue's table says.
    [[nodiscard]] std::uint32_t flags() const noexcept { return venue_->flags; }

    [[nodiscard]] VenueJudge& judge() noexcept { return judge_; }

    [[nodiscard]] const std::vector<VenueStep>& steps() const noexcept { return steps_; }

    [[nodiscard]] const FakeInstruments& instruments() const noexcept { return instruments_; }

    [[nodiscard]] const Service<tenon_venue_1>& venue() const noexcept { return venue_; }

    [[nodiscard]] Instance& instance() noexcept { return *instance_; }

    [[nodiscard]] Bench& bench() noexcept { return bench_; }

    [[nodiscard]] std::uint64_t next_order_id() noexcept { return ++last_order_id_; }

    // Makes one that waits of a limit order.
    static void
    make_conditional(tenon_venue_order& order, std::uint8_t type, std::int64_t stop_price);
    [[nodiscard]] tenon_venue_order limit(
        std::uint32_t instrument,
        std::uint8_t side,
        std::int64_t price,
        std::int64_t quantity,
        std::uint8_t time_in_force = TENON_TIF_GTC
    );
    [[nodiscard]] tenon_venue_order market(
        std::uint32_t instrument,
        std::uint8_t side,
        std::int64_t quantity,
        std::int64_t quote_quantity,
        std::int64_t funds
    );

private:
    static tenon_status command(void* self, tenon_bytes evidence) noexcept;

    void attach(bool on);
    void run(VenueStep& step);
    void record(VenueStep step);
    void move_market(Random& random);
    [[nodiscard]] tenon_venue_order random_order(Random& random);

    Bench& bench_;
    FakeInstruments instruments_;
    FakeMarket market_;
    VenueJudge judge_;
    std::unique_ptr<Instance> instance_;
    Service<tenon_venue_1> venue_;
    std::deque<std::string> commands_;  // reactor 0's
    std::vector<VenueStep> steps_;
    std::int64_t now_real_ns_;
    std::uint64_t last_order_id_ = 0;
    std::vector<std::int64_t> middle_;
};

}  // namespace tenon::suites
