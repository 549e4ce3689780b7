// SPDX-License-Identifier: Apache-2.0
// Engine state, journal, projection and a real database under faults: random commands, power loss
// and killed processes, a database that is slow, down, rolls back or is in doubt after a commit.
// After each life the tables must be those that the commands give up to the offset in the
// database, row for row; when all has healed, up to the last durable command.
//
// TENON_SIMULATION_SEED and TENON_SIMULATION_RUNS repeat or lengthen it.
#include "plugins/migrations/sql/migrator.hpp"
#include "plugins/trading/engine/projection.hpp"
#include "plugins/trading/engine/projection_sql.hpp"
#include "plugins/trading/engine/recovery.hpp"
#include "plugins/trading/engine/spool.hpp"
#include "sdk/journal/journal_writer.hpp"
#include "sdk/journal/snapshot_format.hpp"
#include "tests/simulation/command_generator.hpp"
#include "tests/simulation/core_world.hpp"
#include "tests/simulation/projection_model.hpp"
#include "tests/simulation/simulated_database.hpp"
#include "tests/simulation/simulation_support.hpp"
#include "tests/support/memory_disk.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>

using namespace tenon;
using test::as_bytes;
using test::CommandGenerator;
using test::CoreWorld;
using test::k_journal;
using test::k_second_ns;
using test::k_snapshots;
using test::MemoryDisk;
using test::number_of;
using test::options;
using test::ProjectionModel;
using test::SimulatedDatabase;
using test::SimulatedExec;
using test::SqliteBackend;

namespace {

constexpr std::int64_t k_ms = 1'000'000;

// Many lives of one engine on one disk, with one database.
class Simulation {
public:
    explicit Simulation(std::uint64_t seed)
        : random_{seed},
          disk_{seed ^ 0x5eedU},
          oracle_{options()},
          generator_{seed, oracle_.catalogue.instrument_count(), oracle_.catalogue.asset_count()},
          database_{backend_, exec_, seed ^ 0xdbU} {
        const char* source = std::getenv("TENON_SOURCE_DIR");
        REQUIRE(source != nullptr);
        const Host host{backend_.host.raw()};
        migrations::Migrator{
            backend_.storage(),
            host.service<tenon_clock_1>("tenon.clock/1"),
            host.log(),
            migrations::load_migrations(std::string{source} + "/migrations", "sqlite"),
            {}}
            .up();
    }

    void life() {
        weather();
        recover();
        const std::uint64_t batches = 1 + below(30);
        for (std::uint64_t i = 0; i < batches && alive(); ++i) {
            if (one_in(6)) {
                weather();
            }
            batch(i + 1 == batches);
            for (std::uint64_t n = below(6); n != 0 && alive(); --n) {
                step();
            }
        }
        if (alive() && one_in(3)) {
            catch_up();
        }
        end();
        compare();
    }

    // The last life.
    void heal() {
        recover();
        catch_up();
        end();
        compare();
    }

    [[nodiscard]] std::uint64_t commands() const { return folded_; }

    [[nodiscard]] std::uint64_t rows() const { return rows_; }

    [[nodiscard]] std::uint64_t removed_segments() const { return removed_; }

    [[nodiscard]] const auto& faults() const { return database_.counts; }

private:
    [[nodiscard]] std::uint64_t below(std::uint64_t end) { return random_() % end; }

    [[nodiscard]] bool one_in(std::uint64_t n) { return below(n) == 0; }

    [[nodiscard]] bool alive() const { return !dead_ && !database_.process_dead; }

    [[nodiscard]] Service<tenon_instruments_1> instruments() {
        return {&oracle_.catalogue, &instruments::Catalogue::k_table};
    }

