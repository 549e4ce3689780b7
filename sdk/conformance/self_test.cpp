// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/self_test.hpp"

#include "sdk/conformance/program.hpp"
#include "sdk/manifest/json_file.hpp"

#include <boost/json/serialize.hpp>

#include <algorithm>
#include <chrono>
#include <deque>
#include <iostream>
#include <regex>
#include <set>

namespace tenon::conformance {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

struct Broken {
    std::string name;   // of the folder
    std::string check;  // that must fail; empty for one that passes everything
    std::string text;   // in its message
    std::string suite;  // of an interface, which alone it is for; or empty
    std::vector<std::regex> also;
    Subject subject;
};

fs::path default_folder() {
    std::error_code ec;
    const fs::path here = fs::read_symlink("/proc/self/exe", ec).parent_path();
    const fs::path built = here / ".." / "conformance" / "broken";
    return fs::exists(built, ec) ? built : here / ".." / "share" / "tenon" / "conformance";
}

// "x-suite" of the manifest.
std::string suite_of(const fs::path& manifest) {
    manifest::Problems ignored;
    manifest::Report report{manifest.string(), ignored};
    const auto value = manifest::read_json_file(manifest, report);
    const json::value* const suite =
        value && value->is_object() ? value->get_object().if_contains("x-suite") : nullptr;
    return suite != nullptr && suite->is_string() ? std::string{suite->get_string()}
                                                  : std::string{};
}

std::vector<std::regex> also_of(const fs::path& manifest) {
    std::vector<std::regex> out;
    manifest::Problems ignored;
    manifest::Report report{manifest.string(), ignored};
    const auto value = manifest::read_json_file(manifest, report);
    const json::value* const also =
        value && value->is_object() ? value->get_object().if_contains("x-also") : nullptr;
    if (also != nullptr && also->is_array()) {
        for (const json::value& expression : also->get_array()) {
            out.emplace_back(std::string{"^"} + expression.as_string().c_str());
        }
    }
    return out;
}

std::deque<Broken> read_folder(const fs::path& folder, const Options& options) {
    std::vector<fs::path> names;
    std::error_code ec;
    for (const auto& entry : fs::directory_iterator{folder, ec}) {
        if (entry.is_directory()) {
            names.push_back(entry.path());
        }
    }
    if (names.empty()) {
        throw UsageError{"--self-test: there are no broken plugins in " + folder.string()};
    }
    std::sort(names.begin(), names.end());
    std::deque<Broken> plugins;
    for (const fs::path& path : names) {
        Broken& broken = plugins.emplace_back();
        broken.name = path.filename().string();
        const std::size_t at = broken.name.find('@');
        broken.check = broken.name.ends_with(".none") ? "" : broken.name.substr(0, at);
        broken.text = at == std::string::npos ? "" : broken.name.substr(at + 1);
        broken.also = also_of(path / "plugin.json");
        broken.suite = suite_of(path / "plugin.json");
        broken.subject = subject_of(path / (broken.name + ".so"), options);
        broken.subject.others.clear();
    }
    return plugins;
}

// What takes long is run where it is the point, and on the plugins that are as they should be. A
// suite's plugin is for its check, and the suite's reference for all of the suite.
bool worth_it(const Broken& broken, std::string_view check) {
    static const std::regex k_costly{
        "^(fuzz\\.|lifecycle\\.cycles|errors\\.memory|config\\.(long-text|nesting))"};
    if (!broken.suite.empty()) {
        return broken.check.empty() ? check.substr(0, check.find('.')) == broken.suite
                                    : broken.check == check;
    }
    return broken.check.empty() || broken.check == check ||
           !std::regex_search(std::string{check}, k_costly);
}

bool expected(const Broken& broken, std::string_view check) {
    const std::string name{check};
    return std::any_of(broken.also.begin(), broken.also.end(), [&](const std::regex& also) {
        return std::regex_search(name, also);
    });
}

std::string told(const Finished& finished) {
    std::string text{to_text(finished.result.outcome)};
    for (const std::string& message : finished.result.messages) {
        text.append("; ").append(message);
    }
    return text;
}

// What is not as it should be with one plugin.
void judge(
    const Broken& broken,
    const std::vector<Finished>& results,
    std::vector<std::string>& problems
) {
    bool found = broken.check.empty();
    for (const Finished& finished : results) {
        if (finished.subject != &broken.subject) {
            continue;
        }
        const bool bad = is_bad(finished.result.outcome);
        if (finished.check->name == broken.check) {
            const std::string text = told(finished);
            const bool noticed = bad || finished.result.outcome == Outcome::warn;
            found = true;
            if (!noticed || text.find(broken.text) == std::string::npos) {
                problems.push_back(broken.name + ": not noticed by its check: " + text);
            }
        } else if (bad && !expected(broken, finished.check->name)) {
            problems.push_back(
                broken.name + ": " + std::string{finished.check->name} +
                " was not to fail: " + told(finished)
            );
        }
    }
    if (!found) {
        problems.push_back(broken.name + ": there is no such check for this plugin");
    }
}

std::vector<std::string> uncovered(const std::deque<Broken>& plugins) {
    std::set<std::string_view> covered;
    for (const Broken& broken : plugins) {
        covered.insert(broken.check);
    }
    std::vector<std::string> missing;
    for (const Check& check : all_checks()) {
        if (!check.report && !covered.contains(check.name)) {
            missing.emplace_back(check.name);
        }
    }
    return missing;
}

}  // namespace

int run_self_test(const Options& given) {
    Options options = given;
    options.self_test = true;
    options.skip = options.skip.empty() ? "^bench\\." : options.skip;
    const auto began = std::chrono::steady_clock::now();
    const fs::path folder =
        options.self_test_dir.empty() ? default_folder() : options.self_test_dir;
    const std::deque<Broken> plugins = read_folder(folder, options);
    std::vector<Job> jobs;
    for (const Broken& broken : plugins) {
        for (const Job& job : jobs_for(broken.subject, options)) {
            if (worth_it(broken, job.check->name)) {
                jobs.push_back(job);
            }
        }
    }
    const std::vector<Finished> results = run_all(jobs, options);
    std::vector<std::string> problems;
    for (const Broken& broken : plugins) {
        judge(broken, results, problems);
    }
    for (const std::string& check : uncovered(plugins)) {
        problems.push_back("no plugin is broken for the check " + check);
    }
    const auto elapsed = (std::chrono::steady_clock::now() - began) / std::chrono::milliseconds{1};
    if (options.json) {
        std::cout << json::serialize(json::object{
                         {"good", problems.empty()},
                         {"plugins", plugins.size()},
                         {"results", results.size()},
                         {"elapsed_ms", elapsed},
                         {"seed", std::to_string(options.seed)},
                         {"problems", json::array(problems.begin(), problems.end())}})
                  << "\n";
    } else {
        for (const std::string& problem : problems) {
            std::cout << "  " << problem << "\n";
        }
        std::cout << "self-test " << (problems.empty() ? "good" : "NOT GOOD") << ": "
                  << plugins.size() << " plugins, " << all_checks().size() << " checks, "
                  << results.size() << " results in " << elapsed << " ms; seed " << options.seed
                  << "\n";
    }
    return problems.empty() ? k_exit_passed : k_exit_failed;
}

}  // namespace tenon::conformance
