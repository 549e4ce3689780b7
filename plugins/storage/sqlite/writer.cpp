// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/sqlite/writer_request.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>

namespace tenon::sqlite {
namespace {

constexpr std::int64_t k_tick_ms = 500;
constexpr std::int64_t k_day_ms = 86'400'000;

}  // namespace

Writer::Writer(const Settings& settings, const Telemetry& telemetry, Hooks hooks)
    : settings_{settings}, telemetry_{telemetry}, hooks_{std::move(hooks)} {
    connection_ = std::make_unique<Connection>(settings_, telemetry_, Role::writer);
    identity_ = FileIdentity{settings_.file};
    if (!settings_.capture.folder.empty()) {
        capture_ = std::make_unique<Capture>(settings_, telemetry_);
        capture_->attach(*connection_);
    }
    next_optimize_ns_ = telemetry_.now_ns() + k_day_ms * k_ms;
    health(TENON_HEALTHY, "");
    thread_ = std::thread{[this] { loop(); }};
}

Writer::~Writer() {
    stop();
}

tenon_status Writer::transact(const Work& work, std::uint64_t& txid) {
    Request request;
    request.work = work;
    enqueue_and_wait(request);
    txid = request.txid;
    return request.status;
}

Connection* Writer::lease(std::int64_t deadline_ns) {
    ErrorBuffer err;
    Request request;
    request.work.err = &err;
    request.work.deadline_ns = deadline_ns;
    enqueue_and_wait(request);
    if (request.status != TENON_OK) {
        throw DatabaseError{request.status, std::string{err.message()}, failure_of(err.flags)};
    }
    return request.leased;
}

void Writer::release(Connection* connection) noexcept {
    const bool usable = connection->make_idle();
    connection->set_unlimited(false);
    const std::lock_guard lock{mutex_};
    returned_unusable_ = !usable || stopping_;  // stop() has cancelled it
    leased_ = false;
    lessee_ = {};
    work_.notify_one();
}

void Writer::enqueue_and_wait(Request& request) {
    request.queued_ns = telemetry_.now_ns();
    {
        const std::lock_guard lock{mutex_};
        const auto self = std::this_thread::get_id();
        if (self == thread_.get_id() || (leased_ && self == lessee_)) {
            throw DatabaseError{
                TENON_INVALID,
                "a write inside a write: the thread would wait for itself",
                Failure::permanent};
        }
        if (stopping_) {
            throw DatabaseError{TENON_UNAVAILABLE, "the database is stopping", Failure::permanent};
        }
        if (queue_.size() >= settings_.queue_max) {
            throw DatabaseError{
                TENON_UNAVAILABLE,
                "the writer's queue is full (" + std::to_string(settings_.queue_max) + ")",
                Failure::retry_transaction};
        }
        queue_.push_back(&request);
        if (queue_.size() == 1) {
            work_.notify_one();
        }
    }
    std::int64_t left_ns = INT64_MAX;
    if (request.work.deadline_ns != INT64_MAX) {
        left_ns = std::max<std::int64_t>(request.work.deadline_ns - request.queued_ns, 0);
    }
    if (request.finished.wait(left_ns)) {
        return;
    }
    {
        const std::lock_guard lock{mutex_};
        const auto at = std::find(queue_.begin(), queue_.end(), &request);
        if (at != queue_.end()) {  // nobody has begun it
            queue_.erase(at);
            ++figures_.timeouts;
            request.status = fail(
                request.work.err,
                TENON_TIMEOUT,
                "the write did not begin before its deadline",
                flags_of(Failure::timeout)
            );
            return;
        }
    }
    (void)request.finished.wait(INT64_MAX);
}

void Writer::finish(Request& request, tenon_status status) noexcept {
    request.status = status;
    request.finished.set();  // the caller takes it away
}

void Writer::loop() noexcept {
    Group group;
    while (take_group(group)) {
        if (!group.empty()) {
            if (group.front()->work.fn == nullptr) {
                lend(*group.front());
            } else {
                run_group(group);
            }
        }
        tidy();
    }
    (void)guard(nullptr, [&] {
        connection_->optimize();
        const KeptSnapshots::Pause pause{telemetry_.snapshots};
        connection_->set_busy_timeout(k_tick_ms);
        if (capture_) {
            if (capture_->before_checkpoint()) {
                capture_->after_checkpoint(connection_->checkpoint(true));
            }
            return;  // what closes the last connection must not empty the log
        }
        (void)connection_->checkpoint(true);
        if (identity_.look() == FileState::same) {
            connection_->keep_wal_on_close(false);
        }
    });
    if (capture_) {
        capture_->stop();
    }
}

// False: stopped, and nothing is left to do. An empty group: time to look after the house.
bool Writer::take_group(Group& group) {
    group.clear();
    std::unique_lock lock{mutex_};
    work_.wait_for(lock, std::chrono::milliseconds{k_tick_ms}, [&] {
        return !queue_.empty() || stopping_;
    });
    while (!queue_.empty() && group.size() < settings_.group_max) {
        const bool is_lease = queue_.front()->work.fn == nullptr;
        if (is_lease && !group.empty()) {
            break;
        }
        group.push_back(queue_.front());
        queue_.pop_front();
        if (is_lease) {
            break;
        }
    }
    const std::int64_t now = telemetry_.now_ns();
    for (const Request* request : group) {
        const std::int64_t waited = now - request->queued_ns;
        figures_.wait_total_ns += waited;
        figures_.wait_max_ns = std::max(figures_.wait_max_ns, waited);
    }
    return !group.empty() || !stopping_;
}

void Writer::lend(Request& request) noexcept {
    Group one{&request};
    expire(one);
    if (one.empty()) {
        return;
    }
    try {
        require_file();
        if (capture_) {
            capture_->require_room();
        }
        connection_->set_busy_timeout(settings_.busy_timeout_ms);
        connection_->sync_commits(settings_.synchronous == "full");
    } catch (const DatabaseError& e) {
        health(TENON_DEGRADED, e.what());
        fail_all(one, e);
        return;
    }
    std::unique_lock lock{mutex_};
    if (stopping_) {
        lock.unlock();
        fail_all(
            one, DatabaseError{TENON_UNAVAILABLE, "the database is stopping", Failure::permanent}
        );
        return;
    }
    connection_->set_unlimited(true);
    leased_ = true;
    lessee_ = request.caller;
    request.leased = connection_.get();
    lock.unlock();
    finish(request, TENON_OK);
    lock.lock();
    const auto returned = [&] { return !leased_; };
    while (!work_.wait_for(lock, std::chrono::milliseconds{k_tick_ms}, returned)) {
        lock.unlock();
        if (telemetry_.snapshots != nullptr) {
            telemetry_.snapshots->end_all();  // as tidy() does, however long the lease is
        }
        lock.lock();
    }
    last_write_ns_ = telemetry_.now_ns();
    if (returned_unusable_) {
        lock.unlock();
        telemetry_.log.warn("write_session_unusable");
        (void)guard(nullptr, [&] { reopen(false); });
    }
}

void Writer::tidy() noexcept {
    const std::int64_t now = telemetry_.now_ns();
    checkpoint(false);
    if (now < next_check_ns_) {
        return;
    }
    next_check_ns_ = now + k_tick_ms * k_ms;
    if (telemetry_.snapshots != nullptr) {
        telemetry_.snapshots->end_all();  // others may want to checkpoint, too
    }
    try {
        require_file();
        connection_->look_for_strangers();
        if (!reason_.empty()) {
            connection_->set_busy_timeout(0);
            connection_->begin();  // proves that the lock is free and the disk takes writes
            connection_->rollback();
            health(TENON_HEALTHY, "");
        }
        if (now >= next_optimize_ns_) {
            next_optimize_ns_ = now + k_day_ms * k_ms;
            connection_->optimize();
        }
        prune_keys(now);
        if (capture_) {
            capture_->tick();
        }
        checkpoint(now - last_write_ns_ >= k_tick_ms * k_ms);
        hooks_.idle();
    } catch (const DatabaseError& e) {
        health(TENON_DEGRADED, e.what());
    } catch (const std::exception& e) {
        telemetry_.log.error("database_maintenance_failed", {{"reason", e.what()}});
    }
}

// What goes wrong here goes wrong for writers, too, and they tell it.
void Writer::prune_keys(std::int64_t now_ns) noexcept {
    const tenon_status done = guard(nullptr, [&] {
        connection_->set_busy_timeout(0);
        keys_.prune(*connection_, now_ns, telemetry_.now_real_ns());
    });
    if (done != TENON_OK) {
        (void)connection_->make_idle();
    }
}

// Copies the WAL into the database when it passed its bound, or when there is time.
void Writer::checkpoint(bool idle) noexcept {
    const std::int64_t frames = connection_->wal_frames();
    const std::int64_t bound =
        (std::int64_t{settings_.wal_checkpoint_mb} << 20) / std::int64_t{settings_.page_size};
    const std::int64_t now = telemetry_.now_ns();
    if (frames == 0 || (!idle && (frames < bound || now < next_checkpoint_ns_))) {
        return;
    }
    if (capture_ && !capture_->before_checkpoint()) {
        return;
    }
    const KeptSnapshots::Pause pause{telemetry_.snapshots};
    try {
        // TRUNCATE needs a moment without readers in the WAL; without one it did the copying at
        // least, and is tried again soon.
        connection_->set_busy_timeout(idle ? 0 : 20);
        const Checkpoint done = connection_->checkpoint(true);
        if (capture_) {
            capture_->after_checkpoint(done);
        }
        next_checkpoint_ns_ = done.busy ? now + k_tick_ms * k_ms : 0;
        if (done.busy && frames > 4 * bound && !wal_warned_) {
            wal_warned_ = true;
            telemetry_.log.warn("wal_kept_by_read", {{"frames", frames}});
        }
        wal_warned_ = wal_warned_ && done.busy;
    } catch (const DatabaseError& e) {
        next_checkpoint_ns_ = now + 1000 * k_ms;
        health(TENON_DEGRADED, e.what());
    }
}

void Writer::health(std::int32_t state, std::string_view reason) noexcept {
    const bool held = telemetry_.now_ns() < held_until_ns_;
    if (reason == reason_ || (state == TENON_HEALTHY && held)) {
        return;
    }
    (void)guard(nullptr, [&] { reason_ = reason; });
    if (telemetry_.health) {
        telemetry_.health->set(telemetry_.health.self, str("database"), state, str(reason_));
    }
}

void Writer::stop() noexcept {
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
        if (leased_) {
            connection_->cancel();  // nothing else bounds what a lease runs
        }
        work_.notify_one();
    }
    if (thread_.joinable()) {
        thread_.join();
    }
}

WriterFigures Writer::figures() const {
    const std::lock_guard lock{mutex_};
    WriterFigures figures = figures_;
    figures.waiting = static_cast<std::uint32_t>(queue_.size());
    figures.leased = leased_;
    return figures;
}

}  // namespace tenon::sqlite
