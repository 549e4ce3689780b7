// SPDX-License-Identifier: Apache-2.0
// A JSON value as text again: numbers as they were read, members in their order, no white space.
#pragma once

#include <tenon/json.hpp>

#include <cstddef>
#include <string>

namespace tenon {

inline void append_json(std::string& out, const Json& json) {
    switch (json.kind()) {
        case Json::Kind::null:
            out.append("null");
            return;
        case Json::Kind::boolean:
            out.append(json.boolean() ? "true" : "false");
            return;
        case Json::Kind::number:
            out.append(json.number());
            return;
        case Json::Kind::text:
            append_json(out, json.text());
            return;
        case Json::Kind::array:
        case Json::Kind::object:
            break;
    }
    const bool is_object = json.is(Json::Kind::object);
    out.push_back(is_object ? '{' : '[');
    for (std::size_t i = 0; i < json.items().size(); ++i) {
        out.append(i == 0 ? "" : ",");
        if (is_object) {
            append_json(out, json.keys()[i]);
            out.push_back(':');
        }
        append_json(out, json.items()[i]);
    }
    out.push_back(is_object ? '}' : ']');
}

}  // namespace tenon
