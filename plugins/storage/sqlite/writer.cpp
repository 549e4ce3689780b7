// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/sqlite/writer.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>

namespace tenon::sqlite {
namespace {

constexpr std::int64_t k_tick_ms = 500;
constexpr std::int64_t k_lock_slice_ms = 250;
constexpr std::int64_t k_day_ms = 86'400'000;

tenon_session* session_of(Connection* connection) noexcept {
    return reinterpret_cast<tenon_session*>(connection);
}

tenon_status report(tenon_err* err, const DatabaseError& error) noexcept {
    return fail(err, error.code(), error.what(), flags_of(error.failure()));
}

}  // namespace

struct Writer::Request {
    tenon_transaction_fn fn = nullptr;  // null: a lease
    void* ctx = nullptr;
    tenon_err* err = nullptr;
    std::int64_t deadline_ns = 0;
    std::int64_t queued_ns = 0;
    Connection* leased = nullptr;
    std::uint64_t txid = 0;
    std::thread::id caller = std::this_thread::get_id();

    std::mutex mutex;
    std::condition_variable wake;
    bool finished = false;
    tenon_status status = TENON_OK;
};

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

tenon_status
Writer::transact(std::int64_t deadline_ns, tenon_transaction_fn fn, void* ctx, tenon_err* err) {
    std::uint64_t txid = 0;
    return transact(deadline_ns, fn, ctx, txid, err);
}

tenon_status Writer::transact(
    std::int64_t deadline_ns,
    tenon_transaction_fn fn,
    void* ctx,
    std::uint64_t& txid,
    tenon_err* err
) {
    Request request;
    request.fn = fn;
    request.ctx = ctx;
    request.err = err;
    request.deadline_ns = deadline_ns;
    enqueue_and_wait(request);
    txid = request.txid;
    return request.status;
}

Connection* Writer::lease(std::int64_t deadline_ns) {
    ErrorBuffer err;
    Request request;
    request.err = &err;
    request.deadline_ns = deadline_ns;
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
    std::unique_lock lock{request.mutex};
    const auto finished = [&] { return request.finished; };
    if (request.deadline_ns != INT64_MAX) {
        const std::chrono::nanoseconds left{
            std::max<std::int64_t>(request.deadline_ns - request.queued_ns, 0)};
        if (request.wake.wait_for(lock, left, finished)) {
            return;
        }
        lock.unlock();
        {
            const std::lock_guard queue_lock{mutex_};
            const auto at = std::find(queue_.begin(), queue_.end(), &request);
            if (at != queue_.end()) {  // nobody has begun it
                queue_.erase(at);
                ++figures_.timeouts;
                request.status = fail(
                    request.err,
                    TENON_TIMEOUT,
                    "the write did not begin before its deadline",
                    flags_of(Failure::timeout)
                );
                return;
            }
        }
        lock.lock();
    }
    request.wake.wait(lock, finished);
}

void Writer::finish(Request& request, tenon_status status) noexcept {
    // The request lives on the caller's stack: not to be touched after the unlock.
    const std::lock_guard lock{request.mutex};
    request.status = status;
    request.finished = true;
    request.wake.notify_one();
}

void Writer::loop() noexcept {
    Group group;
    while (take_group(group)) {
        if (!group.empty()) {
            if (group.front()->fn == nullptr) {
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
        const bool is_lease = queue_.front()->fn == nullptr;
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

void Writer::expire(Group& group) noexcept {
    const std::int64_t now = telemetry_.now_ns();
    const auto late = std::stable_partition(group.begin(), group.end(), [&](const Request* r) {
        return r->deadline_ns > now;
    });
    const auto count = static_cast<std::uint64_t>(std::distance(late, group.end()));
    if (count != 0) {
        const std::lock_guard lock{mutex_};
        figures_.timeouts += count;
    }
    for (auto it = late; it != group.end(); ++it) {
        const std::string why = reason_.empty() ? "" : ": " + reason_;
        finish(
            **it,
            fail(
                (*it)->err,
                TENON_TIMEOUT,
                "the write did not begin before its deadline" + why,
                flags_of(Failure::timeout)
            )
        );
    }
    group.erase(late, group.end());
}

void Writer::fail_all(Group& group, const DatabaseError& error) noexcept {
    {
        const std::lock_guard lock{mutex_};
        figures_.errors += group.size();
        figures_.in_doubt += error.failure() == Failure::in_doubt ? group.size() : 0;
    }
    for (Request* request : group) {
        finish(*request, report(request->err, error));
    }
    group.clear();
}

void Writer::run_group(Group& group) noexcept {
    try {
        expire(group);
        while (!group.empty()) {
            require_file();
            if (capture_) {
                capture_->require_room();
            }
            begin_patiently(group);
            if (run_all(group)) {
                commit_group(group);
                break;
            }
        }
        last_write_ns_ = telemetry_.now_ns();
        if (!reason_.empty()) {
            health(TENON_HEALTHY, "");
        }
    } catch (const DatabaseError& e) {
        (void)connection_->make_idle();
        if (e.code() != TENON_CONFLICT && e.code() != TENON_TIMEOUT) {
            health(TENON_DEGRADED, e.what());
        }
        fail_all(group, e);
    } catch (const std::exception& e) {
        (void)connection_->make_idle();
        fail_all(group, DatabaseError{TENON_INTERNAL, e.what(), Failure::permanent});
    }
}

// Waits for a lock that a stranger holds, as long as the settings and the deadlines allow.
void Writer::begin_patiently(const Group& group) {
    const std::int64_t began = telemetry_.now_ns();
    std::int64_t until = began + settings_.busy_timeout_ms * k_ms;
    std::int64_t latest = 0;
    for (const Request* request : group) {
        latest = std::max(latest, request->deadline_ns);
    }
    until = std::min(until, latest);
    for (;;) {
        const std::int64_t left_ms =
            std::max<std::int64_t>((until - telemetry_.now_ns()) / k_ms, 0);
        connection_->set_busy_timeout(std::min(left_ms, k_lock_slice_ms));
        try {
            connection_->begin();
            connection_->set_busy_timeout(settings_.busy_timeout_ms);
            return;
        } catch (const DatabaseError& e) {
            if (!e.retryable()) {
                throw;
            }
            // The stranger may hold it while it waits for a snapshot that we keep.
            if (telemetry_.snapshots != nullptr) {
                telemetry_.snapshots->end_all();
            }
            bool stopping = false;
            {
                const std::lock_guard lock{mutex_};
                stopping = stopping_;
            }
            if (stopping || telemetry_.now_ns() + k_ms >= until) {
                throw DatabaseError{
                    TENON_UNAVAILABLE,
                    "another process holds the write lock of " + settings_.file,
                    Failure::retry_transaction,
                    e.extended()};
            }
            health(TENON_DEGRADED, "another process holds the write lock of " + settings_.file);
        }
    }
}

// True: the requests left in the group wait for the COMMIT. False: SQLite rolled everything back;
// who was to blame is out of the group, the rest has to run again.
bool Writer::run_all(Group& group) {
    const bool alone = group.size() == 1;
    for (std::size_t i = 0; i < group.size();) {
        if (run_one(*group[i], alone)) {
            ++i;
            continue;
        }
        const bool rolled_back = !connection_->in_transaction();
        {
            const std::lock_guard lock{mutex_};
            ++figures_.errors;
        }
        Request& failed = *group[i];
        group.erase(group.begin() + static_cast<std::ptrdiff_t>(i));
        finish(failed, failed.status);
        if (rolled_back && !group.empty()) {
            return false;
        }
    }
    return true;
}

bool Writer::run_one(Request& request, bool alone) {
    if (!alone) {
        connection_->savepoint();
    }
    request.status = request.fn(request.ctx, session_of(connection_.get()), request.err);
    connection_->reset_statements();
    if (!connection_->in_transaction()) {
        if (request.status >= 0) {
            request.status =
                fail(request.err, TENON_INTERNAL, "the database rolled the transaction back");
        }
        return false;
    }
    if (request.status > 0) {
        request.status =
            fail(request.err, TENON_INTERNAL, "a transaction ends with TENON_OK or fails");
    }
    if (request.status == TENON_OK && connection_->has_unresolved_foreign_keys()) {
        request.status = fail(
            request.err,
            TENON_CONFLICT,
            "FOREIGN KEY constraint failed (deferred)",
            flags_of(Failure::constraint)
        );
    }
    if (request.status == TENON_OK) {
        if (!alone) {
            connection_->release_savepoint();
        }
        return true;
    }
    if (alone) {
        connection_->rollback();
    } else {
        connection_->rollback_to_savepoint();
    }
    return false;
}

void Writer::commit_group(Group& group) {
    if (group.empty()) {
        (void)connection_->make_idle();
        return;
    }
    try {
        connection_->commit();
    } catch (const DatabaseError& e) {
        // After a failed sync the frames may or may not be on disk.
        if (is_io_error(e.extended())) {
            throw DatabaseError{TENON_IN_DOUBT, e.what(), Failure::in_doubt, e.extended()};
        }
        throw;
    }
    // A file that went away meanwhile took the commit along, unless it can be written anew.
    const FileState state = identity_.look();
    if (state == FileState::replaced) {
        throw DatabaseError{
            TENON_IN_DOUBT, settings_.file + " was replaced during the commit", Failure::in_doubt};
    }
    if (state == FileState::missing) {
        try {
            recover_file(state);
        } catch (const DatabaseError& e) {
            throw DatabaseError{TENON_IN_DOUBT, e.what(), Failure::in_doubt, e.extended()};
        }
    }
    {
        const std::lock_guard lock{mutex_};
        figures_.transactions += group.size();
        ++figures_.groups;
    }
    if (telemetry_.transactions != nullptr) {
        __atomic_fetch_add(telemetry_.transactions, group.size(), __ATOMIC_RELAXED);
    }
    for (Request* request : group) {
        request->txid = capture_ && capture_->is_current() ? capture_->txid() : 0;
        finish(*request, TENON_OK);
    }
    group.clear();
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
    } catch (const DatabaseError& e) {
        health(TENON_DEGRADED, e.what());
        fail_all(one, e);
        return;
    }
    connection_->set_busy_timeout(settings_.busy_timeout_ms);
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
