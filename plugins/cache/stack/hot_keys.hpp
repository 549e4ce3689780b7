// SPDX-License-Identifier: Apache-2.0
// The keys of a cache that are asked for most, by one request in sixteen: the space-saving counters
// of Metwally, Agrawal, El Abbadi ("Efficient computation of frequent and top-k elements in data
// streams", 2005). Bounded; thread-safe; who would have to wait is not counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::cache_stack {

class HotKeys {
public:
    static constexpr std::size_t k_keys_max = 256;

    // any: a number that differs from request to request.
    void asked(std::string_view key, std::uint64_t any);
    // The most asked first.
    [[nodiscard]] std::vector<std::string> hottest(std::size_t count) const;

private:
    struct Count {
        std::string key;
        std::uint64_t asked = 0;
    };

    mutable std::mutex mutex_;
    std::vector<Count> counts_;
};

}  // namespace tenon::cache_stack
