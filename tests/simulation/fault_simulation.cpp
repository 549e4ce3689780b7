// SPDX-License-Identifier: Apache-2.0
// Engine state, journal and snapshots under faults: random commands, short and interrupted writes,
// failed writes and syncs, full disk, power loss, killed processes, flipped bits. After each life
// the state must be the one that the commands give which the disk has, and it has every one that
// was acknowledged.
//
// TENON_SIMULATION_SEED and TENON_SIMULATION_RUNS repeat or lengthen it.
#include "plugins/trading/engine/recovery.hpp"
#include "sdk/journal/journal_repair.hpp"
#include "sdk/journal/journal_writer.hpp"
#include "sdk/journal/snapshot_format.hpp"
#include "tests/simulation/command_generator.hpp"
#include "tests/simulation/core_world.hpp"
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

namespace {

// Many lives of one engine on one disk.
class Simulation {
public:
    explicit Simulation(std::uint64_t seed)
        : random_{seed},
          disk_{seed ^ 0x5eedU},
          oracle_{options()},
          generator_{seed, oracle_.catalogue.instrument_count(), oracle_.catalogue.asset_count()} {}

    void life() {
        recover();
        const std::uint64_t batches = 1 + below(40);
        for (std::uint64_t i = 0; i < batches && !dead_; ++i) {
            batch(i + 1 == batches);
        }
        end();
    }

    void recover() {
        engine::RecoveryRequest request;
        request.journal_folder = k_journal;
        request.snapshot_folder = k_snapshots;
        // Half of the lives have a projection that is behind, or a database that is down.
        request.projection = one_in(2);
        if (request.projection && one_in(2)) {
            request.projected = below(acknowledged_ + 1);
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
        std::uint64_t base = 0, replayed = 0;
        request.on_base = [&](const trading::Core&, std::uint64_t sequence) { base = sequence; };
        request.on_result = [&](const trading::Output&, const trading::Result& result) {
            // Events come without gaps from the base on: what the projection misses is there.
            REQUIRE(result.sequence == base + ++replayed);
        };
        auto recovered = engine::recover(disk_, request, Log{});
        core_ = std::move(recovered.core);
        const std::uint64_t durable = recovered.end.next_sequence - 1;
        REQUIRE(durable >= acknowledged_);
        REQUIRE(durable <= commands_.size());
        if (request.projected) {
            REQUIRE(base <= *request.projected);
        } else if (request.projection) {
            // What the database lacks is not known, and the journal is there as a whole.
            REQUIRE(base == 0);
        }
        commands_.resize(static_cast<std::size_t>(durable));
        compare(durable);
        acknowledged_ = durable;
        writer_ = std::make_unique<journal::JournalWriter>(
            disk_, k_journal, journal::WriterOptions{65'536, 16'384}, recovered.end
        );
        dead_ = false;
    }

    // The same commands in memory give the same state, and money is conserved.
    void compare(std::uint64_t durable) {
        while (applied_ < durable) {
            trading::Command command;
            const auto decoded = trading::decode(commands_[applied_], command);
            REQUIRE(decoded == trading::DecodeStatus::ok);
            oracle_.output.clear();
            oracle_.core.apply(command, oracle_.output);
            ++applied_;
        }
        REQUIRE(core_->state_hash() == oracle_.core.state_hash());
        REQUIRE(core_->check_invariants() == "");
    }

    // Damage in the middle never goes unnoticed; it is healed by hand for the next life.
    void flip_a_bit() {
        const auto segments = journal::list_segments(disk_, k_journal);
        if (segments.empty() || acknowledged_ == 0) {
            return;
        }
        const std::string path = k_journal + "/" + journal::segment_name(segments.front());
        auto& bytes = disk_.bytes(path);
        const std::size_t at = below(bytes.size());
        const std::byte good = bytes[at];
        bytes[at] ^= static_cast<std::byte>(1U << below(8));
        const auto report = journal::check_journal(disk_, k_journal);
        if (!report.damage) {
            // Only where nothing is stored: zeros of padding or behind the end.
            REQUIRE(report.last_sequence >= acknowledged_);
        }
        disk_.bytes(path)[at] = good;
    }

    [[nodiscard]] std::uint64_t commands() const { return applied_; }

    [[nodiscard]] std::uint64_t snapshots() const { return snapshot_count_; }

private:
    [[nodiscard]] std::uint64_t below(std::uint64_t end) { return random_() % end; }

    [[nodiscard]] bool one_in(std::uint64_t n) { return below(n) == 0; }

    [[nodiscard]] Service<tenon_instruments_1> instruments() {
        return {&oracle_.catalogue, &instruments::Catalogue::k_table};
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
            if (!writer_->fits(encoded.size()) && !make_room()) {
                break;
            }
            if (!writer_->fits(encoded.size())) {
                break;
            }
            writer_->append(engine::k_record_command, as_bytes(encoded));
            commands_.push_back(encoded);
            core_->apply(command, output);
        }
        arm_faults(last);
        if (writer_->commit() != 0) {
            dead_ = true;
            return;
        }
        acknowledged_ = writer_->durable_sequence();
        if (one_in(8)) {
            snapshot();
        }
    }

