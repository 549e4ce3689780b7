// SPDX-License-Identifier: Apache-2.0
#include "sdk/metrics/counter_cells.hpp"

#include <atomic>
#include <new>
#include <sys/mman.h>

namespace tenon::metrics {

namespace {

constexpr std::size_t k_bytes = k_parts * static_cast<std::size_t>(k_part_bytes);

}  // namespace

CounterCells::CounterCells() {
    void* const memory = ::mmap(
        nullptr, k_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0
    );
    if (memory == MAP_FAILED) {
        throw std::bad_alloc{};
    }
    cells_ = static_cast<std::uint64_t*>(memory);
}

CounterCells::~CounterCells() {
    (void)::munmap(cells_, k_bytes);
}

std::uint64_t* CounterCells::make() noexcept {
    return made_ == k_max ? nullptr : cells_ + made_++;
}

void CounterCells::sum(std::vector<std::uint64_t>& totals) const {
    totals.assign(made_, 0);
    const std::size_t parts = parts_used();
    for (std::size_t part = 0; part < parts; ++part) {
        std::uint64_t* const own = cells_ + part * k_max;
        for (std::size_t i = 0; i < made_; ++i) {
            totals[i] += std::atomic_ref{own[i]}.load(std::memory_order_relaxed);
        }
    }
}

}  // namespace tenon::metrics
