// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/gateway/binance_fakes.hpp"

#include <algorithm>
#include <array>

namespace tenon::test {
namespace {

FakeBinanceWorld& world(void* self) {
    return *static_cast<FakeBinanceWorld*>(self);
}

template <class Row>
std::vector<Row> newest(const std::vector<Row>& rows, std::uint32_t limit) {
    const std::size_t skip = rows.size() > limit ? rows.size() - limit : 0;
    return {rows.begin() + static_cast<std::ptrdiff_t>(skip), rows.end()};
}

template <class Row>
tenon_status give(const std::vector<Row>& rows, void* ctx, tenon_status (*row)(void*, const Row*)) {
    for (const Row& item : rows) {
        if (const tenon_status status = row(ctx, &item); status != TENON_OK) {
            return status;
        }
    }
    return TENON_OK;
}

}  // namespace

tenon_client_id client_id(std::string_view text) {
    tenon_client_id id{};
    id.length = static_cast<std::uint8_t>(text.size());
    std::copy(text.begin(), text.end(), id.text);
    return id;
}

struct FakeBinanceWorld::Tables {
    // ---- http
    static tenon_status respond(void* self, std::uint64_t handle, const tenon_http_response* r) {
        auto& w = world(self);
        if (w.answers[handle].status != 0) {
            return TENON_NOT_FOUND;
        }
        FakeAnswer& answer = w.answers[handle];
        answer.status = r->status;
        answer.body = view(r->body);
        for (std::uint32_t i = 0; i < r->header_count; ++i) {
            answer.headers[std::string{view(r->headers[i].name)}] = view(r->headers[i].value);
        }
        return TENON_OK;
    }

    struct Frame {
        FakeBinanceWorld* owner;
        std::string text;
    };

    static tenon_ws_frame* frame(void* self, tenon_str text) {
        ++world(self).frames_made;
        ++world(self).frames_alive;
        return reinterpret_cast<tenon_ws_frame*>(new Frame{&world(self), std::string{view(text)}});
    }

    static void frame_release(void* self, tenon_ws_frame* frame) {
        --world(self).frames_alive;
        delete reinterpret_cast<Frame*>(frame);
    }

    static tenon_status ws_send(void* self, std::uint64_t connection, tenon_ws_frame* frame) {
        if (connection == world(self).full_connection) {
            return TENON_UNAVAILABLE;
        }
        world(self).sent[connection].push_back(reinterpret_cast<Frame*>(frame)->text);
        return TENON_OK;
    }

    static std::uint64_t ws_queued(void* self, std::uint64_t connection) {
        return world(self).queued[connection];
    }

    static tenon_status
    ws_close(void* self, std::uint64_t connection, std::uint16_t code, tenon_str reason) {
        world(self).closed[connection] = code;
        world(self).close_reasons[connection] = view(reason);
        return TENON_OK;
    }

    static constexpr tenon_http_routes_1 k_http{
        sizeof(tenon_http_routes_1),
        0,
        nullptr,
        nullptr,
        nullptr,
        &respond,
        &frame,
        &frame_release,
        &ws_send,
        &ws_queued,
        &ws_close};

    // ---- clock
    static std::int64_t now(void* self) { return world(self).now_ns; }

    static std::int64_t now_real(void* self) {
        return world(self).now_ns + world(self).wall_step_ns;
    }

    static constexpr tenon_clock_1 k_clock{sizeof(tenon_clock_1), 0, &now, &now_real};

    // ---- market data
    static tenon_status book(void* self, std::uint32_t id, std::uint32_t depth, tenon_book* out) {
        auto& w = world(self);
        if (!w.has_data) {
            return TENON_NOT_FOUND;
        }
        w.book_reads += depth == 1 ? 0 : 1;  // of levels, not of the age alone
        const std::size_t most = depth == 0 ? 1'000'000 : depth;
        *out = {};
        out->size = sizeof *out;
        out->instrument = id;
        out->last_update_id = w.last_update_id;
        out->updated_real_ns = w.now_ns - w.book_age_ns;
        out->bids = w.bids.data();
        out->asks = w.asks.data();
        out->bid_count = static_cast<std::uint32_t>(std::min(most, w.bids.size()));
        out->ask_count = static_cast<std::uint32_t>(std::min(most, w.asks.size()));
        out->trusted = w.trusted;
        return TENON_OK;
    }

