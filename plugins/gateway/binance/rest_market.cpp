// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/rest_public.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace tenon::binance::rest {
namespace {

constexpr std::int64_t k_minute_ns = 60'000'000'000;

[[nodiscard]] Market mandatory_market(Api& api, Call& call) {
    const auto symbol = call.params.symbol();
    if (!symbol) {
        throw errors::mandatory("symbol");
    }
    return market_of(api.services().instruments, *symbol);
}

// Rows of a query, written as they come.
struct Rows {
    JsonWriter& json;
    const Market& market;

    template <class Row, void (*write)(JsonWriter&, const Market&, const Row&)>
    static tenon_status put(void* ctx, const Row* row) noexcept {
        return guard(nullptr, [&] {
            const auto& rows = *static_cast<Rows*>(ctx);
            write(rows.json, rows.market, *row);
        });
    }
};

// No data yet is an empty list.
void check_rows(tenon_status status) {
    if (status != TENON_OK && status != TENON_NOT_FOUND) {
        throw status_error(status, nullptr);
    }
}

void write_trades(Api& api, Call& call, std::uint64_t from_id, const Market& market) {
    const std::uint32_t limit = call.params.limit(500, 1'000);
    call.finish();
    JsonWriter json{api.buffer(), call.to.micro};
    json.raw("[");
    Rows rows{json, market};
    const auto& data = api.services().market_data;
    check_rows(
        data->trades(data.self, market.id(), from_id, limit, &rows, &Rows::put<tenon_public_trade, &write_public_trade>)
    );
    json.raw("]");
    api.note_age(call.to, market.id());
    api.reply(call.to, json.text());
}

// "-1:00", "05:45", "0", "14": hours and minutes from UTC, -12:00 to +14:00.
[[nodiscard]] std::int64_t read_time_zone(std::string_view text) {
    const ApiError wrong = errors::invalid("timeZone");
    const bool negative = !text.empty() && text.front() == '-';
    if (negative || (!text.empty() && text.front() == '+')) {
        text.remove_prefix(1);
    }
    const auto number = [&](std::string_view digits) {
        int value = 0;
        const auto end = digits.data() + digits.size();
        const auto parsed = std::from_chars(digits.data(), end, value);
        if (digits.empty() || digits.size() > 2 || parsed.ptr != end || value < 0) {
            throw wrong;
        }
        return value;
    };
    const std::size_t colon = text.find(':');
    const int hours = number(text.substr(0, colon));
    const int minutes = colon == std::string_view::npos ? 0 : number(text.substr(colon + 1));
    const int total = hours * 60 + minutes;
    if (minutes > 59 || total > (negative ? 12 : 14) * 60) {
        throw wrong;
    }
    return (negative ? -total : total) * k_minute_ns;
}

void write_depth(std::string& out, Api& api, const Market& market, std::uint32_t limit) {
    const auto& data = api.services().market_data;
    tenon_book book{};
    book.size = sizeof book;
    const tenon_status status = data->book(data.self, market.id(), limit, &book);
    check_rows(status);
    JsonWriter json{out};
    write_book(json, market, book);
}

}  // namespace

void depth(Api& api, Call& call) {
    const Market market = mandatory_market(api, call);
    const std::uint32_t limit = call.params.limit(100, 5'000);
    call.finish();
    api.note_age(call.to, market.id());
    if (call.to.stale && call.to.age_ms >= api.stale_book_ms()) {
        throw errors::unavailable("the order book is being synchronised");
    }
    const auto& data = api.services().market_data;
    const std::string_view text = api.rendered().get(
        market.id(),
        Rendered::k_depth + limit,
        data->version(data.self, market.id()),
        [&](std::string& out) { write_depth(out, api, market, limit); }
    );
    api.reply(call.to, text);
}

void trades(Api& api, Call& call) {
    const Market market = mandatory_market(api, call);
    write_trades(api, call, 0, market);
}

void historical_trades(Api& api, Call& call) {
    const Market market = mandatory_market(api, call);
    const auto from = call.params.integer("fromId");
    // Id 0 is a valid start that means the first trade there is.
    write_trades(
        api, call, from ? std::max<std::uint64_t>(static_cast<std::uint64_t>(*from), 1) : 0, market
    );
}

void agg_trades(Api& api, Call& call) {
    const Market market = mandatory_market(api, call);
    const auto from_id = call.params.integer("fromId");
    const auto start = call.params.time_from("startTime");
    const auto end = call.params.time_to("endTime");
    const std::uint32_t limit = call.params.limit(500, 1'000);
    call.finish();
    if (from_id && (start || end)) {
        throw errors::combination();
    }
    JsonWriter json{api.buffer(), call.to.micro};
    json.raw("[");
    if (!start || !end || *start <= *end) {
        Rows rows{json, market};
        const auto& data = api.services().market_data;
        check_rows(data->agg_trades(
            data.self,
            market.id(),
            from_id ? std::max<std::uint64_t>(static_cast<std::uint64_t>(*from_id), 1) : 0,
            start.value_or(0),
            end.value_or(0),
            limit,
            &rows,
            &Rows::put<tenon_agg_trade, &write_agg_trade>
        ));
    }
    json.raw("]");
    api.note_age(call.to, market.id());
    api.reply(call.to, json.text());
}

void klines(Api& api, Call& call) {
    const Market market = mandatory_market(api, call);
    const auto interval = find_interval(call.params.mandatory("interval"));
    const auto start = call.params.time_from("startTime");
    const auto end = call.params.time_to("endTime");
    const auto zone = call.params.text("timeZone");
    const std::uint32_t limit = call.params.limit(500, 1'000);
    call.finish();
    if (!interval) {
        throw ApiError{-1120, "Invalid interval."};
    }
    const std::int64_t offset = zone ? read_time_zone(*zone) : 0;
    JsonWriter json{api.buffer(), call.to.micro};
    json.raw("[");
    if (!start || !end || *start <= *end) {
        Rows rows{json, market};
        const auto& data = api.services().market_data;
        check_rows(
            data->candles(data.self, market.id(), *interval, start.value_or(0), end.value_or(0), offset, limit, &rows, &Rows::put<tenon_candle, &write_candle>)
        );
    }
    json.raw("]");
    api.note_age(call.to, market.id());
    api.reply(call.to, json.text());
}

void average_price(Api& api, Call& call) {
    constexpr std::uint32_t k_minutes = 5;
    const Market market = mandatory_market(api, call);
    call.finish();
    const auto& data = api.services().market_data;
    std::int64_t price = 0;
    std::int64_t close_ns = 0;
    check_rows(data->average_price(data.self, market.id(), k_minutes, &price, &close_ns));
    JsonWriter json{api.buffer(), call.to.micro};
    json.raw("{")
        .field("mins", k_minutes)
        .field("price", price, market.instrument->price_scale)
        .time_field("closeTime", close_ns)
        .raw("}");
    api.note_age(call.to, market.id());
    api.reply(call.to, json.text());
}

}  // namespace tenon::binance::rest
