// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/instruments/catalogue.hpp"

#include <tenon/decimal.hpp>
#include <tenon/plugin.hpp>

#include <boost/json.hpp>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>

namespace tenon::instruments {

namespace json = boost::json;

namespace {

constexpr int k_asset_scale_max = 8;
constexpr int k_ppm_scale = 6;
constexpr std::size_t k_symbol_bytes_max = 32;
constexpr std::size_t k_venue_bytes_max = 64;

[[nodiscard]] std::string found(const json::value* value) {
    return value == nullptr ? "nothing" : json::serialize(*value);
}

}  // namespace

// One pass over the document; collects every mistake.
class CatalogueReader {
public:
    CatalogueReader(const std::string& file, Catalogue& out) : file_{file}, out_{out} {}

    void read(std::string_view text) {
        json::error_code error;
        const json::value document = json::parse({text.data(), text.size()}, error);
        if (error) {
            throw Error{TENON_INVALID, file_ + ": not JSON: " + error.message()};
        }
        if (const json::object* root = object(&document, "")) {
            only(*root, "", {"instruments_version", "assets", "instruments"});
            const json::value* version = root->if_contains("instruments_version");
            if (version == nullptr || !version->is_int64() || version->get_int64() != 1) {
                mistake("/instruments_version", version, "1");
            }
            each(*root, "assets", &CatalogueReader::read_asset);
            each(*root, "instruments", &CatalogueReader::read_instrument);
        }
        if (!mistakes_.empty()) {
            throw Error{TENON_INVALID, mistakes_};
        }
    }

private:
    using Row = void (CatalogueReader::*)(const json::object&, const std::string&);

    void mistake(const std::string& pointer, const json::value* value, std::string_view expected) {
        if (!mistakes_.empty()) {
            mistakes_ += '\n';
        }
        mistakes_.append(file_).append(" ").append(pointer.empty() ? "/" : pointer);
        mistakes_.append(": found ").append(found(value)).append(", expected ").append(expected);
    }

    const json::object* object(const json::value* value, const std::string& pointer) {
        if (value == nullptr || !value->is_object()) {
            mistake(pointer, value, "an object");
            return nullptr;
        }
        return &value->get_object();
    }

    void only(
        const json::object& members,
        const std::string& pointer,
        std::initializer_list<std::string_view> known
    ) {
        for (const auto& member : members) {
            const std::string_view key{member.key().data(), member.key().size()};
            if (std::find(known.begin(), known.end(), key) == known.end()) {
                std::string names;
                for (const std::string_view name : known) {
                    names.append(names.empty() ? "one of " : ", ").append(name);
                }
                mistake(pointer + "/" + std::string{key}, &member.value(), names);
            }
        }
    }

    void each(const json::object& root, std::string_view key, Row row) {
        const json::value* list = root.if_contains({key.data(), key.size()});
        const std::string pointer = "/" + std::string{key};
        if (list == nullptr || !list->is_array() || list->get_array().empty()) {
            mistake(pointer, list, "a list that is not empty");
            return;
        }
        std::size_t index = 0;
        for (const json::value& entry : list->get_array()) {
            const std::string at = pointer + "/" + std::to_string(index++);
            if (const json::object* members = object(&entry, at)) {
                (this->*row)(*members, at);
            }
        }
    }

    std::string_view keep(std::string_view text) { return out_.texts_.emplace_back(text); }

    // A name of [A-Za-z0-9._-].
    std::string_view name(
        const json::object& members,
        const std::string& pointer,
        const char* key,
        std::size_t most
    ) {
        const json::value* value = members.if_contains(key);
        if (value != nullptr && value->is_string()) {
            const std::string_view text{value->get_string().data(), value->get_string().size()};
            const bool good = !text.empty() && text.size() <= most &&
                              std::all_of(text.begin(), text.end(), [](unsigned char c) {
                                  return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
                              });
            if (good) {
                return keep(text);
            }
        }
        mistake(
            pointer + "/" + key,
            value,
            "1 to " + std::to_string(most) + " of A-Z, a-z, 0-9, '.', '_', '-'"
        );
        return {};
    }

