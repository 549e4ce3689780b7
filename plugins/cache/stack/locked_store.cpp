// SPDX-License-Identifier: Apache-2.0
#include "plugins/cache/stack/locked_store.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <sys/mman.h>

namespace tenon::cache_stack {

namespace {

constexpr std::size_t k_block_bytes = LockedStore::k_slots * LockedStore::k_slot_bytes;

}  // namespace

void wipe(std::string& text) noexcept {
    explicit_bzero(text.data(), text.size());
    text.clear();
}

LockedStore::~LockedStore() {
    if (block_ != nullptr) {
        explicit_bzero(block_, k_block_bytes);
        (void)munlock(block_, k_block_bytes);
        (void)munmap(block_, k_block_bytes);
    }
}

bool LockedStore::ready() {
    const std::lock_guard lock{mutex_};
    return ready_locked();
}

bool LockedStore::ready_locked() {
    if (block_ != nullptr || failed_) {
        return block_ != nullptr;
    }
    void* const block =
        mmap(nullptr, k_block_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) {
        failed_ = true;
        return false;
    }
    if (mlock(block, k_block_bytes) != 0) {
        (void)munmap(block, k_block_bytes);
        failed_ = true;
        return false;
    }
    // Not in dumps, and not in children.
    (void)madvise(block, k_block_bytes, MADV_DONTDUMP);
    (void)madvise(block, k_block_bytes, MADV_WIPEONFORK);
    free_.resize(k_slots);
    std::iota(free_.begin(), free_.end(), std::size_t{0});
    block_ = static_cast<char*>(block);
    return true;
}

LockedStore::Slots::iterator LockedStore::drop(Slots::iterator slot) noexcept {
    explicit_bzero(at(slot->second), slot->second.length);
    free_.push_back(slot->second.index);  // there is room: it came from there
    return slots_.erase(slot);
}

void LockedStore::drop_expired(std::int64_t now_ns) noexcept {
    for (auto slot = slots_.begin(); slot != slots_.end();) {
        slot = slot->second.expires_ns <= now_ns ? drop(slot) : std::next(slot);
    }
}

std::optional<LockedStore::Found> LockedStore::get(std::string_view key, std::int64_t now_ns) {
    const std::lock_guard lock{mutex_};
    drop_expired(now_ns);
    const auto found = slots_.find(std::string{key});
    if (found == slots_.end()) {
        return std::nullopt;
    }
    return Found{std::string{at(found->second), found->second.length}, found->second.expires_ns};
}

bool LockedStore::put(
    std::string_view key,
    std::string_view data,
    std::int64_t now_ns,
    std::int64_t ttl_ns
) {
    std::string name{key};
    const std::lock_guard lock{mutex_};
    if (const auto old = slots_.find(name); old != slots_.end()) {
        drop(old);
    }
    if (!ready_locked() || data.size() > k_slot_bytes) {
        return false;
    }
    drop_expired(now_ns);
    if (free_.empty()) {
        drop(std::min_element(slots_.begin(), slots_.end(), [](const auto& a, const auto& b) {
            return a.second.expires_ns < b.second.expires_ns;
        }));
    }
    const auto slot = slots_.emplace(std::move(name), Slot{}).first;
    slot->second = {free_.back(), data.size(), now_ns + ttl_ns};
    free_.pop_back();
    std::copy(data.begin(), data.end(), at(slot->second));
    return true;
}

void LockedStore::erase(std::string_view key) {
    const std::lock_guard lock{mutex_};
    if (const auto found = slots_.find(std::string{key}); found != slots_.end()) {
        drop(found);
    }
}

void LockedStore::clear() {
    const std::lock_guard lock{mutex_};
    for (auto slot = slots_.begin(); slot != slots_.end();) {
        slot = drop(slot);
    }
}

void LockedStore::drop_unwanted(std::int64_t now_ns, const Wanted& wanted) {
    const std::lock_guard lock{mutex_};
    for (auto slot = slots_.begin(); slot != slots_.end();) {
        const bool keep = slot->second.expires_ns > now_ns &&
                          wanted(slot->first, {at(slot->second), slot->second.length});
        slot = keep ? std::next(slot) : drop(slot);
    }
}

std::size_t LockedStore::size() const {
    const std::lock_guard lock{mutex_};
    return slots_.size();
}

}  // namespace tenon::cache_stack
