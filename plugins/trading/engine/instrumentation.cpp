// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/instrumentation.hpp"

namespace tenon::engine {
namespace {

constexpr std::array<std::string_view, k_reject_end> k_reject_names{
    "none",
    "unknown_instrument",
    "market_closed",
    "price_filter",
    "lot_size",
    "market_lot_size",
    "notional",
    "percent_price",
    "max_orders",
    "balance",
    "duplicate_id",
    "would_match",
    "unknown_order",
    "overflow",
    "unknown_account",
    "account_disabled",
    "invalid",
    "unsupported",
    "max_position",
    "no_liquidity",
    "venue",
    "unknown_asset",
    "duplicate_account",
    "duplicate_key",
    "unknown_key",
    "capacity",
    "not_sent",
    "would_trigger",
    "max_algo_orders",
    "cancel_restricted",
    "list_prices",
    "unknown_list",
    "trailing_delta",
    "iceberg_parts",
    "amend_quantity",
    "time_over",
    "risk_price_band",
    "risk_notional",
    "risk_position",
    "risk_exposure",
    "risk_open_orders",
    "risk_order_rate"};

}  // namespace

std::string_view reject_name(std::uint32_t reject) noexcept {
    return reject < k_reject_names.size() ? k_reject_names[reject] : "unknown";
}

Instrumentation::Instrumentation(Service<tenon_metrics_1> metrics) : metrics_{metrics} {
    fsync_ = metrics_->histogram(
        metrics_.self,
        str("tenon_journal_fsync_duration_seconds"),
        str("Write and fdatasync of a journal batch."),
        nullptr,
        0
    );
    bytes_ = counter("tenon_journal_bytes_total", "Bytes written to the journal.");
    batches_ = counter("tenon_journal_batches_total", "Batches made durable.");
    commands_ = counter("tenon_trading_commands_total", "Commands applied.");
    refused_ = counter(
        "tenon_trading_refused_total",
        "Commands not taken: queue full, disk full, journal degraded."
    );
    projection_failures_ =
        counter("tenon_projection_failures_total", "Failed writes of events to the database.");
    open_orders_ = gauge("tenon_trading_open_orders", "Open orders of all accounts.");
    accounts_ = gauge("tenon_trading_accounts", "Accounts, system accounts included.");
    history_orders_ = gauge("tenon_trading_history_orders", "Orders kept in memory.");
    lag_ = gauge("tenon_projection_lag_commands", "Durable commands not yet in the database.");
    queued_ = gauge("tenon_projection_queued_events", "Events in memory for the database.");
    spool_ = gauge("tenon_projection_spool_bytes", "Bytes of events in the spool.");
    for (std::size_t reason = 1; reason < k_reject_end; ++reason) {
        const tenon_label label{str("reason"), str(k_reject_names[reason])};
        rejects_[reason] = metrics_->counter(
            metrics_.self,
            str("tenon_trading_rejects_total"),
            str("Commands refused by a rule."),
            &label,
            1
        );
    }
}

std::uint64_t* Instrumentation::counter(std::string_view name, std::string_view help) const {
    return metrics_->counter(metrics_.self, str(name), str(help), nullptr, 0);
}

std::int64_t* Instrumentation::gauge(std::string_view name, std::string_view help) const {
    return metrics_->gauge(metrics_.self, str(name), str(help), nullptr, 0);
}

void Instrumentation::command(std::uint32_t reject) const noexcept {
    add(commands_, 1);
    if (reject != TENON_REJECT_NONE && reject < k_reject_end) {
        add(rejects_[reject], 1);
    }
}

void Instrumentation::batch(std::int64_t duration_ns, std::uint64_t bytes) const noexcept {
    if (fsync_ != nullptr) {
        metrics_->observe(metrics_.self, fsync_, duration_ns);
    }
    add(bytes_, bytes);
    add(batches_, 1);
}

void Instrumentation::set(const Gauges& gauges) const noexcept {
    store(open_orders_, gauges.open_orders);
    store(accounts_, gauges.accounts);
    store(history_orders_, gauges.history_orders);
    store(lag_, gauges.projection_lag);
    store(queued_, gauges.projection_queued);
    store(spool_, gauges.spool_bytes);
    store(projection_failures_, gauges.projection_failures);
}

}  // namespace tenon::engine
