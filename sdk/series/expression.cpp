// SPDX-License-Identifier: Apache-2.0
#include "sdk/series/expression.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <optional>

namespace tenon::series {
namespace {

// What Prometheus makes of the samples within a window that ends at `end_ms`: the growth with
// resets undone, as if it went on to the window's ends when those are near enough.
std::optional<double>
rate(const std::deque<Sample>& samples, std::int64_t end_ms, double window_s) {
    const auto window_ms = static_cast<std::int64_t>(window_s * 1000);
    const auto first = std::find_if(samples.begin(), samples.end(), [&](const Sample& sample) {
        return sample.at_ms >= end_ms - window_ms;
    });
    if (std::distance(first, samples.end()) < 2) {
        return std::nullopt;
    }
    const Sample& last = samples.back();
    const double growth = last.value - first->value + (last.before - first->before);
    const double sampled_s = static_cast<double>(samples.back().at_ms - first->at_ms) / 1000;
    double to_start_s = static_cast<double>(first->at_ms - (end_ms - window_ms)) / 1000;
    const double to_end_s = static_cast<double>(end_ms - samples.back().at_ms) / 1000;
    const double between_s = sampled_s / static_cast<double>(last.index - first->index);
    if (growth > 0 && first->value >= 0) {
        // A counter was not below 0 before.
        to_start_s = std::min(to_start_s, sampled_s * (first->value / growth));
    }
    const double near_s = between_s * 1.1;
    const double extrapolated_s = sampled_s + (to_start_s < near_s ? to_start_s : between_s / 2) +
                                  (to_end_s < near_s ? to_end_s : between_s / 2);
    return growth * (extrapolated_s / sampled_s / window_s);
}

// Upper bounds and cumulative counts, in the order of the bounds. Rates of buckets are taken one by
// one, so that a wider one can come out smaller: it is as large as the one before.
double quantile_of(double quantile, std::map<double, double> buckets) {
    constexpr double k_none = std::numeric_limits<double>::quiet_NaN();
    if (buckets.size() < 2 || !std::isinf(buckets.rbegin()->first)) {
        return k_none;
    }
    double largest = 0;
    for (auto& [bound, count] : buckets) {
        largest = count = std::max(largest, count);
    }
    const double total = largest;
    if (total <= 0) {
        return k_none;
    }
    const double rank = quantile * total;
    auto bucket = buckets.begin();
    while (std::next(bucket) != buckets.end() && bucket->second < rank) {
        ++bucket;
    }
    if (std::next(bucket) == buckets.end()) {
        return std::prev(bucket)->first;  // all that is known: more than the last bound
    }
    const bool is_first = bucket == buckets.begin();
    if (is_first && bucket->first <= 0) {
        return bucket->first;
    }
    const double below = is_first ? 0 : std::prev(bucket)->second;
    const double lower = is_first ? 0 : std::prev(bucket)->first;
    const double within = bucket->second - below;
    return within <= 0 ? bucket->first
                       : lower + (bucket->first - lower) * ((rank - below) / within);
}

Labels only(const Labels& labels, const std::vector<std::string>& names) {
    Labels out;
    for (const std::string& name : names) {
        if (const auto found = labels.find(name); found != labels.end()) {
            out.insert(*found);
        }
    }
    return out;
}

std::string quoted(std::string_view text) {
    std::string out{"\""};
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out.push_back('\\');
        }
        out.append(c == '\n' ? std::string_view{"\\n"} : std::string_view{&c, 1});
    }
    return out.append("\"");
}

// A text as a regular expression that only it matches (RE2).
std::string literal(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (std::string_view{R"(\.+*?()|[]{}^$)"}.find(c) != std::string_view::npos) {
            out.push_back('\\');
        }
        out.push_back(c);
    }
    return out;
}

std::string joined(const std::vector<std::string>& texts, std::string_view between) {
    std::string out;
    for (const std::string& text : texts) {
        out.append(out.empty() ? "" : between).append(text);
    }
    return out;
}

// The member that says what kind of expression it is.
std::string kind_of(const Settings& json) {
    static constexpr std::array<std::string_view, 9> k_kinds{
        "metric", "rate", "quantile", "sum", "max", "ratio", "add", "one_minus", "age_of"};
    for (const std::string_view kind : k_kinds) {
        if (json.has(kind)) {
            return std::string{kind};
        }
    }
    json.refuse("expected one of metric, rate, quantile, sum, max, ratio, add, one_minus, age_of");
}

