// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/history/answer.hpp"

#include <tenon/json.hpp>

#include <algorithm>
#include <charconv>
#include <cstdio>

namespace tenon::history {
namespace {

constexpr std::int64_t k_ms = 1'000;

std::string number(float value) {
    char text[32];
    (void)std::snprintf(text, sizeof(text), "%.7g", static_cast<double>(value));
    return text;
}

int hex_of(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const char small = static_cast<char>(c | 0x20);
    return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

std::string decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out.push_back(text[i] == '+' ? ' ' : text[i]);
            continue;
        }
        const int high = i + 2 < text.size() ? hex_of(text[i + 1]) : -1;
        const int low = i + 2 < text.size() ? hex_of(text[i + 2]) : -1;
        if (high < 0 || low < 0) {
            throw Error{TENON_INVALID, "found a % that no two hexadecimal digits follow"};
        }
        out.push_back(static_cast<char>(high * 16 + low));
        i += 2;
    }
    return out;
}

std::int64_t integer_of(std::string_view name, std::string_view text) {
    constexpr std::int64_t k_far = 253'402'300'800'000;  // the year 10000
    std::int64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || stop != end || value > k_far || value < -k_far) {
        throw Error{
            TENON_INVALID,
            std::string{name} + ": found \"" + std::string{text.substr(0, 64)} +
                "\", expected a whole number"};
    }
    return value;
}

// At commas that are in no label's value.
std::vector<std::string> split(std::string_view text) {
    std::vector<std::string> out;
    std::string one;
    bool is_quoted = false;
    int depth = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (is_quoted && c == '\\' && i + 1 < text.size()) {
            one.push_back(c);
            one.push_back(text[++i]);
            continue;
        }
        is_quoted = c == '"' ? !is_quoted : is_quoted;
        depth += is_quoted ? 0 : c == '{' ? 1 : c == '}' ? -1 : 0;
        if (c == ',' && !is_quoted && depth <= 0) {
            out.push_back(std::exchange(one, {}));
        } else {
            one.push_back(c);
        }
    }
    out.push_back(std::move(one));
    std::erase_if(out, [](const std::string& name) { return name.empty(); });
    return out;
}

std::int64_t ms_of(std::int64_t asked, std::int64_t now_ms) {
    return asked > 0 ? asked : now_ms + asked * k_ms;
}

void append_series(
    std::string& out,
    const std::string& series,
    const std::vector<Definition>& definitions
) {
    const auto [name, labels] = parts_of(series);
    const auto known = std::find_if(
        definitions.begin(),
        definitions.end(),
        [&found = name](const Definition& definition) { return definition.name == found; }
    );
    const bool is_known = known != definitions.end();
    out.append("\"series\":");
    append_json(out, series);
    out.append(",\"name\":");
    append_json(out, name);
    out.append(",\"labels\":{");
    for (const auto& [label, value] : labels) {
        out.append(out.back() == '{' ? "" : ",");
        append_json(out, label);
        out.push_back(':');
        append_json(out, value);
    }
    out.append("},\"title\":");
    append_json(out, is_known ? known->title : name);
    out.append(",\"unit\":");
    append_json(out, is_known ? known->unit : "count");
}

// Whole names, in the order of the question; a name alone is all that have it.
std::vector<std::string> expanded(const Recorder& recorder, const Question& question) {
    if (question.series.empty()) {
        throw Error{TENON_INVALID, "series: expected at least one name"};
    }
    const auto all = recorder.series();
    std::vector<std::string> out;
    for (const std::string& asked : question.series) {
        const std::size_t before = out.size();
        for (const auto& [series, column] : all) {
            const bool is_it = series == asked || series.starts_with(asked + "{");
            if (is_it && std::find(out.begin(), out.end(), series) == out.end()) {
                out.push_back(series);
            }
        }
        const bool was_there = std::find(out.begin(), out.end(), asked) != out.end();
        if (out.size() == before && !was_there) {
            throw Error{
                TENON_NOT_FOUND, "series: there is no \"" + asked.substr(0, 128) + "\" kept"};
        }
    }
    if (out.size() > k_series_max) {
        throw Error{
            TENON_INVALID,
            "series: these are " + std::to_string(out.size()) + ", an answer has " +
                std::to_string(k_series_max) + " at most"};
    }
    return out;
}

}  // namespace

