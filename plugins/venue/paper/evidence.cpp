// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/paper/evidence.hpp"

#include <utility>

namespace tenon::paper {
namespace {

enum class Kind : std::uint8_t {
    look = 1,
    wait = 2,
    arrival = 3,
    market = 4,
    trigger = 5,
    price = 6
};

void put(Writer& out, const Look& look) {
    out.put(look.instrument);
    out.put(std::uint8_t{look.trusted});
    out.put(look.reference);
    out.put(look.book_id);
    out.put(look.bid);
    out.put(look.ask);
    out.put(look.displayed);
    out.put(static_cast<std::uint32_t>(look.levels.size()));
    for (const tenon_level& level : look.levels) {
        out.put(level);
    }
}

[[nodiscard]] bool positive(const tenon_level& level) {
    return level.price > 0 && level.quantity > 0;
}

[[nodiscard]] std::optional<Look> get_look(Reader& in) {
    Look look;
    std::uint8_t trusted = 0;
    in.get(look.instrument);
    in.get(trusted);
    in.get(look.reference);
    in.get(look.book_id);
    in.get(look.bid);
    in.get(look.ask);
    in.get(look.displayed);
    look.trusted = trusted != 0;
    bool good = trusted <= 1 && look.displayed >= 0;
    look.levels.resize(in.get_count(2 * sizeof(std::int64_t), k_levels_max));
    for (tenon_level& level : look.levels) {
        in.get(level);
        good = good && positive(level);
    }
    return good && in.complete() ? std::optional{std::move(look)} : std::nullopt;
}

[[nodiscard]] std::optional<MarketNews> get_news(Reader& in) {
    constexpr std::size_t k_item_bytes = 2 + 2 * sizeof(std::int64_t);
    MarketNews news;
    in.get(news.instrument);
    news.items.resize(in.get_count(k_item_bytes, k_items_max));
    for (Item& item : news.items) {
        std::uint8_t kind = 0;
        in.get(kind);
        in.get(item.side);
        in.get(item.price);
        in.get(item.quantity);
        item.kind = static_cast<ItemKind>(kind);
        if (kind < 1 || kind > 3 || item.side > 1 || item.price <= 0 || item.quantity < 0) {
            return std::nullopt;
        }
    }
    return in.complete() ? std::optional{std::move(news)} : std::nullopt;
}

struct Encoder {
    Writer& out;

    void head(Kind kind) const {
        out.put(k_evidence_version);
        out.put(static_cast<std::uint8_t>(kind));
    }

    void operator()(const Look& look) const {
        head(Kind::look);
        put(out, look);
    }

    void operator()(const Wait& wait) const {
        head(Kind::wait);
        out.put(wait.due_real_ns);
        out.put(wait.reference);
    }

    void operator()(const Arrival& arrival) const {
        head(Kind::arrival);
        out.put(arrival.order_id);
        put(out, arrival.look);
    }

    void operator()(const Triggered& triggered) const {
        head(Kind::trigger);
        out.put(triggered.order_id);
        put(out, triggered.look);
    }

    void operator()(const Price& price) const {
        head(Kind::price);
        out.put(price.instrument);
        out.put(price.price);
    }

    void operator()(const MarketNews& news) const {
        head(Kind::market);
        out.put(news.instrument);
        out.put(static_cast<std::uint32_t>(news.items.size()));
        for (const Item& item : news.items) {
            out.put(static_cast<std::uint8_t>(item.kind));
            out.put(item.side);
            out.put(item.price);
            out.put(item.quantity);
        }
    }
};

}  // namespace

std::string encode(const Evidence& evidence) {
    Writer out;
    std::visit(Encoder{out}, evidence);
    return out.take();
}

std::optional<Evidence> decode(std::string_view bytes) {
    Reader in{bytes};
    std::uint8_t version = 0;
    std::uint8_t kind = 0;
    in.get(version);
    in.get(kind);
    if (!in.sound() || version != k_evidence_version) {
        return std::nullopt;
    }
    switch (static_cast<Kind>(kind)) {
        case Kind::look:
            if (auto look = get_look(in)) {
                return Evidence{std::move(*look)};
            }
            break;
        case Kind::wait: {
            Wait wait;
            in.get(wait.due_real_ns);
            in.get(wait.reference);
            if (in.complete()) {
                return Evidence{wait};
            }
            break;
        }
        case Kind::arrival: {
            Arrival arrival;
            in.get(arrival.order_id);
            if (auto look = get_look(in)) {
                arrival.look = std::move(*look);
                return Evidence{std::move(arrival)};
            }
            break;
        }
        case Kind::trigger: {
            Triggered triggered;
            in.get(triggered.order_id);
            if (auto look = get_look(in)) {
                triggered.look = std::move(*look);
                return Evidence{std::move(triggered)};
            }
            break;
        }
        case Kind::price: {
            Price price;
            in.get(price.instrument);
            in.get(price.price);
            if (in.complete() && price.price > 0) {
                return Evidence{price};
            }
            break;
        }
        case Kind::market:
            if (auto news = get_news(in)) {
                return Evidence{std::move(*news)};
            }
            break;
    }
    return std::nullopt;
}

}  // namespace tenon::paper
