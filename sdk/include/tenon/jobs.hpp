// SPDX-License-Identifier: Apache-2.0
// C++ side of tenon.jobs/1.
//
//   jobs_ = tenon::Jobs{host().find<tenon_jobs_1>("tenon.jobs/1")};                     // in start
//   jobs_.handle("mail", "send", [this](const JobRun& run) { send(run.payload()); });
//   jobs_.enqueue("mail", "send", R"({"to":7})", deadline_ns);                          // [io]
//   jobs_.clear();                                                                      // in stop
//
// A handler that throws Error TENON_INVALID, TENON_UNSUPPORTED, TENON_CORRUPT or TENON_DENIED makes
// the job dead; any other exception makes it run again later.
#pragma once

#include <tenon/abi/jobs.h>
#include <tenon/storage.hpp>
#include <tenon/structs.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon {

// A run as its handler sees it; valid until the handler returns.
class JobRun {
public:
    explicit JobRun(const tenon_job_run& raw) noexcept : raw_{&raw} {}

    [[nodiscard]] std::int64_t id() const noexcept { return raw_->id; }

    [[nodiscard]] std::uint32_t attempt() const noexcept { return raw_->attempt; }

    [[nodiscard]] std::string_view payload() const noexcept { return view(raw_->payload); }

    [[nodiscard]] std::int64_t deadline_ns() const noexcept { return raw_->deadline_ns; }

    // [any] The run should end soon.
    [[nodiscard]] bool cancelled() const noexcept { return raw_->cancelled(raw_) != 0; }

    // [io] Marks the job as done in the transaction that has its effects. Throws Error
    // TENON_CONFLICT when the lease has passed on: let it pass, so that the transaction rolls back.
    void finish(Session& session) const {
        ErrorBuffer err;
        check(raw_->finish(raw_, session.raw(), &err), err, "finish");
    }

private:
    const tenon_job_run* raw_;
};

// The queue, and the handlers that this object registered: clear() or the destructor takes them
// back.
class Jobs {
public:
    using Handler = std::function<void(const JobRun&)>;

    Jobs() = default;

    explicit Jobs(Service<tenon_jobs_1> service) : service_{service} {}

    ~Jobs() { clear(); }

    Jobs(const Jobs&) = delete;
    Jobs& operator=(const Jobs&) = delete;

    // [control] What was registered before is taken back.
    void open(Service<tenon_jobs_1> service) noexcept {
        clear();
        service_ = service;
    }

    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(service_); }

    // [control] Throws Error TENON_CONFLICT when the kind has a handler in this server.
    void handle(std::string_view queue, std::string_view kind, Handler handler) {
        handled_.push_back(std::make_unique<Handled>(Handled{std::move(handler), 0}));
        Handled& handled = *handled_.back();
        ErrorBuffer err;
        const tenon_status status = service_->handle(
            service_.self, str(queue), str(kind), &handled, &run, &handled.handle, &err
        );
        if (status != TENON_OK) {
            handled_.pop_back();
        }
        check(status, err, "handle");
    }

    // [control] Asks runs to end; after it returns no handler runs.
    void clear() noexcept {
        for (const auto& handled : handled_) {
            service_->unhandle(service_.self, handled->handle);
        }
        handled_.clear();
    }

    // [io] All or none; gives back their ids. Throws Error.
    std::vector<std::int64_t>
    enqueue(const tenon_job* jobs, std::uint32_t count, std::int64_t deadline_ns) const {
        std::vector<std::int64_t> ids(count);
        ErrorBuffer err;
        check(
            service_->enqueue(service_.self, jobs, count, deadline_ns, ids.data(), &err),
            err,
            "enqueue"
        );
        return ids;
    }

    std::int64_t enqueue(
        std::string_view queue,
        std::string_view kind,
        std::string_view payload,
        std::int64_t deadline_ns
    ) const {
        auto job = sized<tenon_job>();
        job.queue = str(queue);
        job.kind = str(kind);
        job.payload = str(payload);
        return enqueue(&job, 1, deadline_ns).front();
    }

    // [io] Within the caller's transaction. Throws Error.
    std::vector<std::int64_t>
    enqueue_in(Session& session, const tenon_job* jobs, std::uint32_t count) const {
        std::vector<std::int64_t> ids(count);
        ErrorBuffer err;
        check(
            service_->enqueue_in(service_.self, session.raw(), jobs, count, ids.data(), &err),
            err,
            "enqueue"
        );
        return ids;
    }

    // [io] Throws Error.
    void schedule(const tenon_job_schedule& wanted) const {
        ErrorBuffer err;
        check(service_->schedule(service_.self, &wanted, &err), err, "schedule");
    }

private:
    struct Handled {
        Handler handler;
        std::uint64_t handle;
    };

    static tenon_status run(void* ctx, const tenon_job_run* raw, tenon_err* err) noexcept {
        return guard(err, [&] { static_cast<const Handled*>(ctx)->handler(JobRun{*raw}); });
    }

    Service<tenon_jobs_1> service_;
    std::vector<std::unique_ptr<Handled>> handled_;
};

}  // namespace tenon