void ask(Question& question, std::string_view name, std::string_view text) {
    if (name == "series") {
        for (std::string& one : split(text)) {
            question.series.push_back(std::move(one));
        }
    } else if (name == "from") {
        question.from = integer_of(name, text);
    } else if (name == "to") {
        question.to = integer_of(name, text);
    } else if (name == "step") {
        question.step_s = integer_of(name, text);
    } else {
        throw Error{
            TENON_INVALID,
            "unknown parameter \"" + std::string{name.substr(0, 64)} +
                "\", expected series, from, to, step"};
    }
}

Question question_of(std::string_view query) {
    Question question;
    while (!query.empty()) {
        const std::size_t end = std::min(query.find('&'), query.size());
        const std::string_view part = query.substr(0, end);
        query.remove_prefix(std::min(end + 1, query.size()));
        if (part.empty()) {
            continue;
        }
        const std::size_t equals = std::min(part.find('='), part.size());
        const std::string_view text = part.substr(std::min(equals + 1, part.size()));
        ask(question, decoded(part.substr(0, equals)), decoded(text));
    }
    return question;
}

std::string history_json(
    const Recorder& recorder,
    const std::vector<Definition>& definitions,
    const Question& question,
    std::int64_t now_ms
) {
    const std::vector<std::string> names = expanded(recorder, question);
    const std::int64_t now_s = now_ms / k_ms;
    const std::int64_t to_ms = std::min(ms_of(question.to, now_ms), now_ms) + k_ms;
    const Span span =
        recorder.span_of(ms_of(question.from, now_ms) / k_ms, to_ms / k_ms, question.step_s, now_s);
    const auto steps = static_cast<std::size_t>((span.to_s - span.from_s) / span.step_s);
    if (steps > k_points_max / names.size()) {
        throw Error{
            TENON_INVALID,
            "step: " + std::to_string(names.size()) + " series of " + std::to_string(steps) +
                " points are more than " + std::to_string(k_points_max) +
                ", ask for fewer, a shorter time or longer steps"};
    }
    const auto found = recorder.read(names, span, now_s);
    std::string out{"{\"from_ms\":"};
    out.append(std::to_string(span.from_s * k_ms)).append(",\"to_ms\":");
    out.append(std::to_string(span.to_s * k_ms)).append(",\"step_s\":");
    out.append(std::to_string(span.step_s)).append(",\"series\":[");
    for (std::size_t i = 0; i < names.size(); ++i) {
        out.append(i == 0 ? "{" : ",{");
        append_series(out, names[i], definitions);
        out.append(",\"points\":[");
        for (const Point& point : found[i]) {
            out.append(out.back() == '[' ? "[" : ",[").append(std::to_string(point.at_s * k_ms));
            for (const float value : {point.cell.mean, point.cell.min, point.cell.max}) {
                out.append(",").append(number(value));
            }
            out.append("]");
        }
        out.append("]}");
    }
    return out.append("]}");
}

std::string series_json(
    const Recorder& recorder,
    const std::vector<Definition>& definitions,
    std::int64_t now_ms
) {
    std::string out{"{\"at_ms\":"};
    out.append(std::to_string(now_ms)).append(",\"tiers\":[");
    for (const Tier& tier : recorder.shape().tiers) {
        out.append(out.back() == '[' ? "" : ",").append("{\"step_s\":");
        out.append(std::to_string(tier.step_s)).append(",\"keep_s\":");
        out.append(std::to_string(tier.keep_s())).append("}");
    }
    out.append("],\"left_out\":").append(std::to_string(recorder.counts().left_out));
    out.append(",\"series\":[");
    for (const auto& [series, column] : recorder.series()) {
        out.append(out.back() == '[' ? "{" : ",{");
        append_series(out, series, definitions);
        out.append(",\"since_ms\":").append(std::to_string(column.since_s * k_ms));
        out.append(",\"seen_ms\":").append(std::to_string(column.seen_s * k_ms)).append("}");
    }
    return out.append("]}");
}

}  // namespace tenon::history
