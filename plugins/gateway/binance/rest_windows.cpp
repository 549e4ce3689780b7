// SPDX-License-Identifier: Apache-2.0
// Tickers of a window that the client names, and of the trading day: summed from candles in memory.
#include "plugins/gateway/binance/rest_public.hpp"

#include <tenon/decimal.hpp>
#include <tenon/structs.hpp>

#include <algorithm>
#include <charconv>
#include <limits>
#include <string>

namespace tenon::binance::rest {
namespace {

constexpr std::int64_t k_minute_ns = 60'000'000'000;
constexpr std::int64_t k_hour_ns = 60 * k_minute_ns;
constexpr std::int64_t k_day_ns = 24 * k_hour_ns;
constexpr std::uint32_t k_rows = 1'000;
constexpr std::size_t k_symbols_max = 100;

struct Window {
    std::int64_t open_ns = 0, close_ns = 0;  // both inclusive
};

// 1m to 59m, 1h to 23h, 1d to 7d.
[[nodiscard]] std::int64_t read_window(std::string_view text) {
    int count = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, count);
    const char unit = parsed.ec == std::errc{} && parsed.ptr + 1 == end ? *parsed.ptr : '\0';
    const int most = unit == 'm' ? 59 : unit == 'h' ? 23 : unit == 'd' ? 7 : 0;
    if (count < 1 || count > most) {
        throw errors::illegal("windowSize", "1m to 59m, 1h to 23h, 1d to 7d");
    }
    return count * (unit == 'm' ? k_minute_ns : unit == 'h' ? k_hour_ns : k_day_ns);
}

void merge(tenon_ticker& into, const tenon_candle& candle) {
    if (into.open == 0) {
        into.open = into.high = into.low = candle.open;
    }
    into.last = candle.close;
    if (candle.trade_count == 0) {
        return;
    }
    const auto add = [](std::int64_t& sum, std::int64_t more) {
        if (__builtin_add_overflow(sum, more, &sum)) {
            sum = std::numeric_limits<std::int64_t>::max();
        }
    };
    into.high = std::max(into.high, candle.high);
    into.low = std::min(into.low, candle.low);
    into.first_trade_id = into.trade_count == 0 ? candle.first_trade_id : into.first_trade_id;
    into.last_trade_id = candle.last_trade_id;
    into.trade_count += candle.trade_count;
    add(into.volume, candle.volume);
    add(into.quote_volume, candle.quote_volume);
}

// Candles that open in [start, end].
void add_candles(
    Api& api,
    std::uint32_t interval,
    std::int64_t start_ns,
    std::int64_t end_ns,
    tenon_ticker& sum
) {
    if (start_ns > end_ns) {
        return;
    }
    const auto& data = api.services().market_data;
    const auto row = [](void* ctx, const tenon_candle* candle) noexcept -> tenon_status {
        merge(*static_cast<tenon_ticker*>(ctx), *candle);
        return TENON_OK;
    };
    const tenon_status status =
        data->candles(data.self, sum.instrument, interval, start_ns, end_ns, 0, k_rows, &sum, row);
    if (status != TENON_OK && status != TENON_NOT_FOUND) {
        throw status_error(status, nullptr);
    }
}

// A minute opens the window; whole hours are taken whole.
[[nodiscard]] tenon_ticker sum_of(Api& api, const Market& market, const Window& window) {
    auto sum = sized<tenon_ticker>();
    sum.instrument = market.id();
    sum.open_real_ns = window.open_ns;
    sum.close_real_ns = window.close_ns;
    const std::int64_t end = std::min(window.close_ns, api.now_real_ns());
    const std::int64_t hour = (window.open_ns + k_hour_ns - 1) / k_hour_ns * k_hour_ns;
    add_candles(api, TENON_INTERVAL_1M, window.open_ns, std::min(hour - 1, end), sum);
    add_candles(api, TENON_INTERVAL_1H, hour, end, sum);
    sum.price_change = sum.last - sum.open;
    return sum;
}

void write(JsonWriter& json, const Market& market, const tenon_ticker& t, bool full) {
    const int price = market.instrument->price_scale;
    const int quantity = market.instrument->quantity_scale;
    const int spare = std::max(market.quote->scale - price - quantity, 0);
    json.next().raw("{").field("symbol", market.symbol());
    if (full) {
        const Int128 volume = Int128{t.volume} * power_of_ten(spare);
        const Int128 mean = volume == 0 ? 0 : (Int128{t.quote_volume} + volume / 2) / volume;
        const Int128 change = t.open == 0 ? 0 : Int128{t.price_change} * 100'000 / t.open;
        json.field("priceChange", t.price_change, price)
            .key("priceChangePercent")
            .decimal(fits_int64(change) ? static_cast<std::int64_t>(change) : 0, 3, 3)
            .field(
                "weightedAvgPrice", fits_int64(mean) ? static_cast<std::int64_t>(mean) : 0, price
            );
    }
    json.field("openPrice", t.open, price)
        .field("highPrice", t.high, price)
        .field("lowPrice", t.low, price)
        .field("lastPrice", t.last, price)
        .field("volume", t.volume, quantity)
        .field("quoteVolume", t.quote_volume, market.quote->scale)
        .time_field("openTime", t.open_real_ns)
        .time_field("closeTime", t.close_real_ns)
        .raw(R"(,"firstId":)")
        .raw(t.trade_count == 0 ? "-1" : std::to_string(t.first_trade_id))
        .raw(R"(,"lastId":)")
        .raw(t.trade_count == 0 ? "-1" : std::to_string(t.last_trade_id))
        .field("count", t.trade_count)
        .raw("}");
}

[[nodiscard]] bool read_full(const Call& call) {
    const std::string_view type = call.params.text("type").value_or("FULL");
    if (type != "FULL" && type != "MINI") {
        throw ApiError{-1139, "Invalid ticker type."};
    }
    return type == "FULL";
}

// Of the symbols that are named: all at once would sum every candle there is.
template <class MakeWindow>
void answer(Api& api, Call& call, MakeWindow make_window) {
    const auto symbol = call.params.symbol();
    const auto symbols = call.params.symbols("symbols");
    const bool full = read_full(call);
    const Window window = make_window();
    call.finish();
    if (symbol && symbols) {
        throw errors::combination();
    }
    if (!symbol && !symbols) {
        throw errors::either("symbol", "symbols");
    }
    if (symbols && symbols->size() > k_symbols_max) {
        throw ApiError{
            -1101, "Too many values sent for parameter symbols, maximum allowed up to 100."};
    }
    const auto& instruments = api.services().instruments;
    JsonWriter json{api.buffer(), call.to.micro};
    if (symbol) {
        const Market market = market_of(instruments, *symbol);
        write(json, market, sum_of(api, market, window), full);
        api.note_age(call.to, market.id(), TENON_MD_KIND_CANDLES);
    } else {
        json.raw("[");
        for (const std::string_view name : *symbols) {
            const Market market = market_of(instruments, name);
            write(json, market, sum_of(api, market, window), full);
        }
        json.raw("]");
    }
    api.reply(call.to, json.text());
}

}  // namespace

void ticker_window(Api& api, Call& call) {
    answer(api, call, [&] {
        const std::int64_t length = read_window(call.params.text("windowSize").value_or("1d"));
        const std::int64_t now = api.now_real_ns();
        return Window{(now - length) / k_minute_ns * k_minute_ns, now};
    });
}

void ticker_trading_day(Api& api, Call& call) {
    answer(api, call, [&] {
        const auto zone = call.params.text("timeZone");
        const std::int64_t offset = zone ? read_time_zone(*zone) : 0;
        const std::int64_t open = (api.now_real_ns() + offset) / k_day_ns * k_day_ns - offset;
        return Window{open, open + k_day_ns - 1};
    });
}

}  // namespace tenon::binance::rest
