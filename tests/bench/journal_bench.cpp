// SPDX-License-Identifier: Apache-2.0
// What durability costs: journal_bench FOLDER [ROUNDS]
//
// 1. One command at a time, in process: encode, append, apply to the core, commit, and the
// machine's
//    own pwrite + fdatasync of as many bytes on a preallocated file, in turns. Goal: p50 within 2x.
// 2. Durable commands a second in batches, core and journal together. Goal: 300,000.
// All rounds are printed.
#include "plugins/trading/engine/recovery.hpp"
#include "sdk/journal/journal_writer.hpp"
#include "tests/simulation/core_world.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>

using namespace tenon;
using std::chrono::steady_clock;

namespace {

constexpr std::size_t k_single = 1'000;
constexpr std::size_t k_batched = 300'000;

double microseconds(steady_clock::duration duration) {
    return std::chrono::duration<double, std::micro>(duration).count();
}

double percentile(std::vector<double>& samples, double p) {
    std::sort(samples.begin(), samples.end());
    return samples[static_cast<std::size_t>(p * static_cast<double>(samples.size() - 1))];
}

// Core and journal in a new folder, fed with limit orders that rest, trade and are cancelled.
class Bench {
public:
    Bench(journal::Disk& disk, const std::string& folder) : disk_{disk} {
        disk_.make_folder(folder);
        for (const std::string& name : disk_.list(folder)) {
            disk_.remove(folder + "/" + name);
        }
        writer_.emplace(disk_, folder, journal::WriterOptions{}, journal::Position{});
        (void)writer_->wants_segment();
        writer_->prepare();
        for (int i = 0; i < 4; ++i) {
            const std::uint64_t account = world_.open("bench" + std::to_string(i));
            world_.deposit(account, "USDT", "1000000000");
            world_.deposit(account, "BTC", "1000000000");
            world_.deposit(account, "ETH", "1000000000");
            accounts_.push_back(account);
        }
        instrument_ = world_.instrument("ETHBTC");
    }

