// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/projection.hpp"

#include "plugins/trading/engine/projection_sql.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <random>

namespace tenon::engine {
namespace {

ProjectionEvent copy_of(const tenon_execution_event& event) {
    ProjectionEvent copy;
    copy.sequence = event.sequence;
    copy.index = event.index;
    copy.time_real_ns = event.time_real_ns;
    switch (event.kind) {
        case TENON_EVENT_ORDER: {
            ProjectedOrder body;
            body.order = *event.order;
            body.has_trade = event.trade != nullptr;
            if (body.has_trade) {
                body.trade = *event.trade;
            }
            if (event.prevented != nullptr) {
                body.prevented = std::make_shared<const tenon_prevented_match>(*event.prevented);
            }
            if (event.amendment != nullptr) {
                body.amendment = std::make_shared<const tenon_amendment>(*event.amendment);
            }
            copy.body = body;
            break;
        }
        case TENON_EVENT_BALANCE:
            copy.body = *event.balance;
            break;
        case TENON_EVENT_LEDGER:
            copy.body = ProjectedLedger{
                event.ledger->from,
                event.ledger->to,
                event.ledger->asset,
                event.ledger->amount,
                std::string{view(event.ledger->reference)}};
            break;
        case TENON_EVENT_ACCOUNT:
            copy.body = ProjectedAccount{
                event.account->id,
                std::string{view(event.account->name)},
                event.account->enabled != 0,
                event.account->created_real_ns,
                event.account->updated_real_ns};
            break;
        case TENON_EVENT_KEY:
            copy.body = ProjectedKey{
                std::string{view(event.key->key)},
                event.key->account,
                event.key->kind,
                event.key->permissions,
                std::string{view(event.key->material)},
                std::string{view(event.key->label)},
                event.key->created_real_ns,
                event.key->revoked != 0};
            break;
        case TENON_EVENT_LIST:
            copy.body = *event.list;
            break;
        case TENON_EVENT_INSTRUMENT:
            copy.body = ProjectedInstrument{event.instrument, event.status};
            break;
        default:
            throw Error{TENON_INTERNAL, "unknown event " + std::to_string(event.kind)};
    }
    return copy;
}

}  // namespace

class Projection::Impl {
public:
    Impl(
        Service<tenon_storage_1> storage,
        Service<tenon_exec_1> exec,
        Service<tenon_clock_1> clock,
        Log log,
        ProjectionOptions options
    )
        : storage_{storage},
          exec_{exec},
          clock_{clock},
          log_{log},
          options_{options},
          writer_{options.instruments},
          random_{static_cast<std::minstd_rand::result_type>(now_ns())} {}

    std::uint64_t load_offset() {
        std::uint64_t offset = 0;
        storage_.read(now_ns() + options_.query_timeout_ns, [&](Session& session) {
            offset = read_offset(session);
        });
        const std::lock_guard lock{mutex_};
        written_ = std::max(written_, offset);
        projected_.store(written_, std::memory_order_release);
        up_ = true;
        known_ = true;
        return written_;
    }

    bool enqueue(std::span<const tenon_execution_event> events) {
        if (events.empty()) {
            return true;
        }
        {
            const std::lock_guard lock{mutex_};
            if (queued_ != 0 && queued_ + events.size() > options_.queue_max) {
                return false;
            }
        }
        std::vector<ProjectionEvent> copies;
        copies.reserve(events.size());
        for (const tenon_execution_event& event : events) {
            copies.push_back(copy_of(event));
        }
        bool run = false;
        {
            const std::lock_guard lock{mutex_};
            queued_ += copies.size();
            queue_.push_back(std::move(copies));
            run = phase_ == Phase::idle && !stopped_;
        }
        if (run) {
            wait_on_reactor(interval_ns());
        }
        return true;
    }

    void gather(bool on) noexcept {
        gathers_.store(on, std::memory_order_relaxed);
        bool waits_for_more = false;
        {
            const std::lock_guard lock{mutex_};
            waits_for_more = phase_ == Phase::waiting && timer_ != 0 && delay_ns_ == 0;
        }
        if (!on && waits_for_more) {
            exec_->cancel_timer(exec_.self, std::exchange(timer_, 0));
            wait_on_reactor(0);
        }
    }

    void advance(std::uint64_t sequence) {
        bool run = false;
        {
            const std::lock_guard lock{mutex_};
            given_ = std::max(given_, sequence);
            if (!known_ || queued_ != 0) {
                return;  // the batch takes it along
            }
            publish_locked();
            run = phase_ == Phase::idle && !stopped_ && given_ > written_ &&
                  now_ns() - last_write_ns_ >= options_.offset_interval_ns;
            if (run) {
                phase_ = Phase::running;
                offset_due_ = true;
            }
        }
        if (run) {
            submit_job();
        }
    }

    [[nodiscard]] std::uint64_t projected() const noexcept {
        return projected_.load(std::memory_order_acquire);
    }

    [[nodiscard]] ProjectionState state() const {
        const std::lock_guard lock{mutex_};
        return {projected(), queued_, up_, batches_, failures_, reason_};
    }

