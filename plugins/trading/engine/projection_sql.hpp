// SPDX-License-Identifier: Apache-2.0
// The SQL side of the projection: writes batches of events, answers queries. Knows no threads.
#pragma once

#include "plugins/trading/engine/projection.hpp"

#include <tenon/storage.hpp>

#include <string_view>
#include <unordered_set>

namespace tenon::engine {

inline constexpr std::string_view k_projection_name = "engine";

// Writes into the tables of migrations 0001_trading and 0012_order_lists. One caller at a time.
class ProjectionWriter {
public:
    explicit ProjectionWriter(Service<tenon_instruments_1> instruments)
        : instruments_{instruments} {}

    struct Offsets {
        std::uint64_t expected = 0;  // in the database when this process saw it last; 0: never
        std::uint64_t through = 0;   // no command up to here has events beyond the batch
    };

    // In the session's transaction: writes what the database does not have yet and moves the
    // offset. Returns the new one. A database that is behind the expected offset was replaced by an
    // older one: throws Error (TENON_CONFLICT), since the events between are not here.
    std::uint64_t write(
        Session& session,
        std::span<const std::vector<ProjectionEvent>> batch,
        Offsets offsets,
        std::int64_t now_real_ns
    );

    // What write() remembered of the database's rows does not hold any more.
    void forget() noexcept;

private:
    // The newest state of each row in a batch; earlier ones need not be written.
    struct Newest;

    void write_references(Session& session);
    void write_event(Session& session, const ProjectionEvent& event, Newest& newest);
    void write_newest(Session& session, const Newest& newest);
    void write_order(Session& session, const tenon_order& order);
    void write_trade(Session& session, const tenon_trade& trade);
    void write_list(Session& session, const tenon_order_list& list);
    void write_prevented(Session& session, const tenon_prevented_match& match);
    void write_amendment(Session& session, const tenon_amendment& amendment);
    void need_account(Session& session, std::uint64_t id);
    void need_asset(Session& session, std::uint32_t id);
    void need_instrument(Session& session, std::uint32_t id);

    Service<tenon_instruments_1> instruments_;
    // Rows that are there for sure.
    std::unordered_set<std::uint64_t> accounts_;
    std::unordered_set<std::uint32_t> assets_, listed_;
    std::uint32_t assets_written_ = 0, instruments_written_ = 0;
};

// The offset in the database, 0 when there is none.
[[nodiscard]] std::uint64_t read_offset(Session& session);

[[nodiscard]] std::vector<tenon_order>
select_orders(Session& session, const tenon_order_query& query);
[[nodiscard]] std::vector<tenon_trade>
select_trades(Session& session, const tenon_trade_query& query);
[[nodiscard]] std::vector<tenon_order_list>
select_lists(Session& session, const tenon_list_query& query);
[[nodiscard]] std::vector<tenon_prevented_match>
select_prevented(Session& session, const tenon_prevented_query& query);
[[nodiscard]] std::vector<tenon_amendment>
select_amendments(Session& session, const tenon_amendment_query& query);
[[nodiscard]] std::optional<tenon_order> select_order(
    Session& session,
    std::uint64_t account,
    std::uint32_t instrument,
    std::uint64_t order_id,
    const tenon_client_id* client_id
);

}  // namespace tenon::engine
