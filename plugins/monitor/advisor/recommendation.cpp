// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/advisor/recommendation.hpp"

#include <boost/json/serialize.hpp>

namespace tenon::advisor {

namespace json = boost::json;

std::string Recommendation::id() const {
    return kind + ":" + (knob ? knob->text() : target);
}

std::string plain(const json::value& value) {
    return value.is_string() ? std::string{std::string_view{value.get_string()}}
                             : json::serialize(value);
}

json::object to_json(const Recommendation& one) {
    json::object out{{"id", one.id()}, {"kind", one.kind}, {"title", one.title}};
    out["knob"] = nullptr;
    if (one.knob) {
        out["knob"] = json::object{
            {"plugin", one.knob->plugin},
            {"pointer", one.knob->pointer},
            {"element", one.knob->element},
            {"field", one.knob->field}};
    }
    out["from"] = one.from.is_null() ? "" : plain(one.from);
    out["to"] = one.to.is_null() ? "" : plain(one.to);
    out["unit"] = one.unit;
    out["promise"] = nullptr;
    if (one.promise) {
        out["promise"] = json::object{
            {"metric", one.promise->measure.name},
            {"label", one.promise->measure.label},
            {"direction", "lower"},
            {"effect", one.promise->effect}};
    }
    out["evidence"] = one.evidence;
    json::object numbers;
    for (const auto& [name, value] : one.numbers) {
        numbers[name] = value;
    }
    out["numbers"] = std::move(numbers);
    out["risk"] = one.risk;
    out["confidence"] = one.confidence;
    out["applicable"] = one.applicable();
    out["why_not"] = one.why_not;
    return out;
}

}  // namespace tenon::advisor
