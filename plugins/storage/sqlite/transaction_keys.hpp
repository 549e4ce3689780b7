// SPDX-License-Identifier: Apache-2.0
// The keys of transactions that were committed, in the table tenon_transaction_keys.
//
// A key is written with the rows of its transaction, so it is there if they are, and says of a
// commit whose outcome got lost whether it was done. The table is made by the first key. Keys are
// kept for a day by the wall clock, the older ones go first, a few thousand at a time (after a
// clock was put back, not before it has caught up). Used by the writer's thread alone.
#pragma once

#include "plugins/storage/sqlite/connection.hpp"

namespace tenon::sqlite {

class TransactionKeys {
public:
    static constexpr std::size_t k_key_max = 64;  // bytes

    // In the open transaction of the connection. False: the work of this key was committed before;
    // the key is written once more, so that the commit which follows has a place in the log.
    [[nodiscard]] bool
    claim(Connection& connection, std::string_view key, std::int64_t now_real_ns);

    // A transaction with a key is: so the table is there.
    void committed() noexcept { is_there_ = true; }

    // The database is another file.
    void forget() noexcept { is_there_ = false; }

    // A transaction of its own, when it is time. Throws DatabaseError.
    void prune(Connection& connection, std::int64_t now_ns, std::int64_t now_real_ns);

private:
    static bool insert(Connection& connection, std::string_view key, std::int64_t now_real_ns);

    bool is_there_ = false;
    std::int64_t next_prune_ns_ = 0;
};

}  // namespace tenon::sqlite
