// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/settings.hpp"

#include <tenon/decimal.hpp>
#include <tenon/json.hpp>

#include <algorithm>
#include <filesystem>

namespace tenon::binance_venue {
namespace {

constexpr std::int64_t k_ms_ns = 1'000'000;
constexpr std::int64_t k_second_ns = 1'000'000'000;

[[nodiscard]] net::Url url_of(const Settings& settings, std::string_view name) {
    try {
        return net::parse_url(settings.get<std::string>(name));
    } catch (const Error& e) {
        throw Error{e.code(), std::string{name} + ": " + e.what()};
    }
}

[[nodiscard]] std::string path_of(const std::string& folder, const std::string& file) {
    return file.empty() ? file : (std::filesystem::path{folder} / file).lexically_normal().string();
}

[[nodiscard]] std::shared_ptr<const Signer> signer_of(std::string key, std::string secret) {
    if (key.empty() && secret.empty()) {
        return nullptr;
    }
    if (key.empty() || secret.empty()) {
        throw Error{TENON_INVALID, "api_key and secret are set together or not at all"};
    }
    return std::make_shared<Signer>(std::move(key), std::move(secret));
}

[[nodiscard]] std::optional<ExchangeCredentialName>
credential_of(const std::string& name, const std::string& exchange) {
    if (name.empty()) {
        return std::nullopt;
    }
    const std::size_t slash = name.find('/');
    if (slash == 0 || slash == std::string::npos || slash + 1 == name.size()) {
        throw Error{TENON_INVALID, "credential: expected ACCOUNT/LABEL"};
    }
    return ExchangeCredentialName{name.substr(0, slash), exchange, name.substr(slash + 1)};
}

[[nodiscard]] std::int64_t seconds_of(const std::string& interval) {
    return interval == "SECOND"   ? 1
           : interval == "MINUTE" ? 60
           : interval == "HOUR"   ? 3600
           : interval == "DAY"    ? 86'400
                                  : 0;
}

[[nodiscard]] const Json& member(const Json& object, std::string_view name) {
    const Json* const found = object.find(name);
    if (found == nullptr) {
        throw Error{TENON_CORRUPT, "exchangeInfo has no " + std::string{name}};
    }
    return *found;
}

[[nodiscard]] std::vector<PublishedLimit> limits_of(const Json& info) {
    std::vector<PublishedLimit> limits;
    for (const Json& each : member(info, "rateLimits").items()) {
        const std::string& type = member(each, "rateLimitType").text();
        const std::int64_t period_s = seconds_of(member(each, "interval").text()) *
                                      member(each, "intervalNum").integer<std::int64_t>();
        const auto limit = member(each, "limit").integer<std::int64_t>();
        const bool known = type == "REQUEST_WEIGHT" || type == "ORDERS" || type == "RAW_REQUESTS";
        if (known && period_s > 0 && period_s <= 86'400 && limit > 0) {
            limits.push_back(
                {type == "ORDERS"           ? LimitUnit::orders
                 : type == "REQUEST_WEIGHT" ? LimitUnit::weight
                                            : LimitUnit::requests,
                 limit,
                 period_s * k_second_ns}
            );
        }
    }
    return limits;
}

// "" when what the exchange trades can be written in our scales.
[[nodiscard]] std::string misfit(const Json& symbol, const FeedSymbol& own) {
    for (const Json& filter : member(symbol, "filters").items()) {
        const std::string& type = member(filter, "filterType").text();
        const bool is_price = type == "PRICE_FILTER";
        if (!is_price && type != "LOT_SIZE") {
            continue;
        }
        const std::string_view name = is_price ? "tickSize" : "stepSize";
        const int scale = is_price ? own.scales.price : own.scales.quantity;
        const std::string& step = member(filter, name).text();
        if (!parse_decimal(step, scale)) {
            return own.name + ": the exchange's " + std::string{name} + " " + step +
                   " is finer than the listed scale";
        }
    }
    return {};
}

}  // namespace

BinanceSettings::BinanceSettings(const Settings& settings, const std::string& folder)
    : rest_url{url_of(settings, "rest_url")},
      stream_url{url_of(settings, "stream_url")},
      api_url{url_of(settings, "api_url")},
      ca_file{path_of(folder, settings.get<std::string>("ca_file"))},
      weights_file{path_of(folder, settings.get<std::string>("weights_file"))},
      throttle_limit{settings.get<std::string>("throttle_limit")},
      signer{signer_of(settings.get<std::string>("api_key"), settings.get<std::string>("secret"))},
      credential{credential_of(
          settings.get("credential", std::string{}),
          settings.get("credential_exchange", std::string{"binance"})
      )},
      credential_check_ns{settings.get("credential_check_s", std::int64_t{5}) * k_second_ns},
      symbols{settings.get<std::vector<std::string>>("symbols")},
      share{share_of_level(settings.get<std::string>("level")).value_or(share)},
      connections_max{settings.get<std::size_t>("connections_max")},
      queue_max{settings.get<std::size_t>("queue_max")},
      recv_window_ms{settings.get<std::int64_t>("recv_window_ms")},
      poll_ns{settings.get<std::int64_t>("poll_ms") * k_ms_ns},
      ping_ns{settings.get<std::int64_t>("ping_ms") * k_ms_ns},
      age_max_ns{settings.get<std::int64_t>("connection_minutes_max") * 60 * k_second_ns},
      depth_limit{std::to_string(settings.get<std::int64_t>("depth_limit"))},
      fill_max{settings.get<std::uint64_t>("fill_trades_max")},
      order_tag{settings.get<std::string>("order_tag")},
      order_timeout_ns{settings.get<std::int64_t>("order_timeout_ms") * k_ms_ns},
      absence_margin_ms{settings.get<std::int64_t>("absence_margin_ms")},
      compare_ns{settings.get<std::int64_t>("compare_s") * k_second_ns},
      balances_ns{settings.get("balances_s", std::int64_t{60}) * k_second_ns} {
    if (signer && credential) {
        throw Error{TENON_INVALID, "a credential is set or named, not both"};
    }
    for (const net::Url* const url : {&rest_url, &stream_url}) {
        if (url->path != "/") {
            throw Error{TENON_INVALID, "rest_url and stream_url end with the port"};
        }
    }
    for (auto at = symbols.begin(); at != symbols.end(); ++at) {
        if (std::find(symbols.begin(), at, *at) != at) {
            throw Error{TENON_INVALID, "symbols: " + *at + " is named twice"};
        }
    }
}

ExchangeInfo read_exchange_info(std::string_view text, const std::vector<FeedSymbol>& symbols) {
    ExchangeInfo out;
    try {
        const Json info = Json::parse(text);
        out.limits = limits_of(info);
        for (const FeedSymbol& own : symbols) {
            const auto& listed = member(info, "symbols").items();
            const auto found = std::find_if(listed.begin(), listed.end(), [&](const Json& each) {
                return member(each, "symbol").text() == own.name;
            });
            const std::string trouble = found == listed.end()
                                            ? own.name + ": the exchange does not list it"
                                            : misfit(*found, own);
            if (!trouble.empty()) {
                out.trouble.append(out.trouble.empty() ? "" : "; ").append(trouble);
            }
        }
    } catch (const Error& e) {
        throw Error{TENON_CORRUPT, std::string{"exchangeInfo: "} + e.what()};
    }
    return out;
}

}  // namespace tenon::binance_venue
