// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/sql/migration_files.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <regex>
#include <sstream>

namespace tenon::migrations {
namespace {

constexpr std::string_view k_chain_file = "chain.sums";

// Every .sql file by its name.
using Texts = std::map<std::string, std::string>;

class Faults {
public:
    void add(std::string fault) { text_.append(text_.empty() ? "" : "\n").append(fault); }

    void raise(const std::string& folder) const {
        if (!text_.empty()) {
            throw Error{TENON_INVALID, "migrations in " + folder + ":\n" + text_};
        }
    }

private:
    std::string text_;
};

std::string read_file(const std::filesystem::path& path) {
    std::ifstream in{path, std::ios::binary};
    std::string text{std::istreambuf_iterator<char>{in}, {}};
    if (in.bad() || !in.is_open()) {
        throw Error{TENON_UNAVAILABLE, "cannot read " + path.string()};
    }
    return text;
}

Texts read_folder(const std::string& folder) {
    Texts texts;
    try {
        for (const auto& entry : std::filesystem::directory_iterator{folder}) {
            if (entry.path().extension() == ".sql") {
                texts.emplace(entry.path().filename().string(), read_file(entry.path()));
            }
        }
    } catch (const std::filesystem::filesystem_error& e) {
        throw Error{
            TENON_INVALID,
            "cannot read the migrations' folder " + folder + ": " + e.code().message()};
    }
    return texts;
}

void check_chain(const std::string& folder, const Texts& texts, Faults& faults) {
    const auto path = std::filesystem::path{folder} / k_chain_file;
    if (!std::filesystem::exists(path)) {
        faults.add("chain.sums is missing (tools/migrations-chain writes it)");
        return;
    }
    std::istringstream in_chain{read_file(path)};
    std::string previous(64, '0');
    std::string line;
    auto file = texts.begin();
    for (std::size_t number = 1; std::getline(in_chain, line); ++number, ++file) {
        const std::string where = "chain.sums:" + std::to_string(number) + ": ";
        const std::string hash = line.substr(0, 64);
        const std::string name = line.size() > 66 ? line.substr(66) : std::string{};
        if (name.empty() || in_chain.eof() || line.compare(64, 2, "  ") != 0) {
            faults.add(where + "expected `HASH  NAME`");
            return;
        }
        if (file == texts.end() || file->first != name) {
            faults.add(
                file != texts.end() && file->first < name
                    ? where + file->first + " is in the folder, but not in the chain"
                    : where + name + " is in the chain, but not in the folder"
            );
            return;
        }
        previous = sha256_hex(previous + " " + name + " " + sha256_hex(file->second));
        if (previous != hash) {
            faults.add(where + name + " differs from what the chain was made with");
            return;
        }
    }
    if (file != texts.end()) {
        faults.add("chain.sums: " + file->first + " is in the folder, but not in the chain");
    }
}

// What a version consists of for one dialect.
struct Found {
    std::string name;
    std::string up_file, down_file;
};

void sort_files(
    const Texts& texts,
    std::string_view dialect,
    std::map<std::uint32_t, Found>& versions,
    Faults& faults
) {
    static const std::regex pattern{
        R"((\d{4})_([a-z0-9]+(?:[_-][a-z0-9]+)*)(?:\.(sqlite|postgres))?\.(up|down)\.sql)"};
    for (const auto& [file, text] : texts) {
        std::smatch match;
        if (!std::regex_match(file, match, pattern)) {
            faults.add(file + ": expected NNNN_name[.sqlite|.postgres].up.sql or .down.sql");
            continue;
        }
        const auto version = static_cast<std::uint32_t>(std::stoul(match[1]));
        Found& found = versions[version];
        if (found.name.empty()) {
            found.name = match[2];
        } else if (found.name != match[2]) {
            faults.add(
                file + ": version " + std::to_string(version) + " is taken by " + found.name +
                ": two heads, of which one has to be renumbered"
            );
            continue;
        }
        if (match[3].matched && match[3].str() != dialect) {
            continue;
        }
        std::string& slot = match[4] == "up" ? found.up_file : found.down_file;
        if (!slot.empty()) {
            faults.add(file + ": " + slot + " is the same for " + std::string{dialect});
        }
        slot = file;
    }
}

// Nothing when the file is not what a migration may be.
std::optional<Script>
read_script(const std::string& file, const std::string& text, Dialect dialect, Faults& faults) {
    if (text.starts_with("\xef\xbb\xbf")) {
        faults.add(file + ": starts with a byte order mark");
        return std::nullopt;
    }
    if (text.find('\r') != std::string::npos) {
        faults.add(file + ": has CR line ends, expected LF");
        return std::nullopt;
    }
    try {
        return make_script(file, text, dialect);
    } catch (const Error& e) {
        faults.add(e.what());
        return std::nullopt;
    }
}

}  // namespace

std::string label(std::uint32_t version, std::string_view name) {
    std::string digits = std::to_string(version);
    digits.insert(0, digits.size() < 4 ? 4 - digits.size() : 0, '0');
    return digits.append("_").append(name);
}

std::string chain_of(const std::string& folder) {
    std::string chain;
    std::string previous(64, '0');
    for (const auto& [name, text] : read_folder(folder)) {
        previous = sha256_hex(previous + " " + name + " " + sha256_hex(text));
        chain.append(previous).append("  ").append(name).append("\n");
    }
    return chain;
}

std::vector<Migration> load_migrations(const std::string& folder, std::string_view dialect_name) {
    const Dialect dialect = dialect_of(dialect_name);
    const Texts texts = read_folder(folder);
    Faults faults;
    check_chain(folder, texts, faults);
    std::map<std::uint32_t, Found> versions;
    sort_files(texts, dialect_name, versions, faults);
    std::vector<Migration> migrations;
    std::uint32_t expected = 1;
    for (const auto& [version, found] : versions) {
        if (version != expected) {
            faults.add(
                "version " + std::to_string(expected) + " is missing before " +
                std::to_string(version) + "_" + found.name
            );
        }
        expected = version + 1;
        Migration migration{version, found.name, {}, {}};
        for (const auto& [file, script] :
             {std::pair{&found.up_file, &migration.up},
              std::pair{&found.down_file, &migration.down}}) {
            if (file->empty()) {
                faults.add(
                    "version " + std::to_string(version) + " (" + found.name + ") has no " +
                    (script == &migration.up ? "up" : "down") + " file for " +
                    std::string{dialect_name}
                );
            } else if (auto read = read_script(*file, texts.at(*file), dialect, faults)) {
                *script = std::move(*read);
            }
        }
        migrations.push_back(std::move(migration));
    }
    faults.raise(folder);
    return migrations;
}

}  // namespace tenon::migrations
