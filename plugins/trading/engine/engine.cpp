// SPDX-License-Identifier: Apache-2.0
// The path of a command: in, journal, core, disk, answer.
#include "plugins/trading/engine/engine.hpp"

#include <algorithm>
#include <cstring>
#include <system_error>

namespace tenon::engine {
namespace {

// Answers may send commands; so many batches in one turn, then other work has its turn.
constexpr int k_commits_a_turn = 4;

}  // namespace

Engine::Engine(const Host& host, Settings settings, std::unique_ptr<journal::Disk> disk)
    : host_{host},
      log_{host.log()},
      settings_{std::move(settings)},
      disk_{std::move(disk)},
      exec_{host.service<tenon_exec_1>("tenon.exec/1")},
      clock_{host.service<tenon_clock_1>("tenon.clock/1")},
      health_{host.service<tenon_health_1>("tenon.health/1")},
      metrics_{host.service<tenon_metrics_1>("tenon.metrics/1")},
      instrumentation_{metrics_},
      data_folder_{host.environment("data_dir")},
      journal_folder_{data_folder_ + "/journal"},
      snapshot_folder_{data_folder_ + "/snapshots"},
      jobs_{exec_} {}

Engine::~Engine() = default;

// Why a command is not taken now; empty when it is.
std::string Engine::refusal(Admission admission) const {
    if (!failed_.empty()) {
        return failed_;
    }
    if (!open_) {
        return "the engine is not open for commands";
    }
    if (disk_low_ && admission == Admission::order) {
        return "the disk is nearly full: " + std::to_string(free_bytes_ >> 20) +
               " MiB free, less than the reserve of " +
               std::to_string(settings_.disk_reserve_bytes >> 20) + " MiB";
    }
    if (applying_) {
        return "a venue may not send commands from within a command";
    }
    if (batches_[current_].output.results().size() >= settings_.queue_max) {
        return "the engine's queue is full";
    }
    return {};
}

// TENON_OK, or why the order is not taken now.
tenon_status
Engine::gather_evidence(const tenon_order_request& order, std::string& evidence, tenon_err* err) {
    if (const std::string why = refusal(Admission::order); !why.empty()) {
        instrumentation_.refused();
        return fail(err, TENON_UNAVAILABLE, why, TENON_ERR_RETRYABLE);
    }
    evidence.clear();
    const tenon_sink sink{
        &evidence, [](void* ctx, tenon_bytes chunk) -> tenon_status {
            return guard(nullptr, [&] { static_cast<std::string*>(ctx)->append(view(chunk)); });
        }};
    const tenon_status status = core_->evidence(order, clock_->now_real_ns(clock_.self), sink);
    if (status != TENON_OK) {
        instrumentation_.refused();
        return fail(
            err, TENON_UNAVAILABLE, "the venue cannot take the order now", TENON_ERR_RETRYABLE
        );
    }
    return TENON_OK;
}

tenon_status
Engine::submit(const tenon_order_request& order, tenon_trading_done done, tenon_err* err) {
    const tenon_status status = gather_evidence(order, evidence_[0], err);
    return status != TENON_OK
               ? status
               : run(trading::SubmitCommand{order, bytes(evidence_[0])}, Admission::order, done, err
                 );
}

tenon_status
Engine::submit(const trading::SubmitListCommand& list, tenon_trading_done done, tenon_err* err) {
    trading::ListOrders orders = *list.orders;
    for (std::size_t i = 0; i < orders.size(); ++i) {
        trading::SubmitCommand& order = orders[i];
        if (const tenon_status status = gather_evidence(order.order, evidence_[i], err);
            status != TENON_OK) {
            return status;
        }
        order.evidence = bytes(evidence_[i]);
    }
    return run(
        trading::SubmitListCommand{list.contingency, list.client_id, &orders},
        Admission::order,
        done,
        err
    );
}

tenon_status Engine::run(
    const trading::CommandBody& body,
    Admission admission,
    tenon_trading_done done,
    tenon_err* err
) {
    const auto refused = [&] {
        const std::string why = refusal(admission);
        if (!why.empty()) {
            instrumentation_.refused();
            (void)fail(err, TENON_UNAVAILABLE, why, TENON_ERR_RETRYABLE);
        }
        return !why.empty();
    };
    if (refused()) {
        return TENON_UNAVAILABLE;
    }
    const std::int64_t now = clock_->now_real_ns(clock_.self);
    // A command of its own, after which the engine may take no other.
    if (!std::holds_alternative<trading::ExpireCommand>(body) && expire_orders(now) && refused()) {
        return TENON_UNAVAILABLE;
    }
    const trading::Command command{
        writer_->next_sequence(), std::max(now, core_->time_real_ns()), body};
    if (!trading::well_formed(command)) {
        return fail(err, TENON_INVALID, "a text of the command is too long");
    }
    encoded_.clear();
    trading::encode(command, encoded_);
    if (!writer_->fits(encoded_.size())) {
        instrumentation_.refused();
        return fail(
            err,
            TENON_UNAVAILABLE,
            "the journal has no room: the disk is too slow or full for its next segment",
            TENON_ERR_RETRYABLE
        );
    }
    Batch& batch = batches_[current_];
    writer_->append(k_record_command, std::as_bytes(std::span{encoded_.data(), encoded_.size()}));
    applying_ = true;
    const trading::Result* result = nullptr;
    const tenon_status applied = guard(err, [&] {
        result = &core_->apply(command, batch.output);
        remember(batch.output, *result);
        batch.waiting.push_back({done, batch.output.results().size() - 1});
    });
    applying_ = false;
    if (applied != TENON_OK) {
        // Memory is half changed and the batch is not written: it never happened after a restart.
        poison("a command failed inside the engine; restart to rebuild the state from disk");
        return TENON_UNAVAILABLE;
    }
    instrumentation_.command(result->reject);
    return TENON_PENDING;
}

// So no order trades after its time. One that the journal has no room for comes with the next
// command, or tick.
bool Engine::expire_orders(std::int64_t now_real_ns) {
    if (core_->next_expiry_real_ns() > std::max(now_real_ns, core_->time_real_ns())) {
        return false;
    }
    ErrorBuffer err;
    if (run(trading::ExpireCommand{}, Admission::relief, {}, &err) != TENON_PENDING) {
        log_.warn("orders_not_expired", {{"reason", err.message()}});
    }
    return true;
}

void Engine::remember(const trading::Output& output, const trading::Result& result) {
    for (std::uint32_t i = 0; i < result.events.count; ++i) {
        history_->add(output.event(result, i));
    }
}

tenon_status Engine::readable(tenon_err* err) const {
    if (!failed_.empty()) {
        return fail(err, TENON_UNAVAILABLE, failed_);
    }
    return core_ ? TENON_OK : fail(err, TENON_UNAVAILABLE, "the engine has not started");
}

void Engine::after_commit(std::function<void()> task) {
    batches_[current_].tasks.push_back(std::move(task));
}

void Engine::turn_end() noexcept {
    (void)guard(nullptr, [&] {
        for (int i = 0; i < k_commits_a_turn && commit_batch(); ++i) {}
        if (!batches_[current_].empty()) {
            // Another turn must come even when nothing else happens.
            (void)exec_->post(
                exec_.self, 0, [](void*) {}, nullptr
            );
        }
    });
}

// False when there was nothing to do.
bool Engine::commit_batch() {
    Batch& batch = batches_[current_];
    const bool nothing_to_write = writer_->pending_bytes() == 0 || !failed_.empty();
    if (delivering_ || (batch.empty() && nothing_to_write)) {
        return false;
    }
    if (!nothing_to_write) {
        const std::uint64_t written = writer_->written_bytes();
        const std::int64_t start = clock_->now_ns(clock_.self);
        const int error = writer_->commit();
        instrumentation_.batch(
            clock_->now_ns(clock_.self) - start, writer_->written_bytes() - written
        );
        if (error != 0) {
            poison(
                "the journal could not be written (" + std::generic_category().message(error) +
                "); restart to rebuild the state from disk"
            );
        }
    }
    if (failed_.empty()) {
        // Now, since answers may bring commands that are not durable.
        (void)guard(nullptr, [&] { maybe_snapshot(); });
    }
    current_ ^= 1;
    delivering_ = true;
    (void)guard(nullptr, [&] { deliver(batch); });
    delivering_ = false;
    batch.output.clear();
    batch.waiting.clear();
    batch.tasks.clear();
    if (failed_.empty()) {
        prepare_segment();
    }
    return true;
}

void Engine::poison(const std::string& reason) {
    if (!failed_.empty()) {
        return;
    }
    failed_ = reason;
    log_.error("engine_failed", {{"reason", reason}});
    health_->set(health_.self, str("journal"), TENON_CRITICAL, str(reason));
    publish_status();
}

void Engine::deliver(Batch& batch) {
    publish_status();
    const bool durable = failed_.empty();
    if (durable) {
        gather_events(batch);
        // Before the answers: these may bring commands that are not durable.
        for (const trading::VenueBinding& binding : core_->venues()) {
            if (binding.venue->durable != nullptr) {
                binding.venue->durable(binding.venue.self);
            }
        }
    }
    ErrorBuffer doubt;
    if (!durable) {
        fail(&doubt, TENON_IN_DOUBT, failed_);
    }
    for (const Waiting& waiting : batch.waiting) {
        if (waiting.done.fn == nullptr) {
            continue;
        }
        if (durable) {
            const tenon_trading_reply reply =
                batch.output.reply(batch.output.results()[waiting.result]);
            waiting.done.fn(waiting.done.ctx, TENON_OK, &reply, nullptr);
        } else {
            waiting.done.fn(waiting.done.ctx, TENON_IN_DOUBT, nullptr, &doubt);
        }
    }
    if (durable) {
        publish();
        advance_projection();
        // Also past commands without events. What is in the spool was not given yet.
        if (projection_ && !spool_broken_ && spool_->empty() && !batch.output.results().empty()) {
            projection_->advance(batch.output.results().back().sequence);
        }
    }
    for (const auto& task : batch.tasks) {
        task();
    }
}

// Copies for other threads change before the answers leave.
void Engine::gather_events(const Batch& batch) {
    events_.clear();
    bool mirrored = true;
    for (const trading::Result& result : batch.output.results()) {
        for (std::uint32_t i = 0; i < result.events.count; ++i) {
            events_.push_back(batch.output.event(result, i));
            const std::uint32_t kind = events_.back().kind;
            mirrored = mirrored && kind != TENON_EVENT_ACCOUNT && kind != TENON_EVENT_KEY &&
                       kind != TENON_EVENT_INSTRUMENT;
        }
    }
    if (!mirrored) {
        mirror_.load(*core_, instruments_->instrument_count(instruments_.self));
    }
}

void Engine::publish() {
    if (events_.empty()) {
        return;
    }
    // Subscribers may come and go meanwhile.
    for (std::size_t i = 0; i < subscribers_.size(); ++i) {
        const Subscriber subscriber = subscribers_[i];
        subscriber.fn(subscriber.ctx, events_.data(), static_cast<std::uint32_t>(events_.size()));
    }
    project(events_);
    history_->evict(projection_ ? projection_->projected_sequence() : writer_->durable_sequence());
}

// To the projection, or behind what already waits for it in the spool.
void Engine::project(std::span<const tenon_execution_event> events) {
    if (!projection_ || spool_broken_ || events.empty()) {
        return;
    }
    if (spool_->empty() && projection_->enqueue(events)) {
        return;
    }
    try {
        if (spool_->empty()) {
            log_.warn("spool_begun");
        }
        spool_->append(events);
    } catch (const Error& error) {
        // The journal has them: the next start projects them.
        spool_broken_ = true;
        log_.error("spool_failed", {{"reason", error.what()}});
        health_->set(health_.self, str("projection"), TENON_DEGRADED, str(error.what()));
    }
}

// Commands without events count as projected, too, once nothing before them waits.
void Engine::advance_projection() {
    if (projection_ && !spool_broken_ && spool_->empty()) {
        projection_->advance(writer_->durable_sequence());
    }
}

std::uint64_t Engine::subscribe(
    void* ctx,
    void (*fn)(void* ctx, const tenon_execution_event* events, std::uint32_t count)
) {
    subscribers_.push_back({next_handle_, ctx, fn});
    return next_handle_++;
}

void Engine::unsubscribe(std::uint64_t handle) noexcept {
    const auto gone = std::find_if(subscribers_.begin(), subscribers_.end(), [&](const auto& s) {
        return s.handle == handle;
    });
    if (gone != subscribers_.end()) {
        subscribers_.erase(gone);
    }
}

}  // namespace tenon::engine
