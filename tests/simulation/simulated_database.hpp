// SPDX-License-Identifier: Apache-2.0
// A real database that fails as a simulation asks: down, slow, rolled back, run twice, in doubt
// after the commit; and a process that dies before or after one.
#pragma once

#include "tests/simulation/simulated_exec.hpp"
#include "tests/unit/storage/backend.hpp"

#include <array>
#include <cstdint>
#include <random>

namespace tenon::test {

class SimulatedDatabase {
public:
    enum Fault : std::size_t { refused, rolled_back, run_twice, in_doubt, died, died_late, slow };

    SimulatedDatabase(SqliteBackend& backend, SimulatedExec& exec, std::uint64_t seed)
        : backend_{backend},
          exec_{exec},
          inner_{backend.storage().service()},
          table_{*inner_.table},
          random_{seed} {
        table_.transact = [](void* self,
                             std::uint32_t intent,
                             std::int64_t deadline_ns,
                             tenon_transaction_fn fn,
                             void* ctx,
                             tenon_err* err) -> tenon_status {
            auto& mine = *static_cast<SimulatedDatabase*>(self);
            return mine.transact(intent, deadline_ns, {fn, ctx}, err);
        };
    }

    [[nodiscard]] Service<tenon_storage_1> service() { return {this, &table_}; }

    std::uint64_t fault_in = 0;      // one transaction in so many has a fault; 0: none
    std::int64_t down_until_ns = 0;  // by the simulation's clock
    bool process_dead = false;       // nothing reaches the database any more
    std::array<std::uint64_t, 7> counts{};

private:
    struct Work {
        tenon_transaction_fn fn;
        void* ctx;
    };

    [[nodiscard]] tenon_status
    transact(std::uint32_t intent, std::int64_t deadline_ns, Work work, tenon_err* err) {
        if (process_dead || exec_.now_ns < down_until_ns) {
            return fail(err, TENON_UNAVAILABLE, "simulated: down", TENON_ERR_RETRYABLE);
        }
        if (fault_in == 0 || random_() % fault_in != 0) {
            return pass_on(intent, work, err);
        }
        const std::size_t fault =
            intent == TENON_INTENT_WRITE ? random_() % counts.size() : std::size_t{refused};
        ++counts[fault];
        process_dead = fault == died || fault == died_late;
        if (fault == slow) {
            exec_.now_ns += static_cast<std::int64_t>(random_() % 2'000'000'000);
            return exec_.now_ns > deadline_ns ? fail(err, TENON_TIMEOUT, "simulated: too slow")
                                              : pass_on(intent, work, err);
        }
        if (fault == rolled_back || fault == run_twice || fault == died) {
            const tenon_status status = run_and_roll_back(intent, work, err);
            return fault == run_twice ? pass_on(intent, work, err) : status;
        }
        if (fault == in_doubt || fault == died_late) {
            const tenon_status status = pass_on(intent, work, err);
            return status != TENON_OK
                       ? status
                       : fail(err, TENON_IN_DOUBT, "simulated: lost after the commit");
        }
        return fail(err, TENON_UNAVAILABLE, "simulated: refused", TENON_ERR_RETRYABLE);
    }

    // Deadlines of the simulation's clock mean nothing to the real database.
    [[nodiscard]] tenon_status pass_on(std::uint32_t intent, Work work, tenon_err* err) {
        return inner_->transact(inner_.self, intent, backend_.deadline(), work.fn, work.ctx, err);
    }

    [[nodiscard]] tenon_status run_and_roll_back(std::uint32_t intent, Work work, tenon_err* err) {
        const auto failing = [](void* ctx, tenon_session* session, tenon_err* e) -> tenon_status {
            const auto& inside = *static_cast<Work*>(ctx);
            (void)inside.fn(inside.ctx, session, e);
            return fail(e, TENON_UNAVAILABLE, "simulated: rolled back");
        };
        return pass_on(intent, {failing, &work}, err);
    }

    // The rest of the table works on the real database's own sessions.
    SqliteBackend& backend_;
    SimulatedExec& exec_;
    Service<tenon_storage_1> inner_;
    tenon_storage_1 table_;
    std::mt19937_64 random_;
};

}  // namespace tenon::test
