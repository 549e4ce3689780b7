// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/history/definition.hpp"

#include <algorithm>
#include <array>
#include <set>

namespace tenon::history {
namespace {

constexpr std::array<std::string_view, 6>
    k_units{"ops", "seconds", "bytes", "bytes/s", "ratio", "count"};

bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    });
}

}  // namespace

Definition::Definition(const Settings& json)
    : name{json.get<std::string>("name")},
      title{json.get<std::string>("title")},
      unit{json.get<std::string>("unit")},
      value{json.get<series::Expression>("value")} {
    series::refuse_unknown(json, {"name", "title", "unit", "value"});
    if (!is_name(name)) {
        json.refuse(
            "name: found \"" + name + "\", expected small letters, digits and _, 64 at most"
        );
    }
    if (std::find(k_units.begin(), k_units.end(), unit) == k_units.end()) {
        json.refuse("unit: expected one of ops, seconds, bytes, bytes/s, ratio, count");
    }
}

SeriesFile::SeriesFile(const Settings& json)
    : definitions{json.get<std::vector<Definition>>("series")} {
    series::refuse_unknown(json, {"series"});
    if (definitions.empty() || definitions.size() > k_definitions_max) {
        json.refuse("series: expected 1 to " + std::to_string(k_definitions_max));
    }
    std::set<std::string_view> names;
    for (const Definition& definition : definitions) {
        if (!names.insert(definition.name).second) {
            json.refuse("two series have the name " + definition.name);
        }
    }
}

std::string series_of(std::string_view name, const series::Labels& labels) {
    std::string out{name};
    for (const auto& [label, value] : labels) {
        out.append(out.size() == name.size() ? "{" : ",").append(label).append("=\"");
        for (const char c : value) {
            if (c == '"' || c == '\\') {
                out.push_back('\\');
            }
            out.append(c == '\n' ? std::string_view{"\\n"} : std::string_view{&c, 1});
        }
        out.push_back('"');
    }
    return labels.empty() ? out : out.append("}");
}

std::pair<std::string, series::Labels> parts_of(std::string_view series) {
    const std::size_t open = series.find('{');
    if (open == std::string_view::npos || !series.ends_with('}')) {
        return {std::string{series}, {}};
    }
    const std::string name{series.substr(0, open)};
    const std::string_view inner = series.substr(open + 1, series.size() - open - 2);
    return {name, series::labels_of(inner)};
}

}  // namespace tenon::history
