// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/options.hpp"

#include "sdk/manifest/json_file.hpp"

#include <charconv>
#include <functional>
#include <map>
#include <random>
#include <system_error>

namespace tenon::conformance {
namespace {

std::uint64_t number(const std::string& option, const std::string& text, std::uint64_t max) {
    std::uint64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || stop != end || value > max) {
        throw UsageError{
            option + ": expected a number up to " + std::to_string(max) + ", found \"" + text +
            "\""};
    }
    return value;
}

boost::json::object read_settings(const std::filesystem::path& file) {
    manifest::Problems problems;
    manifest::Report report{file.string(), problems};
    const auto value = manifest::read_json_file(file, report);
    if (!value || !value->is_object()) {
        throw UsageError{
            "--settings: " + (problems.empty() ? file.string() + " is not a JSON object"
                                               : manifest::to_text(problems.front()))};
    }
    return value->as_object();
}

using WithValue = std::map<std::string, std::function<void(Options&, const std::string&)>>;

const WithValue& options_with_value() {
    static const WithValue k_options = {
        {"--plugin-path", [](Options& o, const std::string& v) { o.plugin_path.emplace_back(v); }},
        {"--deployment-dir", [](Options& o, const std::string& v) { o.deployment_dir = v; }},
        {"--junit", [](Options& o, const std::string& v) { o.junit = v; }},
        {"--self-test-dir", [](Options& o, const std::string& v) { o.self_test_dir = v; }},
        {"--profile", [](Options& o, const std::string& v) { o.profile = v; }},
        {"--only", [](Options& o, const std::string& v) { o.only = v; }},
        {"--skip", [](Options& o, const std::string& v) { o.skip = v; }},
        {"--settings", [](Options& o, const std::string& v) { o.settings = read_settings(v); }},
        {"--seed",
         [](Options& o, const std::string& v) { o.seed = number("--seed", v, UINT64_MAX); }},
        {"--reproduce",
         [](Options& o, const std::string& v) {
             o.seed = number("--reproduce", v, UINT64_MAX);
             o.reproduce = true;
         }},
        {"--timeout",
         [](Options& o, const std::string& v) {
             o.timeout_ms = static_cast<std::int64_t>(number("--timeout", v, 86'400)) * 1000;
         }},
        {"--jobs",
         [](Options& o, const std::string& v) {
             o.jobs = static_cast<std::uint32_t>(number("--jobs", v, 256));
         }},
    };
    return k_options;
}

bool set_flag(Options& options, const std::string& name) {
    static const std::map<std::string, bool Options::*> k_flags = {
        {"--json", &Options::json},
        {"--in-process", &Options::in_process},
        {"--list", &Options::list},
        {"--self-test", &Options::self_test},
        {"--verbose", &Options::verbose},
        {"--help", &Options::help},
    };
    const auto flag = k_flags.find(name);
    if (flag != k_flags.end()) {
        options.*(flag->second) = true;
    }
    return flag != k_flags.end();
}

}  // namespace

Options parse_options(const std::vector<std::string>& arguments) {
    Options options;
    options.seed = (std::uint64_t{std::random_device{}()} << 32U) | std::random_device{}();
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string& argument = arguments[i];
        if (!argument.starts_with("--")) {
            options.files.emplace_back(argument);
            continue;
        }
        if (set_flag(options, argument)) {
            continue;
        }
        const std::size_t equals = argument.find('=');
        const std::string name = argument.substr(0, equals);
        const auto option = options_with_value().find(name);
        if (option == options_with_value().end()) {
            throw UsageError{"unknown option " + name + "; see --help"};
        }
        if (equals == std::string::npos && i + 1 == arguments.size()) {
            throw UsageError{name + " needs a value"};
        }
        option->second(
            options, equals == std::string::npos ? arguments[++i] : argument.substr(equals + 1)
        );
    }
    if (options.timeout_ms == 0) {
        throw UsageError{"--timeout: expected at least 1 second"};
    }
    return options;
}

std::string help_text() {
    return R"(tenon plugin check runs the conformance checks of Tenon's SDK on plugins.

Usage
  tenon plugin check FILE.so... [OPTION]...    the manifest plugin.json is beside the library
  tenon plugin check --list                    every check with its meaning
  tenon plugin check --self-test               the kit itself, on plugins that are broken on purpose

Options
  --profile INTERFACE   only the checks for all and those of one interface (tenon.cache_tier/1)
  --only REGEX          checks whose name matches (ECMAScript, searched)
  --skip REGEX          not those
  --plugin-path DIR     where providers of required interfaces are found; repeatable.
                        Default: the folder above the plugin's own
  --settings FILE       settings by plugin id, {"org.example.x":{…}}; default: the schema's
  --deployment-dir DIR  the folder that relative settings start at; default: the manifest's
  --seed N              of everything random; printed, so that a run can be repeated
  --reproduce SEED      the fuzz checks alone, with that seed
  --timeout S           of one check, in seconds (30)
  --jobs N              checks at once (as many as cores)
  --in-process          without child processes, one after the other, for a debugger
  --json                the results as JSON on standard output
  --junit FILE          the results as JUnit XML
  --verbose             also what passed, and notes

Results
  pass, warn (works, should be better), fail, skip (does not apply, or something it needs is not
  there; the reason is told), crash (the process died), timeout

Exit codes
  0 nothing failed   1 a check failed, crashed or timed out   2 wrong usage, or no such file
)";
}

}  // namespace tenon::conformance
