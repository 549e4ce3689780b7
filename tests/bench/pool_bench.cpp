// SPDX-License-Identifier: Apache-2.0
// What lease and return cost: tenon::Pool, SOCI's connection_pool, and a vector under a mutex with
// a condition, in turns. The connections do nothing, so that only the pools are seen.
//
//   pool_bench         prints ns per lease and return of each round, then medians and ratios
#include <tenon/pool.hpp>

#include <soci/connection-pool.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <ctime>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr std::uint32_t k_size = 20;
constexpr unsigned k_threads = 64;
constexpr int k_rounds = 7;
constexpr int k_alone = 1'000'000;
constexpr int k_each = 3'000;

std::int64_t monotonic_ns() noexcept {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

struct Nothing {};

struct Backend {
    using Connection = Nothing;

    [[nodiscard]] std::int64_t now_ns() const noexcept { return monotonic_ns(); }

    [[nodiscard]] std::string name() const { return "nothing"; }

    [[nodiscard]] std::unique_ptr<Nothing> connect(std::int64_t) {
        return std::make_unique<Nothing>();
    }

    [[nodiscard]] tenon::Returned give_back(Nothing&) noexcept { return tenon::Returned::clean; }

    [[nodiscard]] bool ping(Nothing&, std::int64_t) noexcept { return true; }
};

class TenonPool {
public:
    TenonPool() : pool_{Backend{}, options()} {}

    void use() { (void)pool_.lease(INT64_MAX, "bench"); }

private:
    static tenon::PoolOptions options() {
        tenon::PoolOptions options;
        options.size_max = k_size;
        options.uses_max = UINT32_MAX;
        return options;
    }

    tenon::Pool<Backend> pool_;
};

class SociPool {
public:
    void use() { pool_.give_back(pool_.lease()); }

private:
    soci::connection_pool pool_{k_size};
};

class BarePool {
public:
    BarePool() : idle_(k_size) {}

    void use() {
        int taken = 0;
        {
            std::unique_lock lock{mutex_};
            wake_.wait(lock, [&] { return !idle_.empty(); });
            taken = idle_.back();
            idle_.pop_back();
        }
        {
            const std::lock_guard lock{mutex_};
            idle_.push_back(taken);
        }
        wake_.notify_one();
    }

private:
    std::mutex mutex_;
    std::condition_variable wake_;
    std::vector<int> idle_;
};

template <class Pool>
double alone() {
    Pool pool;
    const std::int64_t began = monotonic_ns();
    for (int i = 0; i < k_alone; ++i) {
        pool.use();
    }
    return static_cast<double>(monotonic_ns() - began) / k_alone;
}

template <class Pool>
double crowded() {
    Pool pool;
    std::vector<std::thread> threads;
    const std::int64_t began = monotonic_ns();
    for (unsigned t = 0; t < k_threads; ++t) {
        threads.emplace_back([&pool] {
            for (int i = 0; i < k_each; ++i) {
                pool.use();
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    return static_cast<double>(monotonic_ns() - began) / (k_threads * k_each);
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

template <class Measure>
void compare(const char* what, Measure measure) {
    std::vector<double> tenon;
    std::vector<double> soci;
    std::vector<double> bare;
    for (int round = 0; round < k_rounds; ++round) {
        tenon.push_back(measure.template operator()<TenonPool>());
        soci.push_back(measure.template operator()<SociPool>());
        bare.push_back(measure.template operator()<BarePool>());
        std::printf(
            "%s round=%d tenon_ns=%.0f soci_ns=%.0f mutex_ns=%.0f\n",
            what,
            round,
            tenon.back(),
            soci.back(),
            bare.back()
        );
    }
    const double mine = median(tenon);
    std::printf(
        "%s median tenon_ns=%.0f soci/tenon=%.2f mutex/tenon=%.2f\n",
        what,
        mine,
        median(soci) / mine,
        median(bare) / mine
    );
}

}  // namespace

int main() {
    compare("uncontended", []<class Pool>() { return alone<Pool>(); });
    compare("64_threads_20_connections", []<class Pool>() { return crowded<Pool>(); });
    return 0;
}
