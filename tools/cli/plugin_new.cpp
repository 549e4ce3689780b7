// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/plugin_new.hpp"

#include "sdk/manifest/json_file.hpp"
#include "sdk/manifest/plugin_manifest.hpp"
#include "sdk/manifest/problem.hpp"
#include "tools/cli/admin_client.hpp"

#include <boost/json/array.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace tenon::cli {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

constexpr std::string_view k_usage =
    "usage: tenon plugin new KIND NAME [--language c|c++] [--dir DIR] [--id ID]";
constexpr std::size_t k_name_max = 64;

std::string one_text(const Arguments& arguments, std::string_view name) {
    const json::value* value = arguments.options.if_contains(name);
    if (value == nullptr) {
        return {};
    }
    if (!value->is_string() || value->get_string().empty()) {
        throw UsageError{"--" + std::string{name} + " needs one value"};
    }
    return std::string{value->get_string()};
}

// The name becomes a folder, a library, a CMake target, the last word of the id and, with _ for -,
// part of metric names.
bool is_name(std::string_view name) {
    const auto plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    };
    return !name.empty() && name.size() <= k_name_max && name.front() >= 'a' &&
           name.front() <= 'z' && name.back() != '-' &&
           std::all_of(name.begin(), name.end(), plain);
}

std::string read_text(const fs::path& file) {
    std::ifstream in{file, std::ios::binary};
    std::ostringstream text;
    text << in.rdbuf();
    if (!in || !text) {
        throw CommandFailed{"IO", "cannot read the template " + file.string()};
    }
    return std::move(text).str();
}

// What kind.json says.
Placeholders read_kind(const fs::path& file) {
    manifest::Problems problems;
    manifest::Report report{file.string(), problems};
    const auto document = manifest::read_json_file(file, report);
    Placeholders out;
    if (document && document->is_object()) {
        for (const auto& entry : document->get_object()) {
            if (!entry.value().is_string()) {
                report.add(
                    "M02", manifest::pointer_to("", entry.key()), "wrong type", "", "string"
                );
                continue;
            }
            out.emplace(entry.key(), entry.value().get_string());
        }
    }
    if (!problems.empty()) {
        throw CommandFailed{"NO_TEMPLATES", manifest::to_text(problems.front())};
    }
    return out;
}

std::string identifier_of(std::string name) {
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

Placeholders placeholders_of(const NewPlugin& wanted, const fs::path& templates) {
    Placeholders values = read_kind(templates / "kinds" / wanted.kind / "kind.json");
    const bool c = wanted.language == "c";
    // What a kind needs besides the SDK: "packages" and "link" of its kind.json, both optional.
    const std::string packages = values["packages"];
    const std::string link = values["link"];
    values["packages"] = packages.empty() ? "" : "\n" + packages;
    values["link"] = link.empty() ? "" : " " + link;
    values["plugin_link"] = link.empty() ? "" : " LINK " + link;
    values["kind"] = wanted.kind;
    values["name"] = wanted.name;
    values["identifier"] = identifier_of(wanted.name);
    values["id"] = wanted.id;
    values["language"] = wanted.language;
    values["cmake_language"] = c ? "C" : "CXX";
    values["standard"] = c ? "11" : "20";
    values["extension"] = c ? "c" : "cpp";
    // The texts of kind.json may name the plugin.
    Placeholders filled;
    for (const auto& [key, text] : values) {
        filled[key] = fill(text, values);
    }
    return filled;
}

// Relative target -> template; later folders replace files of earlier ones.
std::map<fs::path, fs::path> collect(const NewPlugin& wanted, const fs::path& templates) {
    const std::array<fs::path, 3> layers{
        "common", fs::path{"kinds"} / wanted.kind, fs::path{wanted.language} / wanted.kind};
    std::map<fs::path, fs::path> files;
    for (const fs::path& layer : layers) {
        std::error_code ec;
        const fs::path base = templates / layer;
        for (fs::recursive_directory_iterator at{base, ec}, end; !ec && at != end;
             at.increment(ec)) {
            if (at->is_regular_file() && at->path().filename() != "kind.json") {
                files[at->path().lexically_relative(base)] = at->path();
            }
        }
        if (ec) {
            throw CommandFailed{"NO_TEMPLATES", base.string() + ": " + ec.message()};
        }
    }
    return files;
}

void write_text(const fs::path& file, const std::string& text) {
    std::ofstream out{file, std::ios::binary};
    out << text;
    out.close();
    if (!out) {
        throw CommandFailed{"IO", "cannot write " + file.string() + ": " + std::strerror(errno)};
    }
}

// Whatever ends badly leaves nothing behind: the project is built beside its place and moved there.
class Staging {
public:
    explicit Staging(const fs::path& target) : folder_{target} {
        folder_ += ".tenon-new";
        std::error_code ec;
        fs::remove_all(folder_, ec);
        fs::create_directories(folder_, ec);
        if (ec) {
            throw CommandFailed{"IO", "cannot make " + folder_.string() + ": " + ec.message()};
        }
    }

    ~Staging() {
        std::error_code ec;
        fs::remove_all(folder_, ec);
    }

    Staging(const Staging&) = delete;
    Staging& operator=(const Staging&) = delete;

    [[nodiscard]] const fs::path& folder() const { return folder_; }

    void move_to(const fs::path& target) const {
        std::error_code ec;
        fs::rename(folder_, target, ec);  // also onto an empty folder
        if (ec) {
            throw CommandFailed{"IO", "cannot make " + target.string() + ": " + ec.message()};
        }
    }

private:
    fs::path folder_;
};

void refuse_existing(const fs::path& folder) {
    std::error_code ec;
    const fs::file_status status = fs::symlink_status(folder, ec);
    if (!fs::exists(status)) {
        return;
    }
    const bool empty = fs::is_directory(status) && fs::is_empty(folder, ec) && !ec;
    if (!empty) {
        throw CommandFailed{
            "EXISTS", folder.string() + " is there already; give another NAME, or --dir"};
    }
}

void check_kind(const NewPlugin& wanted, const fs::path& templates) {
    const std::vector<std::string> kinds = plugin_kinds(templates);
    if (std::find(kinds.begin(), kinds.end(), wanted.kind) == kinds.end()) {
        const std::string near = manifest::nearest(wanted.kind, kinds);
        throw UsageError{
            "no kind of plugin \"" + wanted.kind + "\"" +
            (near.empty() ? "" : ", did you mean " + near + "?") + "; the kinds are " +
            manifest::join(kinds)};
    }
}

}  // namespace

