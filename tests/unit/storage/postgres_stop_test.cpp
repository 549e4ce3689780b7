// SPDX-License-Identifier: Apache-2.0
// Stopping the PostgreSQL backend while somebody is inside of it without a session.
#include "plugins/storage/postgres/gate.hpp"
#include "tests/support/fake_host.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <future>

using tenon::StorageError;
using namespace tenon::postgres;

namespace {

// A clock that holds who looks at it, once, on the threads that ask for that.
class HoldingClock {
public:
    [[nodiscard]] tenon::Service<tenon_clock_1> service() {
        static constexpr tenon_clock_1 k_table{
            sizeof(tenon_clock_1),
            0,
            [](void* self) noexcept { return static_cast<HoldingClock*>(self)->look(); },
            [](void* self) noexcept { return static_cast<HoldingClock*>(self)->look(); }};
        return {this, &k_table};
    }

    static void hold_me() { wanted() = true; }

    void wait_held() { held_.get_future().wait(); }

    void let_go() { go_.set_value(); }

private:
    static bool& wanted() {
        thread_local bool mine = false;
        return mine;
    }

    std::int64_t look() {
        if (std::exchange(wanted(), false)) {
            held_.set_value();
            go_.get_future().wait();
        }
        return std::chrono::nanoseconds{std::chrono::steady_clock::now().time_since_epoch()}.count(
        );
    }

    std::promise<void> held_, go_;
};

tenon::Storage storage_of(tenon::StorageProvider& provider) {
    return tenon::Storage{tenon::Service<tenon_storage_1>{
        &provider, static_cast<const tenon_storage_1*>(tenon::StorageProvider::table(provider))}};
}

struct Fixture {
    Fixture() {
        settings.conninfo = "host=/nowhere/at/all";  // no server answers there
        settings.pool_min = 0;
        telemetry.log = tenon::Host{host.raw()}.log();
        telemetry.clock = clock.service();
    }

    // Begins a transaction on a thread of its own; it is held inside, without a session.
    [[nodiscard]] std::future<tenon_status> enter(tenon::StorageProvider& provider) {
        auto result = std::async(std::launch::async, [&provider, this] {
            const std::int64_t late_ns = clock_now() + 60 * k_second;
            HoldingClock::hold_me();
            try {
                storage_of(provider).write(late_ns, [](tenon::Session&) {});
            } catch (const StorageError& e) {
                return static_cast<tenon_status>(e.code());
            }
            return static_cast<tenon_status>(TENON_OK);
        });
        clock.wait_held();
        return result;
    }

    [[nodiscard]] std::int64_t clock_now() {
        const auto service = clock.service();
        return service->now_ns(service.self);
    }

    tenon::test::FakeHost host;
    HoldingClock clock;
    Settings settings;
    Telemetry telemetry;
};

}  // namespace

TEST_CASE("a call without a session counts as one that is still inside", "[postgres][S3]") {
    Fixture f;
    Database database{f.settings, f.telemetry};
    auto call = f.enter(database);
    CHECK(database.stop(k_ms) == 1);
    f.clock.let_go();
    CHECK(call.get() == TENON_UNAVAILABLE);
    CHECK(database.stop() == 0);
}

TEST_CASE("a closed gate refuses, and keeps what somebody is inside of", "[postgres][S3]") {
    Fixture f;
    Gate gate;
    CHECK_THROWS_WITH(
        storage_of(gate).lease(TENON_INTENT_READ, INT64_MAX), Catch::Contains("not open")
    );
    gate.open(std::make_shared<Database>(f.settings, f.telemetry));
    auto call = f.enter(gate);
    CHECK(gate.close(k_ms) == 1);
    CHECK(gate.behind() == nullptr);
    CHECK_THROWS_AS(storage_of(gate).read(INT64_MAX, [](tenon::Session&) {}), StorageError);
    f.clock.let_go();
    CHECK(call.get() == TENON_UNAVAILABLE);
    gate.open(std::make_shared<Database>(f.settings, f.telemetry));
    const std::weak_ptr<Database> last = gate.behind();
    CHECK(gate.close() == 0);
    CHECK(last.expired());  // nobody is inside: it is gone
}