    std::int64_t integer(
        const json::object& members,
        const std::string& pointer,
        const char* key,
        std::int64_t most,
        std::optional<std::int64_t> fallback = {}
    ) {
        const json::value* value = members.if_contains(key);
        if (value == nullptr && fallback) {
            return *fallback;
        }
        if (value == nullptr || !value->is_int64() || value->get_int64() < 0 ||
            value->get_int64() > most) {
            mistake(pointer + "/" + key, value, "an integer from 0 to " + std::to_string(most));
            return 0;
        }
        return value->get_int64();
    }

    // A decimal >= 0 in a string; 0 when left out.
    std::int64_t
    decimal(const json::object& members, const std::string& pointer, const char* key, int scale) {
        const json::value* value = members.if_contains(key);
        if (value == nullptr) {
            return 0;
        }
        if (value->is_string()) {
            const json::string& text = value->get_string();
            const ParsedDecimal parsed = parse_decimal({text.data(), text.size()}, scale);
            if (parsed && parsed.value >= 0) {
                return parsed.value;
            }
        }
        mistake(
            pointer + "/" + key,
            value,
            "a decimal >= 0 in a string, with at most " + std::to_string(scale) + " decimals"
        );
        return 0;
    }

    bool boolean(const json::object& members, const std::string& pointer, const char* key) {
        const json::value* value = members.if_contains(key);
        if (value != nullptr && !value->is_bool()) {
            mistake(pointer + "/" + key, value, "true or false");
            return false;
        }
        return value != nullptr && value->get_bool();
    }

    // A member that is an object; an empty one when left out.
    const json::object& part(
        const json::object& members,
        const std::string& pointer,
        const char* key,
        std::initializer_list<std::string_view> known
    ) {
        static const json::object k_none;
        const json::value* value = members.if_contains(key);
        if (value == nullptr) {
            return k_none;
        }
        const json::object* found_part = object(value, pointer + "/" + key);
        if (found_part == nullptr) {
            return k_none;
        }
        only(*found_part, pointer + "/" + key, known);
        return *found_part;
    }

    struct Range {
        std::int64_t least = 0, most = 0, step = 0;
    };

    Range range(
        const json::object& members,
        const std::string& pointer,
        const char* key,
        std::string_view step,
        int scale
    ) {
        const json::object& bounds = part(members, pointer, key, {"min", "max", step});
        const std::string at = pointer + "/" + key;
        const Range range{
            decimal(bounds, at, "min", scale),
            decimal(bounds, at, "max", scale),
            decimal(bounds, at, std::string{step}.c_str(), scale)};
        if (range.most != 0 && range.most < range.least) {
            mistake(at + "/max", bounds.if_contains("max"), "at least min");
        }
        return range;
    }

    void read_asset(const json::object& members, const std::string& pointer) {
        only(members, pointer, {"name", "scale"});
        const std::string_view text = name(members, pointer, "name", k_symbol_bytes_max);
        tenon_asset asset{};
        asset.size = sizeof asset;
        asset.id = out_.asset_count();
        asset.name = str(text);
        asset.scale =
            static_cast<std::int32_t>(integer(members, pointer, "scale", k_asset_scale_max));
        if (!text.empty() && !out_.asset_ids_.emplace(text, asset.id).second) {
            mistake(pointer + "/name", members.if_contains("name"), "a name that is not there yet");
        }
        out_.assets_.push_back(asset);
    }

    std::uint32_t
    asset_of(const json::object& members, const std::string& pointer, const char* key) {
        const json::value* value = members.if_contains(key);
        if (value != nullptr && value->is_string()) {
            const auto known = out_.asset_ids_.find(std::string{value->get_string()});
            if (known != out_.asset_ids_.end()) {
                return known->second;
            }
        }
        mistake(pointer + "/" + key, value, "the name of an asset in /assets");
        return k_no_asset;
    }

    std::uint32_t status(const json::object& members, const std::string& pointer) {
        const json::value* value = members.if_contains("status");
        if (value == nullptr || *value == "trading") {
            return TENON_INSTRUMENT_TRADING;
        }
        if (*value == "halt") {
            return TENON_INSTRUMENT_HALT;
        }
        if (*value == "break") {
            return TENON_INSTRUMENT_BREAK;
        }
        mistake(pointer + "/status", value, "trading, halt or break");
        return TENON_INSTRUMENT_HALT;
    }

