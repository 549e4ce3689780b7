// SPDX-License-Identifier: Apache-2.0
// Random bodies and questions for the native API, made from the descriptions of its resources:
// bounds, 64-bit extremes, exact decimals, all of Unicode, empty, NULL and missing members, and now
// and then what is not allowed. The same seed gives the same ones.
#pragma once

#include "plugins/trading/records/resource.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::test {

using records::Field;
using records::Kind;
using records::Resource;

inline constexpr std::int64_t k_platform_now_ns = 1'767'225'600'000'000'000;

class Source {
public:
    explicit Source(std::uint64_t seed) : random_{seed} {}

    std::uint64_t draw(std::uint64_t below) { return random_() % below; }

    std::int64_t number(std::int64_t min, std::int64_t max) {
        const auto span = static_cast<std::uint64_t>(max) - static_cast<std::uint64_t>(min);
        switch (draw(6)) {
            case 0:
                return min;
            case 1:
                return max;
            case 2:
                return min + static_cast<std::int64_t>(std::min<std::uint64_t>(span, draw(20)));
            default:
                return static_cast<std::int64_t>(
                    static_cast<std::uint64_t>(min) +
                    (span == UINT64_MAX ? random_() : random_() % (span + 1))
                );
        }
    }

    static std::string decimal(std::int64_t value, int scale) {
        const bool negative = value < 0;
        std::string digits = std::to_string(value).substr(negative ? 1 : 0);
        if (scale > 0) {
            const auto places = static_cast<std::size_t>(scale);
            digits.insert(0, digits.size() <= places ? places + 1 - digits.size() : 0, '0');
            digits.insert(digits.size() - places, ".");
        }
        return (negative ? "-" : "") + digits;
    }

    std::string text(std::int64_t min, std::int64_t max) {
        static constexpr const char* k_parts[]{
            "a",
            "Z",
            "\xC5\xBC",
            "\xE6\x97\xA5\xE6\x9C\xAC",
            "\xF0\x9F\x92\xB0",
            " ",
            "'",
            "\"",
            "\\",
            "%",
            "?",
            "_",
            "\t",
            "\n",
            "$1",
            "; DROP TABLE users; --",
            "\xCC\x81",
            "0"};
        std::string out;
        const auto length = static_cast<std::int64_t>(draw(7));
        for (std::int64_t i = 0; i < std::max(length, min) && i < max; ++i) {
            std::string part = k_parts[draw(std::size(k_parts))];
            part = static_cast<std::int64_t>(out.size() + part.size()) > max ? "" : part;
            out += part;
        }
        return static_cast<std::int64_t>(out.size()) < min
                   ? std::string(static_cast<std::size_t>(min), 'x')
                   : out;
    }

    std::string code(std::int64_t min) {
        std::string out;
        for (std::int64_t i = 0; i < min + static_cast<std::int64_t>(draw(3)); ++i) {
            out.push_back("ABXYZ019-_."[draw(i == 0 ? 5 : 11)]);
        }
        return out;
    }

    std::string choice(std::string_view choices) {
        std::vector<std::string> all{""};
        for (const char c : choices) {
            if (c == '|') {
                all.emplace_back();
            } else {
                all.back().push_back(c);
            }
        }
        return all[draw(all.size())];
    }

    // Few different ones, so that rows meet.
    std::int64_t time_us() {
        constexpr std::int64_t k_day_us = 86'400'000'000;
        const std::int64_t now_us = k_platform_now_ns / 1000;
        switch (draw(8)) {
            case 0:
                return 0;
            case 1:
                return INT64_MAX / 1000;
            default:
                return now_us + (static_cast<std::int64_t>(draw(8)) - 4) * k_day_us +
                       static_cast<std::int64_t>(draw(3));
        }
    }

    static boost::json::value json_text(const std::string& text) {
        return boost::json::string{text};
    }

