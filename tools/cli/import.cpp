// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/import.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <poll.h>

namespace tenon::cli {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

constexpr int k_look_again_ms = 200;
constexpr std::string_view k_sqlite = "sqlite:";
constexpr std::string_view k_postgres = "postgresql:";

std::string number(const json::value& status, std::string_view key) {
    const json::value* found = status.as_object().if_contains(key);
    return found == nullptr ? "0" : std::to_string(found->to_number<std::int64_t>());
}

std::string text_option(const json::object& options, std::string_view name) {
    const json::value* value = options.if_contains(name);
    if (value == nullptr) {
        return {};
    }
    if (!value->is_string()) {
        throw UsageError{"migrate import: --" + std::string{name} + " needs one value"};
    }
    return std::string{value->get_string()};
}

std::string content_of(const std::string& file) {
    std::ifstream in{file, std::ios::binary};
    const std::string text{std::istreambuf_iterator<char>{in}, {}};
    if (!in.is_open() || in.bad()) {
        throw UsageError{"migrate import: cannot read the mapping " + file};
    }
    return text;
}

void write_report(AdminClient& client, const std::string& file) {
    std::ofstream out{file, std::ios::binary | std::ios::trunc};
    for (std::int64_t from = 0;;) {
        const json::value page =
            client.run("migrate.import", json::object{{"bad_rows", true}, {"from", from}});
        const json::array& rows = page.at("bad_rows").as_array();
        for (const json::value& row : rows) {
            out << json::serialize(row) << '\n';
        }
        if (rows.empty()) {
            break;
        }
        from = page.at("next").to_number<std::int64_t>();
    }
    out.close();
    if (!out) {
        throw CommandFailed{"IO", "cannot write the report " + file};
    }
}

void tell_problems(const json::value& status) {
    for (const json::value& problem : status.at("problems").as_array()) {
        const auto text = [&](std::string_view key) {
            const json::value* value = problem.as_object().if_contains(key);
            return value != nullptr && value->is_string() ? std::string{value->get_string()}
                                                          : std::string{};
        };
        std::string line = text("file") + " " + text("pointer") + ": " + text("message");
        line += text("found").empty() ? "" : "; found " + text("found");
        line += text("expected").empty() ? "" : "; expected " + text("expected");
        (void)std::fprintf(stderr, "%s\n", line.c_str());
    }
}

}  // namespace

std::string import_progress(const json::value& status) {
    std::string line{status.at("phase").as_string()};
    line += " " + number(status, "percent") + " %, " + number(status, "rows_read") + " of " +
            number(status, "rows_total") + " rows";
    if (number(status, "rows_bad") != "0") {
        line += ", " + number(status, "rows_bad") + " bad";
    }
    if (number(status, "rows_different") != "0") {
        line += ", " + number(status, "rows_different") + " different";
    }
    const json::string& error = status.at("error").as_string();
    return error.empty() ? line : line + "; it failed: " + error.c_str();
}

json::object import_request(const Arguments& arguments) {
    constexpr std::array<std::string_view, 6> k_options{
        "mapping", "source", "report", "dry_run", "verify", "status"};
    const json::object& options = arguments.options;
    for (const auto& [name, value] : options) {
        const auto* const known = std::find(k_options.begin(), k_options.end(), name);
        if (known == k_options.end() || (known - k_options.begin() >= 3 && value != true)) {
            throw UsageError{"migrate import: no such option: --" + std::string{name}};
        }
    }
    if (options.contains("status")) {
        if (options.size() != 1) {
            throw UsageError{"migrate import: --status goes alone"};
        }
        return {{"status", true}};
    }
    const std::string mapping = text_option(options, "mapping");
    std::string source = text_option(options, "source");
    if (mapping.empty() || source.empty() ||
        (options.contains("dry_run") && options.contains("verify"))) {
        throw UsageError{
            "usage: tenon migrate import --mapping FILE --source FILE|postgresql:… "
            "[--dry-run | --verify] [--report FILE]"};
    }
    // The server has a working folder of its own.
    if (source.starts_with(k_sqlite)) {
        source.erase(0, k_sqlite.size());
    }
    if (!source.starts_with(k_postgres) && source.find("://") == std::string::npos) {
        source = fs::absolute(source).lexically_normal().string();
    }
    json::object request{
        {"mapping", content_of(mapping)}, {"mapping_file", mapping}, {"source", source}};
    for (const char* task : {"dry_run", "verify"}) {
        if (options.contains(task)) {
            request[task] = true;
        }
    }
    return request;
}

json::value run_import(AdminClient& client, const Arguments& arguments) {
    const json::object request = import_request(arguments);
    json::value answer = client.run("migrate.import", request);
    if (request.contains("status")) {
        return answer;
    }
    std::string told;
    while (answer.at("running").as_bool()) {
        const std::string line = import_progress(answer);
        if (line != told) {
            (void)std::fprintf(stderr, "%s\n", line.c_str());
            told = line;
        }
        (void)::poll(nullptr, 0, k_look_again_ms);
        answer = client.run("migrate.import", json::object{{"status", true}});
    }
    (void)std::fprintf(stderr, "%s\n", import_progress(answer).c_str());
    tell_problems(answer);
    if (arguments.options.contains("report")) {
        write_report(client, text_option(arguments.options, "report"));
    }
    return answer;
}

}  // namespace tenon::cli
