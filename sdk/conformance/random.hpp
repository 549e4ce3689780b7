// SPDX-License-Identifier: Apache-2.0
// Random numbers that a seed repeats on every machine: SplitMix64 (Steele, Lea, Flood: Fast
// Splittable Pseudorandom Number Generators, OOPSLA 2014).
#pragma once

#include <cstdint>
#include <string>

namespace tenon::conformance {

class Random {
public:
    explicit Random(std::uint64_t seed) : state_{seed} {}

    std::uint64_t next() noexcept {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
        z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31U);
    }

    // From 0 to below `bound`, which is not 0.
    std::uint64_t below(std::uint64_t bound) noexcept { return next() % bound; }

    // Any bytes, NUL included.
    std::string bytes(std::size_t count) {
        std::string text(count, '\0');
        for (char& c : text) {
            c = static_cast<char>(next() & 0xffU);
        }
        return text;
    }

private:
    std::uint64_t state_;
};

}  // namespace tenon::conformance
