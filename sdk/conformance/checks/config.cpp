// SPDX-License-Identifier: Apache-2.0
// Settings right and wrong, made from the manifest's schema.
//
// The kernel validates before it calls configure, so a plugin need not find these faults. It must
// survive them, and when it refuses, say why.
#include "sdk/conformance/checks/all.hpp"
#include "sdk/conformance/context.hpp"
#include "sdk/conformance/process_state.hpp"
#include "sdk/conformance/sample_config.hpp"

#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>

namespace tenon::conformance {
namespace {

namespace json = boost::json;

struct Property {
    std::string name;
    json::object schema;
    std::string type;
};

std::vector<Property> properties_of(Context& check) {
    std::vector<Property> out;
    const json::value* const all = check.manifest().config_schema.if_contains("properties");
    if (all == nullptr || !all->is_object()) {
        return out;
    }
    for (const auto& [key, value] : all->get_object()) {
        if (value.is_object()) {
            const json::value* const type = value.get_object().if_contains("type");
            out.push_back(
                {std::string{key},
                 value.get_object(),
                 type != nullptr && type->is_string() ? std::string{type->get_string()} : ""}
            );
        }
    }
    return out;
}

std::vector<Property> some_properties(Context& check) {
    std::vector<Property> out = properties_of(check);
    if (out.empty()) {
        Context::skip("the plugin has no settings");
    }
    return out;
}

std::string changed(Context& check, const std::string& name, json::value value) {
    json::object config = check.settings();
    config[name] = std::move(value);
    return json::serialize(config);
}

// A dry run with something that the plugin may take or refuse.
Answer survives(Context& check, Instance& plugin, std::string_view text, const std::string& what) {
    const Answer answer = plugin.configure(text, true);
    check.expect(
        answer.ok() || !answer.message.empty(),
        "with " + what + " it is refused without a reason: " + answer.text()
    );
    return answer;
}

// Inside of the schema: taken, or refused as a combination that makes no sense, never by accident.
void expect_allowed(
    Context& check,
    Instance& plugin,
    const std::string& text,
    const std::string& what
) {
    const Answer answer = survives(check, plugin, text, what);
    check.expect(
        answer.ok() || answer.status == TENON_INVALID,
        "with " + what + ", which the schema allows, it answers " + answer.text()
    );
}

void empty_object(Context& check) {
    Instance& plugin = check.created();
    (void)survives(check, plugin, "{}", "{}");
    const json::object completed = sample_config(check.manifest(), {});
    expect_allowed(check, plugin, json::serialize(completed), "the defaults alone");
}

void missing_settings(Context& check) {
    Instance& plugin = check.created();
    for (const Property& property : some_properties(check)) {
        json::object config = check.settings();
        config.erase(property.name);
        (void)survives(check, plugin, json::serialize(config), "no /" + property.name);
    }
}

void wrong_types(Context& check) {
    Instance& plugin = check.created();
    const std::array<json::value, 6> others = {
        json::value(nullptr),
        json::value(true),
        json::value(-7),
        json::value("text"),
        json::value(json::array{1}),
        json::value(json::object{{"a", 1}})};
    for (const Property& property : some_properties(check)) {
        for (const json::value& other : others) {
            const std::string what = "/" + property.name + " as " + json::serialize(other);
            (void)survives(check, plugin, changed(check, property.name, other), what);
        }
    }
}

struct Bounds {
    std::vector<json::value> inside, outside;
};

Bounds bounds_of(const Property& property) {
    Bounds bounds;
    const auto number = [&](const char* key) -> const json::value* {
        const json::value* const value = property.schema.if_contains(key);
        return value != nullptr && value->is_int64() ? value : nullptr;
    };
    if (const json::value* const least = number("minimum")) {
        bounds.inside.emplace_back(*least);
        bounds.outside.emplace_back(least->get_int64() - 1);
    }
    if (const json::value* const most = number("maximum")) {
        bounds.inside.emplace_back(*most);
        bounds.outside.emplace_back(most->get_int64() + 1);
    }
    if (property.type == "integer" && number("maximum") == nullptr) {
        bounds.outside.emplace_back(INT64_MAX);
    }
    if (property.type == "boolean") {
        bounds.inside = {json::value(true), json::value(false)};
    }
    if (const json::value* const options = property.schema.if_contains("enum")) {
        bounds.inside.assign(options->get_array().begin(), options->get_array().end());
        bounds.outside.emplace_back("none-of-them");
    }
    return bounds;
}

void bounds_work(Context& check) {
    Instance& plugin = check.created();
    for (const Property& property : some_properties(check)) {
        for (const json::value& value : bounds_of(property).inside) {
            const std::string what = "/" + property.name + " = " + json::serialize(value);
            expect_allowed(check, plugin, changed(check, property.name, value), what);
        }
    }
}

void beyond_bounds(Context& check) {
    Instance& plugin = check.created();
    for (const Property& property : some_properties(check)) {
        for (const json::value& value : bounds_of(property).outside) {
            const std::string what = "/" + property.name + " = " + json::serialize(value);
            (void)survives(check, plugin, changed(check, property.name, value), what);
        }
    }
}

void unknown_key(Context& check) {
    Instance& plugin = check.created();
    (void)survives(check, plugin, changed(check, "no-such-setting", 1), "an unknown key");
    (void)survives(check, plugin, changed(check, "", 1), "an empty key");
}

void long_text(Context& check) {
    Instance& plugin = check.created();
    constexpr std::size_t k_long = std::size_t{10} << 20U;
    const std::string text(k_long, 'x');
    bool given = false;
    for (const Property& property : properties_of(check)) {
        if (property.type == "string" && !given) {
            given = true;
            (void)survives(
                check,
                plugin,
                changed(check, property.name, json::value(text)),
                "10 MiB of text in /" + property.name
            );
        }
    }
    (void)survives(
        check,
        plugin,
        changed(check, "no-such-setting", json::value(text)),
        "10 MiB of text in an unknown key"
    );
}

void deep_nesting(Context& check) {
    Instance& plugin = check.created();
    constexpr std::size_t k_deep = 100'000;
    (void)survives(check, plugin, std::string(k_deep, '['), "100,000 open brackets");
    (void)survives(
        check,
        plugin,
        "{\"x\":" + std::string(k_deep, '[') + std::string(k_deep, ']') + "}",
        "lists nested 100,000 deep"
    );
}

void broken_utf8(Context& check) {
    Instance& plugin = check.created();
    for (const std::string_view bytes :
         {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x82"}) {
        (void
        )survives(check, plugin, "{\"" + std::string{bytes} + "\":1}", "a key that is not UTF-8");
        (void)survives(
            check, plugin, "{\"x\":\"" + std::string{bytes} + "\"}", "a value that is not UTF-8"
        );
    }
}

void duplicate_keys(Context& check) {
    Instance& plugin = check.created();
    const std::string good = check.config();
    for (const Property& property : properties_of(check)) {
        const std::string twice = "{\"" + property.name + "\":null," + good.substr(1);
        (void)survives(check, plugin, twice, "/" + property.name + " twice");
    }
    (void)survives(check, plugin, R"({"x":1,"x":2})", "a key twice");
}

void not_json(Context& check) {
    Instance& plugin = check.created();
    using namespace std::string_view_literals;
    for (const std::string_view text :
         {""sv,
          " "sv,
          "{"sv,
          "}"sv,
          "[]"sv,
          "null"sv,
          "1"sv,
          "\""sv,
          "{\"a\""sv,
          "{\"a\":}"sv,
          "\0"sv,
          "{}\0{}"sv,
          "\xef\xbb\xbf{}"sv,
          "// comment\n{}"sv,
          "{'a':1}"sv,
          "1e999999"sv}) {
        (void)survives(check, plugin, text, "\"" + std::string{text.substr(0, 20)} + "\"");
    }
}

std::vector<std::string> files_in(const std::filesystem::path& folder) {
    std::vector<std::string> files;
    std::error_code ec;
    for (const auto& entry : std::filesystem::recursive_directory_iterator{folder, ec}) {
        files.push_back(entry.path().string());
    }
    std::sort(files.begin(), files.end());
    return files;
}

void dry_run(Context& check) {
    Instance& plugin = check.created();
    const std::vector<std::string> files = files_in(check.folder());
    const ProcessState before = process_state();
    const Answer answer = plugin.configure(check.config(), true);
    check.expect(answer.ok(), "a dry run with the defaults answers " + answer.text());
    const ProcessState after = process_state();
    check.expect_own(
        files_in(check.folder()) == files, "a dry run changed files in its data folder"
    );
    const std::string fds = before.new_fds(after);
    check.expect_own(fds.empty(), "a dry run opened " + fds);
    const std::string threads = before.new_threads(after);
    check.expect_own(threads.empty(), "a dry run started threads: " + threads);
    const std::string held = plugin.host().account().lifetime_text();
    check.expect(held.empty(), "a dry run left at the host " + held);
}

void secrets_stay_secret(Context& check) {
    const std::vector<Property> properties = properties_of(check);
    const bool any = std::any_of(properties.begin(), properties.end(), [](const Property& p) {
        const json::value* const secret = p.schema.if_contains("x-secret");
        return secret != nullptr && *secret == true;
    });
    if (!any) {
        Context::skip("no setting is marked \"x-secret\"");
    }
    json::object config = check.settings();
    for (const Property& property : properties) {
        if (property.schema.contains("x-secret")) {
            config[property.name] = k_secret_text;
        }
    }
    Instance& plugin = check.created();
    std::vector<std::string> said;
    const auto tell = [&](const Answer& answer) { said.push_back(answer.message); };
    const std::string text = json::serialize(config);
    tell(plugin.configure(text.substr(0, text.size() - 1), true));
    tell(plugin.configure("[" + text + "]", true));
    config["no-such-setting"] = k_secret_text;
    tell(plugin.configure(json::serialize(config), true));
    if (plugin.configure(text).ok() && plugin.start().ok()) {
        plugin.host().collect();
        plugin.stop();
    }
    for (const std::string& line : plugin.host().log_lines()) {
        said.push_back(line);
    }
    for (const std::string& line : plugin.host().audited()) {
        said.push_back(line);
    }
    for (const std::string& line : said) {
        check.expect(
            line.find(k_secret_text) == std::string::npos,
            "a secret is in a log line or an error: " + line.substr(0, 100)
        );
    }
}

constexpr Check k_checks[] = {
    {"config.empty", "survives {}, and takes the defaults alone", "", &empty_object},
    {"config.missing", "survives each setting being absent", "", &missing_settings},
    {"config.types", "survives each setting being of another type", "", &wrong_types},
    {"config.bounds", "takes the ends of every range, or says why not", "", &bounds_work},
    {"config.beyond", "survives what is just beyond", "", &beyond_bounds},
    {"config.unknown-key", "survives keys that it does not know", "", &unknown_key},
    {"config.long-text", "survives 10 MiB of text", "", &long_text},
    {"config.nesting", "survives deep nesting", "", &deep_nesting},
    {"config.utf8", "survives bytes that are not UTF-8", "", &broken_utf8},
    {"config.duplicates", "survives keys that appear twice", "", &duplicate_keys},
    {"config.not-json", "survives what is not JSON", "", &not_json},
    {"config.dry-run", "a dry run has no effect on files, fds, threads and the host", "", &dry_run},
    {"config.secret", "no secret in log lines and errors", "", &secrets_stay_secret},
};

}  // namespace

std::span<const Check> config_checks() {
    return k_checks;
}

}  // namespace tenon::conformance
