// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/import/rows.hpp"

#include <boost/json.hpp>

#include <algorithm>

namespace tenon::importer {
namespace {

namespace json = boost::json;

std::size_t characters(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
    }));
}

std::string words_of(std::span<const Word> words) {
    std::string list;
    for (const Word& word : words) {
        list.append(list.empty() ? "" : ", ").append(word.text);
    }
    return list;
}

[[noreturn]] void refuse(std::string_view found, const std::string& expected) {
    throw BadRow{"found \"" + std::string{found.substr(0, 64)} + "\", expected " + expected};
}

void require_range(std::int64_t value, const TargetColumn& target) {
    if (value < target.min || value > target.max) {
        refuse(
            std::to_string(value),
            target.max == INT64_MAX
                ? "at least " + std::to_string(target.min)
                : std::to_string(target.min) + " to " + std::to_string(target.max)
        );
    }
}

std::int64_t flag_of(const std::string& text) {
    const bool yes = text == "1" || text == "true" || text == "t";
    if (!yes && text != "0" && text != "false" && text != "f") {
        refuse(text, "true or false");
    }
    return yes ? 1 : 0;
}

SourceValue text_value(std::string text) {
    SourceValue value;
    value.kind = TENON_VALUE_TEXT;
    value.bytes = std::move(text);
    return value;
}

bool is_amount(const TargetColumn& target) {
    return target.holds == Holds::price || target.holds == Holds::quantity ||
           target.holds == Holds::quote || target.holds == Holds::fee;
}

}  // namespace

std::string BuiltRow::digest() const {
    std::string bytes;
    for (const Value& value : values) {
        if (const auto* i = std::get_if<std::int64_t>(&value)) {
            bytes.append("i").append(std::to_string(*i));
        } else if (const auto* text = std::get_if<std::string>(&value)) {
            bytes.append("t").append(std::to_string(text->size())).append(":").append(*text);
        } else {
            bytes.append("n");
        }
        bytes.push_back(';');
    }
    return digest_of(bytes);
}

std::string key_text(std::span<const SourceValue> key) {
    json::array parts;
    for (const SourceValue& part : key) {
        if (part.kind == TENON_VALUE_INT64) {
            parts.emplace_back(part.integer);
        } else if (part.kind == TENON_VALUE_TEXT) {
            parts.emplace_back(text_of(part));
        } else {
            throw BadRow{"a key is made of integers and text"};
        }
    }
    return json::serialize(parts);
}

std::string key_text(std::span<const Value> key) {
    json::array parts;
    for (const Value& part : key) {
        if (const auto* i = std::get_if<std::int64_t>(&part)) {
            parts.emplace_back(*i);
        } else if (const auto* text = std::get_if<std::string>(&part)) {
            parts.emplace_back(*text);
        }
    }
    return json::serialize(parts);
}

SourceRow key_of(const std::string& text) {
    SourceRow key;
    if (text.empty()) {
        return key;
    }
    const json::value parsed = json::parse(text);
    for (const json::value& part : parsed.as_array()) {
        SourceValue value;
        if (part.is_int64()) {
            value.kind = TENON_VALUE_INT64;
            value.integer = part.get_int64();
        } else {
            value = text_value(std::string{part.as_string()});
        }
        key.push_back(std::move(value));
    }
    return key;
}

RowBuilder::RowBuilder(const TableMap& table, Lookups& lookups)
    : table_{&table}, lookups_{&lookups}, source_columns_{table.key} {
    for (const TargetColumn& target : table.target->columns) {
        Plan plan;
        plan.target = &target;
        for (const ColumnMap& map : table.columns) {
            if (map.target == &target) {
                plan.map = &map;
            }
        }
        for (const std::string& name :
             plan.map == nullptr ? std::vector<std::string>{} : plan.map->from) {
            const auto found = std::find(source_columns_.begin(), source_columns_.end(), name);
            plan.from.push_back(static_cast<std::size_t>(found - source_columns_.begin()));
            if (found == source_columns_.end()) {
                source_columns_.push_back(name);
            }
        }
        plans_.push_back(std::move(plan));
    }
}

std::string RowBuilder::key(const SourceRow& row) const {
    return key_text(std::span{row}.first(table_->key.size()));
}