std::string metric_name(const Settings& json, std::string_view key) {
    const auto name = json.get<std::string>(key);
    const bool is_word = std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    });
    if (!name.starts_with("tenon_") || !is_word) {
        json.refuse("found \"" + name + "\" as " + std::string{key} + ", expected a metric's name");
    }
    return name;
}

std::string number(double value) {
    std::string text = std::to_string(value);
    text.erase(text.find_last_not_of('0') + 1);
    return text.ends_with('.') ? text + "0" : text;
}

}  // namespace

void refuse_unknown(const Settings& json, const std::vector<std::string>& known) {
    for (const std::string& key : json.object().keys()) {
        if (std::find(known.begin(), known.end(), key) == known.end()) {
            json.refuse("unknown member \"" + key + "\"");
        }
    }
}

Expression::Expression(const Settings& json) {
    const std::string kind = kind_of(json);
    std::vector<std::string> known{kind};
    const auto over = [&] {
        over_s_ = json.get<std::int64_t>("over_s");
        if (over_s_ < 10 || over_s_ > k_over_max_s) {
            json.refuse("over_s: expected 10 to " + std::to_string(k_over_max_s));
        }
        known.emplace_back("over_s");
    };
    if (kind == "metric" || kind == "age_of" || kind == "rate") {
        kind_ = kind == "metric" ? Kind::metric : kind == "rate" ? Kind::rate : Kind::age_of;
        name_ = metric_name(json, kind);
        if (kind_ == Kind::rate) {
            over();
        }
    } else if (kind == "quantile") {
        kind_ = Kind::quantile;
        quantile_ = json.get<double>(kind);
        if (!(quantile_ > 0 && quantile_ < 1)) {
            json.refuse("quantile: expected more than 0 and less than 1");
        }
        name_ = metric_name(json, "of");
        known.emplace_back("of");
        over();
    } else if (kind == "ratio" || kind == "add") {
        kind_ = kind == "ratio" ? Kind::ratio : Kind::add;
        of_ = json.get<std::vector<Expression>>(kind);
        if (of_.size() != 2) {
            json.refuse(kind + ": expected two expressions");
        }
    } else {
        kind_ = kind == "sum" ? Kind::sum : kind == "max" ? Kind::max : Kind::one_minus;
        of_.push_back(json.get<Expression>(kind));
    }
    if (!name_.empty()) {
        read_where(json);
        known.emplace_back("where");
    }
    if (kind_ == Kind::sum || kind_ == Kind::max || kind_ == Kind::quantile) {
        by_ = json.get<std::vector<std::string>>("by", {});
        known.emplace_back("by");
    }
    refuse_unknown(json, known);
}

void Expression::read_where(const Settings& json) {
    if (!json.has("where")) {
        return;
    }
    const auto where = json.get<Settings>("where");
    for (const std::string& label : where.object().keys()) {
        const bool is_list = where.object().find(label)->is(Json::Kind::array);
        where_.push_back(
            {label,
             is_list ? where.get<std::vector<std::string>>(label)
                     : std::vector{where.get<std::string>(label)}}
        );
        if (where_.back().values.empty()) {
            where.refuse(label + ": expected at least one value");
        }
    }
}

void Expression::collect_names(std::set<std::string>& names) const {
    if (!name_.empty()) {
        names.insert(name_);
    }
    for (const Expression& inner : of_) {
        inner.collect_names(names);
    }
}

void Expression::want(Samples& samples) const {
    const std::int64_t span_ms = over_s_ * 1000;
    if (!name_.empty()) {
        samples.want(kind_ == Kind::quantile ? name_ + "_bucket" : name_, span_ms);
    }
    for (const Expression& inner : of_) {
        inner.want(samples);
    }
}

bool Expression::takes(const Series& series) const {
    return std::all_of(where_.begin(), where_.end(), [&](const Where& where) {
        const auto found = series.labels.find(where.label);
        return found != series.labels.end() &&
               std::find(where.values.begin(), where.values.end(), found->second) !=
                   where.values.end();
    });
}

std::vector<Value> Expression::rates(const Samples& samples, const std::string& name) const {
    std::vector<Value> out;
    for (const Series* series : samples.of(name)) {
        if (takes(*series)) {
            const auto found = rate(series->samples, samples.at_ms(), static_cast<double>(over_s_));
            if (found) {
                out.push_back({series->labels, *found});
            }
        }
    }
    return out;
}

