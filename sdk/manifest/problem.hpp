// SPDX-License-Identifier: Apache-2.0
// What is wrong with a manifest: code (M01 to M20), file, JSON pointer, what was found, what was
// expected. Problems are collected, never thrown: an operator gets all of them at once.
#pragma once

#include <boost/json/value.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace tenon::manifest {

struct Problem {
    std::string code;
    std::string file;
    std::string pointer;  // RFC 6901; empty: the whole document
    std::string message;
    std::string found;     // may be empty
    std::string expected;  // may be empty
    bool warning = false;  // told, but does not stop the start
};

using Problems = std::vector<Problem>;

// One line: "error M17 FILE /pointer: message; found …; expected …".
[[nodiscard]] std::string to_text(const Problem& problem);
[[nodiscard]] boost::json::object to_json(const Problem& problem);
[[nodiscard]] boost::json::array to_json(const Problems& problems);
[[nodiscard]] bool has_errors(const Problems& problems);

// Collects the problems of one file.
class Report {
public:
    Report(std::string file, Problems& out) : file_{std::move(file)}, out_{&out} {}

    void add(
        std::string_view code,
        std::string pointer,
        std::string message,
        std::string found = {},
        std::string expected = {}
    ) {
        out_->push_back(
            {std::string{code},
             file_,
             std::move(pointer),
             std::move(message),
             std::move(found),
             std::move(expected),
             false}
        );
    }

    void warn(std::string_view code, std::string pointer, std::string message) {
        add(code, std::move(pointer), std::move(message));
        out_->back().warning = true;
    }

    [[nodiscard]] const std::string& file() const { return file_; }

private:
    std::string file_;
    Problems* out_;
};

// Appends a reference token to a JSON pointer, escaped.
[[nodiscard]] std::string pointer_to(std::string_view pointer, std::string_view key);
[[nodiscard]] std::string pointer_to(std::string_view pointer, std::size_t index);

// The tokens of a JSON pointer that is empty or starts with '/', unescaped.
[[nodiscard]] std::vector<std::string> tokens_of(std::string_view pointer);

// The candidate that is closest in spelling, or "" when none is near.
[[nodiscard]] std::string
nearest(std::string_view word, const std::vector<std::string>& candidates);

// "a, b, c".
[[nodiscard]] std::string join(const std::vector<std::string>& words, std::string_view glue = ", ");

// A value in one short line of JSON, cut when long.
[[nodiscard]] std::string shown(const boost::json::value& value);

}  // namespace tenon::manifest
