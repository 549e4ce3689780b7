// SPDX-License-Identifier: Apache-2.0
#include "plugins/console/records.hpp"

#include <tenon/decimal.hpp>

#include <boost/json/array.hpp>

#include <limits>
#include <utility>

namespace tenon::console {
namespace {

namespace json = boost::json;

constexpr std::int64_t k_ns_per_ms = 1'000'000;
constexpr double k_basis_points = 10'000.0;

constexpr std::string_view k_news =
    "SELECT symbol, title, summary, url, source, sentiment_score, published_real_ns "
    "FROM news_items WHERE published_real_ns < ? ORDER BY published_real_ns DESC LIMIT ?";
constexpr std::string_view k_news_of =
    "SELECT symbol, title, summary, url, source, sentiment_score, published_real_ns "
    "FROM news_items WHERE published_real_ns < ? AND symbol = ? "
    "ORDER BY published_real_ns DESC LIMIT ?";
constexpr std::string_view k_signals =
    "SELECT i.symbol, s.side, s.strategy, s.source, s.price, i.price_scale, s.confidence_bp, "
    "s.time_real_ns, coalesce(s.expires_real_ns, 0) "
    "FROM signals s JOIN instruments i ON i.id = s.instrument "
    "WHERE s.time_real_ns < ? ORDER BY s.time_real_ns DESC, s.id DESC LIMIT ?";
constexpr std::string_view k_signals_of =
    "SELECT i.symbol, s.side, s.strategy, s.source, s.price, i.price_scale, s.confidence_bp, "
    "s.time_real_ns, coalesce(s.expires_real_ns, 0) "
    "FROM signals s JOIN instruments i ON i.id = s.instrument "
    "WHERE s.time_real_ns < ? AND i.symbol = ? ORDER BY s.time_real_ns DESC, s.id DESC LIMIT ?";

json::string text(const Statement& row, std::uint32_t column) {
    return json::string{row.text(column)};
}

json::object news_of(const Statement& row) {
    return {
        {"symbol", text(row, 0)},
        {"title", text(row, 1)},
        {"summary", text(row, 2)},
        {"url", text(row, 3)},
        {"source", text(row, 4)},
        {"sentiment", static_cast<double>(row.integer(5)) / k_basis_points},
        {"at_ms", row.integer(6) / k_ns_per_ms}};
}

json::object signal_of(const Statement& row) {
    return {
        {"symbol", text(row, 0)},
        {"side", row.integer(1) == 0 ? "buy" : "sell"},
        {"strategy", text(row, 2)},
        {"source", text(row, 3)},
        {"price", decimal_text(row.integer(4), row.as<int>(5))},
        {"confidence", static_cast<double>(row.integer(6)) / k_basis_points},
        {"at_ms", row.integer(7) / k_ns_per_ms},
        {"expires_ms", row.integer(8) / k_ns_per_ms}};
}

template <class Render>
json::array read(
    const Storage& storage,
    const RecordPage& page,
    std::string_view all,
    std::string_view of_symbol,
    Render render
) {
    constexpr std::int64_t k_last = std::numeric_limits<std::int64_t>::max();
    const bool is_bounded = page.before_ms > 0 && page.before_ms < k_last / k_ns_per_ms;
    const std::int64_t before_ns = is_bounded ? page.before_ms * k_ns_per_ms : k_last;
    json::array rows;
    storage.read(page.deadline_ns, [&](Session& session) {
        rows.clear();
        Statement found = session.prepare(page.symbol.empty() ? all : of_symbol);
        if (page.symbol.empty()) {
            found.bind_all(before_ns, k_records_shown);
        } else {
            found.bind_all(before_ns, page.symbol, k_records_shown);
        }
        while (found.step()) {
            rows.push_back(render(found));
        }
    });
    return rows;
}

}  // namespace

json::object read_news(const Storage& storage, const RecordPage& page) {
    return {{"news", read(storage, page, k_news, k_news_of, news_of)}};
}

json::object read_signals(const Storage& storage, const RecordPage& page) {
    return {{"signals", read(storage, page, k_signals, k_signals_of, signal_of)}};
}

}  // namespace tenon::console
