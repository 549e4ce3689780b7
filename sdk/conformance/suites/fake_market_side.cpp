// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/suites/fake_market_side.hpp"

namespace tenon::suites {
namespace {

[[nodiscard]] tenon_status closed(tenon_err* err) {
    return fail(err, TENON_UNAVAILABLE, "this trading engine takes nothing");
}

}  // namespace

const tenon_auth_1& FakeMarketSide::auth_table() noexcept {
    static constexpr tenon_auth_1 k_table{
        sizeof(tenon_auth_1),
        0,
        [](void*, tenon_str, tenon_identity*) -> tenon_status { return TENON_NOT_FOUND; },
        [](void*, tenon_str, const tenon_bytes*, std::uint32_t, tenon_str, tenon_identity*)
            -> tenon_status { return TENON_NOT_FOUND; },
        [](void*, tenon_str, tenon_str) -> tenon_status { return TENON_NOT_FOUND; }};
    return k_table;
}

const tenon_trading_1& FakeMarketSide::trading_table() noexcept {
    static constexpr tenon_trading_1 k_table{
        sizeof(tenon_trading_1),
        0,
        [](void*, const tenon_order_request*, tenon_trading_done, tenon_err* err) {
            return closed(err);
        },
        [](void*, const tenon_cancel_request*, tenon_trading_done, tenon_err* err) {
            return closed(err);
        },
        [](void*, std::uint64_t, std::uint32_t, tenon_trading_done, tenon_err* err) {
            return closed(err);
        },
        [](void*, const tenon_ledger_entry*, tenon_trading_done, tenon_err* err) {
            return closed(err);
        },
        [](void*, tenon_str, tenon_trading_done, tenon_err* err) { return closed(err); },
        [](void*, const tenon_api_key*, tenon_trading_done, tenon_err* err) { return closed(err); },
        [](void*, tenon_str, tenon_trading_done, tenon_err* err) { return closed(err); },
        [](void*, std::uint32_t, std::uint32_t, tenon_trading_done, tenon_err* err) {
            return closed(err);
        },
        [](void*,
           std::uint64_t,
           std::uint32_t,
           std::uint64_t,
           const tenon_client_id*,
           void*,
           tenon_status (*)(void*, const tenon_order*),
           tenon_done,
           tenon_err*) -> tenon_status { return TENON_NOT_FOUND; },
        [](void*,
           const tenon_order_query*,
           void*,
           tenon_status (*)(void*, const tenon_order*),
           tenon_done,
           tenon_err*) -> tenon_status { return TENON_OK; },
        [](void*,
           const tenon_trade_query*,
           void*,
           tenon_status (*)(void*, const tenon_trade*),
           tenon_done,
           tenon_err*) -> tenon_status { return TENON_OK; },
        [](void*,
           std::uint64_t,
           void*,
           tenon_status (*)(void*, const tenon_balance*),
           tenon_done,
           tenon_err*) -> tenon_status { return TENON_NOT_FOUND; },
        [](void*, void*, tenon_status (*)(void*, const tenon_account*), tenon_err*)
            -> tenon_status { return TENON_OK; },
        [](void*, void*, tenon_status (*)(void*, const tenon_api_key*), tenon_err*)
            -> tenon_status { return TENON_OK; },
        [](void*, std::uint32_t) -> std::uint32_t { return 1; },
        [](void*, tenon_trading_status* out) -> tenon_status {
            tenon_trading_status now{};
            now.size = out->size;
            now.reason = str("a check of the conformance kit");
            *out = now;
            return TENON_OK;
        },
        [](void*,
           void*,
           void (*)(void*, const tenon_execution_event*, std::uint32_t),
           std::uint64_t* handle) -> tenon_status {
            *handle = 1;
            return TENON_OK;
        },
        [](void*, std::uint64_t) {},
        [](void*, const tenon_list_request*, tenon_trading_done, tenon_err* err) {
            return closed(err);
        },
        [](void*, const tenon_list_cancel*, tenon_trading_done, tenon_err* err) {
            return closed(err);
        },
        [](void*,
           const tenon_list_query*,
           void*,
           tenon_status (*)(void*, const tenon_order_list*),
           tenon_done,
           tenon_err*) -> tenon_status { return TENON_OK; },
        [](void*, const tenon_amend_request*, tenon_trading_done, tenon_err* err) {
            return closed(err);
        },
        [](void*,
           const tenon_prevented_query*,
           void*,
           tenon_status (*)(void*, const tenon_prevented_match*),
           tenon_done,
           tenon_err*) -> tenon_status { return TENON_OK; },
        [](void*,
           const tenon_amendment_query*,
           void*,
           tenon_status (*)(void*, const tenon_amendment*),
           tenon_done,
           tenon_err*) -> tenon_status { return TENON_OK; },
        [](void*, std::uint32_t) -> std::uint32_t { return 0; },
        [](void*, tenon_str, tenon_str, tenon_trading_done, tenon_err* err) {
            return closed(err);
        }};
    return k_table;
}

}  // namespace tenon::suites
