// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/migrate.hpp"

#include "plugins/migrations/sql/migration_files.hpp"

#include <boost/json/array.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace tenon::cli {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

constexpr std::array<std::string_view, 12> k_commands{
    "status",
    "up",
    "down",
    "to",
    "dry-run",
    "verify",
    "repair",
    "baseline",
    "drift",
    "copy",
    "import",
    "new"};

std::int64_t version_of(const std::string& text) {
    std::int64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [last, ec] = std::from_chars(text.data(), end, number);
    if (ec != std::errc{} || last != end || number < 0) {
        throw UsageError{"found \"" + text + "\", expected a version, from 0"};
    }
    return number;
}

bool is_migration_name(const std::string& name) {
    const auto is_part = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    return !name.empty() && name.size() <= 60 && is_part(name.front()) && is_part(name.back()) &&
           std::all_of(name.begin(), name.end(), [&](char c) { return is_part(c) || c == '_'; }) &&
           name.find("__") == std::string::npos;
}

std::string option(const Arguments& arguments, std::string_view name, std::string absent) {
    const json::value* value = arguments.options.if_contains(name);
    return value != nullptr && value->is_string() ? std::string{value->get_string()} : absent;
}

std::uint32_t next_version(const fs::path& folder) {
    std::uint32_t newest = 0;
    for (const fs::directory_entry& entry : fs::directory_iterator{folder}) {
        const std::string name = entry.path().filename().string();
        std::uint32_t version = 0;
        const auto [last, ec] = std::from_chars(name.data(), name.data() + name.size(), version);
        if (ec == std::errc{} && last == name.data() + 4 && name.ends_with(".sql")) {
            newest = std::max(newest, version);
        }
    }
    if (newest >= 9999) {
        throw std::runtime_error{"there are 9999 migrations in " + folder.string()};
    }
    return newest + 1;
}

std::string head(const std::string& phase, bool up) {
    const bool lossy = phase == "contract";
    std::string text = up ? "-- What changes, and why.\n" : "-- The way back: the schema before.\n";
    text += "-- tenon: phase=" + phase + (up == lossy ? " destructive=true\n" : "\n");
    return text +
           "--\n-- Money and quantities are whole numbers, times BIGINT nanoseconds. What cannot "
           "be "
           "in a\n-- transaction (CREATE INDEX CONCURRENTLY) needs `-- tenon: transaction=none`.\n";
}

void write_new(const fs::path& file, const std::string& text) {
    if (fs::exists(file)) {
        throw std::runtime_error{file.string() + " is there already"};
    }
    std::ofstream out{file, std::ios::binary};
    out << text;
    out.close();
    if (!out) {
        throw std::runtime_error{"cannot write " + file.string()};
    }
}

}  // namespace

std::string migrate_help() {
    return R"(tenon migrate brings the schema of the database to a version of the migrations.

  migrate status                  applied, pending and half-done versions, repairs
  migrate up [N] [--allow-contract]
                                  apply what is pending, or up to N; a migration of the phase contract
                                  (old servers cannot work after it) only with --allow-contract
  migrate down N [--confirm]      take back what is above N; --confirm where rows are lost
  migrate to N [--confirm] [--allow-contract]
                                  up or down, whichever leads there
  migrate dry-run [N] [--allow-contract]
                                  up and down again on a clone: time, locks, rewrites, schema hashes
  migrate verify                  history against files, the chain of hashes, dangerous statements
  migrate drift                   the database's objects against what the files give
  migrate repair --action accept|forget --version N --reason TEXT
                                  accept: the files of N are what was applied; forget: what is half done
                                  was undone or finished by hand
  migrate baseline N --reason TEXT
                                  record versions up to N as applied, where the schema is theirs
  migrate copy [--to NAME]        copy all rows to another database while the server trades, and follow
                                  the changes: NAME is a storage plugin of the deployment beside the
                                  one in use (etc/deployments/moving.json); goes on where it was
  migrate copy --status | --verify
                                  how far it is; compare all rows of both sides
  migrate copy --finish           verify, refuse writes to the old database from then on, bring the
                                  last changes over: then start the server with the new one
  migrate copy --reopen           the old database takes writes again, while the new one got none
  migrate copy --abandon          end a copy; the old database is as if there had been none
  migrate copy --forget ID        end a copy whose new database is lost; asked without the right ID it tells it
  migrate import --mapping FILE --source FILE|postgresql:… [--report FILE]
                                  take over orders, trades and positions of another system's database:
                                  a file of SQLite, or "postgresql:host=… dbname=… user=…"; etc/imports has
                                  mappings. Goes on where it was; rows that are there stay as they are
  migrate import … --dry-run | --verify
                                  what would be imported and which rows are bad; compare all rows
  migrate import --status         how far it is, or how it ended
  migrate new NAME [--dialects both|one] [--phase expand|backfill|contract] [--dir DIR]
                                  files of the next version in DIR (default ./migrations), and the chain

  A run that was killed is ended by the next one. --json gives every answer as JSON.
  Exit codes: 0 done, 1 refused, failed, or a check found something, 2 wrong usage, 3 the deployment is
  wrong, 4 no server answers and none could be started.
)";
}

