// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/rest_public.hpp"

#include <tenon/structs.hpp>

#include <algorithm>
#include <array>
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

constexpr std::int64_t k_history_ns = 5'000'000'000;

[[nodiscard]] tenon_history_query
make_query(std::uint32_t kind, const Market& market, std::uint32_t limit) {
    auto query = sized<tenon_history_query>();
    query.kind = kind;
    query.instrument = market.id();
    query.limit = limit;
    return query;
}

// What memory has.
void write_memory(JsonWriter& json, Api& api, const Market& market, const tenon_history_query& q) {
    const auto& data = api.services().market_data;
    Rows rows{json, market};
    if (q.kind == TENON_HISTORY_TRADES) {
        check_rows(
            data->trades(data.self, q.instrument, q.from_id, q.limit, &rows, &Rows::put<tenon_public_trade, &write_public_trade>)
        );
    } else if (q.kind == TENON_HISTORY_AGG_TRADES) {
        check_rows(
            data->agg_trades(data.self, q.instrument, q.from_id, q.start_real_ns, q.end_real_ns, q.limit, &rows, &Rows::put<tenon_agg_trade, &write_agg_trade>)
        );
    } else {
        check_rows(
            data->candles(data.self, q.instrument, q.interval, q.start_real_ns, q.end_real_ns, q.offset_ns, q.limit, &rows, &Rows::put<tenon_candle, &write_candle>)
        );
    }
}

void write_history(JsonWriter& json, const Market& market, const tenon_history_rows& rows) {
    for (std::uint32_t i = 0; i < rows.count; ++i) {
        if (rows.kind == TENON_HISTORY_TRADES) {
            write_public_trade(json, market, at(rows.trades, i));
        } else if (rows.kind == TENON_HISTORY_AGG_TRADES) {
            write_agg_trade(json, market, at(rows.agg_trades, i));
        } else {
            write_candle(json, market, at(rows.candles, i));
        }
    }
}

void answer_history(
    Pending& pending,
    std::uint32_t instrument,
    tenon_status status,
    const tenon_history_rows* rows,
    std::string_view reason
) {
    Api& api = *pending.api;
    api.answer_errors(pending.to, [&] {
        if (status != TENON_OK) {
            throw errors::unavailable(reason);
        }
        const Market market = market_of(api.services().instruments, instrument);
        JsonWriter json{api.buffer(), pending.to.micro};
        json.raw("[");
        write_history(json, market, *rows);
        json.raw("]");
        if (rows->origin != nullptr) {
            api.note_origin(pending.to, *rows->origin);
        }
        api.reply(pending.to, json.text());
    });
    api.release(pending);
}

// False: memory has all there is, and the call is to be answered from it.
[[nodiscard]] bool ask_history(Api& api, const Call& call, tenon_history_query query) {
    const auto& clock = api.services().clock;
    query.deadline_ns = clock->now_ns(clock.self) + k_history_ns;
    Pending& pending = api.hold(call);
    std::uint64_t handle = 0;
    ErrorBuffer err;
    const tenon_status status = guard(&err, [&] {
        handle = api.history().ask(
            query,
            [&pending, instrument = query.instrument](
                tenon_status ended, const tenon_history_rows* rows, std::string_view reason
            ) { answer_history(pending, instrument, ended, rows, reason); }
        );
    });
    if (handle != 0) {
        return true;
    }
    api.release(pending);
    // No feed for the instrument, or a service that knows memory alone: then that is all there is.
    if (status != TENON_OK && status != TENON_NOT_FOUND && status != TENON_UNSUPPORTED) {
        throw errors::unavailable(err.message());
    }
    return false;
}

// Rows of memory, or of before when `older` ones may be meant.
void answer_rows(
    Api& api,
    Call& call,
    const Market& market,
    const tenon_history_query& query,
    bool older
) {
    if (older && ask_history(api, call, query)) {
        return;
    }
    constexpr std::array<std::uint32_t, 4> k_kinds{
        0, TENON_MD_KIND_TRADES, TENON_MD_KIND_AGG_TRADES, TENON_MD_KIND_CANDLES};
    JsonWriter json{api.buffer(), call.to.micro};
    json.raw("[");
    write_memory(json, api, market, query);
    json.raw("]");
    api.note_age(call.to, market.id(), k_kinds.at(query.kind));
    api.reply(call.to, json.text());
}

void reply_empty(Api& api, Call& call) {
    api.reply(call.to, "[]");
}

void answer_trades(Api& api, Call& call, std::uint64_t from_id, const Market& market) {
    tenon_history_query query =
        make_query(TENON_HISTORY_TRADES, market, call.params.limit(500, 1'000));
    call.finish();
    query.from_id = from_id;
    answer_rows(api, call, market, query, from_id != 0);
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

// A silent feed's book is stale, but the newest there is.
[[nodiscard]] bool has_lost_its_place(Api& api, const Market& market) {
    const auto& data = api.services().market_data;
    auto book = sized<tenon_book>();
    return data->book(data.self, market.id(), 1, &book) == TENON_OK && book.trusted == 0;
}

}  // namespace

std::int64_t read_time_zone(std::string_view text) {
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

void depth(Api& api, Call& call) {
    const Market market = mandatory_market(api, call);
    const std::uint32_t limit = call.params.limit(100, 5'000);
    const SymbolStatus status = read_symbol_status(call.params);
    call.finish();
    require_status(api, market, status);
    api.note_age(call.to, market.id(), TENON_MD_KIND_BOOK);
    if (call.to.stale && call.to.age_ms >= api.stale_book_ms() && has_lost_its_place(api, market)) {
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
    answer_trades(api, call, 0, market);
}

void historical_trades(Api& api, Call& call) {
    const Market market = mandatory_market(api, call);
    const auto from = call.params.integer("fromId");
    // Id 0 is a valid start that means the first trade there is.
    answer_trades(
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
    if (start && end && *start > *end) {
        reply_empty(api, call);
        return;
    }
    tenon_history_query query = make_query(TENON_HISTORY_AGG_TRADES, market, limit);
    query.from_id = from_id ? std::max<std::uint64_t>(static_cast<std::uint64_t>(*from_id), 1) : 0;
    query.start_real_ns = start.value_or(0);
    query.end_real_ns = end.value_or(0);
    answer_rows(api, call, market, query, from_id || start);
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
    if (start && end && *start > *end) {
        reply_empty(api, call);
        return;
    }
    tenon_history_query query = make_query(TENON_HISTORY_CANDLES, market, limit);
    query.interval = *interval;
    query.start_real_ns = start.value_or(0);
    query.end_real_ns = end.value_or(0);
    query.offset_ns = offset;
    answer_rows(api, call, market, query, true);
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
    api.note_age(call.to, market.id(), TENON_MD_KIND_TRADES);
    api.reply(call.to, json.text());
}

}  // namespace tenon::binance::rest