    // The disk may be full: then nothing is taken, and nothing is lost.
    bool make_room() {
        if (!writer_->wants_segment()) {
            return false;
        }
        if (one_in(6)) {
            disk_.faults.writes_left = 0;
        }
        const tenon_status status = guard(nullptr, [&] { writer_->prepare(); });
        disk_.faults.writes_left = -1;
        return status == TENON_OK;
    }

    void arm_faults(bool last) {
        disk_.faults.short_writes = one_in(2);
        disk_.faults.interrupt_writes = static_cast<int>(below(3));
        if (!last) {
            return;
        }
        if (one_in(3)) {
            disk_.faults.writes_left = static_cast<long>(below(3));
            disk_.faults.write_error = one_in(2) ? ENOSPC : EIO;
        } else if (one_in(2)) {
            disk_.faults.syncs_left = 0;
        }
    }

    void snapshot() {
        disk_.faults = {};
        if (one_in(4)) {
            disk_.faults.syncs_left = 0;
        }
        std::string payload;
        core_->snapshot_write(payload);
        const tenon_status status = guard(nullptr, [&] {
            journal::write_snapshot(
                disk_,
                k_snapshots,
                {writer_->durable_sequence(), core_->time_real_ns(), core_->state_hash()},
                as_bytes(payload)
            );
        });
        disk_.faults = {};
        snapshot_count_ += status == TENON_OK ? 1 : 0;
        const auto all = journal::list_snapshots(disk_, k_snapshots);
        if (one_in(3) && all.size() > 1) {
            // The newest one is damaged: recovery takes the one before.
            auto& bytes = disk_.bytes(k_snapshots + "/" + name_of(all.back()));
            bytes[below(bytes.size())] ^= std::byte{2};
        }
    }

    static std::string name_of(std::uint64_t sequence) {
        std::string digits = std::to_string(sequence);
        digits.insert(0, 20 - digits.size(), '0');
        return digits + ".snap";
    }

    void end() {
        if (one_in(2)) {
            disk_.lose_power();
        } else {
            disk_.kill();
        }
        writer_.reset();
    }

    std::mt19937_64 random_;
    MemoryDisk disk_;
    CoreWorld oracle_;
    CommandGenerator generator_;
    std::vector<std::string> commands_;  // by sequence - 1
    std::size_t applied_ = 0;            // by the oracle
    std::unique_ptr<internal::InternalVenue> venue_;
    std::unique_ptr<trading::Core> core_;
    std::unique_ptr<journal::JournalWriter> writer_;
    std::uint64_t acknowledged_ = 0;
    std::uint64_t snapshot_count_ = 0;
    bool dead_ = false;
};

}  // namespace

TEST_CASE("whatever the disk does, acknowledged commands come back", "[simulation][T5]") {
    const std::uint64_t seed = number_of("TENON_SIMULATION_SEED", 20'261'122);
    const std::uint64_t runs = number_of("TENON_SIMULATION_RUNS", 30);
    WARN("seed " << seed << ", runs " << runs << " (TENON_SIMULATION_SEED, TENON_SIMULATION_RUNS)");
    std::uint64_t commands = 0, snapshots = 0;
    for (std::uint64_t run = 0; run < runs; ++run) {
        INFO("seed " << seed + run);
        Simulation simulation{seed + run};
        for (int life = 0; life < 20; ++life) {
            simulation.life();
            simulation.flip_a_bit();
        }
        simulation.recover();
        commands += simulation.commands();
        snapshots += simulation.snapshots();
    }
    CHECK(commands > runs * 500);
    CHECK(snapshots > runs);
}