    void check_scales(
        const tenon_instrument& made,
        const json::object& members,
        const std::string& pointer
    ) {
        if (made.base == k_no_asset || made.quote == k_no_asset) {
            return;
        }
        if (made.base == made.quote) {
            mistake(pointer + "/quote", members.if_contains("quote"), "another asset than base");
        }
        const int base_scale = out_.assets_[made.base].scale;
        const int quote_scale = out_.assets_[made.quote].scale;
        if (made.quantity_scale > base_scale) {
            mistake(
                pointer + "/quantity_scale",
                members.if_contains("quantity_scale"),
                "at most " + std::to_string(base_scale) + ", the scale of the base asset"
            );
        }
        if (made.price_scale + made.quantity_scale > quote_scale) {
            mistake(
                pointer + "/price_scale",
                members.if_contains("price_scale"),
                "price_scale + quantity_scale at most " + std::to_string(quote_scale) +
                    ", the scale of the quote asset"
            );
        }
    }

    void read_fees_and_bands(
        tenon_instrument& made,
        const json::object& members,
        const std::string& pointer
    ) {
        const auto ppm = [&](const json::object& in, const std::string& at, const char* key) {
            const std::int64_t value = decimal(in, at, key, k_ppm_scale);
            if (value > std::numeric_limits<std::uint32_t>::max()) {
                mistake(at + "/" + key, in.if_contains(key), "at most 4294");
            }
            return static_cast<std::uint32_t>(value);
        };
        const json::object& band =
            part(members, pointer, "percent_price", {"bid_up", "bid_down", "ask_up", "ask_down"});
        const std::string at = pointer + "/percent_price";
        made.bid_multiplier_up_ppm = ppm(band, at, "bid_up");
        made.bid_multiplier_down_ppm = ppm(band, at, "bid_down");
        made.ask_multiplier_up_ppm = ppm(band, at, "ask_up");
        made.ask_multiplier_down_ppm = ppm(band, at, "ask_down");

        const json::object& fees = part(members, pointer, "fees", {"maker", "taker"});
        made.maker_fee_ppm = ppm(fees, pointer + "/fees", "maker");
        made.taker_fee_ppm = ppm(fees, pointer + "/fees", "taker");
        constexpr std::uint32_t k_whole = 1'000'000;
        for (const auto& [fee, key] :
             {std::pair{made.maker_fee_ppm, "maker"}, std::pair{made.taker_fee_ppm, "taker"}}) {
            if (fee > k_whole) {
                mistake(pointer + "/fees/" + key, fees.if_contains(key), "at most 1, a whole");
            }
        }
    }

    void
    read_filters(tenon_instrument& made, const json::object& members, const std::string& pointer) {
        const Range price = range(members, pointer, "price", "tick", made.price_scale);
        made.price_min = price.least;
        made.price_max = price.most;
        made.price_tick = price.step;
        const Range quantity = range(members, pointer, "quantity", "step", made.quantity_scale);
        made.quantity_min = quantity.least;
        made.quantity_max = quantity.most;
        made.quantity_step = quantity.step;
        const Range market =
            range(members, pointer, "market_quantity", "step", made.quantity_scale);
        made.market_quantity_min = market.least;
        made.market_quantity_max = market.most;
        made.market_quantity_step = market.step;

        const int quote_scale =
            made.quote == k_no_asset ? k_asset_scale_max : out_.assets_[made.quote].scale;
        const json::object& notional =
            part(members, pointer, "notional", {"min", "max", "min_to_market", "max_to_market"});
        const std::string at = pointer + "/notional";
        made.notional_min = decimal(notional, at, "min", quote_scale);
        made.notional_max = decimal(notional, at, "max", quote_scale);
        made.notional_min_to_market = boolean(notional, at, "min_to_market") ? 1 : 0;
        made.notional_max_to_market = boolean(notional, at, "max_to_market") ? 1 : 0;
        if (made.notional_max != 0 && made.notional_max < made.notional_min) {
            mistake(at + "/max", notional.if_contains("max"), "at least min");
        }
        made.position_max = decimal(members, pointer, "position_max", made.quantity_scale);
        constexpr std::int64_t k_orders_most = 1'000'000;
        made.orders_max =
            static_cast<std::uint32_t>(integer(members, pointer, "orders_max", k_orders_most, 0));
        made.algo_orders_max = static_cast<std::uint32_t>(
            integer(members, pointer, "algo_orders_max", k_orders_most, 0)
        );
    }

