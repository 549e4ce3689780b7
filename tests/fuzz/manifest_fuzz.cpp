// SPDX-License-Identifier: Apache-2.0
// JSON of operators and authors: settings against a schema, plugin manifests, deployments.
//
// input := what u8 (0: JSON, 1: a schema, a zero byte, a value; 2: plugin.json, 3: a deployment, a
// zero byte, --set), text
// Asserted: what cannot be read has a problem with a code, what can be is JSON when it is written
// again, defaults are filled in once.
#include "sdk/manifest/deployment.hpp"
#include "sdk/manifest/json_file.hpp"
#include "sdk/manifest/plugin_manifest.hpp"
#include "sdk/manifest/schema.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/input_file.hpp"

#include <boost/json.hpp>

using namespace tenon::manifest;
using tenon::fuzz::Choices;
using tenon::fuzz::expect;
using tenon::fuzz::InputFile;
namespace json = boost::json;

namespace {

struct Parts {
    std::string_view first, second;
};

Parts split(std::string_view text) {
    const std::size_t end = std::min(text.find('\0'), text.size());
    return {text.substr(0, end), text.substr(std::min(end + 1, text.size()))};
}

void expect_told(const Problems& problems) {
    for (const Problem& problem : problems) {
        expect(problem.code.size() == 3 && problem.code[0] == 'M', "a problem has a code");
        expect(!problem.message.empty() && !to_text(problem).empty(), "a problem has a text");
    }
    (void)json::serialize(to_json(problems));
}

std::optional<json::value> read(std::string_view text) {
    Problems problems;
    Report report{"input", problems};
    auto value = parse_json(text, report);
    expect(value.has_value() == problems.empty(), "what cannot be read has a problem");
    expect_told(problems);
    return value;
}

void fuzz_json(std::string_view text) {
    const auto value = read(text);
    if (!value) {
        return;
    }
    // Not the same text: Boost.JSON reads the last bit of some real numbers otherwise.
    expect(read(json::serialize(*value)).has_value(), "what was read is written as JSON");
}

void fuzz_schema(std::string_view text) {
    const Parts parts = split(text);
    const auto schema = read(parts.first);
    auto value = read(parts.second);
    if (!schema || !value) {
        return;
    }
    Problems problems;
    Report report{"schema", problems};
    const bool is_usable = check_schema(*schema, "", report);
    expect(is_usable || !problems.empty(), "a schema that is refused has a problem");
    if (!is_usable || !schema->is_object()) {
        return;
    }
    Problems first;
    Report first_report{"value", first};
    validate(schema->get_object(), *value, "", {}, first_report);
    expect_told(first);
    const std::string filled = json::serialize(*value);
    Problems second;
    Report second_report{"value", second};
    validate(schema->get_object(), *value, "", {}, second_report);
    expect(json::serialize(*value) == filled, "defaults are filled in once");
    expect(second.size() == first.size(), "filling in defaults makes no problem and mends none");
    Problems missing;
    Report missing_report{"schema", missing};
    check_descriptions(schema->get_object(), "", missing_report);
    expect_told(missing);
}

void fuzz_plugin(std::string_view text) {
    const InputFile file{text};
    const PluginManifest manifest = read_plugin_manifest(file.name());
    expect_told(manifest.problems);
    if (!has_errors(manifest.problems)) {
        expect(is_plugin_id(manifest.id), "a sound manifest has an id");
        expect(is_semver(manifest.version), "a sound manifest has a version");
        expect(manifest.start_timeout_ms > 0, "a sound manifest has timeouts");
    }
}

void fuzz_deployment(std::string_view text) {
    const Parts parts = split(text);
    const InputFile file{parts.first};
    std::vector<Override> overrides;
    if (const auto set = parse_override(parts.second)) {
        overrides.push_back(*set);
    }
    Problems problems;
    const Deployment deployment = read_deployment(file.name(), overrides, problems);
    expect_told(problems);
    if (!has_errors(problems)) {
        const InputFile again{json::serialize(portable_document(deployment))};
        Problems none;
        const Deployment copy = read_deployment(again.name(), {}, none);
        expect(!has_errors(none), "the portable document of a sound deployment is sound");
        expect(copy.instances.size() == deployment.instances.size(), "it has the same instances");
    }
}

}  // namespace

tenon::fuzz::Corpus tenon::fuzz::corpus() {
    using namespace std::string_literals;
    Corpus made;
    made.seeds = {
        "\0"
        R"({"a":[1,-2.5e3,true,null,"\u00e9"],"b":{"a":18446744073709551615}})"s,
        "\0"
        R"({"a":1,"a":{"b":[]}})"s,
        "\1"
        R"({"type":"object","properties":{"n":{"type":"integer","minimum":1,"maximum":9,"default":3},)"
        R"("s":{"type":"string","enum":["a","b"],"x-secret":false},"l":{"type":"array","minItems":1,)"
        R"("items":{"type":"number"}}},"required":["s"],"additionalProperties":false})"
        "\0"
        R"({"s":"a","l":[1,2.5]})"s,
        "\1"
        R"({"type":"object","properties":{"o":{"type":"object","default":{},"properties":)"
        R"({"k":{"type":"string","maxLength":3,"default":"x","x-reload":"live"}}}}})"
        "\0{}"s,
        "\2"
        R"({"manifest_version":1,"id":"org.example.cache","version":"1.2.3","name":"Cache",)"
        R"("abi":{"min":"1.0"},"provides":[{"interface":"tenon.cache/1","score":5}],)"
        R"("requires":[{"interface":"tenon.storage/1","as":"db","optional":true}],)"
        R"("config_schema":{"type":"object","properties":{}},"permissions":["net"]})"s,
        "\3"
        R"({"deployment_version":1,"name":"x","plugins":{"http":{"id":"tenon.gateway.http",)"
        R"("version":"^1.2","config":{"port":0},"bind":{"a":["b","c"],"d":"e"},"grant":["net"],)"
        R"("on_failure":"stop"}},"log":{"level":"info"},"runtime":{"reactors":1}})"
        "\0/plugins/http/config/port=5"s};
    made.words = {
        "\"properties\":{",
        "\"type\":\"object\"",
        "\"default\":",
        "\"items\":",
        "\"enum\":[",
        "\"x-flag\":true",
        "\"const\":",
        "\"required\":[",
        "\"maxLength\":",
        "~1",
        "/-",
        "\\ud800",
        "[[[[[[[["};
    return made;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Choices choices{tenon::fuzz::text_of(data, size)};
    switch (choices.below(4)) {
        case 0:
            fuzz_json(choices.rest());
            break;
        case 1:
            fuzz_schema(choices.rest());
            break;
        case 2:
            fuzz_plugin(choices.rest());
            break;
        default:
            fuzz_deployment(choices.rest());
    }
    return 0;
}