    static tenon_status best(void* self, std::uint32_t, tenon_level* bid, tenon_level* ask) {
        auto& w = world(self);
        *bid = w.bids.empty() ? tenon_level{} : w.bids[0];
        *ask = w.asks.empty() ? tenon_level{} : w.asks[0];
        return w.has_data ? TENON_OK : TENON_NOT_FOUND;
    }

    static tenon_status market_trades(
        void* self,
        std::uint32_t,
        std::uint64_t from_id,
        std::uint32_t limit,
        void* ctx,
        tenon_status (*row)(void*, const tenon_public_trade*)
    ) {
        auto& w = world(self);
        w.asked.from_id = from_id;
        w.asked.limit = limit;
        return w.has_data ? give(newest(w.trades, limit), ctx, row) : TENON_NOT_FOUND;
    }

    static tenon_status market_agg_trades(
        void* self,
        std::uint32_t,
        std::uint64_t from_id,
        std::int64_t start,
        std::int64_t end,
        std::uint32_t limit,
        void* ctx,
        tenon_status (*row)(void*, const tenon_agg_trade*)
    ) {
        auto& w = world(self);
        w.asked.from_id = from_id;
        w.asked.start = start;
        w.asked.end = end;
        w.asked.limit = limit;
        return w.has_data ? give(newest(w.agg_trades, limit), ctx, row) : TENON_NOT_FOUND;
    }

    static tenon_status market_candles(
        void* self,
        std::uint32_t,
        std::uint32_t interval,
        std::int64_t start,
        std::int64_t end,
        std::int64_t offset,
        std::uint32_t limit,
        void* ctx,
        tenon_status (*row)(void*, const tenon_candle*)
    ) {
        auto& w = world(self);
        w.asked.interval = interval;
        w.asked.start = start;
        w.asked.end = end;
        w.asked.offset = offset;
        w.asked.limit = limit;
        return w.has_data ? give(newest(w.candles, limit), ctx, row) : TENON_NOT_FOUND;
    }

    static tenon_status market_ticker(void* self, std::uint32_t id, tenon_ticker* out) {
        auto& w = world(self);
        ++w.ticker_reads;
        *out = w.ticker;
        out->size = sizeof *out;
        out->instrument = id;
        return w.has_data ? TENON_OK : TENON_NOT_FOUND;
    }

    static tenon_status average_price(
        void* self,
        std::uint32_t,
        std::uint32_t minutes,
        std::int64_t* price,
        std::int64_t* close
    ) {
        world(self).asked.minutes = minutes;
        *price = 6'100'012;
        *close = k_now_ns;
        return TENON_OK;
    }

    static std::uint64_t version_of(void* self, std::uint32_t) { return world(self).version; }

    static constexpr tenon_market_data_1 k_market_data{
        sizeof(tenon_market_data_1),
        0,
        &book,
        &best,
        &market_trades,
        &market_agg_trades,
        &market_candles,
        &market_ticker,
        &average_price,
        &version_of,
        nullptr,
        nullptr,
        nullptr,
        nullptr,
        nullptr};

    // ---- trading
    static tenon_status command(FakeBinanceWorld& w, tenon_trading_done done, tenon_err* err) {
        if (w.command_status != TENON_PENDING) {
            return fail(err, w.command_status, w.command_error);
        }
        w.done = done;
        return TENON_PENDING;
    }

    static tenon_status submit(
        void* self,
        const tenon_order_request* request,
        tenon_trading_done done,
        tenon_err* err
    ) {
        world(self).submitted.push_back(*request);
        return command(world(self), done, err);
    }

    static tenon_status cancel(
        void* self,
        const tenon_cancel_request* request,
        tenon_trading_done done,
        tenon_err* err
    ) {
        world(self).canceled.push_back(*request);
        return command(world(self), done, err);
    }

    static tenon_status cancel_all(
        void* self,
        std::uint64_t account,
        std::uint32_t instrument,
        tenon_trading_done done,
        tenon_err* err
    ) {
        world(self).canceled_all.emplace_back(account, instrument);
        return command(world(self), done, err);
    }

    template <class Row>
    static tenon_status query(
        FakeBinanceWorld& w,
        const std::vector<Row>& rows,
        void* ctx,
        tenon_status (*row)(void*, const Row*),
        tenon_done done
    ) {
        if (!w.query_later) {
            return give(rows, ctx, row);
        }
        w.query_ = [&rows, ctx, row, done] {
            const tenon_status status = give(rows, ctx, row);
            done.fn(done.ctx, status, nullptr);
        };
        return TENON_PENDING;
    }