    void read_instrument(const json::object& members, const std::string& pointer) {
        only(
            members,
            pointer,
            {"symbol",
             "base",
             "quote",
             "venue",
             "price_scale",
             "quantity_scale",
             "status",
             "price",
             "quantity",
             "market_quantity",
             "notional",
             "percent_price",
             "orders_max",
             "algo_orders_max",
             "fees",
             "position_max"}
        );
        const std::string_view symbol = name(members, pointer, "symbol", k_symbol_bytes_max);
        tenon_instrument made{};
        made.size = sizeof made;
        made.id = out_.instrument_count();
        made.symbol = str(symbol);
        made.venue = str(name(members, pointer, "venue", k_venue_bytes_max));
        made.base = asset_of(members, pointer, "base");
        made.quote = asset_of(members, pointer, "quote");
        made.price_scale =
            static_cast<std::int32_t>(integer(members, pointer, "price_scale", k_asset_scale_max));
        made.quantity_scale =
            static_cast<std::int32_t>(integer(members, pointer, "quantity_scale", k_asset_scale_max)
            );
        made.status = status(members, pointer);
        check_scales(made, members, pointer);
        read_filters(made, members, pointer);
        read_fees_and_bands(made, members, pointer);
        if (!symbol.empty() && !out_.instrument_ids_.emplace(symbol, made.id).second) {
            mistake(
                pointer + "/symbol", members.if_contains("symbol"), "a symbol that is not there yet"
            );
        }
        out_.instruments_.push_back(made);
    }

    static constexpr std::uint32_t k_no_asset = 0xffffffffU;

    const std::string& file_;
    Catalogue& out_;
    std::string mistakes_;
};

Catalogue Catalogue::parse(std::string_view text, const std::string& file) {
    Catalogue made;
    CatalogueReader{file, made}.read(text);
    return made;
}

Catalogue Catalogue::load(const std::string& file) {
    std::ifstream in{file, std::ios::binary};
    std::ostringstream text;
    if (!in || !(text << in.rdbuf())) {
        throw Error{TENON_NOT_FOUND, file + ": cannot be read, expected a file of instruments"};
    }
    return parse(text.str(), file);
}

const tenon_asset* Catalogue::asset(std::uint32_t id) const noexcept {
    return id < assets_.size() ? &assets_[id] : nullptr;
}

const tenon_instrument* Catalogue::instrument(std::uint32_t id) const noexcept {
    return id < instruments_.size() ? &instruments_[id] : nullptr;
}

bool Catalogue::find_asset(std::string_view name, std::uint32_t& id) const {
    const auto known = asset_ids_.find(std::string{name});
    if (known == asset_ids_.end()) {
        return false;
    }
    id = known->second;
    return true;
}

bool Catalogue::find_instrument(std::string_view symbol, std::uint32_t& id) const {
    const auto known = instrument_ids_.find(std::string{symbol});
    if (known == instrument_ids_.end()) {
        return false;
    }
    id = known->second;
    return true;
}

namespace {

[[nodiscard]] const Catalogue& of(void* self) noexcept {
    return *static_cast<const Catalogue*>(self);
}

}  // namespace

const tenon_instruments_1 Catalogue::k_table{
    sizeof(tenon_instruments_1),
    0,
    [](void* self) noexcept { return of(self).asset_count(); },
    [](void* self) noexcept { return of(self).instrument_count(); },
    [](void* self, std::uint32_t id) noexcept { return of(self).asset(id); },
    [](void* self, std::uint32_t id) noexcept { return of(self).instrument(id); },
    [](void* self, tenon_str name, std::uint32_t* id) noexcept {
        return guard(nullptr, [&]() -> tenon_status {
            return of(self).find_asset(view(name), *id) ? TENON_OK : TENON_NOT_FOUND;
        });
    },
    [](void* self, tenon_str symbol, std::uint32_t* id) noexcept {
        return guard(nullptr, [&]() -> tenon_status {
            return of(self).find_instrument(view(symbol), *id) ? TENON_OK : TENON_NOT_FOUND;
        });
    }};

}  // namespace tenon::instruments
