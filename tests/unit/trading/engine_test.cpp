// SPDX-License-Identifier: Apache-2.0
// The engine's turn, and its starts after ends of all kinds, on a disk in memory.
#include "plugins/trading/engine/engine.hpp"

#include "plugins/trading/engine/intake.hpp"
#include "sdk/journal/snapshot_format.hpp"
#include "tests/simulation/core_world.hpp"
#include "tests/support/fake_host.hpp"
#include "tests/support/memory_disk.hpp"

#include <catch2/catch.hpp>

#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

using namespace tenon;
using engine::Admission;
using tenon::test::FakeHost;
using tenon::test::FakeReactor;
using tenon::test::MemoryDisk;

namespace {

// The disk outlives the engines that use it.
class SharedDisk final : public journal::Disk {
public:
    explicit SharedDisk(MemoryDisk& disk) : disk_{disk} {}

    std::unique_ptr<journal::File> open(const std::string& path, journal::OpenMode mode) override {
        return disk_.open(path, mode);
    }

    void rename(const std::string& from, const std::string& to) override { disk_.rename(from, to); }

    void remove(const std::string& path) override { disk_.remove(path); }

    void sync_folder(const std::string& path) override { disk_.sync_folder(path); }

    void make_folder(const std::string& path) override { disk_.make_folder(path); }

    std::vector<std::string> list(const std::string& path) override { return disk_.list(path); }

    std::uint64_t free_bytes(const std::string& path) override { return disk_.free_bytes(path); }

private:
    MemoryDisk& disk_;
};

// The fake reactor with a second one beside it, turned by hand; the blocking pool runs at once.
struct TwoReactors {
    static inline std::int32_t current = 0;
    static inline std::deque<std::pair<tenon_fn, void*>> second;

    static void turn_second() {
        current = 1;
        while (!second.empty()) {
            const auto [fn, ctx] = second.front();
            second.pop_front();
            fn(ctx);
        }
        current = 0;
    }

    static tenon_exec_1 table_over(const tenon_exec_1& real) {
        static const tenon_exec_1* base;
        base = &real;
        tenon_exec_1 table = real;
        table.current_reactor = [](void*) -> std::int32_t { return current; };
        table.post = [](void* self, std::uint32_t reactor, tenon_fn fn, void* ctx) -> tenon_status {
            if (reactor == 1) {
                second.emplace_back(fn, ctx);
                return TENON_OK;
            }
            return base->post(self, reactor, fn, ctx);
        };
        table.run_blocking = [](void*, tenon_fn fn, void* ctx) -> tenon_status {
            fn(ctx);
            return TENON_OK;
        };
        return table;
    }
};

// One run of a server: host, list of instruments, venue, engine.
class Run {
public:
    Run(MemoryDisk& disk,
        engine::Settings settings,
        std::string_view instruments = test::world_instruments())
        : catalogue_{instruments::Catalogue::parse(instruments, "test")},
          venue_{{&catalogue_, &instruments::Catalogue::k_table}, "internal"},
          venue_table_{internal::InternalVenue::k_table},
          exec_{TwoReactors::table_over(*fake.exec().table)},
          host_{sizeof(tenon_host), 0, this, &Run::query} {
        fake.set_environment("data_dir", "data");
        fake.bind("tenon.instruments/1", {&catalogue_, &instruments::Catalogue::k_table});
        watched = this;
        venue_table_.durable = [](void*) {
            Run& run = *watched;
            run.early_durable +=
                run.engine->core().sequence() > run.engine->mirror().status().durable_sequence;
            ++run.durable_calls;
        };
        fake.bind("tenon.venue/1", {&venue_, &venue_table_}, "internal");
        engine.emplace(Host{&host_}, std::move(settings), std::make_unique<SharedDisk>(disk));
    }

    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    // Opens an account and waits for the answer.
    void open(const std::string& name) {
        REQUIRE(
            engine->run(trading::AccountOpenCommand{str(name)}, Admission::order, {}, nullptr) ==
            TENON_PENDING
        );
        fake.reactor().turn();
    }

    FakeHost fake{FakeReactor::Mode::manual};
    // Calls of the venue's durable(), and those with applied commands that were not on disk.
    int durable_calls = 0, early_durable = 0;

private:
    static inline Run* watched = nullptr;

    static tenon_status query(void* self, tenon_str id, tenon_iface* out) noexcept {
        auto& run = *static_cast<Run*>(self);
        const tenon_status status = run.fake.raw()->query(run.fake.raw()->self, id, out);
        if (view(id) == "tenon.exec/1") {
            out->vt = &run.exec_;
        }
        return status;
    }