std::vector<Value> Expression::quantiles(const Samples& samples) const {
    std::map<Labels, std::map<double, double>> buckets;
    for (const Value& rate : rates(samples, name_ + "_bucket")) {
        const auto bound = rate.labels.find("le");
        if (bound != rate.labels.end()) {
            const double upper = bound->second == "+Inf"
                                     ? std::numeric_limits<double>::infinity()
                                     : std::strtod(bound->second.c_str(), nullptr);
            buckets[only(rate.labels, by_)][upper] += rate.value;
        }
    }
    std::vector<Value> out;
    for (const auto& [labels, counts] : buckets) {
        out.push_back({labels, quantile_of(quantile_, counts)});
    }
    return out;
}

std::vector<Value> Expression::grouped(const std::vector<Value>& values) const {
    std::map<Labels, double> groups;
    for (const Value& value : values) {
        const auto [group, is_new] = groups.emplace(only(value.labels, by_), value.value);
        if (!is_new && kind_ == Kind::sum) {
            group->second += value.value;
        } else if (!is_new && (group->second < value.value || std::isnan(group->second))) {
            group->second = value.value;
        }
    }
    std::vector<Value> out;
    for (const auto& [labels, value] : groups) {
        out.push_back({labels, value});
    }
    return out;
}

std::vector<Value>
Expression::paired(const std::vector<Value>& left, const std::vector<Value>& right) const {
    std::vector<Value> out;
    for (const Value& value : left) {
        const auto other = std::find_if(right.begin(), right.end(), [&](const Value& candidate) {
            return candidate.labels == value.labels;
        });
        if (other != right.end()) {
            const bool adds = kind_ == Kind::add;
            out.push_back(
                {value.labels, adds ? value.value + other->value : value.value / other->value}
            );
        }
    }
    return out;
}

std::vector<Value> Expression::evaluate(const Samples& samples) const {
    switch (kind_) {
        case Kind::rate:
            return rates(samples, name_);
        case Kind::quantile:
            return quantiles(samples);
        case Kind::sum:
        case Kind::max:
            return grouped(of_[0].evaluate(samples));
        case Kind::ratio:
        case Kind::add:
            return paired(of_[0].evaluate(samples), of_[1].evaluate(samples));
        case Kind::one_minus: {
            auto values = of_[0].evaluate(samples);
            for (Value& value : values) {
                value.value = 1 - value.value;
            }
            return values;
        }
        case Kind::metric:
        case Kind::age_of:
            break;
    }
    std::vector<Value> out;
    for (const Series* series : samples.of(name_)) {
        if (takes(*series)) {
            const double newest = series->samples.back().value;
            const double now_s = static_cast<double>(samples.at_ms()) / 1000;
            out.push_back({series->labels, kind_ == Kind::metric ? newest : now_s - newest});
        }
    }
    return out;
}

std::string Expression::selector(const std::string& name) const {
    std::string out;
    for (const Where& where : where_) {
        std::vector<std::string> texts;
        for (const std::string& value : where.values) {
            texts.push_back(where.values.size() == 1 ? value : literal(value));
        }
        out.append(out.empty() ? "" : ",").append(where.label);
        out.append(texts.size() == 1 ? "=" : "=~").append(quoted(joined(texts, "|")));
    }
    return out.empty() ? name : name + "{" + out + "}";
}

// By server too: one Prometheus may scrape several.
std::string Expression::by_text() const {
    std::vector<std::string> by = by_;
    by.insert(by.begin(), "instance");
    return " by (" + joined(by, ", ") + ") ";
}

std::string Expression::promql() const {
    const std::string window = "[" + std::to_string(over_s_) + "s]";
    switch (kind_) {
        case Kind::metric:
            return selector(name_);
        case Kind::age_of:
            return "(time() - " + selector(name_) + ")";
        case Kind::rate:
            return "rate(" + selector(name_) + window + ")";
        case Kind::quantile: {
            std::vector<std::string> by = by_;
            by.insert(by.begin(), {"le", "instance"});
            return "histogram_quantile(" + number(quantile_) + ", sum by (" + joined(by, ", ") +
                   ") (rate(" + selector(name_ + "_bucket") + window + ")))";
        }
        case Kind::sum:
            return "sum" + by_text() + "(" + of_[0].promql() + ")";
        case Kind::max:
            return "max" + by_text() + "(" + of_[0].promql() + ")";
        case Kind::ratio:
            return "(" + of_[0].promql() + " / " + of_[1].promql() + ")";
        case Kind::add:
            return "(" + of_[0].promql() + " + " + of_[1].promql() + ")";
        case Kind::one_minus:
            return "(1 - " + of_[0].promql() + ")";
    }
    return {};
}

}  // namespace tenon::series
