// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/program.hpp"

#include "sdk/conformance/report.hpp"
#include "sdk/conformance/self_test.hpp"

#include <algorithm>
#include <deque>
#include <fstream>
#include <iostream>
#include <optional>
#include <regex>

namespace tenon::conformance {
namespace {

std::optional<std::regex> compiled(const std::string& option, const std::string& text) {
    if (text.empty()) {
        return std::nullopt;
    }
    try {
        return std::regex{text};
    } catch (const std::regex_error& e) {
        throw UsageError{option + ": not a regular expression: \"" + text + "\": " + e.what()};
    }
}

bool concerns(const Check& check, const manifest::PluginManifest& manifest) {
    const auto& all = manifest.requirements;
    return check.for_users ? std::any_of(
                                 all.begin(),
                                 all.end(),
                                 [&](const auto& requirement) {
                                     return requirement.interface_id == check.interface_id;
                                 }
                             )
                           : manifest.offers(check.interface_id);
}

bool known_profile(const std::string& profile) {
    const auto& checks = all_checks();
    return std::any_of(checks.begin(), checks.end(), [&](const Check& check) {
        return check.interface_id == profile;
    });
}

int check_plugins(const Options& options) {
    std::deque<Subject> subjects;
    std::vector<Job> jobs;
    for (const std::filesystem::path& file : options.files) {
        subjects.push_back(subject_of(file, options));
        const std::vector<Job> more = jobs_for(subjects.back(), options);
        jobs.insert(jobs.end(), more.begin(), more.end());
    }
    if (jobs.empty()) {
        throw UsageError{"no check is selected"};
    }
    const std::vector<Finished> results = run_all(jobs, options);
    std::cout << (options.json ? json_report(results, options) : human_report(results, options));
    if (!options.junit.empty()) {
        std::ofstream out{options.junit};
        out << junit_report(results, options);
        out.close();
        if (!out) {
            throw UsageError{"--junit: cannot write " + options.junit.string()};
        }
    }
    return count(results).good() ? k_exit_passed : k_exit_failed;
}

}  // namespace

const std::vector<Check>& all_checks() {
    static const std::vector<Check> k_checks = [] {
        std::vector<Check> checks;
        for (const std::span<const Check> group : groups()) {
            checks.insert(checks.end(), group.begin(), group.end());
        }
        for (const std::span<const Check> suite : suites()) {
            checks.insert(checks.end(), suite.begin(), suite.end());
        }
        return checks;
    }();
    return k_checks;
}

Subject subject_of(const std::filesystem::path& file, const Options& options) {
    std::error_code ec;
    const std::filesystem::path library = std::filesystem::absolute(file, ec);
    if (!std::filesystem::is_regular_file(library, ec)) {
        throw UsageError{"there is no file " + file.string()};
    }
    Subject subject;
    subject.manifest = manifest::read_plugin_manifest(library.parent_path() / "plugin.json");
    subject.manifest.library = library;
    manifest::Problems ignored;
    manifest::Report report{"--plugin-path", ignored};
    std::vector<std::filesystem::path> folders = options.plugin_path;
    if (folders.empty()) {
        folders.push_back(library.parent_path().parent_path());
    }
    subject.others = manifest::discover(folders, report);
    std::erase_if(subject.others, [](const manifest::PluginManifest& other) {
        return manifest::has_errors(other.problems);
    });
    return subject;
}

std::vector<Job> jobs_for(const Subject& subject, const Options& options) {
    const auto only = compiled("--only", options.reproduce ? "^fuzz\\." : options.only);
    const auto skip = compiled("--skip", options.skip);
    if (!options.profile.empty() && !known_profile(options.profile)) {
        throw UsageError{"--profile: no checks for \"" + options.profile + "\"; see --list"};
    }
    std::vector<Job> jobs;
    for (const Check& check : all_checks()) {
        const std::string name{check.name};
        const bool applies = check.interface_id.empty() ||
                             (concerns(check, subject.manifest) &&
                              (options.profile.empty() || options.profile == check.interface_id));
        if (applies && (!only || std::regex_search(name, *only)) &&
            (!skip || !std::regex_search(name, *skip))) {
            jobs.push_back({&subject, &check});
        }
    }
    return jobs;
}

int run_program(const std::vector<std::string>& arguments) {
    try {
        const Options options = parse_options(arguments);
        if (options.help) {
            std::cout << help_text();
            return k_exit_passed;
        }
        if (options.list) {
            std::cout << check_list(options.json);
            return k_exit_passed;
        }
        if (options.self_test) {
            return run_self_test(options);
        }
        if (options.files.empty()) {
            throw UsageError{"expected a plugin's FILE.so; see --help"};
        }
        return check_plugins(options);
    } catch (const UsageError& e) {
        std::cerr << "tenon plugin check: " << e.what() << "\n";
        return k_exit_usage;
    } catch (const std::exception& e) {
        std::cerr << "tenon plugin check: " << e.what() << "\n";
        return k_exit_failed;
    }
}

}  // namespace tenon::conformance
