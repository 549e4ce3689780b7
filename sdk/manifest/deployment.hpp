// SPDX-License-Identifier: Apache-2.0
// The operator's document: which plugins, under which instance names, with which settings, bound to
// which providers, with which permissions; and how the kernel itself logs and runs.
#pragma once

#include "sdk/manifest/problem.hpp"

#include <boost/json/object.hpp>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tenon::manifest {

struct Instance {
    std::string name;
    std::string id;
    std::string version;  // a range, or empty
    bool enabled = true;
    boost::json::object config;
    std::map<std::string, std::vector<std::string>, std::less<>> bind;
    std::vector<std::string> grant;
    bool stop_on_failure = false;
};

struct LogSettings {
    std::string level = "info";
    std::map<std::string, std::string, std::less<>> levels;  // by instance name
    bool json = false;
    std::filesystem::path file;  // empty: standard error
    std::size_t max_size_mb = 100;
    std::size_t max_files = 5;
};

struct RuntimeSettings {
    std::uint32_t reactors = 1;
    std::uint32_t blocking_threads = 0;  // 0: as many as cores, at least two
    std::uint32_t spin_us = 0;           // a reactor looks again this long before it sleeps
};

struct Deployment {
    std::filesystem::path file;
    std::filesystem::path folder;  // relative paths in settings start here
    std::string name;
    std::vector<Instance> instances;  // in the order of the document, also the disabled ones
    std::vector<std::filesystem::path> plugin_path;
    bool plugin_path_given = false;  // by the document or the command line; else the program's own
    LogSettings log;
    RuntimeSettings runtime;
    bool allow_draft = false;
    boost::json::object document;  // with --set applied
};

// One --set of the command line.
struct Override {
    std::string pointer;
    std::string value;  // JSON, or else text
};

// "/plugins/x/config/y=5"; nothing when there is no '=' or the pointer does not start with '/'.
[[nodiscard]] std::optional<Override> parse_override(std::string_view text);

// Reads, applies the overrides, checks the shape. Always gives what could be read; the caller looks
// at `problems`.
[[nodiscard]] Deployment read_deployment(
    const std::filesystem::path& file,
    const std::vector<Override>& overrides,
    Problems& problems
);

// The document with absolute paths, from which the same deployment can be started again from
// another folder.
[[nodiscard]] boost::json::object portable_document(const Deployment& deployment);

}  // namespace tenon::manifest
