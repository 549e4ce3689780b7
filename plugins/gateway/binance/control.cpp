// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/control.hpp"

#include "plugins/gateway/binance/json_writer.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <array>

namespace tenon::binance {
namespace {

namespace json = boost::json;

constexpr std::array<std::pair<std::string_view, ControlMethod>, 5> k_methods{
    {{"SUBSCRIBE", ControlMethod::subscribe},
     {"UNSUBSCRIBE", ControlMethod::unsubscribe},
     {"LIST_SUBSCRIPTIONS", ControlMethod::list_subscriptions},
     {"SET_PROPERTY", ControlMethod::set_property},
     {"GET_PROPERTY", ControlMethod::get_property}}};

// " at line L column C" of an offset, as the exchange's parser counts.
[[nodiscard]] std::string place_of(std::string_view text, std::size_t offset) {
    const std::string_view before = text.substr(0, std::min(offset, text.size()));
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const std::size_t start =
        before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
    return " at line " + std::to_string(line) + " column " +
           std::to_string(before.size() - start + 1);
}

void refuse(ControlRequest& request, int code, std::string message) {
    request.error_code = code;
    request.error = std::move(message);
}

[[nodiscard]] bool is_text_id(std::string_view id) noexcept {
    return !id.empty() && id.size() <= 36 && std::all_of(id.begin(), id.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '-' || c == '_';
    });
}

// int64, a short word, or null.
[[nodiscard]] bool read_id(const json::object& object, std::string& id) {
    const json::value* const value = object.if_contains("id");
    if (value == nullptr) {
        return false;
    }
    if (value->is_null() || value->is_int64()) {
        id = json::serialize(*value);
        return true;
    }
    if (value->is_string() && is_text_id(value->as_string())) {
        id = json::serialize(*value);
        return true;
    }
    return false;
}

[[nodiscard]] bool
read_method(const json::object& object, std::string_view text, ControlRequest& request) {
    const json::value* const value = object.if_contains("method");
    if (value == nullptr) {
        refuse(
            request, 2, "Invalid request: missing field `method`" + place_of(text, text.size() - 1)
        );
        return false;
    }
    const std::string name =
        value->is_string() ? std::string{value->as_string()} : json::serialize(*value);
    for (const auto& [known, method] : k_methods) {
        if (value->is_string() && known == name) {
            request.method = method;
            return true;
        }
    }
    const std::size_t at = text.find(name);
    refuse(
        request,
        2,
        "Invalid request: unknown variant `" + name +
            "`, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, "
            "`GET_PROPERTY`" +
            place_of(text, at == std::string_view::npos ? text.size() : at + name.size())
    );
    return false;
}

void read_streams(const json::array* params, ControlRequest& request) {
    if (params == nullptr || params->empty()) {
        refuse(request, 2, "Invalid request: params must be an array of stream names");
        return;
    }
    for (const json::value& stream : *params) {
        if (!stream.is_string()) {
            refuse(request, 2, "Invalid request: params must be an array of stream names");
            return;
        }
        request.streams.emplace_back(stream.as_string());
    }
}

void read_property(const json::array* params, std::size_t count, ControlRequest& request) {
    if (params == nullptr || params->empty() || !params->front().is_string()) {
        refuse(request, 2, "Invalid request: property name must be a string");
    } else if (params->size() > count) {
        refuse(request, 2, "Invalid request: too many parameters");
    } else if (params->front().as_string() != "combined") {
        refuse(request, 0, "Unknown property");
    } else if (count == 2) {
        if (params->size() != 2 || !(*params)[1].is_bool()) {
            refuse(request, 1, "Invalid value type: expected Boolean");
        } else {
            request.combined = (*params)[1].as_bool();
        }
    }
}

void read_params(const json::object& object, ControlRequest& request) {
    const json::value* const value = object.if_contains("params");
    const json::array* const params = value == nullptr ? nullptr : value->if_array();
    switch (request.method) {
        case ControlMethod::subscribe:
        case ControlMethod::unsubscribe:
            read_streams(params, request);
            break;
        case ControlMethod::list_subscriptions:
            if (params != nullptr && !params->empty()) {
                refuse(request, 2, "Invalid request: too many parameters");
            }
            break;
        case ControlMethod::set_property:
            read_property(params, 2, request);
            break;
        case ControlMethod::get_property:
            read_property(params, 1, request);
            break;
    }
}

}  // namespace

ControlRequest parse_control(std::string_view text) {
    ControlRequest request;
    std::array<unsigned char, 4'096> memory{};
    json::monotonic_resource resource{memory.data(), memory.size()};
    json::stream_parser parser{&resource};
    boost::system::error_code failed;
    const std::size_t read = parser.write_some(text.data(), text.size(), failed);
    if (!failed && read == text.size()) {
        parser.finish(failed);
    }
    if (failed || read != text.size()) {
        refuse(request, 3, "Invalid JSON: expected value" + place_of(text, read));
        return request;
    }
    const json::value document = parser.release();
    if (!document.is_object()) {
        refuse(request, 2, "Invalid request: expected an object");
        return request;
    }
    const json::object& object = document.as_object();
    if (!read_id(object, request.id)) {
        refuse(request, 2, "Invalid request: request ID must be an unsigned integer");
        return request;
    }
    if (read_method(object, text, request)) {
        read_params(object, request);
    }
    return request;
}

std::string control_result(std::string_view result, std::string_view id) {
    std::string text;
    JsonWriter{text}.raw("{").key("result").raw(result).key("id").raw(id).raw("}");
    return text;
}

std::string control_error(int code, std::string_view message, std::string_view id) {
    std::string text;
    JsonWriter writer{text};
    writer.raw("{").key("error").raw("{").field("code", code).field("msg", message).raw("}");
    if (!id.empty()) {
        writer.key("id").raw(id);
    }
    writer.raw("}");
    return text;
}

}  // namespace tenon::binance