    static tenon_status
    order_query(void* self, std::uint64_t, std::uint32_t, std::uint64_t, const tenon_client_id*, void* ctx, tenon_status (*row)(void*, const tenon_order*), tenon_done done, tenon_err*) {
        return query(world(self), world(self).orders, ctx, row, done);
    }

    static tenon_status
    orders_query(void* self, const tenon_order_query* asked, void* ctx, tenon_status (*row)(void*, const tenon_order*), tenon_done done, tenon_err*) {
        world(self).orders_asked = *asked;
        return query(world(self), world(self).orders, ctx, row, done);
    }

    static tenon_status
    trades_query(void* self, const tenon_trade_query* asked, void* ctx, tenon_status (*row)(void*, const tenon_trade*), tenon_done done, tenon_err*) {
        world(self).trades_asked = *asked;
        return query(world(self), world(self).own_trades, ctx, row, done);
    }

    static tenon_status
    balances_query(void* self, std::uint64_t, void* ctx, tenon_status (*row)(void*, const tenon_balance*), tenon_done done, tenon_err*) {
        return query(world(self), world(self).balances, ctx, row, done);
    }

    static tenon_status submit_list(
        void* self,
        const tenon_list_request* request,
        tenon_trading_done done,
        tenon_err* err
    ) {
        auto& w = world(self);
        w.submitted_lists.push_back(*request);
        for (std::uint32_t i = 0; i < request->order_count; ++i) {
            w.submitted.push_back(at(request->orders, i));
        }
        return command(w, done, err);
    }

    static tenon_status cancel_list(
        void* self,
        const tenon_list_cancel* request,
        tenon_trading_done done,
        tenon_err* err
    ) {
        world(self).canceled_lists.push_back(*request);
        return command(world(self), done, err);
    }

    static tenon_status
    lists_query(void* self, const tenon_list_query* asked, void* ctx, tenon_status (*row)(void*, const tenon_order_list*), tenon_done done, tenon_err*) {
        world(self).lists_asked = *asked;
        return query(world(self), world(self).lists, ctx, row, done);
    }

    static tenon_status
    amend(void* self, const tenon_amend_request* request, tenon_trading_done done, tenon_err* err) {
        world(self).amended.push_back(*request);
        return command(world(self), done, err);
    }

    static tenon_status
    prevented_query(void* self, const tenon_prevented_query* asked, void* ctx, tenon_status (*row)(void*, const tenon_prevented_match*), tenon_done done, tenon_err*) {
        world(self).prevented_asked = *asked;
        return query(world(self), world(self).prevented, ctx, row, done);
    }

    static tenon_status
    amendments_query(void* self, const tenon_amendment_query* asked, void* ctx, tenon_status (*row)(void*, const tenon_amendment*), tenon_done done, tenon_err*) {
        world(self).amendments_asked = *asked;
        return query(world(self), world(self).amendments, ctx, row, done);
    }

    static std::uint32_t venue_takes(void* self, std::uint32_t) { return world(self).venue_takes; }

    static std::uint32_t status_of(void* self, std::uint32_t) {
        return world(self).instrument_status;
    }

    static tenon_status trading_status(void* self, tenon_trading_status* out) {
        out->accepting = world(self).accepting;
        return TENON_OK;
    }

    static constexpr tenon_trading_1 k_trading{
        sizeof(tenon_trading_1),
        0,
        &submit,
        &cancel,
        &cancel_all,
        nullptr,
        nullptr,
        nullptr,
        nullptr,
        nullptr,
        &order_query,
        &orders_query,
        &trades_query,
        &balances_query,
        nullptr,
        nullptr,
        &status_of,
        &trading_status,
        nullptr,
        nullptr,
        &submit_list,
        &cancel_list,
        &lists_query,
        &amend,
        &prevented_query,
        &amendments_query,
        &venue_takes,
        nullptr};