    // Everything durable arrives once the database is well, whatever went wrong before.
    void catch_up() {
        database_.fault_in = 0;
        database_.down_until_ns = 0;
        exec_.refuse_jobs = false;
        for (int i = 0;
             i < 10'000 && (offset() < acknowledged_ || projection_->state().queued != 0);
             ++i) {
            exec_.now_ns += 10 * k_ms;
            exec_.turn();
            exec_.run_jobs();
            tick();
        }
        CHECK(offset() == acknowledged_);
        CHECK(projection_->projected_sequence() == acknowledged_);
        CHECK(projection_->state().queued == 0);
        CHECK(spool_->empty());
    }

    // How the database is from now on.
    void weather() {
        database_.fault_in = folded_ == 0 ? 2 : one_in(3) ? 0 : 2 + below(8);
        if (one_in(4)) {
            database_.down_until_ns = exec_.now_ns + milliseconds(5'000);
        }
        exec_.refuse_jobs = one_in(8);
    }

    [[nodiscard]] std::int64_t milliseconds(std::uint64_t end) {
        return static_cast<std::int64_t>(below(end)) * k_ms;
    }

    void open_projection() {
        engine::ProjectionOptions o;
        o.instruments = instruments();
        o.batch_max = 1 + below(60);
        o.queue_max = 10 + below(300);
        o.batch_interval_ns = milliseconds(2) * 50;
        o.write_timeout_ns = k_second_ns;
        o.query_timeout_ns = k_second_ns;
        o.retry_first_ns = 20 * k_ms;
        o.retry_max_ns = 200 * k_ms;
        o.offset_interval_ns = milliseconds(500);
        projection_ = std::make_unique<engine::Projection>(
            database_.service(), exec_.exec(), exec_.clock(), Log{}, o
        );
        spool_ = std::make_unique<engine::Spool>(disk_, "projection.spool");
    }

    void recover() {
        database_.process_dead = false;
        dead_ = false;
        open_projection();
        engine::RecoveryRequest request;
        request.journal_folder = k_journal;
        request.snapshot_folder = k_snapshots;
        request.projection = true;
        const tenon_status answer =
            guard(nullptr, [&] { request.projected = projection_->load_offset(); });
        const std::uint64_t found = offset();
        if (answer == TENON_OK) {
            REQUIRE(*request.projected == found);
        }
        request.make_core = [this] {
            venue_ = std::make_unique<internal::InternalVenue>(instruments(), "internal");
            return std::make_unique<trading::Core>(
                instruments(),
                std::vector<trading::VenueBinding>{
                    {"internal", {venue_.get(), &internal::InternalVenue::k_table}}},
                options()
            );
        };
        request.on_base = [&](const trading::Core&, std::uint64_t sequence) {
            // What lies between is not replayed: nothing may have happened there.
            fold(std::max(found, sequence), sequence > found);
        };
        request.on_result = [&](const trading::Output& output, const trading::Result& result) {
            if (!request.projected || result.sequence > *request.projected) {
                project(output, result);
            }
        };
        auto recovered = engine::recover(disk_, request, Log{});
        core_ = std::move(recovered.core);
        const std::uint64_t durable = recovered.end.next_sequence - 1;
        REQUIRE(durable >= acknowledged_);
        REQUIRE(durable <= commands_.size());
        REQUIRE(found <= durable);
        commands_.resize(static_cast<std::size_t>(durable));
        acknowledged_ = durable;
        writer_ = std::make_unique<journal::JournalWriter>(
            disk_, k_journal, journal::WriterOptions{65'536, 16'384}, recovered.end
        );
        tick();
    }

    void project(const trading::Output& output, const trading::Result& result) {
        std::vector<tenon_execution_event> events;
        for (std::uint32_t i = 0; i < result.events.count; ++i) {
            events.push_back(output.event(result, i));
        }
        if (!events.empty() && !(spool_->empty() && projection_->enqueue(events))) {
            spool_->append(events);
        }
    }

    // What the engine does between commands.
    void tick() {
        while (!spool_->empty() && projection_->enqueue(spool_->front())) {
            spool_->pop();
        }
        if (spool_->empty()) {
            projection_->advance(acknowledged_);
        }
        REQUIRE(projection_->projected_sequence() <= acknowledged_);
    }

    void step() {
        exec_.now_ns += milliseconds(80);
        if (one_in(4)) {
            exec_.skip();
        }
        exec_.turn();
        if (!one_in(3)) {
            exec_.run_jobs();
        }
        tick();
    }

    void batch(bool last) {
        trading::Output output;
        for (std::uint64_t n = 1 + below(12); n != 0; --n) {
            trading::Command command{
                writer_->next_sequence(),
                static_cast<std::int64_t>(writer_->next_sequence()) * k_second_ns,
                generator_.next()};
            if (!trading::well_formed(command)) {
                continue;
            }
            std::string encoded;
            trading::encode(command, encoded);
            if (!writer_->fits(encoded.size()) && writer_->wants_segment()) {
                writer_->prepare();
            }
            if (!writer_->fits(encoded.size())) {
                break;
            }
            writer_->append(engine::k_record_command, as_bytes(encoded));
            commands_.push_back(encoded);
            core_->apply(command, output);
        }
        disk_.faults.short_writes = one_in(2);
        if (last && one_in(2)) {
            (one_in(2) ? disk_.faults.writes_left : disk_.faults.syncs_left) = 0;
        }
        dead_ = writer_->commit() != 0;
        disk_.faults = {};
        if (dead_) {
            return;
        }
        acknowledged_ = writer_->durable_sequence();
        for (const trading::Result& result : output.results()) {
            project(output, result);
        }
        tick();
        if (one_in(10)) {
            snapshot();
        }
    }

    // And what that makes superfluous goes.
    void snapshot() {
        std::string payload;
        core_->snapshot_write(payload);
        journal::write_snapshot(
            disk_,
            k_snapshots,
            {writer_->durable_sequence(), core_->time_real_ns(), core_->state_hash()},
            as_bytes(payload)
        );
        const std::uint64_t needed = projection_->projected_sequence();
        const auto oldest = journal::prune_snapshots(disk_, k_snapshots, needed);
        if (oldest && *oldest <= needed) {
            removed_ += journal::remove_segments_below(disk_, k_journal, *oldest + 1);
        }
    }

    // Stopped in order, or dead with what was queued.
    void end() {
        const bool orderly = alive() && one_in(3);
        database_.process_dead = !orderly;
        exec_.refuse_jobs = false;
        exec_.settle();
        const std::int64_t deadline = exec_.now_ns + (orderly ? k_second_ns : 0);
        projection_->stop(deadline);
        projection_.reset();
        exec_.settle();
        spool_.reset();
        writer_.reset();
        if (one_in(2)) {
            disk_.lose_power();
        } else {
            disk_.kill();
        }
        if (one_in(8)) {
            backend_.open();
        }
    }

    std::uint64_t offset() {
        std::uint64_t found = 0;
        backend_.storage().read(backend_.deadline(), [&](Session& session) {
            found = engine::read_offset(session);
        });
        return found;
    }

    // The model goes on to what the database has.
    void fold(std::uint64_t through, bool must_be_quiet = false) {
        while (folded_ < through) {
            trading::Command command;
            REQUIRE(trading::decode(commands_.at(folded_), command) == trading::DecodeStatus::ok);
            oracle_.output.clear();
            const trading::Result& result = oracle_.core.apply(command, oracle_.output);
            ++folded_;
            INFO("command " << folded_ << " of " << commands_.size());
            REQUIRE((!must_be_quiet || result.events.count == 0));
            for (std::uint32_t i = 0; i < result.events.count; ++i) {
                REQUIRE(model_.take(oracle_.output.event(result, i)));
            }
        }
    }

    void compare() {
        fold(offset());
        std::vector<std::string> found;
        backend_.storage().read(backend_.deadline(), [&](Session& session) {
            found = ProjectionModel::rows_of(session);
            REQUIRE(none(
                session,
                "SELECT asset FROM balances GROUP BY asset "
                "HAVING sum(free) + sum(locked) <> 0"
            ));
            REQUIRE(none(
                session,
                "SELECT o.order_id FROM orders o LEFT JOIN trades t USING "
                "(order_id) GROUP BY o.order_id HAVING max(o.filled_quantity) "
                "<> coalesce(sum(t.quantity), 0)"
            ));
            REQUIRE(none(
                session,
                "SELECT 1 FROM balances WHERE asset NOT IN (SELECT id FROM assets) "
                "OR account NOT IN (SELECT id FROM accounts)"
            ));
            REQUIRE(none(
                session, "SELECT 1 FROM orders WHERE instrument NOT IN (SELECT id FROM instruments)"
            ));
            REQUIRE(none(
                session,
                "SELECT 1 FROM trades GROUP BY instrument, trade_id HAVING "
                "count(*) <> 2 OR min(quantity) <> max(quantity)"
            ));
        });
        const auto expected = model_.rows();
        for (std::size_t i = 0; i < std::min(found.size(), expected.size()); ++i) {
            REQUIRE(found[i] == expected[i]);
        }
        REQUIRE(found.size() == expected.size());
        rows_ = found.size();
    }

    static bool none(Session& session, std::string_view sql) {
        INFO(sql);
        return !session.prepare(sql).step();
    }

    std::mt19937_64 random_;
    MemoryDisk disk_;
    CoreWorld oracle_;
    CommandGenerator generator_;
    SimulatedExec exec_;
    // The machine of the database stays up: its syncs are not what is looked at.
    SqliteBackend backend_{[](sqlite::Settings& settings) { settings.synchronous = "normal"; }};
    SimulatedDatabase database_;
    ProjectionModel model_;
    std::vector<std::string> commands_;  // by sequence - 1
    std::uint64_t folded_ = 0;           // into the model
    std::uint64_t acknowledged_ = 0;
    std::uint64_t rows_ = 0, removed_ = 0;
    std::unique_ptr<internal::InternalVenue> venue_;
    std::unique_ptr<trading::Core> core_;
    std::unique_ptr<journal::JournalWriter> writer_;
    std::unique_ptr<engine::Spool> spool_;
    std::unique_ptr<engine::Projection> projection_;
    bool dead_ = false;
};

}  // namespace

TEST_CASE("whatever disk and database do, SQL has each durable event once", "[simulation][T5]") {
    const std::uint64_t seed = number_of("TENON_SIMULATION_SEED", 20'261'122);
    const std::uint64_t runs = number_of("TENON_SIMULATION_RUNS", 12);
    WARN("seed " << seed << ", runs " << runs << " (TENON_SIMULATION_SEED, TENON_SIMULATION_RUNS)");
    std::uint64_t commands = 0, rows = 0, removed = 0;
    std::array<std::uint64_t, 7> faults{};
    for (std::uint64_t run = 0; run < runs; ++run) {
        INFO("seed " << seed + run);
        Simulation simulation{seed + run};
        // Long ones, and many beginnings: a first transaction that fails is a case of its own.
        const int lives = run % 4 == 0 ? 40 : 4;
        for (int life = 0; life < lives; ++life) {
            INFO("life " << life);
            simulation.life();
        }
        simulation.heal();
        commands += simulation.commands();
        rows += simulation.rows();
        removed += simulation.removed_segments();
        for (std::size_t i = 0; i < faults.size(); ++i) {
            faults[i] += simulation.faults()[i];
        }
    }
    CHECK(commands > runs * 150);
    CHECK((runs < 12 || removed > 0));
    CHECK(rows > runs * 150);
    INFO("faults of a kind " << Catch::Detail::stringify(faults));
    CHECK((runs < 12 || *std::min_element(faults.begin(), faults.end()) > 0));
}