    boost::json::value value(const Field& field, int price_scale, int quantity_scale) {
        switch (field.kind) {
            case Kind::integer:
                return field.max == INT64_MAX && draw(4) != 0
                           ? std::int64_t{1} + static_cast<std::int64_t>(draw(6))
                           : number(field.min, field.max);
            case Kind::text:
                return json_text(
                    field.name == "artifact_sha256"
                        ? std::string(64, "0a"[draw(2)])
                        : text(field.min, std::min<std::int64_t>(field.max, 40))
                );
            case Kind::code:
                return json_text(code(field.min));
            case Kind::choice:
                return json_text(choice(field.choices));
            case Kind::flag:
                return draw(2) == 0;
            case Kind::side:
                return draw(2) == 0 ? "buy" : "sell";
            case Kind::time:
                return time_us();
            case Kind::symbol:
                return "BTCUSDT";
            case Kind::price:
                return json_text(decimal(number(field.min, field.max), price_scale));
            case Kind::quantity:
                return json_text(decimal(number(field.min, field.max), quantity_scale));
            case Kind::quote_amount:
            case Kind::amount:
                return json_text(decimal(number(field.min, field.max), 8));
            case Kind::score:
                return json_text(decimal(number(field.min, field.max), records::k_score_scale));
            case Kind::object:
                return boost::json::object{{text(1, 10), text(0, 20)}};
        }
        return nullptr;
    }

    // What a body may name, most of it; sometimes what it may not.
    std::string body(const Resource& resource, unsigned use) {
        boost::json::object out;
        const bool is_yen = draw(3) == 0;
        for (const Field& field : resource.fields) {
            const bool is_wanted = (field.use & use) != 0 &&
                                   ((use & records::k_create) != 0
                                        ? (field.use & records::k_required) != 0 || draw(3) != 0
                                        : draw(2) != 0);
            if (!is_wanted && draw(60) != 0) {
                continue;
            }
            boost::json::value drawn = value(field, is_yen ? 0 : 2, is_yen ? 0 : 5);
            if (field.kind == Kind::symbol) {
                drawn = draw(25) == 0 ? "NONE" : is_yen ? "BTCJPY" : "BTCUSDT";
            }
            if (is_yen && field.kind == Kind::quote_amount) {
                drawn = json_text(decimal(number(-100, 100), 0));
            }
            if (draw(12) == 0) {
                drawn = nullptr;
            }
            out[field.name] = drawn;
        }
        repair(resource, out);
        return boost::json::serialize(out);
    }

    std::string query(const Resource& resource) {
        std::string out = "limit=" + std::to_string(1 + draw(7));
        for (const Field& field : resource.fields) {
            if ((field.use & records::k_filter) == 0 || draw(4) != 0) {
                continue;
            }
            boost::json::value drawn = value(field, 2, 5);
            out += "&" + std::string{field.name} + "=" +
                   escaped(
                       drawn.is_string() ? std::string{drawn.as_string()}
                                         : boost::json::serialize(drawn)
                   );
        }
        if (draw(4) == 0) {
            out += "&from_us=" + std::to_string(time_us());
        }
        if (draw(4) == 0) {
            out += "&to_us=" + std::to_string(time_us());
        }
        return out;
    }

    static std::string escaped(const std::string& text) {
        std::string out;
        for (const char c : text) {
            const auto byte = static_cast<unsigned char>(c);
            constexpr const char* k_hex = "0123456789ABCDEF";
            if (std::isalnum(byte) != 0) {
                out.push_back(c);
            } else {
                out += {'%', k_hex[byte / 16], k_hex[byte % 16]};
            }
        }
        return out;
    }

private:
    // Times that have an order, most of the time; and what only stands together.
    void repair(const Resource& resource, boost::json::object& body) {
        const auto later = [&](const char* first, const char* second) {
            if (draw(6) != 0 && body.contains(first) && body.contains(second) &&
                body[first].is_int64()) {
                body[second] = std::min<std::int64_t>(
                    body[first].as_int64() + 1 + static_cast<std::int64_t>(draw(90'000'000'000)),
                    INT64_MAX / 1000
                );
            }
        };
        later("valid_from_us", "valid_until_us");
        later("time_us", "expires_us");
        later("made_us", "due_us");
        later("entry_us", "exit_us");
        if (&resource == &records::k_trade_logs && draw(5) != 0) {
            const bool is_closed = body.contains("exit_us") && body["exit_us"].is_int64();
            for (const char* name : {"exit_price", "pnl", "exit_reason"}) {
                if (!is_closed) {
                    body.erase(name);
                } else if (!body.contains(name) || body[name].is_null()) {
                    body[name] = std::string{name} == "exit_reason" ? "signal" : "7";
                }
            }
        }
    }

    std::mt19937_64 random_;
};

}  // namespace tenon::test
