// SPDX-License-Identifier: Apache-2.0
#include "sdk/manifest/problem.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <numeric>

namespace tenon::manifest {

namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t above = row[j];
            const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({above + 1, row[j - 1] + 1, change});
            diagonal = above;
        }
    }
    return row[b.size()];
}

}  // namespace

std::string to_text(const Problem& problem) {
    std::string text{problem.warning ? "warning " : "error "};
    text.append(problem.code).append(" ").append(problem.file);
    text.append(" ").append(problem.pointer.empty() ? "/" : problem.pointer);
    text.append(": ").append(problem.message);
    if (!problem.found.empty()) {
        text.append("; found ").append(problem.found);
    }
    if (!problem.expected.empty()) {
        text.append("; expected ").append(problem.expected);
    }
    return text;
}

boost::json::object to_json(const Problem& problem) {
    return {
        {"severity", problem.warning ? "warning" : "error"},
        {"code", problem.code},
        {"file", problem.file},
        {"pointer", problem.pointer},
        {"message", problem.message},
        {"found", problem.found},
        {"expected", problem.expected}};
}

boost::json::array to_json(const Problems& problems) {
    boost::json::array out;
    for (const Problem& problem : problems) {
        out.push_back(to_json(problem));
    }
    return out;
}

bool has_errors(const Problems& problems) {
    return std::any_of(problems.begin(), problems.end(), [](const Problem& problem) {
        return !problem.warning;
    });
}

std::vector<std::string> tokens_of(std::string_view pointer) {
    std::vector<std::string> tokens;
    for (std::size_t at = 0; at < pointer.size(); ++at) {
        if (pointer[at] == '/') {
            tokens.emplace_back();
        } else if (pointer[at] == '~' && at + 1 < pointer.size()) {
            ++at;
            tokens.back().push_back(pointer[at] == '1' ? '/' : '~');
        } else {
            tokens.back().push_back(pointer[at]);
        }
    }
    return tokens;
}

std::string pointer_to(std::string_view pointer, std::string_view key) {
    std::string out{pointer};
    out.push_back('/');
    for (const char c : key) {
        if (c == '~') {
            out.append("~0");
        } else if (c == '/') {
            out.append("~1");
        } else {
            out.push_back(c);
        }
    }
    return out;
}

std::string pointer_to(std::string_view pointer, std::size_t index) {
    return pointer_to(pointer, std::to_string(index));
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
    std::string best;
    std::size_t best_distance = std::max<std::size_t>(3, word.size() / 2 + 1);
    for (const std::string& candidate : candidates) {
        const std::size_t distance = edit_distance(word, candidate);
        if (distance < best_distance) {
            best_distance = distance;
            best = candidate;
        }
    }
    return best;
}

std::string join(const std::vector<std::string>& words, std::string_view glue) {
    std::string out;
    for (const std::string& word : words) {
        if (!out.empty()) {
            out.append(glue);
        }
        out.append(word);
    }
    return out;
}

std::string shown(const boost::json::value& value) {
    constexpr std::size_t k_longest = 80;
    std::string text = boost::json::serialize(value);
    if (text.size() > k_longest) {
        std::size_t cut = k_longest;
        while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0U) == 0x80U) {
            --cut;  // not in the middle of a UTF-8 sequence
        }
        text.resize(cut);
        text.append("…");
    }
    return text;
}

}  // namespace tenon::manifest