    instruments::Catalogue catalogue_;
    internal::InternalVenue venue_;
    tenon_venue_1 venue_table_;
    tenon_exec_1 exec_;
    tenon_host host_;

public:
    std::optional<engine::Engine> engine;
};

engine::Settings small() {
    engine::Settings settings;
    settings.segment_bytes = std::uint64_t{1} << 20;
    return settings;
}

struct Answers {
    std::vector<tenon_status> statuses;
    std::uint64_t account = 0;
    std::int32_t reactor = -1;

    [[nodiscard]] tenon_trading_done done() {
        return {
            this,
            [](void* ctx, tenon_status status, const tenon_trading_reply* reply, const tenon_err*) {
                auto& mine = *static_cast<Answers*>(ctx);
                mine.statuses.push_back(status);
                mine.account = reply != nullptr ? reply->account : 0;
                mine.reactor = TwoReactors::current;
            }};
    }
};

trading::CommandBody account(std::string_view name) {
    return trading::AccountOpenCommand{str(name)};
}

}  // namespace

TEST_CASE("an answer comes after the commit, never within the call", "[engine][T5]") {
    MemoryDisk disk;
    Run run{disk, small()};
    run.engine->start();
    Answers answers;
    const long syncs = disk.syncs;
    REQUIRE(
        run.engine->run(account("ann"), Admission::order, answers.done(), nullptr) == TENON_PENDING
    );
    CHECK(answers.statuses.empty());
    CHECK(disk.syncs == syncs);
    run.fake.reactor().turn();
    CHECK(answers.statuses == std::vector<tenon_status>{TENON_OK});
    CHECK(answers.account == TENON_ACCOUNT_FIRST);
    CHECK(disk.syncs > syncs);
    run.engine->stop();
}

TEST_CASE("a failed sync leaves the batch in doubt and refuses what follows", "[engine][T5]") {
    MemoryDisk disk;
    Run run{disk, small()};
    run.engine->start();
    Answers answers;
    (void)run.engine->run(account("ann"), Admission::order, answers.done(), nullptr);
    (void)run.engine->run(account("bob"), Admission::order, answers.done(), nullptr);
    disk.faults.syncs_left = 0;
    run.fake.reactor().turn();
    CHECK(answers.statuses == std::vector<tenon_status>{TENON_IN_DOUBT, TENON_IN_DOUBT});
    CHECK(run.fake.health_of("journal") == TENON_CRITICAL);
    disk.faults = {};
    CHECK(
        run.engine->run(account("cid"), Admission::relief, answers.done(), nullptr) ==
        TENON_UNAVAILABLE
    );
    CHECK(run.engine->readable(nullptr) == TENON_UNAVAILABLE);
    run.fake.reactor().turn();
    CHECK(answers.statuses.size() == 2);
    run.engine->stop();
}

TEST_CASE("a venue publishes nothing that an answer's next command did", "[engine][T5]") {
    MemoryDisk disk;
    Run run{disk, small()};
    run.engine->start();
    const tenon_trading_done next{
        &*run.engine, [](void* ctx, tenon_status, const tenon_trading_reply*, const tenon_err*) {
            (void)static_cast<engine::Engine*>(ctx)->run(
                account("bob"), Admission::order, {}, nullptr
            );
        }};
    (void)run.engine->run(account("ann"), Admission::order, next, nullptr);
    run.fake.reactor().turn();
    CHECK(run.engine->core().find_account("bob") != nullptr);
    CHECK(run.durable_calls == 2);
    CHECK(run.early_durable == 0);
    run.engine->stop();
}

TEST_CASE("a full batch refuses until it is committed", "[engine][T5]") {
    MemoryDisk disk;
    engine::Settings settings = small();
    settings.queue_max = 2;
    Run run{disk, settings};
    run.engine->start();
    Answers answers;
    const auto send = [&](std::string_view name) {
        return run.engine->run(account(name), Admission::order, answers.done(), nullptr);
    };
    CHECK(send("ann") == TENON_PENDING);
    CHECK(send("bob") == TENON_PENDING);
    CHECK(send("cid") == TENON_UNAVAILABLE);
    run.fake.reactor().turn();
    CHECK(send("cid") == TENON_PENDING);
    run.fake.reactor().turn();
    CHECK(answers.statuses == std::vector<tenon_status>(3, TENON_OK));
    run.engine->stop();
}

TEST_CASE("a command of another reactor is answered there, after the commit", "[engine][T5]") {
    MemoryDisk disk;
    Run run{disk, small()};
    run.engine->start();
    engine::Intake intake{*run.engine, 1};
    Answers answers;
    TwoReactors::current = 1;
    CHECK(intake.take(account("ann"), Admission::order, answers.done(), nullptr) == TENON_PENDING);
    CHECK(
        intake.take(account("bob"), Admission::order, answers.done(), nullptr) == TENON_UNAVAILABLE
    );
    TwoReactors::current = 0;
    run.fake.reactor().turn();
    CHECK(answers.statuses.empty());
    TwoReactors::turn_second();
    CHECK(answers.statuses == std::vector<tenon_status>{TENON_OK});
    CHECK(answers.reactor == 1);
    CHECK(answers.account == TENON_ACCOUNT_FIRST);
    run.engine->stop();
}

