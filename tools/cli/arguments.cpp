// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/arguments.hpp"

#include <boost/json/array.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <string_view>

namespace tenon::cli {

namespace json = boost::json;

namespace {

constexpr std::array<std::string_view, 2> k_lists{"permissions", "addresses"};

template <class List>
bool has(const List& list, std::string_view word) {
    return std::find(list.begin(), list.end(), word) != list.end();
}

json::value typed(const std::string& name, const std::string& text, bool migrate) {
    if (has(k_lists, name)) {
        json::array items;
        for (std::size_t at = 0; at <= text.size();) {
            const std::size_t end = std::min(text.find(',', at), text.size());
            if (end > at) {
                items.emplace_back(text.substr(at, end - at));
            }
            at = end + 1;
        }
        return items;
    }
    // Versions for `migrate`; elsewhere --to is an account's name.
    if ((name == "to" || name == "version") && migrate) {
        std::int64_t number = 0;
        const char* const end = text.data() + text.size();
        const auto [last, ec] = std::from_chars(text.data(), end, number);
        if (ec != std::errc{} || last != end) {
            throw UsageError{"--" + name + ": found \"" + text + "\", expected a whole number"};
        }
        return number;
    }
    return json::value(text);
}

void add(json::object& options, const std::string& name, json::value value) {
    json::value* present = options.if_contains(name);
    if (present == nullptr) {
        options[name] = std::move(value);
    } else if (present->is_array() && value.is_array()) {
        for (const json::value& item : value.get_array()) {
            present->get_array().push_back(item);
        }
    } else {
        if (!present->is_array()) {
            *present = json::array{*present};
        }
        present->get_array().push_back(std::move(value));
    }
}

class Parser {
public:
    explicit Parser(const std::vector<std::string>& in) : in_{&in} {}

    Arguments parse() {
        if (const char* folder = std::getenv("TENON_DATA_DIR"); folder != nullptr && *folder != 0) {
            out_.data_dir = folder;
        }
        while (at_ < in_->size()) {
            const std::string& word = (*in_)[at_++];
            if (word == "-h") {
                out_.help = true;
            } else if (is_option(word)) {
                option(word.substr(2));
            } else if (word.starts_with('-') && !is_number(word)) {
                throw UsageError{"unknown option " + word};
            } else {
                out_.words.push_back(word);
            }
        }
        return std::move(out_);
    }

private:
    // Not a PEM key, which starts with dashes too.
    static bool is_option(std::string_view word) {
        return word.size() > 2 && word.starts_with("--") && word[2] != '-';
    }

    static bool is_number(std::string_view word) {
        return word.size() > 1 && word[1] >= '0' && word[1] <= '9';
    }

    void option(std::string name) {
        std::optional<std::string> value;
        if (const auto equals = name.find('='); equals != std::string::npos) {
            value = name.substr(equals + 1);
            name.resize(equals);
        }
        if (name == "json") {
            out_.json = true;
        } else if (name == "help") {
            out_.help = true;
        } else if (name == "data-dir") {
            out_.data_dir = needed(name, value);
        } else if (name == "deployment") {
            out_.deployment = needed(name, value);
        } else if (name == "plugin-path") {
            out_.plugin_path.emplace_back(needed(name, value));
        } else if (name == "set") {
            out_.overrides.push_back(needed(name, value));
        } else {
            std::replace(name.begin(), name.end(), '-', '_');
            if (!value && at_ < in_->size() && !is_option((*in_)[at_])) {
                value = (*in_)[at_++];
            }
            // The target of `migrate copy` is a name too.
            const bool migrate = !out_.words.empty() && out_.words.front() == "migrate" &&
                                 (out_.words.size() < 2 || out_.words[1] != "copy");
            add(out_.options, name, value ? typed(name, *value, migrate) : json::value(true));
        }
    }

    std::string needed(const std::string& name, const std::optional<std::string>& value) {
        if (value) {
            return *value;
        }
        if (at_ >= in_->size()) {
            throw UsageError{"--" + name + " needs a value"};
        }
        return (*in_)[at_++];
    }

    const std::vector<std::string>* in_;
    std::size_t at_ = 0;
    Arguments out_;
};

}  // namespace

std::string Arguments::command() const {
    std::string name;
    for (const std::string& word : words) {
        name.append(name.empty() ? "" : ".").append(word);
    }
    return name;
}

Arguments parse_arguments(const std::vector<std::string>& arguments) {
    return Parser{arguments}.parse();
}

}  // namespace tenon::cli