Arguments migrate_arguments(Arguments arguments) {
    std::vector<std::string>& words = arguments.words;
    if (words.size() < 2 ||
        std::find(k_commands.begin(), k_commands.end(), words[1]) == k_commands.end()) {
        throw UsageError{
            words.size() < 2 ? "migrate needs a command" : "no such command: migrate " + words[1]};
    }
    const std::string& command = words[1];
    if (command == "new") {
        return arguments;
    }
    const bool takes_version = command == "up" || command == "down" || command == "to" ||
                               command == "dry-run" || command == "baseline";
    if (words.size() > 3 || (words.size() == 3 && !takes_version)) {
        throw UsageError{"migrate " + command + ": too many words"};
    }
    if (words.size() == 3) {
        if (arguments.options.contains("to")) {
            throw UsageError{"migrate " + command + ": a version and --to"};
        }
        arguments.options["to"] = version_of(words[2]);
        words.pop_back();
    }
    const bool needs_version = command == "down" || command == "to" || command == "baseline";
    if (needs_version && !arguments.options.contains("to")) {
        throw UsageError{"migrate " + command + " needs a version"};
    }
    return arguments;
}

json::object migrate_new(const Arguments& arguments, std::string& told) {
    if (arguments.words.size() != 3 || !is_migration_name(arguments.words[2])) {
        throw UsageError{
            "usage: tenon migrate new NAME, of a-z, 0-9 and single underscores, at most 60"};
    }
    const std::string phase = option(arguments, "phase", "expand");
    if (phase != "expand" && phase != "backfill" && phase != "contract") {
        throw UsageError{"--phase: expected expand, backfill or contract"};
    }
    const std::string dialects = option(arguments, "dialects", "both");
    if (dialects != "both" && dialects != "one") {
        throw UsageError{"--dialects: expected both (a file for each) or one (the same SQL)"};
    }
    const fs::path folder = option(arguments, "dir", "migrations");
    if (!fs::is_directory(folder)) {
        throw UsageError{"no folder " + folder.string() + " (--dir)"};
    }
    const std::uint32_t version = next_version(folder);
    const std::string stem = migrations::label(version, arguments.words[2]);
    json::array files;
    for (const char* dialect : {".sqlite", ".postgres"}) {
        const std::string middle = dialects == "one" ? "" : dialect;
        for (const bool up : {true, false}) {
            const std::string name = stem + middle + (up ? ".up.sql" : ".down.sql");
            write_new(folder / name, head(phase, up));
            files.emplace_back(name);
            told.append((folder / name).string()).append("\n");
        }
        if (dialects == "one") {
            break;
        }
    }
    std::ofstream chain{folder / "chain.sums", std::ios::binary};
    chain << migrations::chain_of(folder.string());
    told.append(
        "Write the SQL, then tools/migrations-chain, `tenon migrate verify` and `dry-run`.\n"
    );
    return {{"version", version}, {"files", std::move(files)}};
}

}  // namespace tenon::cli