    void stop(std::int64_t deadline_ns) {
        bool busy = false;
        {
            const std::lock_guard lock{mutex_};
            if (stopped_) {
                return;
            }
            stopped_ = true;
            stop_deadline_ns_ = deadline_ns;
            busy = phase_ != Phase::idle;
        }
        if (busy) {
            // A retry that waits is not waited for: this thread tries instead.
            call_on_reactor(exec_, 0, [this] {
                if (timer_ != 0) {
                    exec_->cancel_timer(exec_.self, timer_);
                    timer_ = 0;
                    end_job(Phase::idle);
                }
            });
        }
        std::unique_lock lock{mutex_};
        ended_.wait(lock, [this] { return phase_ == Phase::idle; });
        offset_due_ = known_ && given_ > written_;
        lock.unlock();
        while (now_ns() < deadline_ns && take_batch() && write_batch()) {}
    }

    template <class Body>
    auto query(Body&& body) {
        decltype(body(std::declval<Session&>())) result;
        storage_.read(now_ns() + options_.query_timeout_ns, [&](Session& session) {
            result = body(session);
        });
        return result;
    }

private:
    // idle: nothing to do. running: a job is on the pool, or on its way. waiting: for the timer.
    enum class Phase { idle, running, waiting };

    [[nodiscard]] std::int64_t now_ns() const { return clock_->now_ns(clock_.self); }

    // What is written, and when nothing waits to be written, all that was given.
    void publish_locked() {
        const std::uint64_t all = queued_ == 0 ? std::max(written_, given_) : written_;
        projected_.store(std::max(all, projected()), std::memory_order_release);
    }

    // The pool refuses when its queue is full: then later.
    void submit_job() {
        const auto run = [](void* self) noexcept { static_cast<Impl*>(self)->job(); };
        if (exec_->run_blocking(exec_.self, run, this) != TENON_OK) {
            retry_later(options_.retry_first_ns);
        }
    }

    // [pool]
    void job() noexcept {
        const tenon_status status = guard(nullptr, [&] {
            while (take_batch()) {
                if (!write_batch()) {
                    retry_later(0);
                    return;
                }
                const std::lock_guard lock{mutex_};
                if (stopped_ || queued_ < options_.batch_max) {
                    break;
                }
            }
            finish_or_go_on();
        });
        if (status != TENON_OK) {
            end_job(Phase::idle);
        }
    }

    // Events may have come between the last look and now.
    void finish_or_go_on() {
        {
            const std::lock_guard lock{mutex_};
            if (queue_.empty() || stopped_) {
                phase_ = Phase::idle;
                ended_.notify_all();
                return;
            }
        }
        retry_later(interval_ns());
    }

    [[nodiscard]] std::int64_t interval_ns() const noexcept {
        return gathers_.load(std::memory_order_relaxed) ? options_.batch_interval_ns : 0;
    }

    void end_job(Phase phase) noexcept {
        const std::lock_guard lock{mutex_};
        phase_ = phase;
        ended_.notify_all();
    }

    // The reactor has the timers. It is gone only after stop().
    void retry_later(std::int64_t at_least_ns) {
        {
            const std::lock_guard lock{mutex_};
            if (stopped_) {
                phase_ = Phase::idle;
                ended_.notify_all();
                return;
            }
        }
        try {
            post(exec_, 0, [this, at_least_ns] { wait_on_reactor(at_least_ns); });
        } catch (const Error&) {
            end_job(Phase::idle);  // the next enqueue starts it again
        }
    }

    // [reactor]
    void wait_on_reactor(std::int64_t at_least_ns) {
        const std::lock_guard lock{mutex_};
        if (stopped_) {
            phase_ = Phase::idle;
            ended_.notify_all();
            return;
        }
        phase_ = Phase::waiting;
        timer_ = exec_->timer(
            exec_.self,
            now_ns() + std::max(delay_ns_, at_least_ns),
            [](void* self) noexcept {
                auto& mine = *static_cast<Impl*>(self);
                mine.timer_ = 0;
                mine.end_job(Phase::running);
                mine.submit_job();
            },
            this
        );
    }

    // [job] True when there is something to write; a batch that failed is still there.
    bool take_batch() {
        const std::lock_guard lock{mutex_};
        std::size_t events = 0;
        if (batch_.empty()) {
            while (!queue_.empty() && events < options_.batch_max) {
                events += queue_.front().size();
                batch_.push_back(std::move(queue_.front()));
                queue_.pop_front();
            }
            batch_through_ = queue_.empty() && known_ ? given_ : 0;
        }
        return !batch_.empty() || std::exchange(offset_due_, false);
    }

