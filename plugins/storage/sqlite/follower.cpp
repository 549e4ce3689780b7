// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/sqlite/follower.hpp"

#include "sdk/capture/heartbeat.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>

namespace tenon::sqlite {
namespace {

constexpr std::int64_t k_poll_ms = 20;
constexpr std::int64_t k_tidy_ns = 500 * k_ms;
constexpr std::int64_t k_retry_ns = 500 * k_ms;
constexpr std::int64_t k_wait_max_ns = 10'000 * k_ms;
constexpr std::int64_t k_silent_ns = 15'000 * k_ms;
constexpr std::size_t k_batch_commits = 256;
constexpr std::uint64_t k_batch_bytes = std::uint64_t{4} << 20U;

std::uint64_t number_of(std::string_view after) {
    std::uint64_t txid = 0;
    const auto parsed = std::from_chars(after.data(), after.data() + after.size(), txid);
    if (parsed.ec != std::errc{} || parsed.ptr != after.data() + after.size()) {
        throw Error{
            TENON_INVALID, "\"" + std::string{after} + "\" is no position of a captured write"};
    }
    return txid;
}

}  // namespace

Follower::Follower(const Settings& settings, const Telemetry& telemetry, Hooks hooks)
    : settings_{settings},
      telemetry_{telemetry},
      hooks_{std::move(hooks)},
      state_file_{settings.file + ".follower"},
      why_not_{"it has not begun"} {
    thread_ = std::thread{[this] { loop(); }};
}

Follower::~Follower() {
    stop();
}

void Follower::stop() noexcept {
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
        moved_.notify_all();
    }
    if (thread_.joinable()) {
        thread_.join();
    }
}

std::int64_t Follower::lag_ns() const noexcept {
    const std::int64_t fresh = fresh_real_ns_.load(std::memory_order_acquire);
    return fresh == 0 ? -1 : std::max<std::int64_t>(telemetry_.now_real_ns() - fresh, 0);
}

FollowerFigures Follower::figures() const noexcept {
    const std::int64_t lag = lag_ns();
    return {
        txid_.load(std::memory_order_acquire),
        bases_.load(std::memory_order_relaxed),
        lag < 0 ? -1 : lag / k_ms};
}

void Follower::require(
    std::int64_t max_staleness_ns,
    std::string_view after,
    std::int64_t deadline_ns
) {
    const std::uint64_t txid = std::max<std::uint64_t>(after.empty() ? 1 : number_of(after), 1);
    const std::int64_t began = telemetry_.now_ns();
    const auto is_there = [&] {
        const std::int64_t lag = lag_ns();
        return txid_.load(std::memory_order_acquire) >= txid &&
               (max_staleness_ns == 0 || (lag >= 0 && lag <= max_staleness_ns));
    };
    if (is_there()) {
        return;
    }
    std::unique_lock lock{mutex_};
    const std::int64_t left = std::clamp<std::int64_t>(deadline_ns - began, 0, k_wait_max_ns);
    // A base takes as long as it takes: who comes before the first one is told at once.
    const bool may_come = txid_.load(std::memory_order_acquire) != 0 && !stopping_;
    if (may_come && moved_.wait_for(lock, std::chrono::nanoseconds{left}, [&] {
            return stopping_ || is_there();
        })) {
        if (!stopping_) {
            return;
        }
    }
    const std::uint64_t has = txid_.load(std::memory_order_acquire);
    std::string text = settings_.file + " follows " + settings_.source + " and ";
    if (has == 0) {
        text += "holds nothing yet: " + why_not_;
    } else if (has < txid) {
        text += "has commit " + std::to_string(has) + ", asked for: " + std::to_string(txid);
    } else {
        text += "may be " + std::to_string(lag_ns() / k_ms) +
                " ms old, allowed: " + std::to_string(max_staleness_ns / k_ms);
    }
    throw DatabaseError{TENON_UNAVAILABLE, text, Failure::other_host};
}

void Follower::loop() noexcept {
    std::unique_lock lock{mutex_};
    while (!stopping_) {
        lock.unlock();
        if (telemetry_.now_ns() >= next_try_ns_) {
            try {
                turn();
                health("");
            } catch (const std::exception& e) {
                walker_.reset();
                next_try_ns_ = telemetry_.now_ns() + k_retry_ns;
                health(e.what());
            }
        }
        (void)guard(nullptr, [&] { tidy(); });
        lock.lock();
        moved_.wait_for(lock, std::chrono::milliseconds{k_poll_ms}, [&] { return stopping_; });
    }
    lock.unlock();
    (void)guard(nullptr, [&] {
        if (connection_) {
            checkpoint(true);
            save(true);
        }
    });
}