NewPlugin new_plugin_of(const Arguments& arguments) {
    if (arguments.words.size() != 4 || arguments.words[1] != "new") {
        throw UsageError{std::string{k_usage}};
    }
    for (const auto& entry : arguments.options) {
        const std::string_view key = entry.key();
        if (key != "language" && key != "dir" && key != "id") {
            throw UsageError{"unknown option --" + std::string{key} + "; " + std::string{k_usage}};
        }
    }
    NewPlugin wanted;
    wanted.kind = arguments.words[2];
    wanted.name = arguments.words[3];
    if (!is_name(wanted.name)) {
        throw UsageError{
            "M03 not a plugin name: found \"" + wanted.name +
            "\", expected a-z, 0-9 and -, a letter first, no - last, at most 64, as in my-cache"};
    }
    if (const std::string language = one_text(arguments, "language"); !language.empty()) {
        if (language != "c" && language != "c++") {
            throw UsageError{"--language: found \"" + language + "\", expected c or c++"};
        }
        wanted.language = language;
    }
    wanted.id = one_text(arguments, "id");
    if (wanted.id.empty()) {
        wanted.id = "org.example." + wanted.name;
    } else if (!manifest::is_plugin_id(wanted.id)) {
        throw UsageError{
            "M03 not a plugin id: found \"" + wanted.id +
            "\", expected lower-case words of a-z, 0-9, - with dots between, as in "
            "org.example.cache"};
    }
    const std::string folder = one_text(arguments, "dir");
    wanted.folder = folder.empty() ? wanted.name : folder;
    return wanted;
}

std::string fill(std::string_view text, const Placeholders& placeholders) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t open = text.find('@', at);
        out.append(text.substr(at, open - at));
        if (open == std::string_view::npos) {
            break;
        }
        const std::size_t close = text.find('@', open + 1);
        const auto found = close == std::string_view::npos
                               ? placeholders.end()
                               : placeholders.find(text.substr(open + 1, close - open - 1));
        if (found == placeholders.end()) {
            out.push_back('@');
            at = open + 1;
        } else {
            out.append(found->second);
            at = close + 1;
        }
    }
    return out;
}

std::vector<std::string> plugin_kinds(const fs::path& templates) {
    std::vector<std::string> kinds;
    std::error_code ec;
    for (fs::directory_iterator at{templates / "kinds", ec}, end; !ec && at != end;
         at.increment(ec)) {
        kinds.push_back(at->path().filename().string());
    }
    if (ec || kinds.empty()) {
        throw CommandFailed{
            "NO_TEMPLATES",
            "no templates in " + templates.string() + "; is the SDK installed whole?"};
    }
    std::sort(kinds.begin(), kinds.end());
    return kinds;
}

json::object write_plugin(const NewPlugin& wanted, const fs::path& templates) {
    check_kind(wanted, templates);
    const fs::path target = fs::absolute(wanted.folder).lexically_normal();
    const fs::path folder = target.has_filename() ? target : target.parent_path();
    refuse_existing(folder);
    const Placeholders values = placeholders_of(wanted, templates);
    const Staging staging{folder};
    json::array files;
    for (const auto& [relative, source] : collect(wanted, templates)) {
        fs::path name{fill(relative.string(), values)};
        if (name == "gitignore") {
            name = ".gitignore";
        }
        std::error_code ec;
        fs::create_directories((staging.folder() / name).parent_path(), ec);
        write_text(staging.folder() / name, fill(read_text(source), values));
        files.emplace_back(name.string());
    }
    staging.move_to(folder);
    return {
        {"kind", wanted.kind},
        {"name", wanted.name},
        {"id", wanted.id},
        {"language", wanted.language},
        {"folder", folder.string()},
        {"files", std::move(files)}};
}

fs::path template_folder() {
    std::error_code ec;
    const fs::path self = fs::read_symlink("/proc/self/exe", ec);
    return (self.parent_path() / ".." / "share" / "tenon" / "templates").lexically_normal();
}

json::object plugin_new(const Arguments& arguments, std::string& told) {
    const NewPlugin wanted = new_plugin_of(arguments);
    json::object made = write_plugin(wanted, template_folder());
    const std::string folder = wanted.folder.string();
    told = "created " + folder + ", a " + wanted.kind + " plugin in " +
           (wanted.language == "c" ? "C" : "C++") + " with id " + wanted.id + "\n";
    for (const json::value& file : made.at("files").get_array()) {
        told.append("  ").append(file.get_string()).push_back('\n');
    }
    told += "next: cmake -S " + folder + " -B " + folder + "/build && cmake --build " + folder +
            "/build && ctest --test-dir " + folder + "/build\n";
    return made;
}

}  // namespace tenon::cli
