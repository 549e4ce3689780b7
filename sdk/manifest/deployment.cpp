// SPDX-License-Identifier: Apache-2.0
#include "sdk/manifest/deployment.hpp"

#include "sdk/manifest/json_file.hpp"
#include "sdk/manifest/schema.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>

namespace tenon::manifest {

namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

constexpr std::string_view k_schema = R"({
"type":"object","required":["deployment_version","plugins"],"properties":{
 "deployment_version":{"type":"integer"},
 "name":{"type":"string"},"description":{"type":"string"},
 "plugins":{"type":"object"},
 "plugin_path":{"type":"array","items":{"type":"string","minLength":1},"minItems":1},
 "allow_draft":{"type":"boolean"},
 "log":{"type":"object","properties":{
   "level":{"type":"string","enum":["trace","debug","info","warn","error","off"]},
   "levels":{"type":"object"},
   "format":{"type":"string","enum":["json","text"]},
   "file":{"type":"string"},
   "max_size_mb":{"type":"integer","minimum":1,"maximum":65536},
   "max_files":{"type":"integer","minimum":1,"maximum":1000}}},
 "runtime":{"type":"object","properties":{
   "reactors":{"type":"integer","minimum":1,"maximum":64},
   "blocking_threads":{"type":"integer","minimum":0,"maximum":256},
   "spin_us":{"type":"integer","minimum":0,"maximum":100000}}}}})";

constexpr std::string_view k_instance_schema = R"({
"type":"object","required":["id"],"properties":{
 "id":{"type":"string","minLength":1},"version":{"type":"string"},
 "enabled":{"type":"boolean"},"config":{"type":"object"},"bind":{"type":"object"},
 "grant":{"type":"array","items":{"type":"string"}},
 "on_failure":{"type":"string","enum":["degrade","stop"]}}})";

constexpr std::string_view k_level_schema = R"({
"type":"string","enum":["trace","debug","info","warn","error","off"]})";

SchemaRules shape_rules() {
    SchemaRules rules;
    rules.code = "M02";
    rules.extensions = true;
    return rules;
}

// Names become labels, file names and pointers, so they stay plain.
bool is_instance_name(std::string_view name) {
    return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    });
}

json::value parse_override_value(const std::string& text) {
    json::error_code ec;
    json::value value = json::parse(text, ec);
    return ec ? json::value(text) : value;
}

// A command line may give any bytes; a document has UTF-8 alone.
bool is_utf8(std::string_view text) {
    json::error_code ec;
    (void)json::parse(json::serialize(json::value(text)), ec);
    return !ec;
}

// Sets one value. Objects on the way are made, but no plugin is: a misspelt name must not go
// unnoticed.
void apply(const Override& set, json::value& document, Report& report) {
    if (!is_utf8(set.pointer) || !is_utf8(set.value)) {
        report.add("M01", "", "--set is not UTF-8");
        return;
    }
    const std::vector<std::string> tokens = tokens_of(set.pointer);
    json::value* at = &document;
    std::string pointer;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        if (!at->is_object()) {
            report.add(
                "M01", set.pointer, "--set goes through a value that is no object", shown(*at)
            );
            return;
        }
        json::object& object = at->get_object();
        if (i == 1 && tokens[0] == "plugins" && !object.contains(tokens[1])) {
            std::vector<std::string> names;
            for (const auto& entry : object) {
                names.emplace_back(entry.key());
            }
            report.add(
                "M01",
                set.pointer,
                "--set names a plugin that the deployment does not have",
                "\"" + tokens[1] + "\"",
                "one of " + join(names)
            );
            return;
        }
        pointer = pointer_to(pointer, tokens[i]);
        at = &object[tokens[i]];
        if (i + 1 < tokens.size() && at->is_null()) {
            at->emplace_object();
        }
    }
    *at = parse_override_value(set.value);
}

