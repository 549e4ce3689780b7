// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/sql/migration_files.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <sodium.h>
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
    std::istringstream lines{read_file(path)};
    std::string previous(64, '0');
    std::string line;
    auto file = texts.begin();
    for (std::size_t number = 1; std::getline(lines, line); ++number, ++file) {
        const std::string where = "chain.sums:" + std::to_string(number) + ": ";
        const std::string hash = line.substr(0, 64);
        const std::string name = line.size() > 66 ? line.substr(66) : std::string{};
        if (name.empty() || line.compare(64, 2, "  ") != 0) {
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
                file + ": version " + std::to_string(version) + " is taken by " + found.name
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

void check_text(const std::string& file, const std::string& text, Faults& faults) {
    if (text.starts_with("\xef\xbb\xbf")) {
        faults.add(file + ": starts with a byte order mark");
    }
    if (text.find('\r') != std::string::npos) {
        faults.add(file + ": has CR line ends, expected LF");
    }
    try {
        (void)is_destructive(text, file);
    } catch (const Error& e) {
        faults.add(e.what());
    }
}

}  // namespace

std::string sha256_hex(std::string_view bytes) {
    std::array<unsigned char, crypto_hash_sha256_BYTES> hash{};
    crypto_hash_sha256(
        hash.data(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()
    );
    std::array<char, 2 * hash.size() + 1> hex{};
    sodium_bin2hex(hex.data(), hex.size(), hash.data(), hash.size());
    return hex.data();
}

bool is_destructive(std::string_view sql, std::string_view file) {
    constexpr std::string_view k_mark = "-- tenon:";
    bool destructive = false;
    std::istringstream lines{std::string{sql}};
    std::string line;
    while (std::getline(lines, line) && (line.empty() || line.starts_with("--"))) {
        if (!line.starts_with(k_mark)) {
            continue;
        }
        std::istringstream pairs{line.substr(k_mark.size())};
        std::string pair;
        while (pairs >> pair) {
            if (pair == "destructive=true" || pair == "destructive=false") {
                destructive = pair.ends_with("true");
            } else if (pair != "phase=expand" && pair != "phase=backfill" &&
                       pair != "phase=contract") {
                throw Error{
                    TENON_INVALID,
                    std::string{file} + ": unknown metadata `" + pair +
                        "`, expected destructive=true|false or phase=expand|backfill|contract"};
            }
        }
    }
    return destructive;
}

std::vector<Migration> load_migrations(const std::string& folder, std::string_view dialect) {
    const Texts texts = read_folder(folder);
    Faults faults;
    check_chain(folder, texts, faults);
    std::map<std::uint32_t, Found> versions;
    sort_files(texts, dialect, versions, faults);
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
        for (const auto& [file, kind] :
             {std::pair{found.up_file, "up"}, std::pair{found.down_file, "down"}}) {
            if (file.empty()) {
                faults.add(
                    "version " + std::to_string(version) + " (" + found.name + ") has no " + kind +
                    " file for " + std::string{dialect}
                );
            } else {
                check_text(file, texts.at(file), faults);
            }
        }
        if (!found.up_file.empty() && !found.down_file.empty()) {
            const std::string& up = texts.at(found.up_file);
            const std::string& down = texts.at(found.down_file);
            migrations.push_back({version, found.name, up, down, sha256_hex(up), sha256_hex(down)});
        }
    }
    faults.raise(folder);
    return migrations;
}

}  // namespace tenon::migrations
