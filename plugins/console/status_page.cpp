// SPDX-License-Identifier: Apache-2.0
#include "plugins/console/status_page.hpp"

#include <boost/json.hpp>

namespace tenon::console {
namespace {

namespace json = boost::json;

std::string text_of(const json::object& object, std::string_view key) {
    const json::value* const value = object.if_contains(key);
    return value != nullptr && value->is_string()
               ? escape_html(std::string_view{value->get_string()})
               : std::string{};
}

// How a person says it, and the class that colours it. The word carries the meaning, not the
// colour.
struct Mood {
    std::string_view css, word;
};

Mood mood_of(std::string_view state) {
    if (state == "healthy" || state == "started") {
        return {"good", state};
    }
    if (state == "critical" || state == "failed" || state == "down") {
        return {"bad", state};
    }
    return {"warn", state};
}

std::string badge(std::string_view state) {
    const Mood mood = mood_of(state);
    std::string out{"<span class=\"badge "};
    out.append(mood.css).append("\">").append(mood.word).append("</span>");
    return out;
}

std::string age(const json::object& component, std::int64_t now_real_ms) {
    const json::value* const since = component.if_contains("since");
    if (since == nullptr || !since->is_int64()) {
        return {};
    }
    const std::int64_t seconds = (now_real_ms - since->get_int64()) / 1000;
    if (seconds < 120) {
        return std::to_string(seconds < 0 ? 0 : seconds) + " s";
    }
    if (seconds < 7200) {
        return std::to_string(seconds / 60) + " min";
    }
    return std::to_string(seconds / 3600) + " h";
}

std::string plugin_rows(const json::array& plugins) {
    std::string rows;
    for (const json::value& value : plugins) {
        const json::object& plugin = value.as_object();
        rows.append("<tr><th scope=\"row\">").append(text_of(plugin, "name"));
        rows.append("</th><td>").append(badge(text_of(plugin, "state")));
        rows.append("</td><td>").append(text_of(plugin, "id"));
        rows.append("</td><td>").append(text_of(plugin, "version"));
        rows.append("</td><td>").append(text_of(plugin, "error")).append("</td></tr>\n");
    }
    return rows;
}

std::string component_rows(const json::array& components, std::int64_t now_real_ms) {
    std::string rows;
    for (const json::value& value : components) {
        const json::object& component = value.as_object();
        rows.append("<tr><th scope=\"row\">").append(text_of(component, "plugin"));
        rows.append(" / ").append(text_of(component, "component"));
        rows.append("</th><td>").append(badge(text_of(component, "state")));
        rows.append("</td><td>").append(age(component, now_real_ms));
        rows.append("</td><td>").append(text_of(component, "reason")).append("</td></tr>\n");
    }
    return rows;
}

std::string table(std::string_view caption, std::string_view head, const std::string& rows) {
    std::string out{"<div class=\"scroll\"><table><caption>"};
    out.append(caption).append("</caption><thead><tr>").append(head);
    out.append("</tr></thead><tbody>\n").append(rows).append("</tbody></table></div>\n");
    return out;
}

constexpr std::string_view k_start =
    R"html(<section aria-labelledby="start"><h2 id="start">Quick start</h2>
<p>The server speaks Binance's Spot API. Point a client at this address, with a key from
<code>tenon keys create --account demo --permissions trade,read</code>. The file <code>README.md</code> of the
source tree shows it for ccxt and the official connectors.</p>
<ul><li><a href="/api/v3/exchangeInfo">Instruments and filters</a></li>
<li><a href="/api/v3/ticker/24hr">Tickers</a></li>
<li><a href="/metrics">Metrics</a> for Prometheus</li>
<li><a href="/healthz">Health</a> and <a href="/readyz">readiness</a> as JSON</li></ul></section>
)html";

}  // namespace

std::string escape_html(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        switch (c) {
            case '&':
                out.append("&amp;");
                break;
            case '<':
                out.append("&lt;");
                break;
            case '>':
                out.append("&gt;");
                break;
            case '"':
                out.append("&quot;");
                break;
            case '\'':
                out.append("&#39;");
                break;
            default:
                out.push_back(c);
        }
    }
    return out;
}

std::string
status_page(std::string_view report, std::string_view version, std::int64_t now_real_ms) {
    const json::value parsed = json::parse(report);
    const json::object& root = parsed.as_object();
    const std::string state = text_of(root, "state");
    const bool ready = root.at("ready").as_bool();
    std::string page = R"html(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><link rel="stylesheet" href="/status.css">
<link rel="icon" type="image/svg+xml" href="/favicon.svg">)html";
    page.append("<title>Tenon: ")
        .append(state)
        .append("</title></head>\n<body><header><h1>Tenon</h1>");
    page.append("<p>Version ").append(escape_html(version)).append("</p></header>\n<main>");
    page.append("<p class=\"state\" role=\"status\">This server is ").append(badge(state));
    page.append(ready ? " and ready." : " and not ready.");
    page.append(" <a href=\"/status\">Refresh</a> <a href=\"/\">Console</a></p>\n");
    page.append(table(
        "Plugins",
        "<th scope=\"col\">Name</th><th scope=\"col\">State</th><th scope=\"col\">Id</th>"
        "<th scope=\"col\">Version</th><th scope=\"col\">Error</th>",
        plugin_rows(root.at("plugins").as_array())
    ));
    const json::array& components = root.at("components").as_array();
    if (!components.empty()) {
        page.append(table(
            "Components",
            "<th scope=\"col\">Component</th><th scope=\"col\">State</th>"
            "<th scope=\"col\">For</th><th scope=\"col\">Reason</th>",
            component_rows(components, now_real_ms)
        ));
    }
    page.append(k_start).append("</main></body></html>\n");
    return page;
}

std::string_view style_sheet() noexcept {
    return R"css(:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fbfbf9;--line:#d5d8dc;--soft:#5a6370;
--good:#1a6b3a;--warn:#8a5a00;--bad:#b3261e;--link:#0b57a8}
@media (prefers-color-scheme:dark){:root{--ink:#e7e9ec;--paper:#14171b;--line:#353b43;--soft:#a2abb6;
--good:#6fd394;--warn:#f0b95a;--bad:#ff8f86;--link:#8ec1ff}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:60rem;padding:1.5rem 1rem 3rem;background:var(--paper);color:var(--ink);
font:1rem/1.5 system-ui,sans-serif}
header{display:flex;flex-wrap:wrap;gap:.25rem 1rem;align-items:baseline;border-bottom:1px solid var(--line)}
h1{margin:0;font-size:1.75rem}
h2,caption{font-size:1.15rem;font-weight:600;text-align:left;margin:0;padding:1.25rem 0 .5rem}
header p,th[scope=col]{color:var(--soft)}
.state{font-size:1.15rem}
.scroll{overflow-x:auto}
table{width:100%;border-collapse:collapse}
th,td{padding:.4rem .75rem .4rem 0;border-bottom:1px solid var(--line);text-align:left;vertical-align:top;font-weight:400}
tbody th{font-weight:600}
.badge{font-weight:600;border:1px solid currentColor;border-radius:.25rem;padding:0 .4rem;white-space:nowrap}
.good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--bad)}
a{color:var(--link)}
a:focus-visible{outline:2px solid var(--link);outline-offset:2px}
code{font-family:ui-monospace,monospace;font-size:.925em}
)css";
}

std::string_view icon_svg() noexcept {
    return R"svg(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#0b57a8"/><path d="M3 4h10v3H9.5v6h-3V7H3z" fill="#fff"/></svg>)svg";
}

}  // namespace tenon::console
