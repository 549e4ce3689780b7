// SPDX-License-Identifier: Apache-2.0
// Queries of tenon.trading/1: from the core and the history, and from SQL for what is older.
//
// On reactor 0 an answer from memory comes at once. What needs SQL runs on the blocking pool and
// comes back to the caller's reactor; rows of memory win over those of SQL, which may be older.
// Queries of other reactors are answered after the next commit, so that nothing leaves that is not
// durable. (On reactor 0 answers of a turn leave after its commit anyway.)
#pragma once

#include "plugins/trading/engine/engine.hpp"

namespace tenon::engine {

template <class Row>
struct RowTarget {
    void* ctx;
    tenon_status (*row)(void* ctx, const Row* row);
    tenon_done done;
};

class Queries {
public:
    explicit Queries(Engine& engine) : engine_{engine} {}

    // [reactor, any of them] As in tenon.trading/1.
    tenon_status order(
        std::uint64_t account,
        std::uint32_t instrument,
        std::uint64_t order_id,
        const tenon_client_id& client_id,
        const RowTarget<tenon_order>& target,
        tenon_err* err
    );
    tenon_status
    orders(const tenon_order_query& query, const RowTarget<tenon_order>& target, tenon_err* err);
    tenon_status
    trades(const tenon_trade_query& query, const RowTarget<tenon_trade>& target, tenon_err* err);
    tenon_status
    lists(const tenon_list_query& query, const RowTarget<tenon_order_list>& target, tenon_err* err);
    tenon_status prevented(
        const tenon_prevented_query& query,
        const RowTarget<tenon_prevented_match>& target,
        tenon_err* err
    );
    tenon_status amendments(
        const tenon_amendment_query& query,
        const RowTarget<tenon_amendment>& target,
        tenon_err* err
    );
    tenon_status
    balances(std::uint64_t account, const RowTarget<tenon_balance>& target, tenon_err* err);

private:
    Engine& engine_;
};

}  // namespace tenon::engine
