// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/socket_message.hpp"

#include <tenon/json.hpp>
#include <tenon/json_text.hpp>

#include <algorithm>

namespace tenon::binance {
namespace {

constexpr std::size_t k_method_max = 64;
constexpr std::string_view k_id_range = "^[a-zA-Z0-9-_]{1,36}$";

[[nodiscard]] bool is_word(char c) noexcept {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_';
}

// A 64-bit integer, a short word, or null.
[[nodiscard]] std::string read_id(const Json& id) {
    if (id.is(Json::Kind::null)) {
        return "null";
    }
    if (id.is(Json::Kind::number)) {
        try {
            (void)id.integer<std::int64_t>();
        } catch (const Error&) {
            throw errors::illegal("id", k_id_range);
        }
        return id.number();
    }
    const bool good = id.is(Json::Kind::text) && !id.text().empty() && id.text().size() <= 36 &&
                      std::all_of(id.text().begin(), id.text().end(), is_word);
    if (!good) {
        throw errors::illegal("id", k_id_range);
    }
    std::string out;
    append_json(out, id.text());
    return out;
}

[[nodiscard]] std::string value_of(const std::string& name, const Json& value) {
    switch (value.kind()) {
        case Json::Kind::text:
            return value.text();
        case Json::Kind::number:
            return value.number();
        case Json::Kind::boolean:
            return value.boolean() ? "true" : "false";
        case Json::Kind::array: {
            std::string out;
            append_json(out, value);
            return out;
        }
        case Json::Kind::null:
        case Json::Kind::object:
            break;
    }
    throw errors::mandatory(name);
}

void read_params(const Json& params, SocketMessage& message) {
    if (params.is(Json::Kind::null)) {
        return;
    }
    if (!params.is(Json::Kind::object)) {
        throw ApiError{-1135, "Invalid JSON Request"};
    }
    for (std::size_t i = 0; i < params.items().size(); ++i) {
        const std::string& name = params.keys()[i];
        message.params.emplace_back(name, value_of(name, params.items()[i]));
    }
    std::sort(message.params.begin(), message.params.end());
    const auto twice = std::adjacent_find(
        message.params.begin(),
        message.params.end(),
        [](const auto& a, const auto& b) { return a.first == b.first; }
    );
    if (twice != message.params.end()) {
        throw errors::duplicate();
    }
}

void read(std::string_view text, SocketMessage& message) {
    Json json;
    try {
        json = Json::parse(text);
    } catch (const Error&) {
        throw ApiError{-1135, "Invalid JSON Request"};
    }
    if (!json.is(Json::Kind::object)) {
        throw ApiError{-1135, "Invalid JSON Request"};
    }
    if (const Json* const id = json.find("id")) {
        message.id = read_id(*id);
    }
    const Json* const method = json.find("method");
    if (method == nullptr || !method->is(Json::Kind::text) || method->text().empty() ||
        method->text().size() > k_method_max) {
        throw errors::mandatory("method");
    }
    message.method = method->text();
    if (const Json* const params = json.find("params")) {
        read_params(*params, message);
    }
}

void append_encoded(std::string& out, std::string_view text) {
    constexpr std::string_view k_hex = "0123456789ABCDEF";
    for (const char c : text) {
        if (is_word(c) || c == '.' || c == '~') {
            out.push_back(c);
            continue;
        }
        const auto code = static_cast<unsigned char>(c);
        out.push_back('%');
        out.push_back(k_hex[code >> 4U]);
        out.push_back(k_hex[code & 15U]);
    }
}

[[nodiscard]] bool belongs_to_signature(std::string_view name) noexcept {
    return name == "timestamp" || name == "recvWindow" || name == "signature";
}

}  // namespace

std::optional<std::string_view> SocketMessage::find(std::string_view name) const noexcept {
    for (const auto& [known, value] : params) {
        if (known == name) {
            return value;
        }
    }
    return std::nullopt;
}

std::string SocketMessage::payload() const {
    std::string out;
    for (const auto& [name, value] : params) {
        if (name != "signature") {
            out.append(out.empty() ? "" : "&").append(name).append("=").append(value);
        }
    }
    return out;
}

std::string SocketMessage::form(bool open) const {
    std::string out;
    for (const auto& [name, value] : params) {
        if (name == "apiKey" || name == "returnRateLimits" ||
            (open && belongs_to_signature(name))) {
            continue;
        }
        out.append(out.empty() ? "" : "&");
        append_encoded(out, name);
        out.push_back('=');
        append_encoded(out, value);
    }
    return out;
}

SocketMessage parse_socket_message(std::string_view text) {
    SocketMessage message;
    try {
        read(text, message);
    } catch (const ApiError& error) {
        message.error = error;
    }
    return message;
}

}  // namespace tenon::binance
