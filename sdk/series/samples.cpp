// SPDX-License-Identifier: Apache-2.0
#include "sdk/series/samples.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

namespace tenon::series {
namespace {

struct Line {
    std::string_view name, labels, value;
};

// `name{labels} value`; the labels' values may hold any character, quotes and backslashes escaped.
std::optional<Line> split(std::string_view text) {
    const std::size_t name_end = text.find_first_of("{ ");
    if (text.empty() || text[0] == '#' || name_end == std::string_view::npos) {
        return std::nullopt;
    }
    Line line{text.substr(0, name_end), {}, {}};
    std::size_t at = name_end;
    if (text[at] == '{') {
        bool quoted = false;
        for (++at; at < text.size() && (quoted || text[at] != '}'); ++at) {
            if (text[at] == '\\') {
                ++at;
            } else if (text[at] == '"') {
                quoted = !quoted;
            }
        }
        if (at >= text.size()) {
            return std::nullopt;
        }
        line.labels = text.substr(name_end + 1, at - name_end - 1);
        ++at;
    }
    at = text.find_first_not_of(' ', at);
    if (at == std::string_view::npos) {
        return std::nullopt;
    }
    line.value = text.substr(at, text.find(' ', at) - at);
    return line;
}

std::optional<double> to_value(std::string_view text) {
    if (text == "+Inf") {
        return std::numeric_limits<double>::infinity();
    }
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

}  // namespace

Labels labels_of(std::string_view text) {
    Labels labels;
    while (!text.empty()) {
        const std::size_t equals = text.find("=\"");
        if (equals == std::string_view::npos) {
            break;
        }
        std::string value;
        std::size_t at = equals + 2;
        for (; at < text.size() && text[at] != '"'; ++at) {
            if (text[at] == '\\' && at + 1 < text.size()) {
                ++at;
                value.push_back(text[at] == 'n' ? '\n' : text[at]);
            } else {
                value.push_back(text[at]);
            }
        }
        labels.emplace(text.substr(0, equals), std::move(value));
        text.remove_prefix(std::min(at + 1, text.size()));
        if (text.starts_with(',')) {
            text.remove_prefix(1);
        }
    }
    return labels;
}

void Samples::want(std::string_view name, std::int64_t span_ms) {
    Family& family = families_[std::string{name}];
    family.span_ms = family.wanted ? std::max(family.span_ms, span_ms) : span_ms;
    family.wanted = true;
}

void Samples::forget_wants() {
    for (auto& [name, family] : families_) {
        family.wanted = false;
    }
}

void Samples::add(std::string_view page, std::int64_t at_ms) {
    at_ms_ = at_ms;
    left_out_ = 0;
    std::erase_if(families_, [&](const auto& family) {
        if (!family.second.wanted) {
            count_ -= family.second.series.size();
        }
        return !family.second.wanted;
    });
    while (!page.empty()) {
        const std::size_t end = std::min(page.find('\n'), page.size());
        const auto line = split(page.substr(0, end));
        page.remove_prefix(std::min(end + 1, page.size()));
        if (!line) {
            continue;
        }
        const auto family = families_.find(line->name);
        const auto value = to_value(line->value);
        if (family == families_.end() || !value) {
            continue;
        }
        auto& all = family->second.series;
        auto series = all.find(line->labels);
        if (series == all.end()) {
            if (count_ >= k_series_max) {
                ++left_out_;
                continue;
            }
            ++count_;
            series = all.emplace(line->labels, Series{labels_of(line->labels), {}, 0}).first;
        }
        push(series->second, at_ms, *value);
    }
    for (auto& [name, family] : families_) {
        for (auto i = family.series.begin(); i != family.series.end();) {
            if (i->second.samples.back().at_ms != at_ms) {
                i = family.series.erase(i);
                --count_;
                continue;
            }
            drop_old(i->second, at_ms, family.span_ms);
            ++i;
        }
    }
}

void Samples::push(Series& series, std::int64_t at_ms, double value) {
    Sample sample{at_ms, value};
    if (!series.samples.empty()) {
        const Sample& last = series.samples.back();
        sample.before = last.before + (value < last.value ? last.value : 0);
        sample.index = last.index + 1;
    }
    series.samples.push_back(sample);
}

void Samples::drop_old(Series& series, std::int64_t now_ms, std::int64_t span_ms) {
    auto& samples = series.samples;
    while (samples.front().at_ms < now_ms - span_ms) {
        samples.pop_front();
        series.coarse -= series.coarse == 0 ? 0 : 1;
    }
    while (series.coarse < samples.size() && samples[series.coarse].at_ms < now_ms - k_fine_ms) {
        const bool is_close =
            series.coarse > 0 &&
            samples[series.coarse].at_ms - samples[series.coarse - 1].at_ms < span_ms / k_coarse;
        if (is_close) {
            samples.erase(samples.begin() + static_cast<std::ptrdiff_t>(series.coarse));
        } else {
            ++series.coarse;
        }
    }
}

std::vector<const Series*> Samples::of(std::string_view name) const {
    std::vector<const Series*> out;
    if (const auto family = families_.find(name); family != families_.end()) {
        for (const auto& [labels, series] : family->second.series) {
            out.push_back(&series);
        }
    }
    return out;
}

}  // namespace tenon::series
