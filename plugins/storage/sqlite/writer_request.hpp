// SPDX-License-Identifier: Apache-2.0
// What waits in the writer's queue. It lives on its caller's stack.
#pragma once

#include "plugins/storage/sqlite/writer.hpp"

namespace tenon::sqlite {

struct Writer::Request {
    Work work;  // without fn: a lease
    std::int64_t queued_ns = 0;
    Connection* leased = nullptr;
    std::uint64_t txid = 0;
    std::thread::id caller = std::this_thread::get_id();
    bool in_doubt = false;  // a commit of it had an unknown outcome

    std::mutex mutex;
    std::condition_variable wake;
    bool finished = false;
    tenon_status status = TENON_OK;
};

}  // namespace tenon::sqlite