BuiltRow RowBuilder::build(const SourceRow& row) {
    BuiltRow built;
    built.key = key(row);
    built.values.resize(plans_.size());
    instrument_.reset();
    asset_.reset();
    // What the scales come from goes first.
    for (const bool first : {true, false}) {
        for (std::size_t i = 0; i < plans_.size(); ++i) {
            const Holds holds = plans_[i].target->holds;
            if ((holds == Holds::instrument || holds == Holds::asset) != first) {
                continue;
            }
            const Scales scales{instrument_ ? &*instrument_ : nullptr, asset_ ? &*asset_ : nullptr};
            try {
                built.values[i] = convert(plans_[i], row, built, scales, i);
            } catch (const BadRow& e) {
                throw BadRow{std::string{plans_[i].target->name} + ": " + e.what()};
            }
        }
    }
    const Fields fields{*table_->target, built.values};
    for (const Rule& rule : table_->target->rules) {
        if (!rule.holds(fields)) {
            throw BadRow{"breaks the rule " + std::string{rule.name}};
        }
    }
    return built;
}

Value RowBuilder::convert(
    const Plan& plan,
    const SourceRow& row,
    BuiltRow& built,
    const Scales& scales,
    std::size_t column
) {
    if (plan.map == nullptr) {
        return plan.target->absent.data() == nullptr
                   ? Value{}
                   : literal(plan, std::string{plan.target->absent}, scales);
    }
    const ColumnMap& map = *plan.map;
    if (map.from.empty()) {
        return map.constant ? literal(plan, *map.constant, scales) : Value{};
    }
    const bool any_null = std::any_of(plan.from.begin(), plan.from.end(), [&](std::size_t at) {
        return row[at].is_null();
    });
    if (any_null && !(is_amount(*plan.target) && map.if_null)) {
        if (map.if_null && map.row_of.empty()) {
            return literal(plan, *map.if_null, scales);
        }
        if (!plan.target->nullable) {
            throw BadRow{"is NULL"};
        }
        return {};
    }
    if (plan.target->holds == Holds::row) {
        SourceRow key;
        for (const std::size_t at : plan.from) {
            key.push_back(row[at]);
        }
        built.references.push_back({column, map.row_of, key_text(std::span<const SourceValue>{key})}
        );
        return std::int64_t{0};
    }
    if (is_amount(*plan.target) && map.map.empty() && map.remove.empty()) {
        return amount(plan, row, scales);
    }
    const SourceValue& found = row[plan.from.front()];
    if (map.map.empty() && map.remove.empty()) {
        return value(plan, found, false, scales);
    }
    std::string text = text_of(found);
    if (const auto mapped = map.map.find(text); mapped != map.map.end()) {
        return literal(plan, mapped->second, scales);
    }
    std::erase_if(text, [&](char c) { return map.remove.find(c) != std::string::npos; });
    if (const auto mapped = map.map.find(text); mapped != map.map.end()) {
        return literal(plan, mapped->second, scales);
    }
    return map.map_else ? literal(plan, *map.map_else, scales)
                        : value(plan, text_value(std::move(text)), false, scales);
}

Value RowBuilder::literal(const Plan& plan, const std::string& word, const Scales& scales) {
    return value(plan, text_value(word), true, scales);
}

int RowBuilder::scale_of(const TargetColumn& target, const Scales& scales) {
    if (target.holds == Holds::fee) {
        if (scales.fee_asset == nullptr) {
            throw BadRow{"has no fee_asset to count in"};
        }
        return scales.fee_asset->scale;
    }
    if (scales.instrument == nullptr) {
        throw BadRow{"has no instrument to count in"};
    }
    return target.holds == Holds::price      ? scales.instrument->price_scale
           : target.holds == Holds::quantity ? scales.instrument->quantity_scale
                                             : scales.instrument->quote_scale;
}

// The exact sum of the columns; a column that is NULL counts as "null" says.
Value RowBuilder::amount(const Plan& plan, const SourceRow& row, const Scales& scales) {
    Decimal total;
    for (const std::size_t at : plan.from) {
        total =
            sum(total,
                row[at].is_null() ? decimal_of(std::string_view{*plan.map->if_null})
                                  : decimal_of(row[at], plan.map->source_scale));
    }
    const std::int64_t units = units_of(total, scale_of(*plan.target, scales), plan.map->rounds);
    require_range(units, *plan.target);
    return units;
}

