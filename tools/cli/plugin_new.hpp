// SPDX-License-Identifier: Apache-2.0
// `tenon plugin new KIND NAME`: writes a project of a plugin from the templates, ready to build
// with the installed SDK. Nothing of an existing folder is overwritten, and a project is whole or
// absent.
//
// The templates (share/tenon/templates, in the tree sdk/templates) are plain files:
//   common/       of every project
//   kinds/KIND/   of the kind in every language, with kind.json, which describes the kind
//   c/KIND/       of the kind in C; c++/KIND/ in C++
// A later one replaces a file of the same name. @name@ and its like are filled in, in texts and in
// file names; "gitignore" becomes ".gitignore".
#pragma once

#include "tools/cli/arguments.hpp"

#include <boost/json/object.hpp>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::cli {

struct NewPlugin {
    std::string kind;
    std::string name;
    std::string language = "c++";  // or "c"
    std::string id;                // org.example.NAME when empty
    std::filesystem::path folder;  // ./NAME when empty
};

// Placeholders of one project, without their "@".
using Placeholders = std::map<std::string, std::string, std::less<>>;

// Reads the words and options of the command. Throws UsageError.
[[nodiscard]] NewPlugin new_plugin_of(const Arguments& arguments);

// Fills @key@ in; an @ that starts no known placeholder stays as it is.
[[nodiscard]] std::string fill(std::string_view text, const Placeholders& placeholders);

// The folders below kinds/, sorted. Throws CommandFailed when the templates are not there.
[[nodiscard]] std::vector<std::string> plugin_kinds(const std::filesystem::path& templates);

// Writes the project. Gives {"kind","name","id","language","folder","files":[…]}. Throws UsageError
// for wrong words and CommandFailed (EXISTS, NO_TEMPLATES, IO) for what the disk refuses.
[[nodiscard]] boost::json::object
write_plugin(const NewPlugin& wanted, const std::filesystem::path& templates);

// Where this program finds the templates: ../share/tenon/templates beside it.
[[nodiscard]] std::filesystem::path template_folder();

// The whole command: what to print for people goes to `told`.
[[nodiscard]] boost::json::object plugin_new(const Arguments& arguments, std::string& told);

}  // namespace tenon::cli
