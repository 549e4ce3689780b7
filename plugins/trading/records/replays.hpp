// SPDX-License-Identifier: Apache-2.0
// The signed writes of the last moments, so that nobody sends one of them again. What was signed is
// remembered, not the signature, which may be spelled in several ways. On one thread. Bounded:
// what is full refuses, because forgetting early would let a copy through.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <unordered_set>
#include <utility>

namespace tenon::records {

class Replays {
public:
    enum class Result : std::uint8_t { fresh, replayed, full };

    // `until_ms`: from then on the timestamp is refused anyway.
    [[nodiscard]] Result
    remember(std::string digest, std::int64_t until_ms, std::int64_t now_ms, std::size_t most) {
        while (!ends_.empty() && ends_.begin()->first < now_ms) {
            known_.erase(ends_.begin()->second);
            ends_.erase(ends_.begin());
        }
        if (known_.contains(digest)) {
            return Result::replayed;
        }
        if (known_.size() >= most) {
            return Result::full;
        }
        ends_.emplace(until_ms, digest);
        known_.insert(std::move(digest));
        return Result::fresh;
    }

private:
    std::unordered_set<std::string> known_;
    std::multimap<std::int64_t, std::string> ends_;
};

}  // namespace tenon::records
