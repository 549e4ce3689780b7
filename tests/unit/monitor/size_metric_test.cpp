// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fake_host.hpp"

#include <tenon/size_metric.hpp>

#include <catch2/catch.hpp>

using namespace tenon;
using namespace tenon::test;

TEST_CASE("growth of a database counts what it grew, and no shrinking", "[monitor][alerts][M3]") {
    FakeHost host;
    SizeMetric metric{Metrics{Host{host.raw()}}, "storage"};
    const auto growth = [&] {
        return host.metric("tenon_db_growth_bytes_total", "database=\"storage\"");
    };
    metric.set(1'000);
    CHECK(growth() == 0);  // it was there before
    metric.set(1'500);
    metric.set(200);  // a vacuum
    metric.set(300);
    CHECK(growth() == 600);
    CHECK(host.metric("tenon_db_size_bytes", "database=\"storage\"") == 300);
}
