// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/sdk/running_server.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <array>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

namespace tenon::test {

namespace json = boost::json;
namespace fs = std::filesystem;

namespace {

fs::path make_folder() {
    std::string pattern = (fs::temp_directory_path() / "tenon-sdk-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
        throw std::runtime_error{"no temporary folder"};
    }
    return pattern;
}

}  // namespace

RunningServer::RunningServer(
    const fs::path& tenond,
    const json::object& plugins,
    const std::vector<fs::path>& plugin_path
)
    : dir_{make_folder()} {
    json::array path;
    for (const fs::path& folder : plugin_path) {
        path.emplace_back(folder.string());
    }
    const json::object deployment{
        {"deployment_version", 1}, {"name", "sdk"}, {"plugin_path", path}, {"plugins", plugins}};
    std::ofstream{dir_ / "d.json"} << json::serialize(deployment);
    process_ = std::make_unique<Process>(std::vector<std::string>{
        tenond.string(),
        "--deployment",
        (dir_ / "d.json").string(),
        "--data-dir",
        (dir_ / "data").string(),
        "--listen",
        "127.0.0.1:0"});
    if (!process_->says("event=ready")) {
        throw std::runtime_error{"the server did not start:\n" + process_->wait().err};
    }
}

RunningServer::~RunningServer() {
    process_.reset();
    std::error_code ignored;
    fs::remove_all(dir_, ignored);
}

json::value RunningServer::ask(std::vector<std::string> words) const {
    words.insert(words.begin(), (build_dir() / "bin/tenon").string());
    words.insert(words.end(), {"--json", "--data-dir", (dir_ / "data").string()});
    const Result result = run(words);
    if (result.code != 0) {
        throw std::runtime_error{words.at(1) + " failed: " + result.out + result.err};
    }
    return json::parse(result.out);
}

json::value RunningServer::tier(
    const std::string& instance,
    const std::string& op,
    const std::string& key
) const {
    return ask(
        {"probe", "tier", "--instance", instance, "--op", op, "--key", key, "--value", "v-" + key}
    );
}

std::string RunningServer::state(std::string_view instance) const {
    const json::value report = ask({"status"});
    for (const json::value& plugin : report.at("plugins").as_array()) {
        if (plugin.at("name") == json::value(instance)) {
            return std::string{plugin.at("state").as_string()} + " " +
                   std::string{plugin.at("error").as_string()};
        }
    }
    return "none";
}

Result RunningServer::stop() {
    process_->signal(SIGTERM);
    return process_->wait();
}

}  // namespace tenon::test
