// SPDX-License-Identifier: Apache-2.0
// The state at a moment, from a journal and snapshots in memory.
#include "plugins/trading/engine/journal_view.hpp"

#include "plugins/trading/engine/journal_replay.hpp"
#include "plugins/trading/engine/recovery.hpp"
#include "sdk/journal/journal_writer.hpp"
#include "sdk/journal/snapshot_format.hpp"
#include "tests/simulation/command_generator.hpp"
#include "tests/simulation/core_world.hpp"
#include "tests/support/memory_disk.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>

using namespace tenon;
using engine::Moment;
using tenon::test::CoreWorld;
using tenon::test::MemoryDisk;

namespace {

constexpr std::int64_t k_second_ns = 1'000'000'000;

// A core whose commands are in a journal: record n is of second n.
struct Recorded {
    Recorded() : writer{disk, "data/journal", {std::uint64_t{1} << 20, 1U << 16}, {}} {
        writer.prepare();
    }

    void run(trading::CommandBody body) {
        (void)world.apply(body);
        trading::Command command;
        command.sequence = world.core.sequence();
        command.time_real_ns = world.core.time_real_ns();
        command.body = body;
        std::string bytes;
        trading::encode(command, bytes);
        record(engine::k_record_command, std::as_bytes(std::span{bytes}));
        hashes[command.sequence] = world.core.state_hash();
    }

    void record(std::uint16_t type, std::span<const std::byte> bytes) {
        REQUIRE(writer.fits(bytes.size()));
        writer.append(type, bytes);
        REQUIRE(writer.commit() == 0);
    }

    void snapshot() {
        std::string bytes;
        world.core.snapshot_write(bytes);
        const journal::SnapshotInfo info{
            world.core.sequence(),
            world.core.time_real_ns(),
            world.core.state_hash(),
            world.core.instruments_fingerprint()};
        journal::write_snapshot(disk, "data/snapshots", info, std::as_bytes(std::span{bytes}));
    }

    // With another core and venue, as another process has them.
    [[nodiscard]] engine::View at(const Moment& moment) {
        other = std::make_unique<CoreWorld>();
        engine::ViewRequest request;
        request.data_folder = "data";
        request.moment = moment;
        request.make_core = [this] {
            return std::make_unique<trading::Core>(
                Service<tenon_instruments_1>{&other->catalogue, &instruments::Catalogue::k_table},
                other->core.venues()
            );
        };
        return engine::view_at(disk, request);
    }

    MemoryDisk disk;
    journal::JournalWriter writer;
    CoreWorld world;
    std::unique_ptr<CoreWorld> other;
    std::map<std::uint64_t, std::uint64_t> hashes;
};

// Two accounts with money and resting orders: eight commands.
void trade(Recorded& recorded) {
    for (const char* const name : {"ann", "bob"}) {
        recorded.run(trading::AccountOpenCommand{str(name)});
        auto entry = sized<tenon_ledger_entry>();
        entry.from = TENON_ACCOUNT_EXTERNAL;
        entry.to = recorded.world.core.find_account(name)->id;
        entry.asset = recorded.world.asset(name[0] == 'a' ? "USDT" : "BTC");
        entry.amount = 10'000'00000000;
        recorded.run(trading::TransferCommand{entry});
    }
    const CoreWorld& world = recorded.world;
    const std::uint64_t ann = world.core.find_account("ann")->id;
    const std::uint64_t bob = world.core.find_account("bob")->id;
    recorded.run(test::submit(world.limit(ann, TENON_SIDE_BUY, "100", "1")));
    recorded.run(test::submit(world.limit(ann, TENON_SIDE_BUY, "101", "2")));
    recorded.run(test::submit(world.limit(bob, TENON_SIDE_SELL, "101", "0.5")));
    recorded.run(test::submit(world.limit(bob, TENON_SIDE_SELL, "110", "3")));
}

}  // namespace

TEST_CASE(
    "the state after each record is the one there was, with and without a snapshot",
    "[engine][T10]"
) {
    const bool with_snapshot = GENERATE(false, true);
    Recorded recorded;
    recorded.disk.make_folder("data/snapshots");
    trade(recorded);
    if (with_snapshot) {
        recorded.snapshot();
    }
    trade(recorded);  // names that exist are refused, money and orders are not
    for (const auto& [sequence, hash] : recorded.hashes) {
        const engine::View by_number = recorded.at({sequence, {}});
        CHECK(by_number.sequence == sequence);
        CHECK(by_number.core->state_hash() == hash);
        CHECK(by_number.base_sequence == (with_snapshot && sequence >= 8 ? 8 : 0));
        const auto time = static_cast<std::int64_t>(sequence) * k_second_ns;
        CHECK(recorded.at({{}, time}).core->state_hash() == hash);
        CHECK(recorded.at({{}, time + k_second_ns - 1}).sequence == sequence);
    }
    CHECK(recorded.at({{}, {}}).sequence == 16);
    CHECK_THROWS_WITH(
        recorded.at({17, {}}), Catch::Contains("ends with record 16, before record 17")
    );
}

