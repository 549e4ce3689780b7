// SPDX-License-Identifier: Apache-2.0
#include <tenon/upstream.hpp>

#include <catch2/catch.hpp>

#include <cmath>
#include <map>
#include <random>
#include <set>

using tenon::Lane;
using tenon::LimitUnit;
using tenon::OutboundRequest;
using tenon::Upstream;
using tenon::UpstreamAnswer;
using tenon::UpstreamOptions;

namespace {

constexpr std::int64_t k_ms = 1'000'000;
constexpr std::int64_t k_second = 1'000 * k_ms;
constexpr std::int64_t k_minute = 60 * k_second;

UpstreamOptions exchange() {
    UpstreamOptions out;
    out.limits = {
        {LimitUnit::weight, 6'000, k_minute},
        {LimitUnit::orders, 100, 10 * k_second},
        {LimitUnit::orders, 200'000, 1'440 * k_minute}};
    out.clock = {0, 50 * k_ms};
    out.in_flight_max = 10'000;
    return out;
}

OutboundRequest
request(std::uint64_t id, Lane lane, std::int64_t weight, std::int64_t deadline_ns) {
    OutboundRequest out;
    out.id = id;
    out.lane = lane;
    out.cost = {weight, lane == Lane::order ? 1 : 0};
    out.deadline_ns = deadline_ns;
    return out;
}

// What goes at that time, in its order.
std::vector<std::uint64_t> sent(Upstream& up, std::int64_t now_ns) {
    using Kind = Upstream::Step::Kind;
    std::vector<std::uint64_t> out;
    for (auto step = up.next(now_ns); step.kind == Kind::send || step.kind == Kind::refuse;
         step = up.next(now_ns)) {
        if (step.kind == Kind::send) {
            out.push_back(step.id);
        }
    }
    return out;
}

}  // namespace

TEST_CASE("cancels go before orders, queries and back-fill", "[throttle][H7]") {
    Upstream up{exchange()};
    const Lane lanes[] = {Lane::backfill, Lane::query, Lane::order, Lane::urgent};
    for (std::uint64_t i = 0; i < 4; ++i) {
        CHECK(up.submit(request(i, lanes[i], 1, k_minute), k_second).accepted);
    }
    CHECK(sent(up, k_second) == std::vector<std::uint64_t>{3, 2, 1, 0});
}

TEST_CASE("one client's requests go by their deadlines", "[throttle][H3]") {
    Upstream up{exchange()};
    for (const std::uint64_t id : {3U, 1U, 4U, 2U}) {
        const auto deadline_ns = k_second + static_cast<std::int64_t>(id) * k_second;
        CHECK(up.submit(request(id, Lane::query, 1, deadline_ns), k_second).accepted);
    }
    CHECK(sent(up, k_second) == std::vector<std::uint64_t>{1, 2, 3, 4});
}

TEST_CASE(
    "the budget for cancels and orders is there when data has used up the rest",
    "[throttle][H7]"
) {
    Upstream up{exchange()};
    std::int64_t now = 0;
    std::uint64_t id = 0;
    std::int64_t data = 0;
    for (; now < 58 * k_second; now += 100 * k_ms) {
        while (up.submit(request(++id, Lane::query, 10, now + k_second), now).accepted) {}
        data += 10 * static_cast<std::int64_t>(sent(up, now).size());
    }
    CHECK(data == 5'920);
    for (int i = 0; i < 40; ++i) {
        REQUIRE(up.submit(request(++id, Lane::order, 1, now), now).accepted);
        CHECK(sent(up, now) == std::vector<std::uint64_t>{id});
    }
    CHECK_FALSE(up.submit(request(++id, Lane::order, 1, now), now).accepted);
    for (int i = 0; i < 40; ++i) {
        REQUIRE(up.submit(request(++id, Lane::urgent, 1, now), now).accepted);
        CHECK(sent(up, now) == std::vector<std::uint64_t>{id});
    }
    const auto refused = up.submit(request(++id, Lane::urgent, 1, now), now);
    CHECK(refused.why == Upstream::Refusal::too_late);
    CHECK(refused.retry_after_ns > k_second);
    CHECK(refused.retry_after_ns < 3 * k_second);
}

TEST_CASE(
    "who cannot be in time is refused at once with the time to come again",
    "[throttle][H3]"
) {
    Upstream up{exchange()};
    const std::int64_t now = k_second;
    std::uint64_t id = 0;
    for (int i = 0; i < 100; ++i) {
        REQUIRE(up.submit(request(++id, Lane::order, 1, now + k_second), now).accepted);
    }
    const auto refused = up.submit(request(++id, Lane::order, 1, now + k_second), now);
    CHECK_FALSE(refused.accepted);
    CHECK(refused.why == Upstream::Refusal::too_late);
    CHECK(refused.retry_after_ns >= 9 * k_second);
    CHECK(refused.retry_after_ns <= 9 * k_second + 200 * k_ms);
    CHECK(up.submit(request(++id, Lane::order, 1, now + 10 * k_second), now).accepted);
    CHECK(sent(up, now).size() == 100);
    for (std::uint64_t done = 1; done <= 100; ++done) {
        up.answered(done, {}, now);
    }
    CHECK(sent(up, now + refused.retry_after_ns - 1).empty());
    CHECK(sent(up, now + refused.retry_after_ns).size() == 1);
    CHECK(
        up.submit(request(++id, Lane::query, 6'001, k_minute), now).why == Upstream::Refusal::never
    );
}

TEST_CASE("a request whose time is over is told, and charged nothing", "[throttle][H3]") {
    UpstreamOptions options = exchange();
    options.in_flight_max = 2;
    Upstream up{options};
    REQUIRE(up.submit(request(1, Lane::query, 2, k_second), 0).accepted);
    REQUIRE(up.submit(request(2, Lane::query, 2, k_second), 0).accepted);
    CHECK(sent(up, 0) == std::vector<std::uint64_t>{1});
    CHECK(up.next(0).kind == Upstream::Step::Kind::wait);
    CHECK(up.next(0).at_ns == k_second + 1);
    CHECK(up.next(k_second).at_ns > k_second);
    const auto late = up.next(k_second + 1);
    CHECK(late.kind == Upstream::Step::Kind::refuse);
    CHECK(late.id == 2);
    CHECK(late.why == Upstream::Refusal::too_late);
    CHECK(up.next(k_second + 1).kind == Upstream::Step::Kind::idle);
    CHECK(up.used(0, k_second + 1) == 2);
}

TEST_CASE("clients that want a hundred times more get what the others get", "[throttle][H3]") {
    UpstreamOptions options = exchange();
    options.limits = {{LimitUnit::weight, 6'000, k_minute}};
    options.queue_max = 500;
    Upstream up{options};
    std::mt19937_64 random{11};
    std::map<std::uint64_t, std::uint64_t> client_of;
    std::vector<double> got(50, 0);
    std::uint64_t id = 0;
    for (std::int64_t now = 0; now < 10 * k_minute; now += 50 * k_ms) {
        // The least wants 2.5 a second, above its part of 2; half of them want 250.
        for (std::uint64_t client = 0; client < 50; ++client) {
            const std::uint64_t wants = client % 2 == 0 ? 1'250 : 13;
            const std::uint64_t now_wants = wants / 100 + (random() % 100 < wants % 100 ? 1 : 0);
            for (std::uint64_t i = 0; i < now_wants; ++i) {
                OutboundRequest one = request(++id, Lane::query, 1, now + 20 * k_second);
                one.client = client;
                if (up.submit(one, now).accepted) {
                    client_of[id] = client;
                }
            }
        }
        for (auto step = up.next(now);; step = up.next(now)) {
            if (step.kind == Upstream::Step::Kind::send) {
                got[client_of.at(step.id)] += 1;
                up.answered(step.id, {}, now);
            } else if (step.kind != Upstream::Step::Kind::refuse) {
                break;
            }
        }
    }
    double sum = 0;
    double squares = 0;
    for (const double each : got) {
        sum += each;
        squares += each * each;
    }
    CHECK(sum >= 0.98 * 60'000);
    CHECK(sum * sum / (50 * squares) >= 0.99);  // Jain's index
}

TEST_CASE("a lane that waits gets its part while better ones are never empty", "[throttle][H7]") {
    UpstreamOptions options = exchange();
    options.in_flight_max = 2;  // one at a time
    Upstream up{options};
    std::uint64_t id = 0;
    for (int i = 0; i < 5; ++i) {
        REQUIRE(up.submit(request(++id, Lane::query, 2, k_minute), 0).accepted);
        REQUIRE(up.submit(request(++id, Lane::backfill, 1, k_minute), 0).accepted);
    }
    int orders = 0;
    int data = 0;
    for (int i = 0; i < 80; ++i) {
        OutboundRequest one =
            request(1'000 + static_cast<std::uint64_t>(i), Lane::order, 1, k_minute);
        REQUIRE(up.submit(one, 0).accepted);
        const auto step = up.next(0);
        REQUIRE(step.kind == Upstream::Step::Kind::send);
        ++(step.id >= 1'000 ? orders : data);
        up.answered(step.id, {}, 0);
    }
    CHECK(orders >= 70);
    CHECK(data >= 6);
}

TEST_CASE("a full queue keeps the better lanes and the clients that ask little", "[throttle][H3]") {
    UpstreamOptions options = exchange();
    options.queue_max = 10;
    Upstream up{options};
    std::uint64_t id = 0;
    for (int i = 0; i < 10; ++i) {
        REQUIRE(up.submit(request(++id, Lane::query, 1, k_minute), 0).accepted);
    }
    CHECK(up.submit(request(++id, Lane::query, 1, k_minute), 0).why == Upstream::Refusal::full);
    OutboundRequest other = request(100, Lane::query, 1, k_minute);
    other.client = 2;
    CHECK(up.submit(other, 0).accepted);
    CHECK(up.submit(request(101, Lane::urgent, 1, k_minute), 0).accepted);
    for (const std::uint64_t out : {10U, 9U}) {
        const auto step = up.next(0);
        CHECK(step.kind == Upstream::Step::Kind::refuse);
        CHECK(step.why == Upstream::Refusal::pushed_out);
        CHECK(step.id == out);
        CHECK(step.retry_after_ns > 0);
    }
    CHECK(sent(up, 0).size() == 10);
}

TEST_CASE("a refusal halves the share, is waited out, and the share comes back", "[throttle][H2]") {
    Upstream up{exchange()};
    const std::int64_t now = k_second;
    REQUIRE(up.submit(request(1, Lane::query, 1, k_minute), now).accepted);
    REQUIRE(up.submit(request(2, Lane::query, 1, k_minute), now).accepted);
    CHECK(sent(up, now).size() == 2);
    UpstreamAnswer limited;
    limited.outcome = UpstreamAnswer::Outcome::limited;
    limited.retry_after_ns = 7 * k_second;
    up.answered(1, limited, now);
    up.answered(2, limited, now + k_ms);
    CHECK(up.stats(now).share == 500);
    CHECK(
        up.submit(request(3, Lane::urgent, 1, now + 5 * k_second), now).retry_after_ns >
        6 * k_second
    );
    REQUIRE(up.submit(request(4, Lane::urgent, 1, k_minute), now).accepted);
    CHECK(sent(up, now + 7 * k_second).empty());
    CHECK(sent(up, now + 7 * k_second + k_ms).size() == 1);
    CHECK(up.stats(now + k_minute).share == 600);
    CHECK(up.stats(now + 5 * k_minute).share == 1'000);
    UpstreamAnswer banned;
    banned.outcome = UpstreamAnswer::Outcome::banned;
    up.answered(4, banned, 10 * k_second);
    CHECK(
        up.submit(request(5, Lane::urgent, 1, k_minute), 10 * k_second).why ==
        Upstream::Refusal::too_late
    );
    REQUIRE(up.submit(request(6, Lane::urgent, 1, 5 * k_minute), 10 * k_second).accepted);
    CHECK(sent(up, 10 * k_second + 2 * k_minute - 1).empty());
    CHECK(sent(up, 10 * k_second + 2 * k_minute).size() == 1);
}

TEST_CASE("orders over one account's limit do not hold up another's", "[throttle][H2]") {
    Upstream up{exchange()};
    std::uint64_t id = 0;
    for (std::uint64_t i = 0; i < 101; ++i) {
        OutboundRequest one = request(++id, Lane::order, 1, k_minute);
        one.account = one.client = 1;
        REQUIRE(up.submit(one, k_second).accepted);
    }
    OutboundRequest other = request(++id, Lane::order, 1, k_minute);
    other.account = other.client = 2;
    REQUIRE(up.submit(other, k_second).accepted);
    const auto out = sent(up, k_second);
    CHECK(out.size() == 101);
    CHECK(std::count(out.begin(), out.end(), id) == 1);
    UpstreamAnswer limited;
    limited.outcome = UpstreamAnswer::Outcome::limited_orders;
    limited.retry_after_ns = 20 * k_second;
    for (const std::uint64_t each : out) {
        up.answered(each, each == 1 ? limited : UpstreamAnswer{}, k_second);
    }
    CHECK(sent(up, 12 * k_second).empty());
    REQUIRE(up.submit(request(++id, Lane::query, 1, k_minute), 12 * k_second).accepted);
    CHECK(sent(up, 12 * k_second) == std::vector<std::uint64_t>{id});
    CHECK(sent(up, 21 * k_second).size() == 1);
}

TEST_CASE("the upstream's own count puts ours right, whatever overtakes what", "[throttle][H2]") {
    Upstream up{exchange()};
    const auto used = [](std::int64_t weight) {
        UpstreamAnswer out;
        out.used[0] = weight;
        return out;
    };
    const std::int64_t now = 5 * k_second;
    for (std::uint64_t id = 1; id <= 3; ++id) {
        REQUIRE(up.submit(request(id, Lane::query, 10, k_minute), now).accepted);
    }
    CHECK(sent(up, now).size() == 3);
    CHECK(up.used(0, now) == 30);
    up.answered(2, used(520), now + k_second);  // somebody else used 500 and 1 is not counted yet
    CHECK(up.used(0, now + k_second) == 540);
    up.answered(1, used(510), now + k_second);  // made before that one, and says nothing new
    CHECK(up.used(0, now + k_second) == 540);
    up.answered(3, used(530), now + k_second);  // all are answered: one of them was the last
    CHECK(up.used(0, now + k_second) == 530);
    REQUIRE(up.submit(request(4, Lane::order, 1, k_minute), now + k_second).accepted);
    CHECK(sent(up, now + k_second).size() == 1);
    up.answered(4, used(530), now + 2 * k_second);  // orders that succeed cost nothing
    CHECK(up.used(0, now + 2 * k_second) == 530);
    REQUIRE(up.submit(request(5, Lane::query, 20, k_minute), now + 2 * k_second).accepted);
    CHECK(sent(up, now + 2 * k_second).size() == 1);
    up.not_sent(5, now + 2 * k_second);
    CHECK(up.used(0, now + 2 * k_second) == 530);
    REQUIRE(up.submit(request(6, Lane::query, 20, k_minute), now + 2 * k_second).accepted);
    CHECK(sent(up, now + 2 * k_second).size() == 1);
    up.lost(6, now + 3 * k_second);
    CHECK(up.used(0, now + 3 * k_second) == 550);
    up.answered(6, {}, now + 3 * k_second);  // it has been given up
    CHECK(up.used(0, now + 3 * k_second) == 550);
    CHECK(up.used(0, now + k_minute) == 0);
}

TEST_CASE("a request counts in every window in which the upstream may count it", "[throttle][H7]") {
    UpstreamOptions options = exchange();
    options.clock = {0, 100 * k_ms};
    Upstream up{options};
    const std::int64_t near = k_minute - 50 * k_ms;
    REQUIRE(up.submit(request(1, Lane::order, 7, 2 * k_minute), k_minute - k_second).accepted);
    CHECK(sent(up, k_minute - k_second).size() == 1);
    REQUIRE(up.submit(request(2, Lane::order, 5, 2 * k_minute), near).accepted);
    REQUIRE(up.submit(request(3, Lane::order, 3, 2 * k_minute), near).accepted);
    CHECK(sent(up, near).size() == 2);
    CHECK(up.used(0, k_minute + k_second) == 15);  // all may have come late
    up.answered(1, {}, k_minute + k_second);
    up.answered(2, {}, k_minute + k_second);
    REQUIRE(up.submit(request(4, Lane::order, 2, 2 * k_minute), k_minute + k_second).accepted);
    CHECK(sent(up, k_minute + k_second).size() == 1);
    UpstreamAnswer said;
    said.used[0] = 2;
    up.answered(4, said, k_minute + k_second);  // 1 and 2 were counted before, 3 may still come
    CHECK(up.used(0, k_minute + k_second) == 5);
    up.lost(3, k_minute + 2 * k_second);
    CHECK(up.used(0, k_minute + 2 * k_second) == 5);
    CHECK(up.used(0, 2 * k_minute + k_second) == 0);
}

TEST_CASE("an upstream that fails is left alone, and tried again with a few", "[throttle][H4]") {
    UpstreamOptions options = exchange();
    options.breaker.backoff = {k_second, 10 * k_second, 150, tenon::Spread::quarter};
    Upstream up{options};
    std::uint64_t id = 0;
    std::int64_t now = k_second;
    for (int i = 0; i < 10; ++i) {
        REQUIRE(up.submit(request(++id, Lane::query, 1, k_minute), now).accepted);
        REQUIRE(sent(up, now).size() == 1);
        up.lost(id, now);
    }
    CHECK(up.stats(now).breaker == tenon::RateBreaker::State::open);
    CHECK(
        up.submit(request(++id, Lane::query, 1, now + k_ms), now).why == Upstream::Refusal::too_late
    );
    for (int i = 0; i < 5; ++i) {
        REQUIRE(up.submit(request(++id, Lane::query, 1, k_minute), now).accepted);
    }
    CHECK(sent(up, now).empty());
    now += 2 * k_second;
    const auto probes = sent(up, now);
    CHECK(probes.size() == 3);
    for (const std::uint64_t probe : probes) {
        up.answered(probe, {}, now);
    }
    CHECK(up.stats(now).breaker == tenon::RateBreaker::State::closed);
    CHECK(sent(up, now).size() == 2);
}

TEST_CASE("repetitions are a tenth of all requests at most", "[throttle][H4]") {
    UpstreamOptions options = exchange();
    options.queue_max = 5'000;
    Upstream up{options};
    int allowed = 0;
    for (std::uint64_t id = 1; id <= 1'000; ++id) {
        REQUIRE(up.submit(request(id, Lane::query, 1, k_minute), 0).accepted);
        const auto wait_ns = up.retry_after();
        allowed += wait_ns ? 1 : 0;
        CHECK(wait_ns.value_or(1) <= tenon::k_upstream_backoff.longest_ns);
    }
    CHECK(allowed <= 101);
    CHECK(allowed >= 99);
}

TEST_CASE("a repetition earns no further one", "[throttle][H4]") {
    Upstream up{exchange()};
    int allowed = 0;
    for (std::uint64_t id = 1; id <= 1'000; ++id) {
        OutboundRequest again = request(id, Lane::query, 1, k_minute);
        again.repeated = true;
        REQUIRE(up.submit(again, 0).accepted);
        allowed += up.retry_after() ? 1 : 0;
    }
    CHECK(allowed == 1);  // that a new budget begins with
}

TEST_CASE("accounts that have gone make room for others", "[throttle][H2]") {
    UpstreamOptions options = exchange();
    options.accounts_max = 3;
    options.queue_max = 4;
    Upstream up{options};
    std::uint64_t id = 0;
    const auto ask = [&](std::uint64_t account, Lane lane, std::int64_t now) {
        OutboundRequest one = request(++id, lane, 1, now + k_second);
        one.account = one.client = account;
        return up.submit(one, now);
    };
    // Data of any number of accounts, however it ends: answered, lost, not sent, withdrawn, late.
    for (std::uint64_t account = 1; account <= 50; ++account) {
        const std::int64_t now = static_cast<std::int64_t>(account) * k_minute;
        REQUIRE(ask(account, Lane::query, now).accepted);
        if (account % 5 == 0) {
            CHECK(up.withdraw(id));
            continue;
        }
        if (account % 5 == 1) {
            CHECK(up.next(now + 2 * k_second).kind == Upstream::Step::Kind::refuse);
            continue;
        }
        REQUIRE(sent(up, now) == std::vector<std::uint64_t>{id});
        if (account % 5 == 2) {
            up.answered(id, {}, now);
        } else if (account % 5 == 3) {
            up.not_sent(id, now);
        } else {
            up.lost(id, now);
        }
    }
    // Orders count for a day: the room is theirs until it is over.
    const std::int64_t begin = 1'440 * k_minute;
    for (std::uint64_t account = 101; account <= 103; ++account) {
        REQUIRE(ask(account, Lane::order, begin).accepted);
        REQUIRE(sent(up, begin).size() == 1);
        up.answered(id, {}, begin);
    }
    CHECK(ask(104, Lane::query, begin + k_minute).why == Upstream::Refusal::never);
    CHECK(ask(101, Lane::query, begin + k_minute).accepted);
    CHECK(ask(104, Lane::query, begin + 2'000 * k_minute).accepted);
    // One that waits keeps its place.
    CHECK(ask(105, Lane::query, begin + 2'000 * k_minute).accepted);
    CHECK(ask(106, Lane::query, begin + 2'000 * k_minute).why == Upstream::Refusal::never);
}

TEST_CASE("a withdrawn request is neither sent nor told again", "[throttle][H3]") {
    Upstream up{exchange()};
    REQUIRE(up.submit(request(1, Lane::query, 1, k_minute), 0).accepted);
    CHECK(up.submit(request(1, Lane::query, 1, k_minute), 0).accepted == false);
    CHECK(up.withdraw(1));
    CHECK_FALSE(up.withdraw(1));
    CHECK(up.next(0).kind == Upstream::Step::Kind::idle);
}