TEST_CASE("a start that fails over its settings leaves no state behind", "[engine][T5]") {
    MemoryDisk disk;
    engine::Settings settings = small();
    settings.demo_account = "demo";
    settings.demo_funds = {{"BTC", "1"}, {"NONE", "1"}};
    {
        Run run{disk, settings};
        CHECK_THROWS_WITH(run.engine->start(), Catch::Contains("no such asset"));
    }
    settings.demo_funds = {{"BTC", "1"}};
    Run run{disk, settings};
    run.engine->start();
    CHECK(run.engine->core().find_account("demo") != nullptr);
    run.open("ann");
    CHECK(run.engine->core().find_account("ann") != nullptr);
    run.engine->stop();
}

TEST_CASE("commands after a snapshot are not replayed under other fees", "[engine][T5]") {
    MemoryDisk disk;
    engine::Settings settings = small();
    settings.snapshot_commands = 3;
    {
        Run run{disk, settings};
        run.engine->start();
        run.open("ann");
        run.open("bob");
        REQUIRE(disk.list("data/snapshots").size() == 1);
        run.open("cid");
        // The process dies here.
    }
    std::string other{test::world_instruments()};
    other.replace(other.find(R"("taker":"0.002")"), 15, R"("taker":"0.003")");
    {
        Run run{disk, settings, other};
        CHECK_THROWS_WITH(run.engine->start(), Catch::Contains("another list of instruments"));
    }
    {
        Run run{disk, settings};
        run.engine->start();
        CHECK(run.engine->core().find_account("cid") != nullptr);
        run.engine->stop();
    }
    Run run{disk, settings, other};
    CHECK_NOTHROW(run.engine->start());
    run.engine->stop();
}

TEST_CASE("a journal that ends before its snapshot is refused", "[engine][T5]") {
    MemoryDisk disk;
    const std::string segment = [&] {
        Run run{disk, small()};
        run.engine->start();
        run.open("ann");
        run.engine->stop();
        return "data/journal/" + disk.list("data/journal").front();
    }();
    const std::vector<std::byte> older = disk.bytes(segment);
    {
        Run run{disk, small()};
        run.engine->start();
        run.open("bob");
        run.open("cid");
        run.engine->stop();
    }
    disk.bytes(segment) = older;
    Run run{disk, small()};
    CHECK_THROWS_WITH(run.engine->start(), Catch::Contains("before its snapshot"));
}

TEST_CASE(
    "a snapshot of the version before is gone on from, whatever its hash",
    "[engine][T5][K7]"
) {
    MemoryDisk disk;
    {
        Run run{disk, small()};
        run.engine->start();
        run.open("ann");
        run.engine->stop();
    }
    const std::string folder = "data/snapshots";
    const std::uint64_t sequence = journal::list_snapshots(disk, folder).back();
    journal::Snapshot snapshot = journal::read_snapshot(disk, folder, sequence);
    snapshot.info.hash ^= 1;
    const auto put = [&] {
        journal::write_snapshot(disk, folder, snapshot.info, snapshot.payload);
    };
    put();
    {
        Run run{disk, small()};
        CHECK_THROWS_WITH(run.engine->start(), Catch::Contains("is not that of its snapshot"));
    }
    // Version 3 has no counts of lists and of risk limits, two 0 less before the venues, and counts
    // no prevented matches of an instrument.
    constexpr std::size_t k_version_at = 4, k_count = sizeof(std::uint32_t), k_id = 8;
    std::string bytes{
        reinterpret_cast<const char*>(snapshot.payload.data()), snapshot.payload.size()};
    REQUIRE(bytes[k_version_at] == 7);
    bytes[k_version_at] = 3;
    for (const std::string_view symbol : {"BTCUSDT", "ETHBTC"}) {
        constexpr std::size_t k_status_price_trade_bytes = 4 + 8 + 8;
        const std::size_t at = bytes.find(symbol);
        REQUIRE(at != std::string::npos);
        bytes.erase(at + symbol.size() + k_status_price_trade_bytes, k_id);
    }
    bytes.erase(bytes.find("internal") - 4 * k_count, 2 * k_count);
    const auto view = std::as_bytes(std::span{bytes});
    snapshot.payload.assign(view.begin(), view.end());
    put();
    {
        Run run{disk, small()};
        REQUIRE_NOTHROW(run.engine->start());
        CHECK(run.engine->core().find_account("ann") != nullptr);
        run.open("bob");
        run.engine->stop();
    }
    Run run{disk, small()};
    run.engine->start();
    CHECK(run.engine->core().find_account("bob") != nullptr);
    run.engine->stop();
}
