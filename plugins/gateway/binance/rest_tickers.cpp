// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/rest_public.hpp"

namespace tenon::binance::rest {
namespace {

// An instrument without data yet has a ticker of zeros, as a listed but untraded symbol has.
[[nodiscard]] tenon_ticker read_ticker(Api& api, std::uint32_t instrument) {
    const auto& data = api.services().market_data;
    tenon_ticker ticker{};
    ticker.size = sizeof ticker;
    const tenon_status status = data->ticker(data.self, instrument, &ticker);
    if (status != TENON_OK && status != TENON_NOT_FOUND) {
        throw status_error(status, nullptr);
    }
    return ticker;
}

[[nodiscard]] std::uint32_t kind_of(TickerForm form) {
    return form == TickerForm::book    ? TENON_MD_KIND_BEST
           : form == TickerForm::price ? TENON_MD_KIND_TRADES
                                       : TENON_MD_KIND_TICKER;
}

[[nodiscard]] std::string_view rendered(Api& api, const Market& market, TickerForm form) {
    const auto& data = api.services().market_data;
    return api.rendered().get(
        market.id(),
        Rendered::k_ticker + static_cast<std::uint32_t>(form),
        data->version(data.self, market.id()),
        [&](std::string& out) {
            JsonWriter json{out};
            write_ticker(json, market, read_ticker(api, market.id()), form);
        }
    );
}

void append(JsonWriter& json, Api& api, const Market& market, TickerForm form) {
    if (json.micro()) {
        write_ticker(json, market, read_ticker(api, market.id()), form);
    } else {
        json.next().raw(rendered(api, market, form));
    }
}

void answer(
    Api& api,
    Call& call,
    TickerForm form,
    std::optional<std::string_view> symbol,
    const std::optional<std::vector<std::string_view>>& symbols,
    const SymbolStatus& status
) {
    const auto& instruments = api.services().instruments;
    if (symbol) {
        require_status(api, market_of(instruments, *symbol), status);
    }
    if (symbol && !call.to.micro) {
        const Market market = market_of(instruments, *symbol);
        api.note_age(call.to, market.id(), kind_of(form));
        api.reply(call.to, rendered(api, market, form));
        return;
    }
    JsonWriter json{api.buffer(), call.to.micro};
    if (symbol) {
        const Market market = market_of(instruments, *symbol);
        append(json, api, market, form);
        api.note_age(call.to, market.id(), kind_of(form));
        api.reply(call.to, json.text());
        return;
    }
    json.raw("[");
    if (symbols) {
        for (const std::string_view name : *symbols) {
            const Market market = market_of(instruments, name);
            if (has_status(api, market.id(), status)) {
                append(json, api, market, form);
            }
        }
    } else {
        const std::uint32_t count = instruments->instrument_count(instruments.self);
        for (std::uint32_t id = 0; id < count; ++id) {
            if (has_status(api, id, status)) {
                append(json, api, market_of(instruments, id), form);
            }
        }
    }
    json.raw("]");
    api.reply(call.to, json.text());
}

void ticker(Api& api, Call& call, bool has_type, TickerForm form) {
    const auto symbol = call.params.symbol();
    const auto symbols = call.params.symbols("symbols");
    const SymbolStatus status = read_symbol_status(call.params);
    if (has_type) {
        const std::string_view type = call.params.text("type").value_or("FULL");
        if (type != "FULL" && type != "MINI") {
            throw ApiError{-1139, "Invalid ticker type."};
        }
        form = type == "MINI" ? TickerForm::mini : TickerForm::full;
    }
    call.finish();
    if (symbol && symbols) {
        throw errors::combination();
    }
    answer(api, call, form, symbol, symbols, status);
}

}  // namespace

void ticker_24hr(Api& api, Call& call) {
    ticker(api, call, true, TickerForm::full);
}

void ticker_price(Api& api, Call& call) {
    ticker(api, call, false, TickerForm::price);
}

void ticker_book(Api& api, Call& call) {
    ticker(api, call, false, TickerForm::book);
}

}  // namespace tenon::binance::rest
