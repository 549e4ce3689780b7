// SPDX-License-Identifier: Apache-2.0
// Tickers of a window that the client names, and of the trading day: summed from candles in memory.
#include "plugins/gateway/binance/rest_public.hpp"
#include "plugins/gateway/binance/window_ticker.hpp"

#include <charconv>
#include <string>

namespace tenon::binance::rest {
namespace {

constexpr std::int64_t k_minute_ns = 60'000'000'000;
constexpr std::int64_t k_hour_ns = 60 * k_minute_ns;
constexpr std::int64_t k_day_ns = 24 * k_hour_ns;
constexpr std::size_t k_symbols_max = 100;

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

[[nodiscard]] tenon_ticker sum_of(Api& api, const Market& market, const Window& window) {
    tenon_ticker sum{};
    const tenon_status status =
        sum_window(api.services().market_data, market, window, api.now_real_ns(), sum);
    if (status != TENON_OK) {
        throw status_error(status, nullptr);
    }
    return sum;
}

void write(JsonWriter& json, const Market& market, const tenon_ticker& t, bool full) {
    const int price = market.instrument->price_scale;
    const int quantity = market.instrument->quantity_scale;
    json.next().raw("{").field("symbol", market.symbol());
    if (full) {
        json.field("priceChange", t.price_change, price)
            .key("priceChangePercent")
            .decimal(t.price_change_ppm / 10, 3, 3)
            .field("weightedAvgPrice", t.weighted_average, price);
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
    const auto status = read_symbol_status(call.params);
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
        require_status(api, market, status);
        write(json, market, sum_of(api, market, window), full);
        api.note_age(call.to, market.id(), TENON_MD_KIND_CANDLES);
    } else {
        json.raw("[");
        for (const std::string_view name : *symbols) {
            const Market market = market_of(instruments, name);
            if (has_status(api, market.id(), status)) {
                write(json, market, sum_of(api, market, window), full);
            }
        }
        json.raw("]");
    }
    api.reply(call.to, json.text());
}

}  // namespace

void ticker_window(Api& api, Call& call) {
    answer(api, call, [&] {
        const std::int64_t length = read_window(call.params.text("windowSize").value_or("1d"));
        return rolling_window(length, api.now_real_ns());
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
