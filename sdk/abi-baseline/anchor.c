/* SPDX-License-Identifier: Apache-2.0 */
/* One exported function that names every struct of the ABI, for abidiff: without it no struct is
 * reachable and every change passes. Written by `tools/abi lock`. */
/* clang-format off */
#include <tenon/abi/base.h>
#include <tenon/abi/host.h>
#include <tenon/abi/auth.h>
#include <tenon/abi/backup.h>
#include <tenon/abi/cache.h>
#include <tenon/abi/cache_tier.h>
#include <tenon/abi/feed.h>
#include <tenon/abi/http.h>
#include <tenon/abi/instruments.h>
#include <tenon/abi/jobs.h>
#include <tenon/abi/market_data.h>
#include <tenon/abi/migrations.h>
#include <tenon/abi/probe.h>
#include <tenon/abi/storage.h>
#include <tenon/abi/throttle.h>
#include <tenon/abi/trading.h>
#include <tenon/abi/venue.h>

struct tenon_abi_anchor {
    const tenon_str* tenon_str_;
    const tenon_bytes* tenon_bytes_;
    const tenon_err* tenon_err_;
    const tenon_sink* tenon_sink_;
    const tenon_done* tenon_done_;
    const tenon_iface* tenon_iface_;
    const tenon_host* tenon_host_;
    const tenon_plugin_vt* tenon_plugin_vt_;
    const tenon_plugin* tenon_plugin_;
    const tenon_entry* tenon_entry_;
    const tenon_log_field* tenon_log_field_;
    const tenon_log_1* tenon_log_1_;
    const tenon_clock_1* tenon_clock_1_;
    const tenon_environment_1* tenon_environment_1_;
    const tenon_exec_1* tenon_exec_1_;
    const tenon_label* tenon_label_;
    const tenon_metrics_1* tenon_metrics_1_;
    const tenon_health_1* tenon_health_1_;
    const tenon_services_1* tenon_services_1_;
    const tenon_secret_1* tenon_secret_1_;
    const tenon_admin_1* tenon_admin_1_;
    const tenon_config_1* tenon_config_1_;
    const tenon_bus_message* tenon_bus_message_;
    const tenon_bus_1* tenon_bus_1_;
    const tenon_audit_event* tenon_audit_event_;
    const tenon_audit_1* tenon_audit_1_;
    const tenon_client_id* tenon_client_id_;
    const tenon_order_request* tenon_order_request_;
    const tenon_cancel_request* tenon_cancel_request_;
    const tenon_amend_request* tenon_amend_request_;
    const tenon_list_request* tenon_list_request_;
    const tenon_list_cancel* tenon_list_cancel_;
    const tenon_list_order* tenon_list_order_;
    const tenon_order_list* tenon_order_list_;
    const tenon_order* tenon_order_;
    const tenon_prevented_match* tenon_prevented_match_;
    const tenon_amendment* tenon_amendment_;
    const tenon_trade* tenon_trade_;
    const tenon_balance* tenon_balance_;
    const tenon_account* tenon_account_;
    const tenon_api_key* tenon_api_key_;
    const tenon_trading_reply* tenon_trading_reply_;
    const tenon_trading_done* tenon_trading_done_;
    const tenon_ledger_entry* tenon_ledger_entry_;
    const tenon_execution_event* tenon_execution_event_;
    const tenon_order_query* tenon_order_query_;
    const tenon_trade_query* tenon_trade_query_;
    const tenon_prevented_query* tenon_prevented_query_;
    const tenon_amendment_query* tenon_amendment_query_;
    const tenon_list_query* tenon_list_query_;
    const tenon_trading_status* tenon_trading_status_;
    const tenon_trading_1* tenon_trading_1_;
    const tenon_identity* tenon_identity_;
    const tenon_auth_1* tenon_auth_1_;
    const tenon_backup_progress* tenon_backup_progress_;
    const tenon_backup_request* tenon_backup_request_;
    const tenon_restore_request* tenon_restore_request_;
    const tenon_backup_1* tenon_backup_1_;
    const tenon_cache_keep* tenon_cache_keep_;
    const tenon_cache_answer* tenon_cache_answer_;
    const tenon_cache_request* tenon_cache_request_;
    const tenon_cache_done* tenon_cache_done_;
    const tenon_cache_1* tenon_cache_1_;
    const tenon_cache_tier_stats* tenon_cache_tier_stats_;
    const tenon_cache_tier_event* tenon_cache_tier_event_;
    const tenon_cache_tier_1* tenon_cache_tier_1_;
    const tenon_level* tenon_level_;
    const tenon_feed_event* tenon_feed_event_;
    const tenon_history_query* tenon_history_query_;
    const tenon_history_rows* tenon_history_rows_;
    const tenon_history_done* tenon_history_done_;
    const tenon_feed_1* tenon_feed_1_;
    const tenon_http_header* tenon_http_header_;
    const tenon_http_request* tenon_http_request_;
    const tenon_http_response* tenon_http_response_;
    const tenon_ws_handler* tenon_ws_handler_;
    const tenon_http_routes_1* tenon_http_routes_1_;
    const tenon_asset* tenon_asset_;
    const tenon_instrument* tenon_instrument_;
    const tenon_instruments_1* tenon_instruments_1_;
    const tenon_value* tenon_value_;
    const tenon_storage_stats* tenon_storage_stats_;
    const tenon_transaction_options* tenon_transaction_options_;
    const tenon_query* tenon_query_;
    const tenon_storage_1* tenon_storage_1_;
    const tenon_job* tenon_job_;
    const tenon_job_run* tenon_job_run_;
    const tenon_job_schedule* tenon_job_schedule_;
    const tenon_jobs_1* tenon_jobs_1_;
    const tenon_book* tenon_book_;
    const tenon_public_trade* tenon_public_trade_;
    const tenon_agg_trade* tenon_agg_trade_;
    const tenon_candle* tenon_candle_;
    const tenon_ticker* tenon_ticker_;
    const tenon_md_origin* tenon_md_origin_;
    const tenon_md_event* tenon_md_event_;
    const tenon_market_data_1* tenon_market_data_1_;
    const tenon_migrations_1* tenon_migrations_1_;
    const tenon_probe_1* tenon_probe_1_;
    const tenon_throttle_claim* tenon_throttle_claim_;
    const tenon_throttle_state* tenon_throttle_state_;
    const tenon_throttle_feedback* tenon_throttle_feedback_;
    const tenon_throttle_1* tenon_throttle_1_;
    const tenon_venue_order* tenon_venue_order_;
    const tenon_venue_report* tenon_venue_report_;
    const tenon_venue_reports* tenon_venue_reports_;
    const tenon_venue_input_1* tenon_venue_input_1_;
    const tenon_venue_1* tenon_venue_1_;
};

__attribute__((visibility("default"))) const struct tenon_abi_anchor* tenon_abi_anchor(void);
const struct tenon_abi_anchor* tenon_abi_anchor(void) {
    static const struct tenon_abi_anchor anchor;
    return &anchor;
}