TEST_CASE("a torn tail is the end, and a damaged snapshot is passed over", "[engine][T10]") {
    Recorded recorded;
    trade(recorded);
    recorded.snapshot();
    recorded.disk.bytes("data/snapshots/00000000000000000008.snap")[70] ^= std::byte{1};
    recorded.run(trading::AccountOpenCommand{str("carl")});
    const auto segment = recorded.disk.list("data/journal").front();
    auto& bytes = recorded.disk.bytes("data/journal/" + segment);
    const auto last =
        std::find_if(bytes.rbegin(), bytes.rend(), [](std::byte b) { return b != std::byte{0}; });
    std::fill(bytes.end() - (last - bytes.rbegin()) - 8, bytes.end(), std::byte{0});
    const engine::View view = recorded.at({});
    CHECK(view.sequence == 8);
    CHECK(view.base_sequence == 0);
    CHECK(view.core->state_hash() == recorded.hashes[8]);
}

TEST_CASE(
    "a moment of which nothing is kept is refused with the oldest one there is",
    "[engine][T10]"
) {
    Recorded recorded;
    trade(recorded);
    recorded.snapshot();
    const auto segment = recorded.disk.list("data/journal").front();
    recorded.disk.rename("data/journal/" + segment, "data/journal/" + journal::segment_name(2));
    CHECK_THROWS_WITH(
        recorded.at({3, {}}),
        Catch::Contains("nothing is kept of record 3") &&
            Catch::Contains("after record 8, of 1970-01-01T00:00:08.000000000Z")
    );
}

TEST_CASE("commands of other instruments or of a missing venue are not replayed", "[engine][T10]") {
    Recorded recorded;
    recorded.disk.make_folder("data/snapshots");
    SECTION("instruments") {
        const std::uint64_t other = recorded.world.core.instruments_fingerprint() + 1;
        recorded.record(engine::k_record_instruments, std::as_bytes(std::span{&other, 1}));
        (void)recorded.world.apply(trading::AccountOpenCommand{str("x")});  // keeps step
        recorded.run(trading::AccountOpenCommand{str("ann")});
        CHECK_THROWS_WITH(recorded.at({}), Catch::Contains("another list of instruments"));
        CHECK(recorded.at({1, {}}).sequence == 1);
    }
    SECTION("venue") {
        recorded.run(trading::VenueApplyCommand{str("mars"), {}});
        CHECK_THROWS_WITH(recorded.at({}), Catch::Contains("the venue \"mars\""));
    }
}

TEST_CASE("accounts, orders and books are told with their names, or one of them", "[engine][T10]") {
    Recorded recorded;
    recorded.disk.make_folder("data/snapshots");
    trade(recorded);
    const engine::View view = recorded.at({});
    const Service<tenon_instruments_1> instruments{
        &recorded.other->catalogue, &instruments::Catalogue::k_table};
    const std::string all = engine::view_json(view, instruments, "", "");
    CHECK_THAT(all, Catch::Contains(R"("bids":[["101","1.5"],["100","1"]],"asks":[["110","3"]])"));
    CHECK_THAT(all, Catch::Contains(R"("name":"bob")"));
    const std::string bob = engine::view_json(view, instruments, "bob", "BTCUSDT");
    CHECK_THAT(bob, !Catch::Contains(R"("name":"ann")") && Catch::Contains(R"("price":"110")"));
    CHECK_THROWS_WITH(
        engine::view_json(view, instruments, "eve", ""), "there was no account \"eve\" then"
    );
    CHECK_THROWS_WITH(
        engine::view_json(view, instruments, "", "XYZ"), "there is no instrument \"XYZ\""
    );
}

TEST_CASE("the state before the first command has no time", "[engine][T10]") {
    Recorded recorded;
    recorded.disk.make_folder("data/snapshots");
    trade(recorded);
    const engine::View view = recorded.at({0, {}});
    const Service<tenon_instruments_1> instruments{
        &recorded.other->catalogue, &instruments::Catalogue::k_table};
    CHECK_THAT(
        engine::view_json(view, instruments, "", ""),
        Catch::StartsWith(R"({"sequence":0,"time":null,"time_ns":0,)")
    );
}

TEST_CASE("who knows no commands finds their time", "[engine][S14]") {
    Recorded recorded;
    trade(recorded);
    journal::JournalReader reader{recorded.disk, "data/journal", 1};
    journal::Record record;
    int commands = 0;
    while (reader.next(record)) {
        trading::Command command;
        const std::string_view payload{
            reinterpret_cast<const char*>(record.payload.data()), record.payload.size()};
        REQUIRE(trading::decode(payload, command) == trading::DecodeStatus::ok);
        CHECK(journal::command_time_ns(record) == command.time_real_ns);
        ++commands;
    }
    CHECK(commands > 5);
    CHECK_FALSE(journal::command_time_ns({1, journal::k_record_instruments, {}, 1, 64}));
}

