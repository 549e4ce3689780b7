# SPDX-License-Identifier: Apache-2.0
# The suites of interfaces, and what they share.
set(TENON_CONFORMANCE_SUITES
  suites/all.cpp suites/bench.cpp suites/fakes.cpp suites/fake_market_side.cpp
  suites/fake_routes.cpp suites/venue_judge.cpp suites/venue_scene.cpp suites/backup.cpp
  suites/gateway.cpp suites/migrations.cpp suites/monitor.cpp
  suites/cache_tier.cpp suites/feed.cpp suites/storage.cpp suites/storage_values.cpp
  suites/throttle.cpp suites/throttle_state.cpp suites/venue.cpp)
