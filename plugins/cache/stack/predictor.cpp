// SPDX-License-Identifier: Apache-2.0
#include "plugins/cache/stack/predictor.hpp"

#include "plugins/cache/stack/envelope.hpp"

#include <algorithm>

namespace tenon::cache_stack {
namespace {

constexpr std::uint64_t k_odd = 0x9e3779b97f4a7c15U;

std::uint64_t mixed(std::uint64_t a, std::uint64_t b) noexcept {
    std::uint64_t h = a * k_odd + b;
    h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93U;
    h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93U;
    return h ^ (h >> 32);
}

}  // namespace

CountMin::CountMin() : cells_(k_rows * k_width) {}

std::size_t CountMin::cell(std::uint64_t what, std::size_t row) noexcept {
    return row * k_width + mixed(what, row + 1) % k_width;
}

void CountMin::add(std::uint64_t what) {
    const std::uint32_t now = count(what);
    for (std::size_t row = 0; row < k_rows; ++row) {
        // Only the smallest: the others count something else, too.
        std::uint16_t& one = cells_[cell(what, row)];
        if (one == now && one != UINT16_MAX) {
            ++one;
        }
    }
    if (++added_ == k_width * 10) {
        added_ /= 2;
        for (std::uint16_t& one : cells_) {
            one /= 2;
        }
    }
}

std::uint32_t CountMin::count(std::uint64_t what) const noexcept {
    std::uint16_t least = UINT16_MAX;
    for (std::size_t row = 0; row < k_rows; ++row) {
        least = std::min(least, cells_[cell(what, row)]);
    }
    return least;
}

Predictor::Predictor() : sessions_(k_sessions), candidates_(k_candidates) {}

std::optional<Predictor::Next> Predictor::asked(
    std::uint64_t session,
    std::uint32_t cache,
    std::string_view key,
    std::int64_t now_ns
) {
    const std::unique_lock lock{mutex_, std::try_to_lock};
    if (!lock.owns_lock()) {
        return std::nullopt;
    }
    const std::uint64_t pair = mixed(hash_of(key), cache);
    if (const auto found = watched_.find(pair); found != watched_.end()) {
        const Watched seen = found->second;
        watched_.erase(found);
        resolve(now_ns < seen.until_ns, seen.fetched);
    }
    give_up(now_ns);
    Session& mine = sessions_[mixed(session, 0) % k_sessions];
    if (mine.name == session && mine.last != 0 && mine.last != pair) {
        learn(mine.last, pair, cache, key);
    }
    mine = {session, pair};
    counts_.add(pair);
    const Candidate& likely = candidates_[pair % k_candidates];
    if (likely.before != pair) {
        return std::nullopt;
    }
    const std::uint32_t both = counts_.count(mixed(pair, likely.pair));
    if (both < k_seen_min || both * 2 < counts_.count(pair) ||
        watched_.find(likely.pair) != watched_.end()) {
        return std::nullopt;
    }
    return likely.next;
}

void Predictor::learn(
    std::uint64_t before,
    std::uint64_t pair,
    std::uint32_t cache,
    std::string_view key
) {
    counts_.add(mixed(before, pair));
    Candidate& likely = candidates_[before % k_candidates];
    const bool free = likely.before == 0;
    const bool better =
        likely.before == before
            ? counts_.count(mixed(before, pair)) > counts_.count(mixed(before, likely.pair))
            : counts_.count(before) > counts_.count(likely.before);
    if (free || (better && likely.pair != pair)) {
        likely = {before, pair, {cache, std::string{key}}};
    }
}

bool Predictor::missing(const Next& next, std::int64_t now_ns, std::int64_t until_ns, bool free) {
    const std::unique_lock lock{mutex_, std::try_to_lock};
    if (!lock.owns_lock()) {
        return false;
    }
    give_up(now_ns);
    const std::uint64_t pair = mixed(hash_of(next.key), next.cache);
    if (by_time_.size() >= k_watched_max || until_ns <= now_ns ||
        watched_.find(pair) != watched_.end()) {
        return false;
    }
    const bool fetch = free && pays();
    const std::int64_t until = std::min(until_ns, now_ns + k_horizon_ns);
    watched_.emplace(pair, Watched{until, fetch});
    by_time_.emplace(until, pair);
    ++numbers_.predicted;
    numbers_.fetched += fetch ? 1U : 0U;
    return fetch;
}

void Predictor::loaded() noexcept {
    const std::unique_lock lock{mutex_, std::try_to_lock};
    if (lock.owns_lock() && ++loads_ == 10'000) {
        loads_ /= 2;
        vain_ /= 2;
    }
}

void Predictor::resolve(bool right, bool fetched) {
    window_.push_back(right);
    right_ += right ? 1U : 0U;
    numbers_.right += right ? 1U : 0U;
    if (fetched && !right) {
        ++vain_;
        ++numbers_.in_vain;
    }
    if (window_.size() > k_window) {
        right_ -= window_.front() ? 1U : 0U;
        window_.pop_front();
    }
}

// Those whose time is over.
void Predictor::give_up(std::int64_t now_ns) {
    while (!by_time_.empty() && by_time_.begin()->first <= now_ns) {
        const auto found = watched_.find(by_time_.begin()->second);
        if (found != watched_.end() && found->second.until_ns <= now_ns) {
            const bool fetched = found->second.fetched;
            watched_.erase(found);
            resolve(false, fetched);
        }
        by_time_.erase(by_time_.begin());
    }
}

bool Predictor::pays() const noexcept {
    return window_.size() >= k_enough && right_ * 2 >= window_.size() && vain_ * 10 <= loads_;
}

Predictor::Numbers Predictor::numbers() const {
    const std::lock_guard lock{mutex_};
    Numbers now = numbers_;
    now.on = pays();
    now.percent = window_.empty() ? 0 : static_cast<std::uint32_t>(right_ * 100 / window_.size());
    return now;
}

}  // namespace tenon::cache_stack
