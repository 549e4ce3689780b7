// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/intake.hpp"

#include <utility>

namespace tenon::engine {

// A command of another reactor and its answer, as copies.
struct Intake::HandOver {
    Intake* intake;
    std::uint32_t origin;
    Admission admission;
    tenon_trading_done done;
    std::string encoded;
    tenon_status status = TENON_OK;
    tenon_trading_reply reply{};
    ErrorBuffer err;
    std::vector<tenon_order> orders;
    std::vector<tenon_trade> trades;
    std::vector<tenon_order_list> lists;
    std::vector<tenon_prevented_match> prevented;
    tenon_amendment amendment{};
};

tenon_status Intake::run_here(
    Engine& engine,
    const trading::CommandBody& body,
    Admission admission,
    tenon_trading_done done,
    tenon_err* err
) {
    if (const auto* submit = std::get_if<trading::SubmitCommand>(&body); submit != nullptr) {
        return engine.submit(submit->order, done, err);
    }
    if (const auto* list = std::get_if<trading::SubmitListCommand>(&body); list != nullptr) {
        return engine.submit(*list, done, err);
    }
    return engine.run(body, admission, done, err);
}

tenon_status Intake::take(
    const trading::CommandBody& body,
    Admission admission,
    tenon_trading_done done,
    tenon_err* err
) {
    const auto exec = engine_.exec();
    const std::int32_t reactor = exec->current_reactor(exec.self);
    if (reactor == 0) {
        return run_here(engine_, body, admission, done, err);
    }
    if (reactor < 0) {
        return fail(err, TENON_INVALID, "commands are sent from a reactor");
    }
    const trading::Command command{0, 0, body};
    if (!trading::well_formed(command)) {
        return fail(err, TENON_INVALID, "a text of the command is too long");
    }
    if (in_flight_.fetch_add(1) >= in_flight_max_) {
        in_flight_.fetch_sub(1);
        return fail(err, TENON_UNAVAILABLE, "the engine's queue is full", TENON_ERR_RETRYABLE);
    }
    auto owned = std::make_unique<HandOver>();
    owned->intake = this;
    owned->origin = static_cast<std::uint32_t>(reactor);
    owned->admission = admission;
    owned->done = done;
    trading::encode(command, owned->encoded);
    const auto run = [](void* ctx) {
        auto& job = *static_cast<HandOver*>(ctx);
        trading::Command taken;
        (void)trading::decode(job.encoded, taken);
        const tenon_status status = run_here(
            job.intake->engine_, taken.body, job.admission, {&job, &Intake::answer}, &job.err
        );
        if (status != TENON_PENDING) {
            answer(&job, status, nullptr, &job.err);
        }
    };
    if (exec->post(exec.self, 0, run, owned.get()) != TENON_OK) {
        in_flight_.fetch_sub(1);
        return fail(err, TENON_UNAVAILABLE, "the engine's queue is full", TENON_ERR_RETRYABLE);
    }
    (void)owned.release();
    return TENON_PENDING;
}

// On reactor 0: copies the answer and takes it to where the command came from.
void Intake::answer(
    void* ctx,
    tenon_status status,
    const tenon_trading_reply* reply,
    const tenon_err* err
) {
    std::unique_ptr<HandOver> job{static_cast<HandOver*>(ctx)};
    job->status = status;
    if (err != nullptr && err != &job->err) {
        fail(&job->err, status, {err->msg, err->len}, err->flags);
    }
    if (reply != nullptr) {
        job->orders.assign(reply->orders, reply->orders + reply->order_count);
        job->trades.assign(reply->trades, reply->trades + reply->trade_count);
        job->lists.assign(reply->lists, reply->lists + reply->list_count);
        job->prevented.assign(reply->prevented, reply->prevented + reply->prevented_count);
        job->reply = *reply;
        job->reply.orders = job->orders.data();
        job->reply.trades = job->trades.data();
        job->reply.lists = job->lists.data();
        job->reply.prevented = job->prevented.data();
        if (reply->amendment != nullptr) {
            job->amendment = *reply->amendment;
            job->reply.amendment = &job->amendment;
        }
    }
    const auto exec = job->intake->engine_.exec();
    const auto deliver = [](void* answered) {
        const std::unique_ptr<HandOver> mine{static_cast<HandOver*>(answered)};
        mine->intake->in_flight_.fetch_sub(1);
        const bool failed = mine->status != TENON_OK;
        if (mine->done.fn != nullptr) {
            mine->done.fn(
                mine->done.ctx,
                mine->status,
                failed ? nullptr : &mine->reply,
                failed ? &mine->err : nullptr
            );
        }
    };
    // A reactor that has stopped waits for no answer.
    if (exec->post(exec.self, job->origin, deliver, job.get()) == TENON_OK) {
        (void)job.release();
    } else {
        job->intake->in_flight_.fetch_sub(1);
    }
}

}  // namespace tenon::engine
