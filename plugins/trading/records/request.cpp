// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/records/request.hpp"

#include "plugins/trading/records/failure.hpp"

#include <algorithm>

namespace tenon::records {
namespace {

[[nodiscard]] int digit_of(char c) noexcept {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

[[nodiscard]] std::string decode(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out.push_back(text[i] == '+' ? ' ' : text[i]);
            continue;
        }
        const int high = i + 2 < text.size() ? digit_of(text[i + 1]) : -1;
        const int low = i + 2 < text.size() ? digit_of(text[i + 2]) : -1;
        if (high < 0 || low < 0) {
            throw invalid("?", "a percent sign without two hexadecimal digits");
        }
        out.push_back(static_cast<char>(high * 16 + low));
        i += 2;
    }
    return out;
}

// As JSON has it: the reader refuses what is not UTF-8, so a text is quoted and read.
void check_utf8(const std::string& text, const std::string& where) {
    std::string quoted;
    append_json(quoted, text);
    try {
        (void)Json::parse(quoted);
    } catch (const Error&) {
        throw invalid(where, "the text is not UTF-8");
    }
}

}  // namespace

Parameters::Parameters(std::string_view query) {
    while (!query.empty()) {
        const std::string_view part = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(part.size() + 1, query.size()));
        if (part.empty()) {
            continue;
        }
        const std::size_t equals = std::min(part.find('='), part.size());
        std::string name = decode(part.substr(0, equals));
        std::string value = decode(part.substr(std::min(equals + 1, part.size())));
        check_utf8(name, "?");
        check_utf8(value, "?" + name);
        if (entries_.size() == k_max) {
            throw invalid("?", "more than " + std::to_string(k_max) + " parameters");
        }
        if (find(name) != nullptr) {
            throw invalid("?" + name, "the parameter stands twice");
        }
        entries_.push_back({std::move(name), std::move(value), false});
    }
}

const std::string* Parameters::find(std::string_view name) {
    const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
        return entry.name == name;
    });
    if (found == entries_.end()) {
        return nullptr;
    }
    found->is_read = true;
    return &found->value;
}

void Parameters::finish() const {
    for (const Entry& entry : entries_) {
        if (!entry.is_read) {
            throw invalid("?" + entry.name, "there is no such parameter here");
        }
    }
}

Json Request::object() const {
    if (body.empty()) {
        return Json::parse("{}");
    }
    Json json;
    try {
        json = Json::parse(body);
    } catch (const Error& e) {
        throw invalid("", e.what());
    }
    if (!json.is(Json::Kind::object)) {
        throw invalid(
            "", "found " + std::string{Json::name_of(json.kind())} + ", expected an object"
        );
    }
    return json;
}

}  // namespace tenon::records
