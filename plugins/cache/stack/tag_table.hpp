// SPDX-License-Identifier: Apache-2.0
// When each tag was last invalidated. Thread-safe.
//
// An entry counts only when none of its tags was invalidated after its load began, so invalidating
// a tag is one write here, however many entries carry it. Sequences are real time in ns, made
// strictly ascending: they go on after a restart and compare between servers as well as their
// clocks do.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <unordered_map>

namespace tenon::cache_stack {

class TagTable {
public:
    static constexpr std::size_t k_tags_max = 1 << 20;

    // The next sequence.
    [[nodiscard]] std::int64_t next(std::int64_t now_real_ns) noexcept {
        std::int64_t last = last_.load();
        std::int64_t mine = 0;
        do {
            mine = std::max(last + 1, now_real_ns);
        } while (!last_.compare_exchange_weak(last, mine));
        return mine;
    }

    // now_ns: the monotonic time, for forget_before.
    void invalidate(std::uint64_t tag, std::int64_t sequence, std::int64_t now_ns) {
        Part& part = part_of(tag);
        const std::lock_guard lock{part.mutex};
        if (part.tags.size() >= k_tags_max / k_parts && part.tags.find(tag) == part.tags.end()) {
            part.tags.clear();  // full: everything that is older does not count any more
            floor_.store(std::max(floor_.load(), sequence));
        }
        Mark& mark = part.tags[tag];
        mark.sequence = std::max(mark.sequence, sequence);
        mark.made_ns = std::max(mark.made_ns, now_ns);
        any_.store(true);
    }

    // True when the tag was not invalidated at or after `sequence`.
    [[nodiscard]] bool holds(std::uint64_t tag, std::int64_t sequence) const {
        if (!any_.load(std::memory_order_acquire)) {
            return true;
        }
        const Part& part = part_of(tag);
        const std::lock_guard lock{part.mutex};
        if (sequence <= floor_.load()) {  // under the lock: a full part is cleared under it
            return false;
        }
        const auto found = part.tags.find(tag);
        return found == part.tags.end() || found->second.sequence < sequence;
    }

    // Forgets what is older than any entry can be. By the monotonic time: entries live by it, and
    // the real time, of which sequences are made, may jump.
    void forget_before(std::int64_t made_ns) {
        for (Part& part : parts_) {
            const std::lock_guard lock{part.mutex};
            std::erase_if(part.tags, [&](const auto& tag) { return tag.second.made_ns < made_ns; });
        }
    }

    [[nodiscard]] std::size_t size() const {
        std::size_t sum = 0;
        for (const Part& part : parts_) {
            const std::lock_guard lock{part.mutex};
            sum += part.tags.size();
        }
        return sum;
    }

private:
    static constexpr std::size_t k_parts = 16;

    struct Mark {
        std::int64_t sequence = INT64_MIN;
        std::int64_t made_ns = INT64_MIN;
    };

    struct Part {
        mutable std::mutex mutex;
        std::unordered_map<std::uint64_t, Mark> tags;
    };

    [[nodiscard]] Part& part_of(std::uint64_t tag) noexcept { return parts_[tag >> 60]; }

    [[nodiscard]] const Part& part_of(std::uint64_t tag) const noexcept {
        return parts_[tag >> 60];
    }

    std::array<Part, k_parts> parts_;
    std::atomic<std::int64_t> last_{0};
    std::atomic<std::int64_t> floor_{INT64_MIN};
    std::atomic<bool> any_{false};
};

}  // namespace tenon::cache_stack
