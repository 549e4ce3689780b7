// SPDX-License-Identifier: Apache-2.0
// The projection: durable events of the engine, written to SQL exactly once.
//
// Events are written in batches; the offset (sequence of the last whole command) is updated in the
// same transaction, so a crash or a retry writes nothing twice. Nothing in the engine waits for it:
// the queue is bounded, a call that does not fit is refused as a whole, and the engine then keeps
// the events elsewhere (its spool) until there is room. While the database is down the writer
// retries with back-off. It does not decide which events exist and does not order them: they come
// ascending by (sequence, index), each call with whole commands.
//
// Threads: enqueue on the engine's reactor; queries and load_offset on the blocking pool or the
// control thread [io]; the rest anywhere.
#pragma once

#include <tenon/abi/host.h>
#include <tenon/abi/instruments.h>
#include <tenon/abi/storage.h>
#include <tenon/abi/trading.h>
#include <tenon/plugin.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace tenon::engine {

// An order after a change, and what changed it: the trade when has_trade, and what is rarer.
struct ProjectedOrder {
    tenon_order order = sized<tenon_order>();
    tenon_trade trade = sized<tenon_trade>();
    bool has_trade = false;
    std::shared_ptr<const tenon_prevented_match> prevented;
    std::shared_ptr<const tenon_amendment> amendment;
};

struct ProjectedLedger {
    std::uint64_t from = 0, to = 0;
    std::uint32_t asset = 0;
    std::int64_t amount = 0;
    std::string reference;
};

struct ProjectedAccount {
    std::uint64_t id = 0;
    std::string name;
    bool enabled = true;
    std::int64_t created_real_ns = 0, updated_real_ns = 0;
};

// `material` is a sealed secret or a public key: never printed.
struct ProjectedKey {
    std::string key;
    std::uint64_t account = 0;
    std::uint32_t kind = 0, permissions = 0;
    std::string material;
    std::string label;
    std::int64_t created_real_ns = 0;
    bool revoked = false;
};

struct ProjectedInstrument {
    std::uint32_t id = 0;
    std::uint32_t status = 0;  // TENON_INSTRUMENT_*
};

// An owning copy of a tenon_execution_event.
struct ProjectionEvent {
    std::uint64_t sequence = 0;
    std::uint32_t index = 0;
    std::int64_t time_real_ns = 0;
    std::variant<
        ProjectedOrder,
        tenon_balance,
        ProjectedLedger,
        ProjectedAccount,
        ProjectedKey,
        ProjectedInstrument,
        tenon_order_list>
        body;
};

struct ProjectionOptions {
    // Where the reference rows of assets and instruments come from. Without it, ids that events
    // name get placeholder rows.
    Service<tenon_instruments_1> instruments;
    std::size_t batch_max = 2'000;   // events of one transaction (whole commands: may be exceeded)
    std::size_t queue_max = 50'000;  // events waiting in memory
    // A batch that is not full waits this long for more events: each transaction costs syncs of
    // the disk that the journal shares. 0: it does not wait.
    std::int64_t batch_interval_ns = 100'000'000;
    std::int64_t write_timeout_ns = 30'000'000'000;
    std::int64_t query_timeout_ns = 10'000'000'000;
    std::int64_t retry_first_ns = 100'000'000;
    std::int64_t retry_max_ns = 5'000'000'000;
    std::int64_t offset_interval_ns = 5'000'000'000;  // between offsets without events
};

struct ProjectionState {
    std::uint64_t projected_sequence = 0;  // 0 also until the offset was read once
    std::size_t queued = 0;                // events
    bool database_up = false;              // the last attempt succeeded
    std::uint64_t batches = 0, failures = 0;
    std::string reason;  // of the last failure, empty while up
};

class Projection {
public:
    // Does not touch the database.
    Projection(
        Service<tenon_storage_1> storage,
        Service<tenon_exec_1> exec,
        Service<tenon_clock_1> clock,
        Log log,
        ProjectionOptions options
    );
    ~Projection();
    Projection(const Projection&) = delete;
    Projection& operator=(const Projection&) = delete;

    // [io] The offset in the database; 0 when nothing was projected yet. Throws Error when the
    // database does not answer; enqueue may be called nevertheless: the writer reads the offset
    // itself before its first batch, and skips events of commands at or below it.
    std::uint64_t load_offset();

    // [reactor] Copies the events. False: no room, nothing of the call was taken. An empty queue
    // takes a call of any size, so that a huge command can not block for ever.
    [[nodiscard]] bool enqueue(std::span<const tenon_execution_event> events);

    // [reactor] Off: as if batch_interval_ns were 0, for events that wait already too.
    void gather(bool on) noexcept;

    // [reactor] All events of commands up to `sequence` were given to enqueue; most commands of a
    // quiet market have none, and without this the offset would stay behind them. Cheap; the offset
    // goes to the database with the next batch, or by itself now and then.
    void advance(std::uint64_t sequence);

    // [any] Every event of commands up to here is in the database.
    [[nodiscard]] std::uint64_t projected_sequence() const noexcept;
    [[nodiscard]] ProjectionState state() const;

    // [control] Writes what is queued until the deadline (monotonic), then ends. What was not
    // written comes again from the journal after the next start. Called once; enqueue is not called
    // after it.
    void stop(std::int64_t deadline_ns);

    // [io] Rows of the contract's queries from SQL, ascending by id, those of closed and open
    // orders as of projected_sequence. Throw Error (TENON_UNAVAILABLE, TENON_TIMEOUT) when the
    // database does not answer.
    std::vector<tenon_order> orders(const tenon_order_query& query);
    std::vector<tenon_trade> trades(const tenon_trade_query& query);
    std::vector<tenon_order_list> lists(const tenon_list_query& query);
    std::vector<tenon_prevented_match> prevented(const tenon_prevented_query& query);
    std::vector<tenon_amendment> amendments(const tenon_amendment_query& query);
    // By order_id, or by client_id (the newest order with it) when order_id is 0.
    std::optional<tenon_order> order(
        std::uint64_t account,
        std::uint32_t instrument,
        std::uint64_t order_id,
        const tenon_client_id* client_id
    );

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace tenon::engine
