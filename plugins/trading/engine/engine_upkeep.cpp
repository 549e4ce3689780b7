// SPDX-License-Identifier: Apache-2.0
// What the engine does beside commands: next segments, snapshots, the disk's room, the spool.
#include "plugins/trading/engine/engine.hpp"

#include <algorithm>

namespace tenon::engine {
namespace {

constexpr std::int64_t k_tick_ns = 200'000'000;
// Frames of the spool that one turn gives back.
constexpr int k_spool_frames_a_tick = 64;

}  // namespace

void Engine::arm_timer() {
    timer_ = exec_->timer(
        exec_.self,
        exec_->turn_now_ns(exec_.self) + k_tick_ns,
        [](void* ctx) { (void)guard(nullptr, [&] { static_cast<Engine*>(ctx)->tick(); }); },
        this
    );
}

void Engine::tick() {
    arm_timer();
    watch_disk();
    if (failed_.empty()) {
        (void)expire_orders(clock_->now_real_ns(clock_.self));
    }
    prepare_due_ = true;
    prepare_segment();
    pump_spool();
    advance_projection();
    watch_projection();
    update_gauges();
    publish_status();
}

void Engine::take(const Settings& settings) {
    call_on_reactor(exec_, 0, [&] {
        settings_.disk_reserve_bytes = settings.disk_reserve_bytes;
        settings_.snapshot_commands = settings.snapshot_commands;
        settings_.snapshot_bytes = settings.snapshot_bytes;
        settings_.projection_gathering = settings.projection_gathering;
        if (projection_) {
            projection_->gather(settings.projection_gathering);
        }
    });
}

// Asking a local file system for its room costs a microsecond.
void Engine::watch_disk() {
    ErrorBuffer err;
    if (guard(&err, [&] { free_bytes_ = disk_->free_bytes(data_folder_); }) != TENON_OK) {
        health_->set(health_.self, str("disk"), TENON_DEGRADED, {err.msg, err.len});
        return;
    }
    // Coming back needs an eighth more, so that it does not flutter.
    const std::uint64_t reserve = settings_.disk_reserve_bytes;
    const bool low = free_bytes_ < (disk_low_ ? reserve + reserve / 8 : reserve);
    if (low != disk_low_) {
        disk_low_ = low;
        log_.warn(
            low ? "disk_low" : "disk_room_again",
            {{"free_bytes", free_bytes_}, {"reserve_bytes", reserve}}
        );
    }
    const std::string reason = low ? "nearly full: " + std::to_string(free_bytes_ >> 20) +
                                         " MiB free, reserve " + std::to_string(reserve >> 20) +
                                         " MiB; new orders are refused"
                                   : std::string{};
    health_->set(health_.self, str("disk"), low ? TENON_DEGRADED : TENON_HEALTHY, str(reason));
}

void Engine::update_gauges() {
    Instrumentation::Gauges gauges;
    gauges.open_orders = static_cast<std::int64_t>(core_->open_order_count());
    gauges.accounts = static_cast<std::int64_t>(core_->accounts().size());
    gauges.history_orders = static_cast<std::int64_t>(history_->order_count());
    if (projection_) {
        const ProjectionState state = projection_->state();
        const std::uint64_t durable = writer_->durable_sequence();
        gauges.projection_lag =
            static_cast<std::int64_t>(durable - std::min(durable, state.projected_sequence));
        gauges.projection_queued = static_cast<std::int64_t>(state.queued);
        gauges.spool_bytes = static_cast<std::int64_t>(spool_->bytes());
        gauges.projection_failures = state.failures;
    }
    instrumentation_.set(gauges);
}

// The journal was cut, or is not the one that the database follows from.
bool Engine::database_is_ahead() const {
    return projected_at_start_ && *projected_at_start_ > writer_->durable_sequence();
}

void Engine::watch_projection() {
    if (!projection_ || spool_broken_) {
        return;
    }
    if (database_is_ahead()) {
        const std::string reason =
            "the database has commands to " + std::to_string(*projected_at_start_) +
            ", the journal ends with " + std::to_string(writer_->durable_sequence()) +
            ": what is traded until then is not in the database; restore both from one backup";
        health_->set(health_.self, str("projection"), TENON_DEGRADED, str(reason));
        return;
    }
    const ProjectionState state = projection_->state();
    const bool degraded = !state.reason.empty() || !spool_->empty();
    const std::string reason =
        state.reason.empty() ? "behind, events wait in the spool" : state.reason;
    health_->set(
        health_.self,
        str("projection"),
        degraded ? TENON_DEGRADED : TENON_HEALTHY,
        str(degraded ? std::string_view{reason} : std::string_view{})
    );
}

// The next segment is made when the current one is begun.
void Engine::prepare_segment() {
    if (!prepare_due_ || !failed_.empty() || free_bytes_ < settings_.segment_bytes ||
        !writer_->wants_segment()) {
        return;
    }
    const bool queued = jobs_.run([this] {
        try {
            writer_->prepare();
        } catch (const Error& error) {
            log_.warn("segment_prepare_failed", {{"reason", error.what()}});
        }
    });
    if (!queued) {
        writer_->abandon_prepare();
    }
    // A failed one is tried again at the next tick, not in the next turn.
    prepare_due_ = false;
}

void Engine::pump_spool() {
    if (!spool_ || spool_broken_) {
        return;
    }
    try {
        for (int i = 0; i < k_spool_frames_a_tick && !spool_->empty(); ++i) {
            if (!projection_->enqueue(spool_->front())) {
                return;
            }
            spool_->pop();
        }
    } catch (const Error& error) {
        spool_broken_ = true;
        log_.error("spool_failed", {{"reason", error.what()}});
        health_->set(health_.self, str("projection"), TENON_DEGRADED, str(error.what()));
    }
}

// Between two batches: the state is what the disk has.
void Engine::maybe_snapshot() {
    const std::uint64_t commands = writer_->durable_sequence() - snapshot_sequence_;
    const std::uint64_t written = writer_->written_bytes() - snapshot_written_;
    const bool due = commands >= settings_.snapshot_commands || written >= settings_.snapshot_bytes;
    if (!due || snapshot_running_ || writer_->pending_bytes() != 0) {
        return;
    }
    auto payload = std::make_shared<std::string>();
    core_->snapshot_write(*payload);
    const journal::SnapshotInfo info{
        writer_->durable_sequence(),
        core_->time_real_ns(),
        core_->state_hash(),
        core_->instruments_fingerprint()};
    snapshot_running_ = true;
    const bool queued = jobs_.run([this, info, payload] {
        try {
            snapshot_job(info, *payload);
        } catch (const Error& error) {
            log_.warn("snapshot_failed", {{"reason", error.what()}});
        }
        snapshot_running_ = false;
    });
    if (!queued) {
        snapshot_running_ = false;
        return;
    }
    snapshot_sequence_ = info.sequence;
    snapshot_written_ = writer_->written_bytes();
}

// [io]
void Engine::snapshot_job(const journal::SnapshotInfo& info, const std::string& payload) {
    journal::write_snapshot(
        *disk_, snapshot_folder_, info, std::as_bytes(std::span{payload.data(), payload.size()})
    );
    log_.info("snapshot_written", {{"sequence", info.sequence}, {"bytes", payload.size()}});
    housekeeping();
}

// [io] Old snapshots and segments go, unless the projection would need them after a restart.
void Engine::housekeeping() {
    const std::uint64_t needed =
        projection_ ? projection_->projected_sequence() : std::numeric_limits<std::uint64_t>::max();
    const auto oldest = journal::prune_snapshots(*disk_, snapshot_folder_, needed);
    if (oldest && *oldest <= needed) {
        const std::size_t removed =
            journal::remove_segments_below(*disk_, journal_folder_, *oldest + 1);
        if (removed != 0) {
            log_.info("segments_removed", {{"count", removed}, {"below", *oldest + 1}});
        }
    }
}

void Engine::publish_status() {
    StatusCopy status;
    status.reason = refusal(Admission::order);
    status.accepting = status.reason.empty();
    if (writer_) {
        status.sequence = writer_->next_sequence() - 1;
        status.durable_sequence = writer_->durable_sequence();
        status.open_orders = core_->open_order_count();
        status.accounts = core_->accounts().size();
    }
    status.projected_sequence = projection_ ? projection_->projected_sequence() : 0;
    mirror_.set_status(status);
}

}  // namespace tenon::engine