TEST_CASE("a moment is a day, a time, milliseconds or nanoseconds", "[engine][T10]") {
    CHECK(engine::parse_moment("2026-05-04") == 1'777'852'800 * k_second_ns);
    CHECK(engine::parse_moment("2026-05-04T03:02:01.5Z") == 1'777'863'721'500'000'000);
    CHECK(engine::parse_moment("1777863721500") == 1'777'863'721'500'000'000);
    CHECK(engine::parse_moment("1777863721500000001") == 1'777'863'721'500'000'001);
    CHECK(engine::parse_moment("8999999999999") == 8'999'999'999'999'000'000);
    CHECK(engine::parse_moment("9000000000000") == 9'000'000'000'000);
    CHECK(engine::moment_text(1'777'863'721'500'000'001) == "2026-05-04T03:02:01.500000001Z");
    for (const char* const bad :
         {"",
          "yesterday",
          "2026-02-30",
          "2026-05-04T03:02Z",
          "2026-05-04T03:02:01",
          "-5",
          "2026-05-04T24:00:00Z",
          "2026-05-04T03:02:01.Z",
          "2026-05-04T03:02:01.-1Z",
          "99999-01-01",
          "2026-05-04T03:02:01Z "}) {
        CAPTURE(bad);
        CHECK_THROWS_WITH(engine::parse_moment(bad), Catch::Contains("found the time"));
    }
}

namespace {

// A folder for both halves of a replay.
struct Work {
    Work() { REQUIRE(::mkdtemp(path.data()) != nullptr); }

    ~Work() { std::filesystem::remove_all(path); }

    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;

    std::string path = "/tmp/tenon-replay-XXXXXX";
};

// Both halves, each with a core and a venue of its own.
boost::json::object replayed(Recorded& recorded, engine::ReplayRequest request) {
    const Work work;
    recorded.disk.make_folder(work.path);
    request.data_folder = "data";
    request.work_folder = work.path;
    std::string answer;
    for (const bool changed : {false, true}) {
        CoreWorld world;
        request.instruments = {&world.catalogue, &instruments::Catalogue::k_table};
        request.make_core = [&] {
            return std::make_unique<trading::Core>(request.instruments, world.core.venues());
        };
        answer = changed ? engine::replay_changed(recorded.disk, request)
                         : engine::replay_recorded(recorded.disk, request);
    }
    return boost::json::parse(answer).as_object();
}

}  // namespace

TEST_CASE(
    "random commands replay alike, and under other limits without breaking",
    "[engine][T10]"
) {
    const char* const given = std::getenv("TENON_SEED");
    const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 20'261'124;
    std::cout << "seed " << seed << " (TENON_SEED)\n";
    Recorded recorded;
    recorded.disk.make_folder("data/snapshots");
    trade(recorded);
    test::CommandGenerator generator{seed, 2, 3};
    for (int i = 0; i < 5'000; ++i) {
        generator.at(recorded.world.core.time_real_ns() + k_second_ns);
        trading::CommandBody body = generator.next();
        const auto* const found = std::get_if<trading::VenueApplyCommand>(&body);
        if (found != nullptr && view(found->venue) == "elsewhere") {
            body = trading::ExpireCommand{};
        }
        recorded.run(body);
        const tenon_trading_reply reply = recorded.world.reply();
        if (reply.order_count > 0) {
            generator.saw(*reply.orders);
        }
        if (i == 2'500) {
            recorded.snapshot();
        }
    }
    const auto same = replayed(recorded, {});
    CHECK(same.at("agree").as_bool());
    CHECK(same.at("commands").to_number<int>() == 5'008);
    const std::string hash = std::to_string(recorded.hashes.rbegin()->second);
    CHECK(same.at("state_hash").at("replayed").as_string() == hash);
    engine::ReplayRequest late;
    late.from.sequence = 3'000;
    late.to.sequence = 4'000;
    const auto part = replayed(recorded, late);
    CHECK(part.at("agree").as_bool());
    CHECK(part.at("commands").to_number<int>() == 1'000);
    CHECK(
        part.at("state_hash").at("replayed").as_string() == std::to_string(recorded.hashes[4'000])
    );
    engine::ReplayRequest strict;
    strict.from.sequence = 8;
    strict.risk = {R"({"open_orders": "2"})", R"({"symbol": "BTCUSDT", "position": "1"})"};
    const auto other = replayed(recorded, strict);
    CHECK_FALSE(other.at("agree").as_bool());
    CHECK(other.at("differing").to_number<int>() > 0);
    CHECK(other.at("commands").to_number<int>() == 5'000);
    CHECK(other.at("first").as_array().size() == 20);
}