std::vector<std::string> texts(const json::value* value) {
    std::vector<std::string> out;
    if (value != nullptr && value->is_array()) {
        for (const json::value& item : value->get_array()) {
            if (item.is_string()) {
                out.emplace_back(item.get_string());
            }
        }
    }
    return out;
}

class Reader {
public:
    Reader(Deployment& out, Report& report) : out_{&out}, report_{&report} {}

    void read() {
        static const json::value k_parsed = json::parse(k_schema);
        json::value document = out_->document;
        validate(k_parsed.get_object(), document, "", shape_rules(), *report_);
        header();
        for (const std::string& path : texts(out_->document.if_contains("plugin_path"))) {
            out_->plugin_path.push_back((out_->folder / path).lexically_normal());
        }
        log();
        runtime();
        const json::value* plugins = out_->document.if_contains("plugins");
        if (plugins != nullptr && plugins->is_object()) {
            for (const auto& entry : plugins->get_object()) {
                instance(entry.key(), entry.value());
            }
        }
    }

private:
    void header() {
        const json::value* version = out_->document.if_contains("deployment_version");
        if (version != nullptr && version->is_int64() && *version != 1) {
            report_->add(
                "M05", "/deployment_version", "unsupported deployment version", shown(*version), "1"
            );
        }
        if (const json::value* name = out_->document.if_contains("name");
            name != nullptr && name->is_string()) {
            out_->name = std::string{name->get_string()};
        }
        const json::value* draft = out_->document.if_contains("allow_draft");
        out_->allow_draft = draft != nullptr && *draft == true;
        // Written by portable_document: where relative paths started before the document moved.
        if (const json::value* folder = out_->document.if_contains("x-deployment-dir");
            folder != nullptr && folder->is_string()) {
            out_->folder = std::string{folder->get_string()};
        }
    }

    const json::object* section(std::string_view key) {
        const json::value* value = out_->document.if_contains(key);
        return value != nullptr && value->is_object() ? &value->get_object() : nullptr;
    }

    void log() {
        const json::object* log = section("log");
        if (log == nullptr) {
            return;
        }
        static const json::value k_level = json::parse(k_level_schema);
        LogSettings& to = out_->log;
        if (const auto* level = log->if_contains("level"); level != nullptr && level->is_string()) {
            to.level = std::string{level->get_string()};
        }
        const json::value* format = log->if_contains("format");
        to.json = format != nullptr && *format == "json";
        if (const auto* file = log->if_contains("file");
            file != nullptr && file->is_string() && !file->get_string().empty()) {
            to.file = (out_->folder / std::string{file->get_string()}).lexically_normal();
        }
        number(*log, "max_size_mb", to.max_size_mb);
        number(*log, "max_files", to.max_files);
        const json::value* levels = log->if_contains("levels");
        if (levels == nullptr || !levels->is_object()) {
            return;
        }
        for (const auto& entry : levels->get_object()) {
            json::value value = entry.value();
            const std::string pointer = pointer_to("/log/levels", entry.key());
            validate(k_level.get_object(), value, pointer, shape_rules(), *report_);
            if (value.is_string()) {
                to.levels[std::string{entry.key()}] = std::string{value.get_string()};
            }
        }
    }

    void runtime() {
        if (const json::object* runtime = section("runtime"); runtime != nullptr) {
            number(*runtime, "reactors", out_->runtime.reactors);
            number(*runtime, "blocking_threads", out_->runtime.blocking_threads);
            number(*runtime, "spin_us", out_->runtime.spin_us);
        }
    }

    template <class Number>
    static void number(const json::object& from, std::string_view key, Number& to) {
        const json::value* value = from.if_contains(key);
        // Out of bounds was reported already; here only what fits is taken.
        if (value != nullptr && value->is_int64() && value->get_int64() >= 0 &&
            value->get_int64() <= 1'000'000) {
            to = static_cast<Number>(value->get_int64());
        }
    }

