// SPDX-License-Identifier: Apache-2.0
#include "plugins/jobs/runner.hpp"

namespace tenon::jobs {
namespace {

constexpr int k_complete_tries = 3;

bool is_final(tenon_status status) noexcept {
    return status == TENON_INVALID || status == TENON_UNSUPPORTED || status == TENON_CORRUPT ||
           status == TENON_DENIED;
}

}  // namespace

std::uint64_t
Runner::handle(std::string_view queue, std::string_view kind, void* ctx, tenon_job_fn fn) {
    const std::lock_guard lock{mutex_};
    for (const auto& [handle, known] : handlers_) {
        if (known->queue == queue && known->kind == kind) {
            throw Error{
                TENON_CONFLICT,
                "jobs " + std::string{kind} + " of queue " + std::string{queue} +
                    " have a handler in this server"};
        }
    }
    auto made = std::make_shared<Handler>();
    made->queue = queue;
    made->kind = kind;
    made->ctx = ctx;
    made->fn = fn;
    handlers_.emplace(next_handle_, std::move(made));
    return next_handle_++;
}

void Runner::unhandle(std::uint64_t handle) noexcept {
    std::shared_ptr<Handler> gone;
    {
        const std::lock_guard lock{mutex_};
        const auto found = handlers_.find(handle);
        if (found == handlers_.end()) {
            return;
        }
        gone = found->second;
        handlers_.erase(found);
    }
    gone->closing = true;
    gone->runs.close();
    gone->runs.wait();
}

std::map<std::string, std::vector<std::string>> Runner::handled() const {
    std::map<std::string, std::vector<std::string>> all;
    const std::lock_guard lock{mutex_};
    for (const auto& [handle, handler] : handlers_) {
        all[handler->queue].push_back(handler->kind);
    }
    return all;
}

std::shared_ptr<Runner::Handler> Runner::handler_of(const Claimed& job) const {
    const std::lock_guard lock{mutex_};
    for (const auto& [handle, handler] : handlers_) {
        if (handler->queue == job.queue && handler->kind == job.kind) {
            return handler;
        }
    }
    return nullptr;
}

bool Runner::is_cancelled(const Run& run) const noexcept {
    const std::int64_t now_ns = clocks_.now_ns();
    return stopping_ || run.handler->closing || now_ns >= run.deadline_ns ||
           now_ns >= run.lease_until_ns;
}

Outcome Runner::run(Run& run) {
    const std::shared_ptr<Handler> handler = handler_of(run.job);
    // Its lease may be over when those before it in the batch have taken long.
    if (stopping_ || !handler || clocks_.now_ns() >= run.lease_until_ns ||
        !handler->runs.try_enter()) {
        return {run.job, Result::put_back, ""};
    }
    run.handler = handler.get();
    run.deadline_ns = clocks_.now_ns() + run.job.timeout_ms * 1'000'000;
    tenon_job_run raw{};
    raw.size = sizeof raw;
    raw.attempt = run.job.attempt;
    raw.id = run.job.id;
    raw.queue = str(run.job.queue);
    raw.kind = str(run.job.kind);
    raw.payload = str(run.job.payload);
    raw.deadline_ns = run.deadline_ns;
    raw.self = &run;
    raw.cancelled = [](const tenon_job_run* of) noexcept -> std::uint32_t {
        const Run& mine = *static_cast<const Run*>(of->self);
        return mine.runner->is_cancelled(mine) ? 1 : 0;
    };
    raw.finish = [](const tenon_job_run* of, tenon_session* session, tenon_err* err) noexcept {
        return guard(err, [&] {
            Run& mine = *static_cast<Run*>(of->self);
            mine.runner->store_.finish_raw(session, mine.job.id, mine.job.token);
            mine.finished = true;
        });
    };
    ErrorBuffer err;
    const tenon_status status = handler->fn(handler->ctx, &raw, &err);
    const bool was_stopped = stopping_ || handler->closing;
    handler->runs.leave();
    if (status == TENON_OK) {
        return {run.job, Result::done, ""};
    }
    std::string message{err.message()};
    if (message.empty()) {
        message = "the handler failed with status " + std::to_string(status);
    }
    if (is_final(status)) {
        return {run.job, Result::dead, std::move(message)};
    }
    return {run.job, was_stopped ? Result::put_back : Result::retry, std::move(message)};
}

// What could not be stored runs again: a database that was away for a moment is asked once more.
std::vector<bool> Runner::told_to_store(const std::vector<Outcome>& outcomes) {
    for (int tries = 1;; ++tries) {
        try {
            return store_.complete(outcomes);
        } catch (const Error&) {
            if (tries == k_complete_tries || stopping_) {
                throw;
            }
        }
    }
}

bool Runner::work(std::uint32_t batch) {
    bool found = false;
    for (const auto& [queue, kinds] : handled()) {
        if (stopping_) {
            break;
        }
        std::vector<std::shared_ptr<Run>> runs;
        const std::int64_t lease_until_ns = clocks_.now_ns() + lease_ns_;
        for (Claimed& job : store_.claim(queue, kinds, batch, owner_, lease_ns_)) {
            auto made = std::make_shared<Run>();
            made->job = std::move(job);
            made->runner = this;
            made->lease_until_ns = lease_until_ns;
            runs.push_back(std::move(made));
        }
        found = found || !runs.empty();
        {
            const std::lock_guard lock{mutex_};
            for (const auto& one : runs) {
                held_[{one->job.id, one->job.token}] = one;
            }
        }

        // Held until the store knows how they ended: to then nobody else may begin them.
        struct Release {
            Runner* runner;
            const std::vector<std::shared_ptr<Run>>* runs;

            ~Release() {
                const std::lock_guard lock{runner->mutex_};
                for (const auto& one : *runs) {
                    runner->held_.erase({one->job.id, one->job.token});
                }
            }
        } release{this, &runs};

        std::vector<Outcome> outcomes;
        std::vector<std::int64_t> durations;
        for (const auto& one : runs) {
            const std::int64_t began = clocks_.now_ns();
            outcomes.push_back(run(*one));
            one->deadline_ns = 0;  // over: its lease is kept beyond its time
            durations.push_back(clocks_.now_ns() - began);
        }
        if (outcomes.empty()) {
            continue;
        }
        // A job that its handler finished itself is no longer running: nothing is changed then.
        const std::vector<bool> kept = told_to_store(outcomes);
        for (std::size_t i = 0; i < outcomes.size(); ++i) {
            if (kept[i] || runs[i]->finished) {
                told_(outcomes[i], durations[i]);
            }
        }
    }
    return found;
}

void Runner::heartbeat() {
    std::vector<Claimed> held;
    std::vector<std::shared_ptr<Run>> runs;
    const std::int64_t now_ns = clocks_.now_ns();
    {
        const std::lock_guard lock{mutex_};
        for (const auto& [id, run] : held_) {
            if (run->deadline_ns == 0 || now_ns < run->deadline_ns) {
                held.push_back(run->job);
                runs.push_back(run);
            }
        }
    }
    if (held.empty()) {
        return;
    }
    const std::vector<bool> kept = store_.extend(held, lease_ns_);
    for (std::size_t i = 0; i < runs.size(); ++i) {
        runs[i]->lease_until_ns = kept[i] ? now_ns + lease_ns_ : 0;
    }
}

}  // namespace tenon::jobs
