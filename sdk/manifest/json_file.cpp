// SPDX-License-Identifier: Apache-2.0
#include "sdk/manifest/json_file.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <set>

namespace tenon::manifest {

namespace {

namespace json = boost::json;

// A SAX handler that only remembers the keys of the objects that are open.
struct KeyHandler {
    static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);
    using error_code = json::error_code;

    struct Frame {
        bool is_object;
        std::set<std::string, std::less<>> keys;
        std::string key;
        std::size_t index;
    };

    Report* report = nullptr;
    std::vector<Frame> open;
    std::string key;
    bool refused = false;

    [[nodiscard]] std::string pointer() const {
        std::string out;
        for (const Frame& frame : open) {
            out = frame.is_object ? pointer_to(out, frame.key) : pointer_to(out, frame.index);
        }
        return out;
    }

    bool value_done() {
        if (!open.empty() && !open.back().is_object) {
            ++open.back().index;
        }
        return true;
    }

    bool on_document_begin(error_code&) { return true; }

    bool on_document_end(error_code&) { return true; }

    bool on_object_begin(error_code&) {
        open.push_back({true, {}, {}, 0});
        return true;
    }

    bool on_object_end(std::size_t, error_code&) {
        open.pop_back();
        return value_done();
    }

    bool on_array_begin(error_code&) {
        open.push_back({false, {}, {}, 0});
        return true;
    }

    bool on_array_end(std::size_t, error_code&) {
        open.pop_back();
        return value_done();
    }

    bool on_key_part(json::string_view part, std::size_t, error_code&) {
        key.append(part);
        return true;
    }

    bool on_key(json::string_view part, std::size_t, error_code&) {
        key.append(part);
        Frame& frame = open.back();
        frame.key = key;
        if (!frame.keys.insert(key).second) {
            refused = true;
            report->add("M10", pointer(), "the key appears twice", "\"" + key + "\" again", "once");
        }
        key.clear();
        return true;
    }

    bool on_string_part(json::string_view, std::size_t, error_code&) { return true; }

    bool on_string(json::string_view, std::size_t, error_code&) { return value_done(); }

    bool on_number_part(json::string_view, error_code&) { return true; }

    bool on_int64(std::int64_t, json::string_view, error_code&) { return value_done(); }

    bool on_uint64(std::uint64_t, json::string_view, error_code&) { return value_done(); }

    bool on_double(double number, json::string_view, error_code&) {
        if (!std::isfinite(number)) {
            refused = true;
            report->add("M02", pointer(), "the number is too large", "", "at most 1.8e308");
        }
        return value_done();
    }

    bool on_bool(bool, error_code&) { return value_done(); }

    bool on_null(error_code&) { return value_done(); }

    bool on_comment_part(json::string_view, error_code&) { return true; }

    bool on_comment(json::string_view, error_code&) { return true; }
};

std::string position(std::string_view text, std::size_t offset) {
    std::size_t line = 1;
    std::size_t column = 1;
    for (const char c : text.substr(0, offset)) {
        if (c == '\n') {
            ++line;
            column = 1;
        } else {
            ++column;
        }
    }
    return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

}  // namespace

std::string text_at(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string{value->get_string()}
                                                  : std::string{};
}

std::uint32_t number_at(
    const json::object& object,
    std::string_view key,
    std::uint32_t fallback,
    std::uint32_t most
) {
    const json::value* value = object.if_contains(key);
    if (value == nullptr) {
        return fallback;
    }
    const std::string text =
        value->is_string() ? std::string{value->get_string()} : json::serialize(*value);
    const bool is_number = !text.empty() && text.size() <= 9 &&
                           text.find_first_not_of("0123456789") == std::string::npos;
    if (!is_number || std::stoul(text) > most) {
        throw Error{
            TENON_INVALID,
            std::string{key} + ": found " + text + ", expected 0 to " + std::to_string(most)};
    }
    return static_cast<std::uint32_t>(std::stoul(text));
}

std::optional<json::value> parse_json(std::string_view text, Report& report) {
    json::parse_options options;
    options.max_depth = k_max_json_depth;
    json::basic_parser<KeyHandler> parser{options};
    parser.handler().report = &report;
    json::error_code ec;
    const std::size_t used = parser.write_some(false, text.data(), text.size(), ec);
    if (ec || used != text.size()) {
        const std::string reason = ec ? ec.message() : "extra characters after the value";
        report.add("M02", "", "not JSON: " + reason, "at " + position(text, used), "JSON in UTF-8");
        return std::nullopt;
    }
    if (parser.handler().refused) {
        return std::nullopt;
    }
    return json::parse(text, {}, options);
}

std::optional<std::string>
read_file(const std::filesystem::path& path, std::size_t max_bytes, std::string& error) {
    const auto close = [](std::FILE* file) { (void)std::fclose(file); };
    const std::unique_ptr<std::FILE, decltype(close)> file{std::fopen(path.c_str(), "rbe"), close};
    if (!file) {
        error = std::strerror(errno);
        return std::nullopt;
    }
    std::string text;
    char block[16384];
    for (std::size_t got = 1; got != 0;) {
        got = std::fread(block, 1, sizeof block, file.get());
        text.append(block, got);
        if (text.size() > max_bytes) {
            error = "larger than " + std::to_string(max_bytes) + " bytes";
            return std::nullopt;
        }
    }
    if (std::ferror(file.get()) != 0) {
        error = std::strerror(errno);
        return std::nullopt;
    }
    return text;
}

std::optional<json::value> read_json_file(const std::filesystem::path& path, Report& report) {
    std::string error;
    const auto text = read_file(path, k_max_manifest_bytes, error);
    if (!text) {
        report.add("M09", "", "the file cannot be read", error, "a readable file");
        return std::nullopt;
    }
    return parse_json(*text, report);
}

}  // namespace tenon::manifest