    void instance(std::string_view name, const json::value& value) {
        static const json::value k_parsed = json::parse(k_instance_schema);
        const std::string pointer = pointer_to("/plugins", name);
        if (!is_instance_name(name)) {
            report_->add(
                "M03",
                pointer,
                "not an instance name",
                "\"" + std::string{name} + "\"",
                "a-z, 0-9, - and _, at most 64"
            );
        }
        json::value copy = value;
        validate(k_parsed.get_object(), copy, pointer, shape_rules(), *report_);
        if (!value.is_object()) {
            return;
        }
        const json::object& object = value.get_object();
        Instance to;
        to.name = std::string{name};
        const auto text = [&](std::string_view key) {
            const json::value* found = object.if_contains(key);
            return found != nullptr && found->is_string() ? std::string{found->get_string()}
                                                          : std::string{};
        };
        to.id = text("id");
        to.version = text("version");
        to.stop_on_failure = text("on_failure") == "stop";
        const json::value* enabled = object.if_contains("enabled");
        to.enabled = enabled == nullptr || *enabled != false;
        to.grant = texts(object.if_contains("grant"));
        if (const auto* config = object.if_contains("config");
            config != nullptr && config->is_object()) {
            to.config = config->get_object();
        }
        bindings(object, pointer, to);
        out_->instances.push_back(std::move(to));
    }

    void bindings(const json::object& object, const std::string& pointer, Instance& to) {
        const json::value* bind = object.if_contains("bind");
        if (bind == nullptr || !bind->is_object()) {
            return;
        }
        for (const auto& entry : bind->get_object()) {
            const json::value& value = entry.value();
            const bool list =
                value.is_array() && std::all_of(
                                        value.get_array().begin(),
                                        value.get_array().end(),
                                        [](const json::value& item) { return item.is_string(); }
                                    );
            if (value.is_string()) {
                to.bind[std::string{entry.key()}] = {std::string{value.get_string()}};
            } else if (list) {
                to.bind[std::string{entry.key()}] = texts(&value);
            } else {
                report_->add(
                    "M02",
                    pointer_to(pointer_to(pointer, "bind"), entry.key()),
                    "wrong type",
                    shown(value),
                    "an instance name or a list of them"
                );
            }
        }
    }

    Deployment* out_;
    Report* report_;
};

}  // namespace

std::optional<Override> parse_override(std::string_view text) {
    const auto equals = text.find('=');
    if (equals == std::string_view::npos || !text.starts_with('/')) {
        return std::nullopt;
    }
    return Override{std::string{text.substr(0, equals)}, std::string{text.substr(equals + 1)}};
}

Deployment
read_deployment(const fs::path& file, const std::vector<Override>& overrides, Problems& problems) {
    Deployment deployment;
    deployment.file = fs::absolute(file).lexically_normal();
    deployment.folder = deployment.file.parent_path();
    Report report{deployment.file.string(), problems};
    auto document = read_json_file(deployment.file, report);
    if (!document) {
        return deployment;
    }
    if (!document->is_object()) {
        report.add("M02", "", "wrong type", shown(*document), "object");
        return deployment;
    }
    for (const Override& set : overrides) {
        apply(set, *document, report);
    }
    Problems unreadable;
    Report of_sets{deployment.file.string(), unreadable};
    if (problems.empty() && !parse_json(json::serialize(*document), of_sets)) {
        report.add(
            "M01", "", "with --set it is no document that can be read", unreadable[0].message
        );
    }
    deployment.document = document->get_object();
    Reader{deployment, report}.read();
    return deployment;
}

json::object portable_document(const Deployment& deployment) {
    json::object document = deployment.document;
    // The program's own folder is not recorded: another build of it has its own.
    if (deployment.plugin_path_given) {
        json::array path;
        for (const fs::path& folder : deployment.plugin_path) {
            path.emplace_back(fs::absolute(folder).lexically_normal().string());
        }
        document["plugin_path"] = std::move(path);
    }
    document["x-deployment-dir"] = deployment.folder.string();
    return document;
}

}  // namespace tenon::manifest