    // [job]
    bool write_batch() {
        std::int64_t deadline = now_ns() + options_.write_timeout_ns;
        std::size_t events = 0;
        std::uint64_t expected = 0;
        {
            const std::lock_guard lock{mutex_};
            expected = written_;
            if (stopped_) {
                deadline = std::min(deadline, stop_deadline_ns_);
            }
        }
        for (const auto& chunk : batch_) {
            events += chunk.size();
        }
        std::uint64_t offset = 0;
        bool again = false;
        try {
            storage_.write(deadline, [&](Session& session) {
                if (std::exchange(again, true)) {
                    writer_.forget();  // the first run was rolled back
                }
                const std::int64_t now = clock_->now_real_ns(clock_.self);
                offset = writer_.write(session, batch_, {expected, batch_through_}, now);
            });
        } catch (const std::exception& e) {
            failed(e.what());
            return false;
        }
        batch_.clear();
        const std::lock_guard lock{mutex_};
        queued_ -= events;
        written_ = offset;
        known_ = true;
        last_write_ns_ = now_ns();
        publish_locked();
        ++batches_;
        delay_ns_ = 0;
        if (!up_) {
            log_.info("projection_writes_again", {{"sequence", offset}, {"queued", queued_}});
        }
        up_ = true;
        reason_.clear();
        return true;
    }

    // Exponential with jitter, so that many servers on one database do not come back together.
    void failed(std::string_view why) {
        writer_.forget();  // what it wrote last was rolled back
        const std::lock_guard lock{mutex_};
        if (reason_ != why) {
            log_.warn("projection_write_failed", {{"reason", why}});
        }
        reason_ = why;
        up_ = false;
        ++failures_;
        backoff_ns_ = delay_ns_ == 0 ? options_.retry_first_ns
                                     : std::min(2 * backoff_ns_, options_.retry_max_ns);
        std::uniform_int_distribution<std::int64_t> jitter{backoff_ns_ / 2, backoff_ns_};
        delay_ns_ = jitter(random_);
    }

    const Storage storage_;
    const Service<tenon_exec_1> exec_;
    const Service<tenon_clock_1> clock_;
    const Log log_;
    const ProjectionOptions options_;
    std::atomic<bool> gathers_{true};
    std::atomic<std::uint64_t> projected_{0};
    // Of the job, or of stop() after the last job.
    ProjectionWriter writer_;
    std::vector<std::vector<ProjectionEvent>> batch_;
    std::uint64_t batch_through_ = 0;  // nothing up to here comes after the batch
    std::uint64_t timer_ = 0;          // of the reactor

    mutable std::mutex mutex_;  // of all below
    std::condition_variable ended_;
    Phase phase_ = Phase::idle;
    std::deque<std::vector<ProjectionEvent>> queue_;  // one element a call of enqueue
    std::size_t queued_ = 0;                          // events in queue_ and in batch_
    bool stopped_ = false;
    std::int64_t stop_deadline_ns_ = 0;
    bool up_ = false;
    bool known_ = false;         // the database's offset has been seen
    bool offset_due_ = false;    // an offset without events is to be written
    std::uint64_t given_ = 0;    // all commands up to here were given
    std::uint64_t written_ = 0;  // the database's offset as seen last
    std::int64_t last_write_ns_ = 0;
    std::uint64_t batches_ = 0, failures_ = 0;
    std::string reason_;
    std::int64_t delay_ns_ = 0, backoff_ns_ = 0;
    std::minstd_rand random_;
};

Projection::Projection(
    Service<tenon_storage_1> storage,
    Service<tenon_exec_1> exec,
    Service<tenon_clock_1> clock,
    Log log,
    ProjectionOptions options
)
    : impl_{std::make_unique<Impl>(storage, exec, clock, log, options)} {}

Projection::~Projection() {
    (void)guard(nullptr, [&] { impl_->stop(0); });
}

std::uint64_t Projection::load_offset() {
    return impl_->load_offset();
}

void Projection::gather(bool on) noexcept {
    impl_->gather(on);
}

bool Projection::enqueue(std::span<const tenon_execution_event> events) {
    return impl_->enqueue(events);
}

void Projection::advance(std::uint64_t sequence) {
    impl_->advance(sequence);
}

std::uint64_t Projection::projected_sequence() const noexcept {
    return impl_->projected();
}

ProjectionState Projection::state() const {
    return impl_->state();
}

void Projection::stop(std::int64_t deadline_ns) {
    impl_->stop(deadline_ns);
}

std::vector<tenon_order> Projection::orders(const tenon_order_query& query) {
    return impl_->query([&](Session& session) { return select_orders(session, query); });
}

std::vector<tenon_trade> Projection::trades(const tenon_trade_query& query) {
    return impl_->query([&](Session& session) { return select_trades(session, query); });
}

std::vector<tenon_prevented_match> Projection::prevented(const tenon_prevented_query& query) {
    return impl_->query([&](Session& session) { return select_prevented(session, query); });
}

std::vector<tenon_amendment> Projection::amendments(const tenon_amendment_query& query) {
    return impl_->query([&](Session& session) { return select_amendments(session, query); });
}

std::vector<tenon_order_list> Projection::lists(const tenon_list_query& query) {
    return impl_->query([&](Session& session) { return select_lists(session, query); });
}

std::optional<tenon_order> Projection::order(
    std::uint64_t account,
    std::uint32_t instrument,
    std::uint64_t order_id,
    const tenon_client_id* client_id
) {
    return impl_->query([&](Session& session) {
        return select_order(session, account, instrument, order_id, client_id);
    });
}

}  // namespace tenon::engine
