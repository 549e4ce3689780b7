// SPDX-License-Identifier: Apache-2.0
// Comparisons of real processes, for the long campaign: what one request costs the server, rounds
// in turns.
#include "sdk/statistics/significance.hpp"
#include "tests/unit/load/child_server.hpp"
#include "tools/load/generator.hpp"

#include <catch2/catch.hpp>

#include <cstdio>

using namespace tenon::load;
using namespace tenon::statistics;
using tenon::test::ChildServer;

namespace {

constexpr std::uint64_t k_work = 100'000;
constexpr int k_rounds = 20, k_comparisons = 100;

class Side {
public:
    explicit Side(std::uint64_t work)
        : server_{ChildServer::k_answer, "", work},
          workload_{make_gets(server_.address(), {{"get", "/", 1}})},
          generator_{options(server_), *workload_} {}

    // CPU of one request, in seconds.
    double round() {
        const double before = server_.cpu_s();
        const Run run = generator_.closed({});
        return (server_.cpu_s() - before) / static_cast<double>(run.all.latency.count());
    }

private:
    static GeneratorOptions options(const ChildServer& server) {
        GeneratorOptions out;
        out.address = address_of(server.address());
        out.users = 2;
        out.duration_ns = 50'000'000;
        return out;
    }

    ChildServer server_;
    std::unique_ptr<Workload> workload_;
    Generator generator_;
};

Verdict compared(Side& a, Side& b) {
    std::vector<double> of_a;
    std::vector<double> of_b;
    for (int i = 0; i < k_rounds; ++i) {
        if (i % 2 == 0) {
            of_a.push_back(a.round());
            of_b.push_back(b.round());
        } else {
            of_b.push_back(b.round());
            of_a.push_back(a.round());
        }
    }
    return compare(of_a, of_b, {}).verdict;
}

}  // namespace

TEST_CASE("a tenth planted in a server is found, and nothing where nothing is", "[.][regression]") {
    int found = 0;
    int alarms = 0;
    for (int i = 0; i < k_comparisons; ++i) {
        Side a{k_work};
        Side same{k_work};
        Side slower{k_work * 11 / 10};
        found += compared(a, slower) == Verdict::higher ? 1 : 0;
        alarms += compared(a, same) == Verdict::no_difference ? 0 : 1;
        std::printf("%d: %d found, %d false alarms\n", i + 1, found, alarms);
        (void)std::fflush(stdout);
    }
    CHECK(found >= 95);
    CHECK(alarms <= 1);
}
