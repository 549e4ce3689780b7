// SPDX-License-Identifier: Apache-2.0
#include "tools/load/page.hpp"

#include "tools/load/comparison.hpp"
#include "tools/load/result.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <functional>
#include <utility>
#include <vector>

namespace tenon::load {

namespace json = boost::json;

namespace {

constexpr double k_width = 860, k_height = 260, k_left = 70, k_bottom = 36, k_top = 14;

constexpr std::string_view k_head = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Load test</title><style>
:root{color-scheme:light dark;--ink:#1c2530;--soft:#66707c;--line:#d5dae0;--paper:#fff;--a:#0b6fb8;
--b:#b4510a;--c:#a3174f}
@media(prefers-color-scheme:dark){:root{--ink:#e4e8ec;--soft:#98a2ad;--line:#39424c;--paper:#14191f;
--a:#5db4f5;--b:#f0a35e;--c:#f27fa8}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:920px;
margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;display:block;overflow-x:auto}
td,th{padding:.2rem .7rem;text-align:right;border-bottom:1px solid var(--line)}
td:first-child,th:first-child{text-align:left}
svg{width:100%;height:auto}svg text{fill:var(--soft);font-size:12px}
svg .grid{stroke:var(--line)}svg polyline{fill:none;stroke-width:1.8}
.a{stroke:var(--a)}.b{stroke:var(--b)}.c{stroke:var(--c)}
.key .a{color:var(--a)}.key .b{color:var(--b)}.key .c{color:var(--c)}
.bad{border-left:4px solid var(--c);padding-left:.8rem}pre{overflow-x:auto}
</style></head><body>
)";

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

std::string figure(double value) {
    std::array<char, 32> text{};
    (void)std::snprintf(
        text.data(),
        text.size(),
        "%.*f",
        value < 10     ? 2
        : value < 1000 ? 1
                       : 0,
        value
    );
    return text.data();
}

// A duration in the unit that reads best.
std::string duration(double us) {
    if (us < 1e3) {
        return figure(us) + " µs";
    }
    return us < 1e6 ? figure(us / 1e3) + " ms" : figure(us / 1e6) + " s";
}

struct Line {
    std::string name, style;
    std::vector<std::pair<double, double>> points;
};

struct Plot {
    std::vector<Line> lines;
    bool logarithmic = false;  // the values
    std::function<std::string(double)> x_label, y_label;
};

struct Range {
    double low = 0, high = 1;
};

Range x_range(const Plot& plot) {
    Range range{1e300, -1e300};
    for (const Line& line : plot.lines) {
        for (const auto& [x, y] : line.points) {
            range = {std::min(range.low, x), std::max(range.high, x)};
        }
    }
    return range.low < range.high ? range : Range{range.low > 1e299 ? 0 : range.low, range.low + 1};
}

// On the axis: of a logarithmic plot whole powers of ten.
Range y_range(const Plot& plot) {
    Range range{1e300, 0};
    for (const Line& line : plot.lines) {
        for (const auto& [x, y] : line.points) {
            range = {std::min(range.low, y), std::max(range.high, y)};
        }
    }
    if (!plot.logarithmic) {
        return {0, range.high > 0 ? range.high * 1.08 : 1};
    }
    const double low = std::floor(std::log10(std::max(range.low > 1e299 ? 1 : range.low, 1.0)));
    return {low, std::max(std::ceil(std::log10(std::max(range.high, 1.0))), low + 1)};
}

std::string grid_line(double x1, double y1, double x2, double y2) {
    std::array<char, 160> text{};
    (void)std::snprintf(
        text.data(),
        text.size(),
        R"(<line class="grid" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>)",
        x1,
        y1,
        x2,
        y2
    );
    return text.data();
}

std::string label(double x, double y, std::string_view anchor, const std::string& text) {
    std::array<char, 96> open{};
    (void)std::snprintf(open.data(), open.size(), R"(<text x="%.1f" y="%.1f" text-anchor=")", x, y);
    return open.data() + std::string{anchor} + "\">" + escaped(text) + "</text>";
}

std::string drawn(const Plot& plot) {
    const Range across = x_range(plot);
    const Range up = y_range(plot);
    const double right = k_width - 10;
    const double floor = k_height - k_bottom;
    const auto place_x = [&](double x) {
        return k_left + (x - across.low) / (across.high - across.low) * (right - k_left);
    };
    const auto place_y = [&](double y) {
        const double at = plot.logarithmic ? std::log10(std::max(y, 1e-3)) : y;
        const double share = std::clamp((at - up.low) / (up.high - up.low), 0.0, 1.0);
        return floor - share * (floor - k_top);
    };
    std::string out = "<svg role=\"img\" viewBox=\"0 0 860 260\">";
    const int steps = plot.logarithmic ? static_cast<int>(up.high - up.low) : 4;
    for (int i = 0; i <= steps; ++i) {
        const double at = up.low + (up.high - up.low) * i / steps;
        const double value = plot.logarithmic ? std::pow(10, at) : at;
        const double y = place_y(value);
        out +=
            grid_line(k_left, y, right, y) + label(k_left - 8, y + 4, "end", plot.y_label(value));
    }
    for (int i = 0; i <= 5; ++i) {
        const double x = across.low + (across.high - across.low) * i / 5;
        out += label(place_x(x), floor + 20, i == 5 ? "end" : "middle", plot.x_label(x));
    }
    for (const Line& line : plot.lines) {
        out += "<polyline class=\"" + line.style + "\" points=\"";
        for (const auto& [x, y] : line.points) {
            out += figure(place_x(x)) + "," + figure(place_y(y)) + " ";
        }
        out += "\"/>";
    }
    out += "</svg><p class=\"key\">";
    for (const Line& line : plot.lines) {
        out += "<span class=\"" + line.style + "\">&#9644; " + escaped(line.name) + "</span>&emsp;";
    }
    return out + "</p>\n";
}

double number_of(const json::value& value) {
    return value.to_number<double>();
}

std::string seconds(double x) {
    return figure(x) + " s";
}

std::string over_time(const json::object& result) {
    Plot latency{
        {{"p50", "a", {}}, {"p99", "b", {}}, {"longest", "c", {}}}, true, seconds, duration};
    Plot rate{{{"due a window", "a", {}}, {"errors", "c", {}}}, false, seconds, figure};
    for (const json::value& window : result.at("windows").as_array()) {
        const double at = number_of(window.at("at_s"));
        if (number_of(window.at("count")) > 0) {
            latency.lines[0].points.emplace_back(at, number_of(window.at("p50_us")));
            latency.lines[1].points.emplace_back(at, number_of(window.at("p99_us")));
            latency.lines[2].points.emplace_back(at, number_of(window.at("max_us")));
        }
        rate.lines[0].points.emplace_back(at, number_of(window.at("count")));
        rate.lines[1].points.emplace_back(at, number_of(window.at("errors")));
    }
    return "<h2>Latency over time, from when due</h2>\n" + drawn(latency) +
           "<h2>Requests over time</h2>\n" + drawn(rate);
}

std::string curve(const json::object& result) {
    Plot plot{
        {{"from when due", "a", {}}},
        true,
        [](double nines) {
            std::array<char, 32> text{};
            (void
            )std::snprintf(text.data(), text.size(), "%.5g %%", 100 - 100 * std::pow(10, -nines));
            return std::string{text.data()};
        },
        duration};
    for (const json::value& point : result.at("curve").as_array()) {
        const double share = number_of(point.as_array()[0]);
        plot.lines[0].points.emplace_back(
            -std::log10(std::max(1 - share, 1e-9)), number_of(point.as_array()[1])
        );
    }
    return "<h2>Latency by share of requests</h2>\n" + drawn(plot);
}

std::string row(std::string_view name, const json::object& latency) {
    std::string out = "<tr><td>" + escaped(name) + "</td>";
    for (const auto& member : latency) {
        const double value = number_of(member.value());
        out += "<td>" +
               (member.key() == "count" ? json::serialize(member.value()) : duration(value)) +
               "</td>";
    }
    return out + "</tr>\n";
}

std::string table(const json::object& result) {
    const json::object& latency = result.at("latency_us").as_object();
    std::string out = "<h2>Figures</h2>\n<table><tr><th></th>";
    for (const auto& member : latency) {
        out += "<th>" + escaped(member.key()) + "</th>";
    }
    out += "</tr>\n" + row("from when due", latency);
    out += row("from when sent", result.at("service_us").as_object());
    for (const json::value& one : result.at("operations").as_array()) {
        out += row(one.at("name").as_string(), one.at("latency_us").as_object());
    }
    return out + row("generator's own lateness", result.at("lateness_us").as_object()) +
           "</table>\n";
}

}  // namespace

std::string to_page(const json::object& result, const json::object* comparison) {
    const json::object& asked = result.at("question").as_object();
    std::string out{k_head};
    out += "<h1>" + escaped(asked.at("scenario").as_string()) + " on " +
           escaped(asked.at("target").as_string()) + "</h1>\n<p>" +
           escaped(result.at("started_at").as_string()) + ", Tenon " +
           escaped(result.at("version").as_string()) + ", " +
           escaped(json::serialize(result.at("machine"))) + "</p>\n";
    if (result.at("generator_saturated").as_bool()) {
        out +=
            "<p class=\"bad\"><strong>Generator saturated:</strong> more than 1 % of the requests "
            "were handed out over 1 ms late; these figures are not the server's alone.</p>\n";
    }
    out += "<p>" + escaped(json::serialize(asked)) + "</p>\n<p>" +
           escaped(json::serialize(result.at("requests"))) + "</p>\n";
    out += curve(result) + over_time(result) + table(result);
    if (comparison != nullptr) {
        out += "<h2>Beside the baseline</h2>\n<pre>" + escaped(comparison_text(*comparison)) +
               "</pre>\n";
    }
    return out + "</body></html>\n";
}

}  // namespace tenon::load
