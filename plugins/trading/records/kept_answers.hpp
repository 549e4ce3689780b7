// SPDX-License-Identifier: Apache-2.0
// Answers to reads that are asked for again and again, kept in the cache "api_response".
//
// Kept are lists, single rows and daily sums of what is no secret and hangs on no clock: models,
// signals, predictions, news, trade logs. An answer is the caller's: another account, or other
// rights, are another entry. It carries the tag of its table ("records:news"), which every write of
// this API to that table invalidates before the writer has its answer, on all servers that share a
// tier. What others write into the database shows when the time to live is over. Failures are not
// kept. While the database is away an answer is given until its time is over, and not after.
#pragma once

#include "plugins/trading/records/api.hpp"

#include <tenon/cache.hpp>

#include <cstdint>
#include <functional>

namespace tenon::records {

class KeptAnswers {
public:
    // Nothing is kept.
    KeptAnswers() = default;

    explicit KeptAnswers(Cache cache) : cache_{cache} {}

    struct Ask {
        const Endpoint& endpoint;
        const Request& request;
        std::int64_t ttl_ns = 0;   // 0: neither kept nor looked for
        std::int64_t wait_ns = 0;  // for the whole call
    };

    // [io] What is kept, else what `work` gives. Carries its age where it may be an old one. After
    // a write what it made old is gone.
    [[nodiscard]] Answer answer(const Ask& ask, const std::function<Answer()>& work) const;

private:
    Cache cache_;
};

}  // namespace tenon::records
