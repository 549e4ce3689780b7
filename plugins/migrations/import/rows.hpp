// SPDX-License-Identifier: Apache-2.0
// A row of the source becomes a row of the target, or a reason why it cannot.
#pragma once

#include "plugins/migrations/import/lookups.hpp"
#include "plugins/migrations/import/mapping.hpp"

#include <string>
#include <vector>

namespace tenon::importer {

// A column that names another imported row, whose id is only known in the target.
struct RowReference {
    std::size_t column = 0;  // of the target
    std::string table;       // of the mapping
    std::string key;         // key_text of the source's row
};

struct BuiltRow {
    std::string key;            // key_text
    std::vector<Value> values;  // by the target's columns
    std::vector<RowReference> references;

    // Of the values, references resolved.
    [[nodiscard]] std::string digest() const;
};

// [12,"BTC"]: a key as provenance and journal write it. Throws BadRow when a part is neither an
// integer nor UTF-8 text.
[[nodiscard]] std::string key_text(std::span<const SourceValue> key);
[[nodiscard]] std::string key_text(std::span<const Value> key);
// The same backwards; empty for "".
[[nodiscard]] SourceRow key_of(const std::string& text);

class RowBuilder {
public:
    // `table` and `lookups` outlive it.
    RowBuilder(const TableMap& table, Lookups& lookups);

    // What has to be read of the source: the key's columns first.
    [[nodiscard]] const std::vector<std::string>& source_columns() const noexcept {
        return source_columns_;
    }

    [[nodiscard]] const TableMap& table() const noexcept { return *table_; }

    [[nodiscard]] std::string key(const SourceRow& row) const;
    // Throws BadRow: "price: found …, expected …", or the name of the rule that is broken.
    [[nodiscard]] BuiltRow build(const SourceRow& row);

    // The words that the mapping itself gives, as far as they can be judged without a row.
    void check_words(manifest::Report& report);

private:
    struct Scales {
        const InstrumentFacts* instrument = nullptr;
        const AssetFacts* fee_asset = nullptr;
    };

    struct Plan {
        const TargetColumn* target = nullptr;
        const ColumnMap* map = nullptr;  // NULL: absent
        std::vector<std::size_t> from;   // of source_columns_
    };

    [[nodiscard]] Value convert(
        const Plan& plan,
        const SourceRow& row,
        BuiltRow& built,
        const Scales& scales,
        std::size_t column
    );
    [[nodiscard]] Value literal(const Plan& plan, const std::string& word, const Scales& scales);
    [[nodiscard]] Value
    value(const Plan& plan, const SourceValue& value, bool is_literal, const Scales& scales);
    [[nodiscard]] Value amount(const Plan& plan, const SourceRow& row, const Scales& scales);
    [[nodiscard]] Value named(const TargetColumn& target, const std::string& name);
    [[nodiscard]] static int scale_of(const TargetColumn& target, const Scales& scales);

    const TableMap* table_;
    Lookups* lookups_;
    std::vector<std::string> source_columns_;
    std::vector<Plan> plans_;
    // Of the row that is being built.
    std::optional<InstrumentFacts> instrument_;
    std::optional<AssetFacts> asset_;
};

}  // namespace tenon::importer