    // ---- auth: key "reader" may read, "trader" and "edwards" everything, "other" is of the next
    // account, "blind" may trade alone, "bound" may read from one address; signature "good" fits
    static tenon_status identify(void* self, tenon_str key, tenon_identity* out) {
        const std::string_view name = view(key);
        if (name == world(self).revoked_key) {
            return TENON_NOT_FOUND;
        }
        out->account = name == "other" ? k_account + 1 : k_account;
        out->key_kind = name == "edwards" ? TENON_KEY_ED25519 : TENON_KEY_HMAC_SHA256;
        out->permissions = name == "blind" ? 0 : TENON_PERMISSION_READ;
        if (name == "trader" || name == "edwards" || name == "blind") {
            out->permissions |= TENON_PERMISSION_TRADE;
        }
        out->flags = name == "bound" ? TENON_IDENTITY_BOUND : 0;
        constexpr std::array<std::string_view, 6> k_known{
            "trader", "reader", "edwards", "other", "blind", "bound"};
        return std::find(k_known.begin(), k_known.end(), name) != k_known.end() ? TENON_OK
                                                                                : TENON_NOT_FOUND;
    }

    // "bound" may be used from 192.0.2.7.
    static tenon_status allows(void*, tenon_str key, tenon_str address) {
        return view(key) == "bound" && view(address) == "192.0.2.7" ? TENON_OK : TENON_DENIED;
    }

    static tenon_status verify(
        void* self,
        tenon_str key,
        const tenon_bytes* parts,
        std::uint32_t count,
        tenon_str signature,
        tenon_identity* out
    ) {
        auto& payload = world(self).signed_payload;
        payload.clear();
        for (std::uint32_t i = 0; i < count; ++i) {
            payload.append(view(parts[i]));
        }
        if (const tenon_status status = identify(self, key, out); status != TENON_OK) {
            return status;
        }
        return view(signature) == "good" ? TENON_OK : TENON_DENIED;
    }

    static constexpr tenon_auth_1 k_auth{sizeof(tenon_auth_1), 0, &identify, &verify, &allows};
};

// Filters and fees as Binance lists BTCUSDT.
static void list(tenon_instrument& i) {
    i.price_min = 1;
    i.price_max = 100'000'000;
    i.quantity_min = 1;
    i.quantity_max = 900'000'000;
    i.market_quantity_max = 10'000'000;
    i.notional_min = 500'000'000;
    i.notional_max = 900'000'000'000'000;
    i.notional_min_to_market = 1;
    i.orders_max = 200;
    i.algo_orders_max = 5;
    i.bid_multiplier_up_ppm = 5'000'000;
    i.bid_multiplier_down_ppm = 200'000;
    i.ask_multiplier_up_ppm = 5'000'000;
    i.ask_multiplier_down_ppm = 200'000;
    i.maker_fee_ppm = 1'000;
    i.taker_fee_ppm = 1'000;
}

FakeBinanceWorld::FakeBinanceWorld() {
    list(instruments.at(0));
    list(instruments.at(1));

    bids = {{6'100'010, 150'000}, {6'100'000, 200'000}};
    asks = {{6'100'020, 50'000}, {6'100'050, 70'000}};
    trades = {
        {sizeof(tenon_public_trade),
         0,
         28'457,
         6'100'010,
         100'000,
         6'100'010'000'000,
         k_now_ns,
         1,
         0}};
    agg_trades = {
        {sizeof(tenon_agg_trade), 0, 26'129, 27'781, 27'782, 6'100'010, 100'000, k_now_ns, 1, 0}};
    candles = {
        {sizeof(tenon_candle),
         0,
         1'732'233'540'000'000'000,
         1'732'233'599'999'999'999,
         6'100'000,
         6'100'100,
         6'099'900,
         6'100'050,
         250'000,
         15'250'000'000'000,
         100'000,
         6'100'000'000'000,
         3,
         10,
         12,
         TENON_INTERVAL_1M,
         0}};
    ticker = {
        sizeof ticker,
        0,
        k_now_ns,
        k_now_ns - 86'400'000'000'000,
        k_now_ns,
        6'000'000,
        6'200'000,
        5'900'000,
        6'100'010,
        100'000,
        5'999'990,
        100'010,
        16'668,
        6'050'000,
        123'456'789,
        7'469'135'734'500'000,
        6'100'010,
        150'000,
        6'100'020,
        50'000,
        1,
        28'457,
        28'457};

    services_.http = {this, &Tables::k_http};
    services_.instruments = instruments.service();
    services_.market_data = {this, &Tables::k_market_data};
    services_.trading = {this, &Tables::k_trading};
    services_.auth = {this, &Tables::k_auth};
    services_.clock = {this, &Tables::k_clock};
}

}  // namespace tenon::test
