// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/report.hpp"

#include <boost/json/serialize.hpp>

#include <algorithm>

namespace tenon::conformance {
namespace {

namespace json = boost::json;

std::string joined(const std::vector<std::string>& lines, std::string_view glue) {
    std::string text;
    for (const std::string& line : lines) {
        text.append(text.empty() ? "" : glue).append(line);
    }
    return text;
}

std::string padded(std::string_view text, std::size_t width) {
    std::string out{text};
    out.append(out.size() < width ? width - out.size() : 1, ' ');
    return out;
}

std::string xml(std::string_view text) {
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
                // XML 1.0 has no other control characters
                out += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? '?' : c;
        }
    }
    return out;
}

// Results of one plugin stand together: the jobs were made so.
std::vector<std::vector<Finished>> by_plugin(const std::vector<Finished>& results) {
    std::vector<std::vector<Finished>> plugins;
    for (const Finished& finished : results) {
        if (plugins.empty() || plugins.back().front().subject != finished.subject) {
            plugins.emplace_back();
        }
        plugins.back().push_back(finished);
    }
    return plugins;
}

std::string sums(const Counts& counts) {
    const auto part = [](std::size_t n, std::string_view what) {
        return std::to_string(n) + " " + std::string{what};
    };
    return part(counts.pass, "passed") + ", " + part(counts.warn, "warnings") + ", " +
           part(counts.fail, "failed") + ", " + part(counts.crash, "crashed") + ", " +
           part(counts.timeout, "timed out") + ", " + part(counts.skip, "skipped");
}

json::object summary(const Counts& counts) {
    return {
        {"pass", counts.pass},
        {"warn", counts.warn},
        {"fail", counts.fail},
        {"skip", counts.skip},
        {"crash", counts.crash},
        {"timeout", counts.timeout}};
}

std::string junit_case(const Finished& finished, const std::string& plugin) {
    std::string text = "    <testcase classname=\"" + xml(plugin) + "\" name=\"" +
                       xml(finished.check->name) + "\" time=\"" +
                       std::to_string(static_cast<double>(finished.elapsed_ms) / 1000.0) + "\">\n";
    const std::string said = xml(joined(finished.result.messages, "\n"));
    const std::string outcome{to_text(finished.result.outcome)};
    switch (finished.result.outcome) {
        case Outcome::fail:
            text += "      <failure message=\"" + said + "\"/>\n";
            break;
        case Outcome::crash:
        case Outcome::timeout:
            text += "      <error type=\"" + outcome + "\" message=\"" + said + "\"/>\n";
            break;
        case Outcome::skip:
            text += "      <skipped message=\"" + said + "\"/>\n";
            break;
        case Outcome::warn:
            text += "      <system-out>warning: " + said + "</system-out>\n";
            break;
        case Outcome::pass:
            break;
    }
    return text + "    </testcase>\n";
}

}  // namespace

Counts count(const std::vector<Finished>& results) {
    Counts counts;
    for (const Finished& finished : results) {
        switch (finished.result.outcome) {
            case Outcome::pass:
                ++counts.pass;
                break;
            case Outcome::warn:
                ++counts.warn;
                break;
            case Outcome::fail:
                ++counts.fail;
                break;
            case Outcome::skip:
                ++counts.skip;
                break;
            case Outcome::crash:
                ++counts.crash;
                break;
            case Outcome::timeout:
                ++counts.timeout;
                break;
        }
    }
    return counts;
}

std::string human_report(const std::vector<Finished>& results, const Options& options) {
    std::string text;
    for (const std::vector<Finished>& plugin : by_plugin(results)) {
        const manifest::PluginManifest& manifest = plugin.front().subject->manifest;
        text += manifest.library.string() + "  " + manifest.id + " " + manifest.version + "\n";
        for (const Finished& finished : plugin) {
            const Outcome outcome = finished.result.outcome;
            if (!options.verbose && (outcome == Outcome::pass || outcome == Outcome::skip)) {
                continue;
            }
            text += "  " + padded(to_text(outcome), 8) + padded(finished.check->name, 32) +
                    (outcome == Outcome::pass
                         ? std::string{finished.check->meaning}
                         : joined(finished.result.messages, "\n" + std::string(42, ' '))) +
                    "\n";
            for (const std::string& note : finished.result.notes) {
                text += std::string(42, ' ') + note + "\n";
            }
        }
        text += "  " + sums(count(plugin)) + "\n";
    }
    const Counts counts = count(results);
    text += (counts.good() ? "good" : "NOT GOOD") + std::string{": "} + sums(counts) + "; seed " +
            std::to_string(options.seed) + "\n";
    return text;
}

std::string json_report(const std::vector<Finished>& results, const Options& options) {
    json::array plugins;
    for (const std::vector<Finished>& plugin : by_plugin(results)) {
        json::array rows;
        for (const Finished& finished : plugin) {
            const Result& result = finished.result;
            rows.push_back(json::object{
                {"check", std::string{finished.check->name}},
                {"group", std::string{finished.check->group()}},
                {"outcome", std::string{to_text(result.outcome)}},
                {"messages", json::array(result.messages.begin(), result.messages.end())},
                {"notes", json::array(result.notes.begin(), result.notes.end())},
                {"elapsed_ms", finished.elapsed_ms}});
        }
        const manifest::PluginManifest& manifest = plugin.front().subject->manifest;
        plugins.push_back(json::object{
            {"file", manifest.library.string()},
            {"id", manifest.id},
            {"version", manifest.version},
            {"results", std::move(rows)},
            {"summary", summary(count(plugin))}});
    }
    return json::serialize(json::object{
               {"seed", std::to_string(options.seed)},
               {"good", count(results).good()},
               {"plugins", std::move(plugins)},
               {"summary", summary(count(results))}}) +
           "\n";
}

std::string junit_report(const std::vector<Finished>& results, const Options& options) {
    std::string text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
    for (const std::vector<Finished>& plugin : by_plugin(results)) {
        const manifest::PluginManifest& manifest = plugin.front().subject->manifest;
        const Counts counts = count(plugin);
        text += "  <testsuite name=\"" + xml(manifest.id) + "\" tests=\"" +
                std::to_string(plugin.size()) + "\" failures=\"" + std::to_string(counts.fail) +
                "\" errors=\"" + std::to_string(counts.crash + counts.timeout) + "\" skipped=\"" +
                std::to_string(counts.skip) +
                "\">\n    <properties><property name=\"seed\" value=\"" +
                std::to_string(options.seed) + "\"/></properties>\n";
        for (const Finished& finished : plugin) {
            text += junit_case(finished, manifest.id);
        }
        text += "  </testsuite>\n";
    }
    return text + "</testsuites>\n";
}

std::string check_list(bool as_json) {
    std::string text;
    json::array rows;
    for (const Check& check : all_checks()) {
        text += padded(check.name, 34) + std::string{check.meaning} +
                (check.interface_id.empty() ? "" : " [" + std::string{check.interface_id} + "]") +
                "\n";
        rows.push_back(json::object{
            {"check", std::string{check.name}},
            {"group", std::string{check.group()}},
            {"meaning", std::string{check.meaning}},
            {"interface", std::string{check.interface_id}}});
    }
    return as_json ? json::serialize(rows) + "\n" : text;
}

}  // namespace tenon::conformance
