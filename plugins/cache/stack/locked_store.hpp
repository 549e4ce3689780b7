// SPDX-License-Identifier: Apache-2.0
// Entries that must not leave the process, nor be swapped out or dumped: one block of memory,
// locked, in slots of equal size. What is erased, replaced, expired or evicted is overwritten.
// Thread-safe.
//
// When the system does not lock the memory nothing is kept. Keys are not secret.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tenon::cache_stack {

// Overwrites, also where the compiler sees no reason to.
void wipe(std::string& text) noexcept;

class LockedStore {
public:
    static constexpr std::size_t k_slots = 256;
    static constexpr std::size_t k_slot_bytes = 2048;

    LockedStore() = default;
    ~LockedStore();
    LockedStore(const LockedStore&) = delete;
    LockedStore& operator=(const LockedStore&) = delete;

    // False, from the first call on: memory could not be had or not be locked.
    [[nodiscard]] bool ready();

    struct Found {
        std::string data;  // the reader's to wipe
        std::int64_t expires_ns;
    };

    [[nodiscard]] std::optional<Found> get(std::string_view key, std::int64_t now_ns);
    // False: it is longer than a slot, or nothing is kept at all. What was there is gone. The entry
    // that expires first makes room.
    bool put(std::string_view key, std::string_view data, std::int64_t now_ns, std::int64_t ttl_ns);
    void erase(std::string_view key);
    void clear();
    // Expired ones, and those that `wanted` says no to.
    using Wanted = std::function<bool(std::string_view key, std::string_view data)>;
    void drop_unwanted(std::int64_t now_ns, const Wanted& wanted);

    [[nodiscard]] std::size_t size() const;

private:
    struct Slot {
        std::size_t index = 0, length = 0;
        std::int64_t expires_ns = 0;
    };

    using Slots = std::unordered_map<std::string, Slot>;

    [[nodiscard]] bool ready_locked();

    [[nodiscard]] char* at(const Slot& slot) const noexcept {
        return block_ + slot.index * k_slot_bytes;
    }

    Slots::iterator drop(Slots::iterator slot) noexcept;
    void drop_expired(std::int64_t now_ns) noexcept;

    mutable std::mutex mutex_;
    char* block_ = nullptr;
    bool failed_ = false;
    Slots slots_;
    std::vector<std::size_t> free_;
};

}  // namespace tenon::cache_stack
