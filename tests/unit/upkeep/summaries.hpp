// SPDX-License-Identifier: Apache-2.0
// Random writes to what the daily summaries are sums of, and those sums as a model has them: added
// up in 128 bits from the rows that the model remembers, by no code of the server's.
#pragma once

#include <tenon/storage.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace tenon::test {

__extension__ using Wide = __int128;

// Key -> sums; a key whose count is 0 is not there.
using Sums = std::map<std::string, std::vector<std::int64_t>>;

struct Summaries {
    Sums performance, sentiment;

    friend bool operator==(const Summaries&, const Summaries&) = default;
};

// What a database keeps. Keys without rows must have no sums: they are listed as well then.
inline Summaries kept(Session& session) {
    Summaries all;
    const auto read = [&](const char* sql, std::uint32_t keys, std::uint32_t sums, Sums& to) {
        for (auto row = session.prepare(sql); row.step();) {
            std::string key;
            for (std::uint32_t i = 0; i < keys; ++i) {
                const tenon_value value = row.value(i);
                key += (value.kind == TENON_VALUE_TEXT ? std::string{view(value.b)}
                                                       : std::to_string(value.i)) +
                       "|";
            }
            std::vector<std::int64_t> found;
            bool is_empty = true;
            for (std::uint32_t i = 0; i < sums; ++i) {
                found.push_back(row.integer(keys + i));
                is_empty = is_empty && found.back() == 0;
            }
            if (!is_empty) {
                to[key] = found;
            }
        }
    };
    read(
        "SELECT user_id, day_real_ns, account_type, instrument, CAST(sum(trade_count) AS bigint), "
        "CAST(sum(pnl_hi) AS bigint), CAST(sum(pnl_lo) AS bigint), "
        "CAST(sum(return_sum) AS bigint) FROM mv_portfolio_performance "
        "GROUP BY user_id, day_real_ns, account_type, instrument",
        4,
        4,
        all.performance
    );
    read(
        "SELECT symbol, day_real_ns, CAST(sum(news_count) AS bigint), "
        "CAST(sum(score_sum) AS bigint) FROM mv_news_sentiment GROUP BY symbol, day_real_ns",
        2,
        2,
        all.sentiment
    );
    return all;
}

struct ModelTrade {
    std::int64_t user = 1, instrument = 0, side = 0, entry_price = 1, entry_ns = 0;
    bool is_real = false;
    std::optional<std::int64_t> exit_ns;
    std::int64_t exit_price = 1, pnl = 0;
};

struct ModelNews {
    std::string symbol;
    std::int64_t score = 0, published_ns = 0;
};

class SummaryModel {
public:
    explicit SummaryModel(std::uint64_t seed) : random_{seed} {}

    // Users 1 to 3, instruments 0 and 1.
    static void prepare(Session& s) {
        s.execute(
            "INSERT INTO assets (id, name, scale) VALUES (0, 'BTC', 8), (1, 'USDT', 8);"
            "INSERT INTO instruments (id, symbol, base, quote, price_scale, quantity_scale) VALUES "
            "(0, 'BTCUSDT', 0, 1, 2, 5), (1, 'OLD', NULL, NULL, 0, 0);"
            "INSERT INTO users (id, name, created_real_ns) VALUES (1, 'a', 0), (2, 'b', 0), (3, "
            "'c', 0)"
        );
    }

    // The next write as SQL; the model has done it when this returns.
    std::string next() {
        switch (below(12)) {
            case 0:
            case 1:
            case 2:
                return insert_trades(below(2) == 0 ? 1 : 1 + below(5));
            case 3:
            case 4:
                return change_trades();
            case 5:
                return close_trade();
            case 6:
                return delete_trades();
            case 7:
            case 8:
                return insert_news(1 + below(4));
            case 9:
                return change_news();
            case 10:
                return delete_news();
            default:
                return touch();
        }
    }

