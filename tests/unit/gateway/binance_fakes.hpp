// SPDX-License-Identifier: Apache-2.0
// The services that the Binance gateway stands on, as small scripts: two markets (BTCUSDT,
// ETHUSDT), a book, trades, candles and tickers that a test sets, an engine that answers when told,
// one key of each kind, a clock that stands still, and an HTTP server that keeps what is answered.
#pragma once

#include "plugins/gateway/binance/api.hpp"
#include "tests/support/fake_instruments.hpp"

#include <tenon/abi/venue.h>
#include <tenon/plugin.hpp>

#include <deque>
#include <map>
#include <string>
#include <vector>

namespace tenon::test {

struct FakeAnswer {
    std::uint32_t status = 0;
    std::string body;
    std::map<std::string, std::string> headers;
};

class FakeBinanceWorld {
public:
    static constexpr std::int64_t k_now_ns = 1'732'233'600'123'456'789;  // 2024-11-22 00:00:00
    static constexpr std::uint64_t k_account = 16;

    FakeBinanceWorld();
    FakeBinanceWorld(const FakeBinanceWorld&) = delete;
    FakeBinanceWorld& operator=(const FakeBinanceWorld&) = delete;

    [[nodiscard]] const binance::Services& services() const noexcept { return services_; }

    // ---- http
    std::map<std::uint64_t, FakeAnswer> answers;
    std::map<std::uint64_t, std::vector<std::string>> sent;  // text frames by connection
    std::map<std::uint64_t, std::string> close_reasons;
    std::map<std::uint64_t, std::uint16_t> closed;  // close codes by connection
    std::map<std::uint64_t, std::uint64_t> queued;  // bytes by connection
    int frames_made = 0, frames_alive = 0;
    std::uint64_t full_connection = 0;  // ws_send fails for it

    // ---- clock
    std::int64_t now_ns = k_now_ns;
    std::int64_t wall_step_ns = 0;  // by which the wall clock was set

    // ---- instruments; change before use
    FakeInstruments instruments;

    // ---- market data, of every instrument alike; absent when not set
    bool has_data = true;
    std::uint64_t version = 1;
    std::uint64_t last_update_id = 160;
    std::vector<tenon_level> bids, asks;
    std::uint32_t trusted = 1;
    std::int64_t book_age_ns = 0;
    std::vector<tenon_public_trade> trades;
    std::vector<tenon_agg_trade> agg_trades;
    std::vector<tenon_candle> candles;
    tenon_ticker ticker{};
    int ticker_reads = 0, book_reads = 0;

    struct {
        std::uint64_t from_id;
        std::int64_t start, end, offset;
        std::uint32_t limit, interval, minutes;
    } asked{};

    // ---- trading: what was asked, what is answered
    std::deque<tenon_order_request> submitted;
    std::deque<tenon_cancel_request> canceled;
    std::deque<tenon_list_request> submitted_lists;  // their orders are in `submitted`
    std::deque<tenon_list_cancel> canceled_lists;
    tenon_list_query lists_asked{};
    std::deque<tenon_amend_request> amended;
    tenon_prevented_query prevented_asked{};
    tenon_amendment_query amendments_asked{};
    std::vector<tenon_prevented_match> prevented;   // what queries give
    std::vector<tenon_amendment> amendments;        // likewise
    std::uint32_t venue_takes = TENON_VENUE_LISTS;  // TENON_VENUE_*
    std::vector<tenon_order_list> lists;            // what queries give
    std::vector<std::pair<std::uint64_t, std::uint32_t>> canceled_all;
    tenon_order_query orders_asked{};
    tenon_trade_query trades_asked{};
    tenon_trading_done done{};  // of the last command
    tenon_status command_status = TENON_PENDING;
    std::string command_error;
    std::vector<tenon_order> orders;  // what queries give
    std::vector<tenon_trade> own_trades;
    std::vector<tenon_balance> balances;
    bool query_later = false;  // queries are PENDING until finish_query()
    std::uint32_t instrument_status = TENON_INSTRUMENT_TRADING;
    std::uint32_t accepting = 1;

    // Answers the last command.
    void finish(
        std::uint32_t reject,
        const std::vector<tenon_order>& with,
        const std::vector<tenon_trade>& fills = {},
        const std::vector<tenon_order_list>& done_lists = {}
    );
    void finish_status(tenon_status status, std::string_view message);

    void finish_query() { query_(); }

    [[nodiscard]] tenon_order order(std::uint64_t id, std::string_view client_id) const;

    // Sends a request to `api`; the answer is in `answers` (status 0: none yet).
    std::uint64_t send(
        binance::Api& api,
        std::string_view method,
        std::string_view target,
        std::string_view body = {},
        std::vector<std::pair<std::string, std::string>> headers = {},
        std::string_view remote = "127.0.0.1"
    );

    [[nodiscard]] FakeAnswer
    get(binance::Api& api, std::string_view target, std::string_view remote = "127.0.0.1") {
        return answers[send(api, "GET", target, {}, {}, remote)];
    }

    // With key, timestamp and a signature that the fake accepts.
    std::uint64_t send_signed(
        binance::Api& api,
        std::string_view method,
        const std::string& path,
        std::string params = {}
    );

    std::string revoked_key;
    std::string signed_payload;  // what the last verify saw, parts joined

private:
    struct Tables;
    binance::Services services_;
    std::uint64_t next_handle_ = 1;
    std::deque<std::string> kept_;  // requests stay valid until they are answered
    std::function<void()> query_;
};

[[nodiscard]] tenon_client_id client_id(std::string_view text);

}  // namespace tenon::test
