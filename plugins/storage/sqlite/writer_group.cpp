// SPDX-License-Identifier: Apache-2.0
// How the writer runs a group of transactions.
#include "plugins/storage/sqlite/writer_request.hpp"

#include <algorithm>
#include <iterator>

namespace tenon::sqlite {
namespace {

constexpr std::int64_t k_lock_slice_ms = 250;
constexpr std::int64_t k_told_wait_ns = 1'000'000;  // less is no wait
// A commit whose outcome is unknown is looked up, and made again, this often.
constexpr int k_lookups = 3;

tenon_session* session_of(Connection* connection) noexcept {
    return reinterpret_cast<tenon_session*>(connection);
}

tenon_status report(tenon_err* err, const DatabaseError& error) noexcept {
    return fail(err, error.code(), error.what(), flags_of(error.failure()));
}

DatabaseError still_in_doubt(const DatabaseError& error) {
    if (error.failure() == Failure::in_doubt) {
        return error;
    }
    return {
        TENON_IN_DOUBT,
        "it is not known whether the transaction was committed, and its key could not be looked "
        "up: " +
            std::string{error.what()},
        Failure::in_doubt,
        error.extended()};
}

}  // namespace

void Writer::expire(Group& group) noexcept {
    const std::int64_t now = telemetry_.now_ns();
    const auto late = std::stable_partition(group.begin(), group.end(), [&](const Request* r) {
        return r->work.deadline_ns > now;
    });
    const auto count = static_cast<std::uint64_t>(std::distance(late, group.end()));
    if (count != 0) {
        const std::lock_guard lock{mutex_};
        figures_.timeouts += count;
    }
    for (auto it = late; it != group.end(); ++it) {
        const DatabaseError error{
            TENON_TIMEOUT,
            "the write did not begin before its deadline" + (reason_.empty() ? "" : ": " + reason_),
            Failure::timeout};
        finish(**it, report((*it)->work.err, (*it)->in_doubt ? still_in_doubt(error) : error));
    }
    group.erase(late, group.end());
}

void Writer::fail_all(Group& group, const DatabaseError& error) noexcept {
    const bool is_doubt = error.failure() == Failure::in_doubt;
    {
        const std::lock_guard lock{mutex_};
        figures_.errors += group.size();
        for (const Request* request : group) {
            figures_.in_doubt += is_doubt || request->in_doubt ? 1U : 0U;
        }
    }
    for (Request* request : group) {
        finish(
            *request, report(request->work.err, request->in_doubt ? still_in_doubt(error) : error)
        );
    }
    group.clear();
}

// What has a key stays in the group, to be looked up; the others are in doubt.
void Writer::keep_keys(Group& group, const DatabaseError& error) noexcept {
    Group lost;
    const auto keyed = std::stable_partition(group.begin(), group.end(), [](const Request* r) {
        return !r->work.key.empty();
    });
    lost.assign(keyed, group.end());
    group.erase(keyed, group.end());
    fail_all(lost, error);
    for (Request* request : group) {
        request->in_doubt = true;
    }
}

void Writer::run_group(Group& group) noexcept {
    for (int attempt = 0; !group.empty(); ++attempt) {
        try {
            expire(group);
            while (!group.empty()) {
                require_file();
                if (capture_) {
                    capture_->require_room();
                }
                connection_->sync_commits(needs_sync(group));
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
            if (e.failure() == Failure::in_doubt && attempt < k_lookups) {
                keep_keys(group, e);
            } else {
                fail_all(group, e);
            }
        } catch (const std::exception& e) {
            (void)connection_->make_idle();
            fail_all(group, DatabaseError{TENON_INTERNAL, e.what(), Failure::permanent});
        }
    }
}

// One that may not be lost with the power is enough.
bool Writer::needs_sync(const Group& group) const noexcept {
    return std::any_of(group.begin(), group.end(), [&](const Request* request) {
        return request->work.durability == TENON_DURABILITY_REPLICA ||
               (request->work.durability == TENON_DURABILITY_DEFAULT &&
                settings_.synchronous == "full");
    });
}

// Who waited for a stranger's lock had a slow database, though no statement ran.
void Writer::tell_wait(const Group& group, std::int64_t began_ns) const noexcept {
    const std::int64_t waited_ns = telemetry_.now_ns() - began_ns;
    if (waited_ns < k_told_wait_ns || telemetry_.query_duration == nullptr) {
        return;
    }
    for (std::size_t i = 0; i < group.size(); ++i) {
        telemetry_.metrics->observe(telemetry_.metrics.self, telemetry_.query_duration, waited_ns);
        if (settings_.slow_query_ms > 0 && waited_ns >= settings_.slow_query_ms * k_ms) {
            Telemetry::count(telemetry_.slow_queries);
        }
    }
}

// Waits for a lock that a stranger holds, as long as the settings and the deadlines allow.
void Writer::begin_patiently(const Group& group) {
    const std::int64_t began = telemetry_.now_ns();
    std::int64_t until = began + settings_.busy_timeout_ms * k_ms;
    std::int64_t latest = 0;
    for (const Request* request : group) {
        latest = std::max(latest, request->work.deadline_ns);
    }
    until = std::min(until, latest);
    for (;;) {
        const std::int64_t left_ms =
            std::max<std::int64_t>((until - telemetry_.now_ns()) / k_ms, 0);
        connection_->set_busy_timeout(std::min(left_ms, k_lock_slice_ms));
        try {
            connection_->begin();
            connection_->set_busy_timeout(settings_.busy_timeout_ms);
            tell_wait(group, began);
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
                tell_wait(group, began);
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

// What was in doubt stays so: of the commit that got lost, the log may still hold frames.
void Writer::finish_failed(Request& request) noexcept {
    {
        const std::lock_guard lock{mutex_};
        ++figures_.errors;
        figures_.in_doubt += request.in_doubt ? 1U : 0U;
    }
    if (request.in_doubt) {
        request.status = report(
            request.work.err,
            still_in_doubt({request.status, "it failed when it ran again", Failure::permanent})
        );
    }
    finish(request, request.status);
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
        Request& failed = *group[i];
        group.erase(group.begin() + static_cast<std::ptrdiff_t>(i));
        finish_failed(failed);
        if (rolled_back && !group.empty()) {
            return false;
        }
    }
    return true;
}

// Not at all, where its key says that it is done.
tenon_status Writer::run_body(Request& request) {
    try {
        if (!request.work.key.empty() &&
            !keys_.claim(*connection_, request.work.key, telemetry_.now_real_ns())) {
            return TENON_OK;
        }
    } catch (const DatabaseError& e) {
        return report(request.work.err, e);
    }
    return request.work.fn(request.work.ctx, session_of(connection_.get()), request.work.err);
}

bool Writer::run_one(Request& request, bool alone) {
    if (!alone) {
        connection_->savepoint();
    }
    request.status = run_body(request);
    connection_->reset_statements();
    if (!connection_->in_transaction()) {
        if (request.status >= 0) {
            request.status =
                fail(request.work.err, TENON_INTERNAL, "the database rolled the transaction back");
        }
        return false;
    }
    if (request.status > 0) {
        request.status =
            fail(request.work.err, TENON_INTERNAL, "a transaction ends with TENON_OK or fails");
    }
    if (request.status == TENON_OK && connection_->has_unresolved_foreign_keys()) {
        request.status = fail(
            request.work.err,
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
    finish_committed(group);
}

// Throws for those that are to be in a second place before they are acknowledged, and are not.
void Writer::finish_committed(Group& group) {
    const auto wants_copy = [](const Request* request) {
        return request->work.durability == TENON_DURABILITY_REPLICA;
    };
    const bool is_kept = !capture_ || std::none_of(group.begin(), group.end(), wants_copy) ||
                         capture_->make_durable();
    const std::uint64_t txid = capture_ && capture_->is_current() ? capture_->txid() : 0;
    Group lost;
    for (Request* request : group) {
        if (!request->work.key.empty()) {
            keys_.committed();
        }
        if (!is_kept && wants_copy(request)) {
            lost.push_back(request);
            continue;
        }
        request->txid = txid;
        finish(*request, TENON_OK);
    }
    group = std::move(lost);
    if (!group.empty()) {
        throw DatabaseError{
            TENON_IN_DOUBT, "committed, but not in the capture folder", Failure::in_doubt};
    }
}

}  // namespace tenon::sqlite