// Up to where the source is now.
void Follower::turn() {
    if (!connection_ && !load() && !take_newer_base()) {
        throw Error{TENON_UNAVAILABLE, settings_.source + " holds no base yet"};
    }
    if (!walker_) {
        try {
            walker_ = std::make_unique<capture::Walker>(
                settings_.source, state_.epoch, state_.last_txid, state_.last_hash
            );
            while (walker_->txid() < txid_.load(std::memory_order_relaxed)) {
                if (!walker_->next({})) {
                    throw Error{TENON_NOT_FOUND, "its newest commit is not in " + settings_.source};
                }
            }
        } catch (const Error&) {
            walker_.reset();
            if (!take_newer_base()) {
                throw;
            }
            return;
        }
    }
    const capture::Heartbeat beat = capture::read_heartbeat(settings_.source);
    try {
        while (apply()) {
            const std::lock_guard lock{mutex_};
            if (stopping_) {
                return;
            }
        }
    } catch (const Error&) {
        if (!take_newer_base()) {
            throw;
        }
        return;
    }
    if (beat.txid <= txid_.load(std::memory_order_relaxed) && beat.real_ns != 0) {
        fresh_real_ns_.store(beat.real_ns, std::memory_order_release);
        const std::lock_guard lock{mutex_};
        moved_.notify_all();
    } else if (beat.txid > txid_.load(std::memory_order_relaxed)) {
        (void)take_newer_base();  // another epoch
    }
}

bool Follower::apply() {
    if (!walker_->peek()) {
        return false;
    }
    checkpoint(false);
    const capture::WalPlace before = place_;
    try {
        apply_commits();
    } catch (...) {
        place_ = before;
        (void)guard(nullptr, [&] { wal_->cut(place_, page_size_); });
        walker_.reset();
        throw;
    }
    publish();
    return true;
}

void Follower::apply_commits() {
    if (place_.frame == 0) {
        restart_log();
    }
    std::uint32_t number = 0;  // of the page that is held back: the last one ends the commit
    capture::Bytes held;
    std::uint64_t bytes = 0;
    for (std::size_t i = 0; i < k_batch_commits && bytes < k_batch_bytes; ++i) {
        number = 0;
        const auto commit = walker_->next([&](std::uint32_t next, capture::View page) {
            if (number != 0) {
                wal_->append(place_, page_size_, number, 0, held);
            }
            number = next;
            held.assign(page.begin(), page.end());
            bytes += page.size();
        });
        if (!commit) {
            break;
        }
        if (number == 0 || commit->pages == 0) {
            throw Error{
                TENON_CORRUPT,
                settings_.source + ": commit " + std::to_string(commit->txid) + " has no pages"};
        }
        wal_->append(place_, page_size_, number, commit->pages, held);
    }
    wal_->flush();
}

// Readers see what is in the log from here on.
void Follower::publish() {
    connection_->rebuild_log_index();
    if (connection_->log_index_frames() != place_.frame) {
        throw Error{
            TENON_CORRUPT,
            settings_.file + "-wal is not what was written: somebody else writes to it"};
    }
    state_.last_txid = walker_->txid();
    state_.last_hash = walker_->hash();
    txid_.store(state_.last_txid, std::memory_order_release);
    save(false);
    const std::lock_guard lock{mutex_};
    moved_.notify_all();
}

void Follower::checkpoint(bool idle) {
    const std::int64_t bound = std::int64_t{settings_.wal_checkpoint_mb} << 20U;
    const std::int64_t size = std::int64_t{place_.frame} * page_size_;
    const std::int64_t now = telemetry_.now_ns();
    if (place_.frame == 0 || (!idle && (size < bound || now < next_checkpoint_ns_))) {
        return;
    }
    save(true);
    const KeptSnapshots::Pause pause{telemetry_.snapshots};
    connection_->set_busy_timeout(20);
    const Checkpoint done = connection_->checkpoint(true);
    connection_->set_busy_timeout(settings_.busy_timeout_ms);
    next_checkpoint_ns_ = done.busy ? now + k_tidy_ns : 0;
    if (!done.busy) {
        place_ = {};
        state_.log_txid = state_.last_txid;
        state_.salt1 = state_.salt2 = 0;
        state_.stamp = stamp();
        save(true);
    } else if (size > 16 * bound) {
        throw Error{
            TENON_UNAVAILABLE,
            "a long read keeps the log of " + settings_.file + " at " + std::to_string(size >> 20) +
                " MB"};
    }
}

void Follower::tidy() {
    const std::int64_t now = telemetry_.now_ns();
    if (now < next_tidy_ns_) {
        return;
    }
    next_tidy_ns_ = now + k_tidy_ns;
    if (telemetry_.snapshots != nullptr) {
        telemetry_.snapshots->end_all();
    }
    if (lag_ns() > k_silent_ns && reason_.empty()) {
        health("nothing was captured in " + settings_.source + " for a while: its writer is down");
    }
    if (txid_.load(std::memory_order_relaxed) != 0) {
        hooks_.idle();  // else there is no file to connect to
    }
}

void Follower::health(std::string_view reason) noexcept {
    if (reason == reason_ || (reason.empty() && lag_ns() > k_silent_ns)) {
        return;
    }
    (void)guard(nullptr, [&] {
        reason_ = reason;
        const std::lock_guard lock{mutex_};
        why_not_ = reason;
    });
    if (!reason.empty()) {
        telemetry_.log.warn("database_follower", {{"reason", reason}});
    }
    if (telemetry_.health) {
        telemetry_.health->set(
            telemetry_.health.self,
            str("follower"),
            reason.empty() ? TENON_HEALTHY : TENON_DEGRADED,
            str(reason_)
        );
    }
}

}  // namespace tenon::sqlite