Value RowBuilder::named(const TargetColumn& target, const std::string& name) {
    std::optional<std::int64_t> id;
    if (target.holds == Holds::instrument) {
        instrument_ = lookups_->instrument(name);
        id = instrument_ ? std::optional{instrument_->id} : std::nullopt;
    } else if (target.holds == Holds::asset) {
        asset_ = lookups_->asset(name);
        id = asset_ ? std::optional{asset_->id} : std::nullopt;
    } else {
        id = target.holds == Holds::user ? lookups_->user(name) : lookups_->account(name);
    }
    if (!id) {
        refuse(
            name,
            target.holds == Holds::instrument ? "the symbol of an instrument of this server"
            : target.holds == Holds::asset    ? "an asset of this server"
            : target.holds == Holds::user ? "a user of this server, or one that the mapping makes"
                                          : "an account that the mapping makes"
        );
    }
    return *id;
}

Value RowBuilder::value(
    const Plan& plan,
    const SourceValue& value,
    bool is_literal,
    const Scales& scales
) {
    const TargetColumn& target = *plan.target;
    const auto ranged = [&](std::int64_t number) {
        require_range(number, target);
        return Value{number};
    };
    switch (target.holds) {
        case Holds::count:
            return ranged(units_of(decimal_of(value, 0), 0, Rounds::never));
        case Holds::flag:
            return flag_of(text_of(value));
        case Holds::word:
        case Holds::choice: {
            const std::string text = text_of(value);
            const auto* const found = std::find_if(
                target.words.data(),
                target.words.data() + target.words.size(),
                [&](const Word& word) { return word.text == text; }
            );
            if (found == target.words.data() + target.words.size()) {
                refuse(text, words_of(target.words));
            }
            return target.holds == Holds::word ? Value{found->number} : Value{text};
        }
        case Holds::text: {
            std::string text = text_of(value);
            const std::size_t length = characters(text);
            if (length < target.length_min || length > target.length_max) {
                refuse(
                    text,
                    std::to_string(target.length_min) + " to " + std::to_string(target.length_max) +
                        " characters"
                );
            }
            return text;
        }
        case Holds::time:
            // A mapping's own words are ISO times, in UTC unless they say otherwise.
            return ranged(
                is_literal ? time_of(value, TimeUnit::iso, 0)
                           : time_of(value, plan.map->unit, plan.map->zone_minutes)
            );
        case Holds::instrument:
        case Holds::asset:
        case Holds::user:
        case Holds::account:
            return named(target, text_of(value));
        case Holds::row:
            throw BadRow{"names a row, which has to come from the source"};
        default:
            return ranged(units_of(
                decimal_of(value, is_literal || plan.map == nullptr ? 0 : plan.map->source_scale),
                scale_of(target, scales),
                plan.map == nullptr ? Rounds::never : plan.map->rounds
            ));
    }
}

void RowBuilder::check_words(manifest::Report& report) {
    for (const Plan& plan : plans_) {
        if (plan.map == nullptr) {
            continue;
        }
        const auto check = [&](const std::string& word, const std::string& pointer) {
            try {
                // Amounts without an instrument: only that they are decimals.
                if (is_amount(*plan.target)) {
                    (void)decimal_of(std::string_view{word});
                } else {
                    (void)literal(plan, word, {});
                }
            } catch (const BadRow& e) {
                report.add("IMPORT", pointer, e.what());
            }
        };
        if (plan.map->constant) {
            check(*plan.map->constant, plan.map->pointer + "/constant");
        }
        if (plan.map->if_null && plan.target->holds != Holds::row) {
            check(*plan.map->if_null, plan.map->pointer + "/null");
        }
        if (plan.map->map_else) {
            check(*plan.map->map_else, plan.map->pointer + "/map_else");
        }
        // A word that no row has does no harm where it names what may not be here.
        const Holds holds = plan.target->holds;
        if (holds == Holds::word || holds == Holds::choice || holds == Holds::flag) {
            for (const auto& [from, to] : plan.map->map) {
                check(to, manifest::pointer_to(plan.map->pointer + "/map", from));
            }
        }
    }
}

}  // namespace tenon::importer
