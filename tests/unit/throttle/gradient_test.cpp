// SPDX-License-Identifier: Apache-2.0
// The limit against a simulated upstream: so many workers, a service time, a queue in front.
#include "plugins/throttle/adaptive/gradient.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <deque>
#include <queue>
#include <random>
#include <vector>

using tenon::adaptive::Ended;
using tenon::adaptive::Gradient;
using tenon::adaptive::GradientOptions;

namespace {

constexpr std::int64_t k_ms = 1'000'000;
constexpr std::int64_t k_second = 1'000 * k_ms;

// Whoever asks sends as many as the limit allows, and at most `demand` at a time.
class Plant {
public:
    explicit Plant(const GradientOptions& options) : gradient{options} {}

    Gradient gradient;
    std::size_t workers = 20;
    std::int64_t service_ns = 20 * k_ms;
    std::int64_t way_ns = 5 * k_ms;
    double noise = 1;  // times the service time, by an exponential
    std::int64_t demand = 10'000;
    std::uint64_t fails_of_hundred = 0;
    std::int64_t limit_min = INT64_MAX, limit_max = 0;
    std::uint64_t done = 0;
    double latency_sum_ns = 0;

    void run(std::int64_t length_ns) {
        limit_min = INT64_MAX;
        limit_max = 0;
        done = 0;
        latency_sum_ns = 0;
        const std::int64_t end_ns = now_ns_ + length_ns;
        fill();
        while (!ends_.empty() && ends_.top().at_ns <= end_ns) {
            const Request one = ends_.top();
            ends_.pop();
            now_ns_ = one.at_ns;
            --busy_;
            const std::int64_t under_way = in_flight_--;
            ++done;
            const std::int64_t latency_ns = now_ns_ - one.sent_ns + way_ns;
            latency_sum_ns += static_cast<double>(latency_ns);
            const bool failed = random_() % 100 < fails_of_hundred;
            gradient.ended(failed ? Ended::failed : Ended::ok, latency_ns, under_way, now_ns_);
            limit_min = std::min(limit_min, gradient.limit());
            limit_max = std::max(limit_max, gradient.limit());
            fill();
        }
        now_ns_ = end_ns;
    }

    [[nodiscard]] double mean_ms() const {
        return latency_sum_ns / static_cast<double>(done) / 1e6;
    }

private:
    struct Request {
        std::int64_t at_ns, sent_ns;

        bool operator<(const Request& other) const noexcept { return at_ns > other.at_ns; }
    };

    void fill() {
        while (in_flight_ < std::min(gradient.limit(), demand)) {
            waiting_.push_back({0, now_ns_});
            ++in_flight_;
        }
        while (busy_ < workers && !waiting_.empty()) {
            Request one = waiting_.front();
            waiting_.pop_front();
            const double u = (static_cast<double>(random_() % 1'000'000) + 1) / 1'000'001;
            const double part = 1 - noise + noise * -std::log(u);
            one.at_ns = now_ns_ + static_cast<std::int64_t>(part * static_cast<double>(service_ns));
            ends_.push(one);
            ++busy_;
        }
    }

    std::mt19937_64 random_{17};
    std::int64_t now_ns_ = 0;
    std::int64_t in_flight_ = 0;
    std::size_t busy_ = 0;
    std::deque<Request> waiting_;
    std::priority_queue<Request> ends_;
};

}  // namespace