    // False: the next segment is not there yet.
    bool add() {
        trading::Command command{
            world_.core.sequence() + 1, world_.core.time_real_ns() + 1'000, body()};
        encoded_.clear();
        trading::encode(command, encoded_);
        if (!writer_->fits(encoded_.size())) {
            return false;
        }
        writer_->append(
            engine::k_record_command, std::as_bytes(std::span{encoded_.data(), encoded_.size()})
        );
        world_.core.apply(command, world_.output);
        return true;
    }

    void commit() {
        if (writer_->commit() != 0) {
            std::fprintf(stderr, "the journal failed\n");
            std::exit(1);
        }
        world_.output.clear();
    }

    // What the engine leaves to the blocking pool.
    void prepare_in_background() {
        if (writer_->wants_segment()) {
            if (filler_.joinable()) {
                filler_.join();
            }
            filler_ = std::thread{[this] { writer_->prepare(); }};
        }
    }

    void finish() {
        if (filler_.joinable()) {
            filler_.join();
        }
    }

    [[nodiscard]] std::size_t record_bytes() const { return journal::record_size(encoded_.size()); }

    [[nodiscard]] std::uint64_t written() const { return writer_->written_bytes(); }

private:
    trading::CommandBody body() {
        const std::uint64_t account = accounts_[random_() % accounts_.size()];
        if (random_() % 3 == 0 && next_order_ > 200) {
            return test::cancel(account, instrument_, next_order_ - random_() % 200);
        }
        ++next_order_;
        tenon_order_request order{};
        order.size = sizeof order;
        order.instrument = instrument_;
        order.account = account;
        order.side = random_() % 2;
        order.type = TENON_ORDER_LIMIT;
        order.time_in_force = TENON_TIF_GTC;
        order.price = 5'000 + static_cast<std::int64_t>(random_() % 400) - 200;
        order.quantity = 1 + static_cast<std::int64_t>(random_() % 100);
        return test::submit(order);
    }

    journal::Disk& disk_;
    test::CoreWorld world_;
    std::optional<journal::JournalWriter> writer_;
    std::thread filler_;
    std::vector<std::uint64_t> accounts_;
    std::uint32_t instrument_ = 0;
    std::uint64_t next_order_ = 1;
    std::mt19937_64 random_{7};
    std::string encoded_;
};

std::vector<double> raw_round(journal::File& file, std::size_t bytes, std::uint64_t& offset) {
    const std::vector<std::byte> data(bytes, std::byte{0x5a});
    std::vector<double> samples;
    for (std::size_t i = 0; i < k_single; ++i, offset += bytes) {
        const auto start = steady_clock::now();
        if (journal::write_all(file, data, offset) != 0 || file.sync() != 0) {
            std::exit(1);
        }
        samples.push_back(microseconds(steady_clock::now() - start));
    }
    return samples;
}

void single(journal::Disk& disk, const std::string& folder, int rounds) {
    Bench bench{disk, folder + "/single"};
    (void)bench.add();
    bench.commit();
    const std::string path = folder + "/raw";
    const auto file = disk.open(path, journal::OpenMode::create);
    const std::vector<std::byte> zeros(std::size_t{16} << 20);
    if (journal::write_all(*file, zeros, 0) != 0 || file->sync() != 0) {
        std::exit(1);
    }
    std::uint64_t offset = 0;
    std::vector<double> ratios;
    for (int round = 0; round < rounds; ++round) {
        auto raw = raw_round(*file, bench.record_bytes(), offset);
        std::vector<double> samples;
        for (std::size_t i = 0; i < k_single; ++i) {
            const auto start = steady_clock::now();
            (void)bench.add();
            bench.commit();
            samples.push_back(microseconds(steady_clock::now() - start));
        }
        const double own = percentile(raw, 0.5), p50 = percentile(samples, 0.5);
        ratios.push_back(p50 / own);
        std::printf(
            "single  round %d  machine p50 %.1f us p99 %.1f us  engine p50 %.1f us p99 %.1f us  "
            "ratio %.2f\n",
            round + 1,
            own,
            percentile(raw, 0.99),
            p50,
            percentile(samples, 0.99),
            p50 / own
        );
    }
    std::printf("single  median ratio %.2f (goal 2.00)\n", percentile(ratios, 0.5));
}

void batched(journal::Disk& disk, const std::string& folder, int rounds) {
    for (const std::size_t batch : {64u, 256u, 1024u}) {
        std::vector<double> rates;
        for (int round = 0; round < rounds; ++round) {
            Bench bench{disk, folder + "/batched"};
            std::size_t waits = 0;
            const auto start = steady_clock::now();
            for (std::size_t done = 0; done < k_batched;) {
                std::size_t in_batch = 0;
                while (in_batch < batch && bench.add()) {
                    ++in_batch;
                }
                bench.commit();
                bench.prepare_in_background();
                waits += in_batch == 0 ? 1 : 0;
                done += in_batch;
            }
            const double seconds = microseconds(steady_clock::now() - start) / 1e6;
            bench.finish();
            rates.push_back(static_cast<double>(k_batched) / seconds);
            std::printf(
                "batched %zu  round %d  %.0f commands/s  %.1f MB/s  waits for a segment %zu\n",
                batch,
                round + 1,
                rates.back(),
                static_cast<double>(bench.written()) / seconds / 1e6,
                waits
            );
        }
        std::printf(
            "batched %zu  median %.0f commands/s (goal 300000)\n", batch, percentile(rates, 0.5)
        );
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: journal_bench FOLDER [ROUNDS]\n");
        return 2;
    }
    const std::string folder = argv[1];
    const int rounds = argc > 2 ? std::max(1, std::atoi(argv[2])) : 5;
    const auto disk = journal::make_posix_disk();
    disk->make_folder(folder);
    single(*disk, folder, rounds);
    batched(*disk, folder, rounds);
    return 0;
}
