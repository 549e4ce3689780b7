// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/orders/evidence.hpp"

#include <tenon/byte_codec.hpp>

#include <utility>

namespace tenon::binance_venue {
namespace {

enum class Kind : std::uint8_t { reference = 1, news = 2, closed = 3 };

constexpr std::size_t k_fill_bytes = 8 + 8 + 8 + 4 + 8 + 1;

void put(ByteWriter& out, const OrderNews& news) {
    out.put(news.order_id);
    out.put(news.exchange_id);
    out.put(static_cast<std::uint8_t>((news.accepted ? 1U : 0U) | (news.working ? 2U : 0U)));
    out.put(static_cast<std::uint8_t>(news.end));
    out.put(news.executed);
    out.put(news.reject);
    out.put_text(news.reason);
    out.put(static_cast<std::uint32_t>(news.fills.size()));
    for (const Fill& fill : news.fills) {
        out.put(fill.trade_id);
        out.put(fill.price);
        out.put(fill.quantity);
        out.put(fill.fee_asset);
        out.put(fill.fee);
        out.put(std::uint8_t{fill.maker});
    }
}

[[nodiscard]] Fill get_fill(ByteReader& in) {
    Fill fill;
    fill.trade_id = in.get<std::uint64_t>();
    fill.price = in.get<std::int64_t>();
    fill.quantity = in.get<std::int64_t>();
    fill.fee_asset = in.get<std::uint32_t>();
    fill.fee = in.get<std::int64_t>();
    const auto maker = in.get<std::uint8_t>();
    fill.maker = maker != 0;
    if (maker > 1 || fill.price <= 0 || fill.quantity <= 0 || fill.fee < 0 ||
        (fill.fee_asset == k_no_asset && fill.fee != 0)) {
        in.fail();
    }
    return fill;
}

[[nodiscard]] OrderNews get_news(ByteReader& in) {
    OrderNews news;
    news.order_id = in.get<std::uint64_t>();
    news.exchange_id = in.get<std::uint64_t>();
    const auto accepted = in.get<std::uint8_t>();
    const auto end = in.get<std::uint8_t>();
    news.executed = in.get<std::int64_t>();
    news.reject = in.get<std::uint32_t>();
    news.reason = in.get_text(k_reason_bytes_max);
    const auto count = in.get<std::uint32_t>();
    if (accepted > 3 || accepted == 2 || end > static_cast<std::uint8_t>(End::withdrawn) ||
        news.executed < 0 || count > k_fills_max || count > in.left() / k_fill_bytes) {
        in.fail();
        return news;
    }
    news.accepted = accepted != 0;
    news.working = (accepted & 2U) != 0;
    news.end = static_cast<End>(end);
    const bool never_there = news.end >= End::refused;
    if (never_there && (news.accepted || count != 0 || news.executed != 0)) {
        in.fail();
    }
    for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
        news.fills.push_back(get_fill(in));
    }
    return news;
}

}  // namespace

std::string encode(const Evidence& evidence) {
    std::string bytes;
    ByteWriter out{bytes};
    out.put(k_evidence_version);
    if (const auto* const reference = std::get_if<Reference>(&evidence)) {
        out.put(static_cast<std::uint8_t>(Kind::reference));
        out.put(reference->price);
    } else if (const auto* const news = std::get_if<OrderNews>(&evidence)) {
        out.put(static_cast<std::uint8_t>(Kind::news));
        put(out, *news);
    } else {
        out.put(static_cast<std::uint8_t>(Kind::closed));
    }
    return bytes;
}

std::optional<Evidence> decode(std::string_view bytes) {
    ByteReader in{bytes};
    if (in.get<std::uint8_t>() != k_evidence_version) {
        return std::nullopt;
    }
    Evidence out;
    switch (static_cast<Kind>(in.get<std::uint8_t>())) {
        case Kind::reference:
            out = Reference{in.get<std::int64_t>()};
            break;
        case Kind::news:
            out = get_news(in);
            break;
        case Kind::closed:
            out = Closed{};
            break;
        default:
            return std::nullopt;
    }
    return in.ok() && in.at_end() ? std::optional{std::move(out)} : std::nullopt;
}

}  // namespace tenon::binance_venue