TEST_CASE("the limit finds what the upstream can do without a long queue", "[throttle][H5]") {
    for (const double noise : {0.1, 0.5, 1.0}) {
        Plant plant{{}};
        plant.noise = noise;
        plant.run(20 * k_second);
        plant.run(60 * k_second);
        INFO("noise " << noise << " limit " << plant.limit_min << " to " << plant.limit_max);
        CHECK(plant.done >= 57'000);  // of 60,000 that twenty workers do in a minute
        CHECK(plant.mean_ms() <= 3 * 25);
        CHECK(plant.gradient.limit() >= 15);
        CHECK(plant.limit_max <= 90);
    }
}

TEST_CASE("the limit follows the upstream's capacity down and up", "[throttle][H5]") {
    Plant plant{{}};
    plant.noise = 0.5;
    plant.run(30 * k_second);
    plant.workers = 5;
    plant.run(20 * k_second);
    plant.run(20 * k_second);
    CHECK(plant.limit_max <= 25);
    CHECK(plant.done >= 4'700);
    plant.workers = 60;
    plant.run(40 * k_second);
    plant.run(20 * k_second);
    CHECK(plant.gradient.limit() >= 45);
    CHECK(plant.done >= 54'000);
}

TEST_CASE("regression: under lasting load the unloaded time does not drift up", "[throttle][H5]") {
    Plant plant{{}};
    plant.noise = 0.3;
    plant.run(60 * k_second);
    const double before_ns = plant.gradient.unloaded_ns();
    plant.run(3'600 * k_second);
    CHECK(plant.gradient.unloaded_ns() <= before_ns * 1.3);
    plant.run(60 * k_second);
    CHECK(plant.limit_max <= 90);
}

TEST_CASE("regression: nothing pins the limit to one or to the floor", "[throttle][H5]") {
    Plant plant{{}};
    plant.noise = 0.5;
    plant.run(30 * k_second);
    plant.run(600 * k_second);
    CHECK(plant.limit_min >= 5);
    CHECK(plant.done >= 580'000);  // of 600,000
}

TEST_CASE("regression: a limit that is not used does not grow without end", "[throttle][H5]") {
    Plant plant{{}};
    plant.demand = 5;
    plant.run(600 * k_second);
    CHECK(plant.limit_max <= 20);
    Plant slow{{}};  // a ratio of about 0.8, for ever
    slow.noise = 0.1;
    slow.workers = 4;
    slow.run(60 * k_second);
    slow.run(600 * k_second);
    CHECK(slow.limit_max <= 25);
}

TEST_CASE("a longer way is learned, and the limit comes back", "[throttle][H5]") {
    Plant plant{{}};
    plant.noise = 0.3;
    plant.run(30 * k_second);
    plant.way_ns = 150 * k_ms;
    plant.run(60 * k_second);
    plant.run(20 * k_second);
    CHECK(plant.limit_min >= 15);
    CHECK(plant.gradient.unloaded_ns() >= 130e6);
    plant.way_ns = 5 * k_ms;
    plant.run(300 * k_second);
    CHECK(plant.gradient.unloaded_ns() <= 60e6);
}

TEST_CASE("failures take the limit down and their end gives it back", "[throttle][H5]") {
    Plant plant{{}};
    plant.noise = 0.3;
    plant.run(30 * k_second);
    plant.fails_of_hundred = 50;
    plant.run(10 * k_second);
    CHECK(plant.gradient.limit() <= 5);
    plant.fails_of_hundred = 2;
    plant.run(60 * k_second);
    plant.run(20 * k_second);
    CHECK(plant.done >= 19'000);  // of 20,000
    CHECK(plant.limit_max >= 20);
    Gradient told{{4, 1'000, 64, 2, k_second}};
    for (int i = 0; i < 25; ++i) {
        told.ended(i == 3 ? Ended::limited : Ended::ok, 20 * k_ms, 64, i * 10 * k_ms);
    }
    CHECK(told.limit() == 32);
}

TEST_CASE("the floor and the ceiling hold whatever is measured", "[throttle][H5]") {
    Plant plant{{10, 30, 12, 2, 60 * k_second}};
    plant.workers = 2;
    plant.run(60 * k_second);
    CHECK(plant.limit_min >= 10);
    plant.workers = 500;
    plant.run(60 * k_second);
    CHECK(plant.limit_max <= 30);
    Gradient odd{{}};
    for (std::int64_t i = 0; i < 1'000; ++i) {
        odd.ended(Ended::ok, i % 2 == 0 ? -5 : INT64_MAX, i, -i);
    }
    CHECK(odd.limit() >= 4);
    CHECK(odd.limit() <= 1'000);
}