    [[nodiscard]] Summaries sums() const {
        Summaries all;
        for (const auto& [id, t] : trades_) {
            if (!t.exit_ns) {
                continue;
            }
            auto& to =
                all.performance
                    [std::to_string(t.user) + "|" + day_of(*t.exit_ns) + "|" +
                     (t.is_real ? "real" : "demo") + "|" + std::to_string(t.instrument) + "|"];
            to.resize(4);
            const auto pnl = static_cast<Wide>(t.pnl);
            to[0] += 1;
            to[1] += static_cast<std::int64_t>(pnl / 1'000'000'000);
            to[2] += static_cast<std::int64_t>(pnl % 1'000'000'000);
            to[3] += return_of(t);
        }
        for (const auto& [id, n] : news_) {
            auto& to = all.sentiment[n.symbol + "|" + day_of(n.published_ns) + "|"];
            to.resize(2);
            to[0] += 1;
            to[1] += n.score;
        }
        return all;
    }

    // In millionths, as 0003 says it: the part before the point is at most 10^6.
    [[nodiscard]] static std::int64_t return_of(const ModelTrade& t) {
        const Wide gain = t.side == 0 ? static_cast<Wide>(t.exit_price) - t.entry_price
                                      : static_cast<Wide>(t.entry_price) - t.exit_price;
        const Wide entry = t.entry_price;
        const Wide million = 1'000'000;
        const Wide whole = std::max(std::min(gain / entry, million), -million);
        const Wide rest = gain % entry;
        const Wide part =
            t.entry_price < 9'000'000'000'000 ? rest * million / entry : rest / (entry / million);
        return static_cast<std::int64_t>(whole * million + part);
    }

private:
    std::uint64_t below(std::uint64_t end) { return random_() % end; }

    std::int64_t pick(std::initializer_list<std::int64_t> from) {
        return *(from.begin() + static_cast<std::ptrdiff_t>(below(from.size())));
    }

    static std::string day_of(std::int64_t ns) {
        constexpr std::int64_t k_day = 86'400'000'000'000;
        return std::to_string(ns / k_day * k_day);
    }

    // Few days, both sides of midnights, and the ends of time.
    std::int64_t time() {
        constexpr std::int64_t k_day = 86'400'000'000'000;
        return below(20) == 0 ? pick({0, INT64_MAX, INT64_MAX - 9'000'000'000'000'000})
                              : 20'000 * k_day + static_cast<std::int64_t>(below(3)) * k_day +
                                    pick({-1, 0, 1, k_day / 2});
    }

    std::int64_t price() {
        return below(8) == 0
                   ? pick({1, 2, INT64_MAX, INT64_MAX - 1, 8'999'999'999'999, 9'000'000'000'000})
                   : 6'000'000 + static_cast<std::int64_t>(below(100'000));
    }

    std::int64_t profit() {
        return below(8) == 0
                   ? pick({INT64_MAX, INT64_MIN, 0, 999'999'999, -1'000'000'000})
                   : static_cast<std::int64_t>(below(2'000'000'000'000)) - 1'000'000'000'000;
    }

    ModelTrade trade() {
        ModelTrade t;
        t.user = 1 + static_cast<std::int64_t>(below(3));
        t.instrument = static_cast<std::int64_t>(below(2));
        t.side = static_cast<std::int64_t>(below(2));
        t.is_real = below(2) == 0;
        t.entry_price = price();
        if (below(3) != 0) {
            t.exit_ns = time();
            t.exit_price = price();
            t.pnl = profit();
        }
        return t;
    }

    static std::string text(std::int64_t value) {
        // The smallest number has no literal of its own.
        return value == INT64_MIN ? "(-9223372036854775807 - 1)" : std::to_string(value);
    }

    static std::string row(std::int64_t id, const ModelTrade& t) {
        std::string sql = "(" + std::to_string(id) + ", " + text(t.user) + ", 'x', '" +
                          (t.is_real ? "real" : "demo") + "', " + text(t.instrument) + ", " +
                          text(t.side) + ", 5, " + text(t.entry_price) + ", 0, ";
        return sql + (t.exit_ns ? text(t.exit_price) + ", " + text(*t.exit_ns) + ", " +
                                      text(t.pnl) + ", 'manual')"
                                : "NULL, NULL, NULL, NULL)");
    }

    std::string insert_trades(std::uint64_t count) {
        std::string sql =
            "INSERT INTO trade_logs (id, user_id, exchange, account_type, instrument, side, "
            "quantity, entry_price, entry_real_ns, exit_price, exit_real_ns, pnl, exit_reason) "
            "VALUES ";
        for (std::uint64_t i = 0; i < count; ++i) {
            const ModelTrade t = trade();
            sql += (i == 0 ? "" : ", ") + row(++last_id_, t);
            trades_[last_id_] = t;
        }
        return sql + " ON CONFLICT DO NOTHING";
    }

    // One that is there, or the one that would come next.
    template <class Rows>
    std::int64_t some(const Rows& rows) {
        if (rows.empty()) {
            return last_id_ + 1;
        }
        auto it = rows.lower_bound(
            static_cast<std::int64_t>(below(static_cast<std::uint64_t>(last_id_) + 1))
        );
        return it == rows.end() ? rows.begin()->first : it->first;
    }

    // All rows of a user, or one row, to other values.
    std::string change_trades() {
        const ModelTrade to = trade();
        const std::int64_t id = some(trades_);
        switch (below(4)) {
            case 0: {
                const std::int64_t from = 1 + static_cast<std::int64_t>(below(3));
                for (auto& [key, t] : trades_) {
                    if (t.user == from) {
                        t.user = to.user;
                        t.instrument = to.instrument;
                    }
                }
                return "UPDATE trade_logs SET user_id = " + text(to.user) +
                       ", instrument = " + text(to.instrument) + " WHERE user_id = " + text(from);
            }
            case 1:
                for (auto& [key, t] : trades_) {
                    if (t.exit_ns) {
                        t.side = 1 - t.side;
                    }
                }
                return "UPDATE trade_logs SET side = 1 - side WHERE exit_real_ns IS NOT NULL";
            default:
                if (const auto found = trades_.find(id); found != trades_.end()) {
                    found->second = to;
                }
                return "UPDATE trade_logs SET (user_id, account_type, instrument, side, "
                       "entry_price, exit_price, exit_real_ns, pnl, exit_reason) = (" +
                       text(to.user) + ", '" + (to.is_real ? "real" : "demo") + "', " +
                       text(to.instrument) + ", " + text(to.side) + ", " + text(to.entry_price) +
                       ", " +
                       (to.exit_ns ? text(to.exit_price) + ", " + text(*to.exit_ns) + ", " +
                                         text(to.pnl) + ", 'signal')"
                                   : "NULL, NULL, NULL, NULL)") +
                       " WHERE id = " + text(id);
        }
    }

    std::string close_trade() {
        const std::int64_t id = some(trades_);
        const std::int64_t at = time(), by = price(), pnl = profit();
        if (const auto found = trades_.find(id); found != trades_.end() && !found->second.exit_ns) {
            found->second.exit_ns = at;
            found->second.exit_price = by;
            found->second.pnl = pnl;
        }
        return "UPDATE trade_logs SET exit_price = " + text(by) + ", exit_real_ns = " + text(at) +
               ", pnl = " + text(pnl) + ", exit_reason = 'stop_loss' WHERE id = " + text(id) +
               " AND exit_real_ns IS NULL";
    }

    std::string delete_trades() {
        if (below(6) == 0) {
            std::erase_if(trades_, [](const auto& entry) { return entry.second.is_real; });
            return "DELETE FROM trade_logs WHERE account_type = 'real'";
        }
        const std::int64_t id = some(trades_);
        trades_.erase(id);
        return "DELETE FROM trade_logs WHERE id = " + text(id);
    }

    std::string insert_news(std::uint64_t count) {
        std::string sql =
            "INSERT INTO news_items (id, source, external_id, symbol, title, sentiment_score, "
            "published_real_ns, fetched_real_ns) VALUES ";
        for (std::uint64_t i = 0; i < count; ++i) {
            static constexpr std::array<const char*, 3> k_symbols{"", "BTC", "ETHUSDT"};
            ModelNews n{
                k_symbols[below(3)], static_cast<std::int64_t>(below(20'001)) - 10'000, time()};
            const std::string id = std::to_string(++last_id_);
            sql += (i == 0 ? "(" : ", (") + id + ", 's', '" + id + "', '" + n.symbol + "', 't', " +
                   text(n.score) + ", " + text(n.published_ns) + ", 0)";
            news_[last_id_] = n;
        }
        return sql;
    }

    std::string change_news() {
        if (below(4) == 0) {
            for (auto& [id, n] : news_) {
                n.score = -n.score;
            }
            return "UPDATE news_items SET sentiment_score = -sentiment_score";
        }
        const std::int64_t id = some(news_);
        const std::int64_t at = time();
        if (const auto found = news_.find(id); found != news_.end()) {
            found->second.published_ns = at;
            found->second.symbol = "BTC";
        }
        return "UPDATE news_items SET symbol = 'BTC', published_real_ns = " + text(at) +
               " WHERE id = " + text(id);
    }

    std::string delete_news() {
        if (below(10) == 0) {
            news_.clear();
            return "DELETE FROM news_items";
        }
        const std::int64_t id = some(news_);
        news_.erase(id);
        return "DELETE FROM news_items WHERE id = " + text(id);
    }

    // What changes nothing that is counted.
    std::string touch() {
        return below(2) == 0 ? "UPDATE trade_logs SET fees = fees + 1, pnl = pnl"
                             : "UPDATE news_items SET title = 'u' WHERE symbol = 'BTC'";
    }

    std::mt19937_64 random_;
    std::int64_t last_id_ = 0;
    std::map<std::int64_t, ModelTrade> trades_;
    std::map<std::int64_t, ModelNews> news_;
};

}  // namespace tenon::test
