// SPDX-License-Identifier: Apache-2.0
#include "plugins/archive/folder.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <stdio.h>
#include <tuple>
#include <unistd.h>

namespace tenon::archive {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

capture::View bytes_of(std::string_view text) noexcept {
    return {reinterpret_cast<const unsigned char*>(text.data()), text.size()};
}

std::string folder_of(const std::string& file) {
    return file.substr(0, file.rfind('/'));
}

std::string read_file(const std::string& file) {
    const capture::Descriptor in{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!in.is_open()) {
        if (errno == ENOENT) {
            throw Error{TENON_NOT_FOUND, file + " is missing"};
        }
        throw capture::file_error("open", file);
    }
    std::string text;
    capture::Bytes block(65536);
    while (const std::size_t got =
               capture::read_at(in.get(), block.data(), block.size(), text.size(), file)) {
        text.append(reinterpret_cast<const char*>(block.data()), got);
    }
    return text;
}

// write(fd, name) fills the new file, which then stands under its name, whole and on disk.
template <class Write>
void replace_file(const std::string& file, Write&& write) {
    const std::string part = file + ".part";
    const capture::Descriptor out{
        ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
    if (!out.is_open()) {
        throw capture::file_error("create", part);
    }
    try {
        write(out.get(), part);
        if (::fsync(out.get()) != 0) {
            throw capture::file_error("sync", part);
        }
        if (::rename(part.c_str(), file.c_str()) != 0) {
            throw capture::file_error("rename", part);
        }
    } catch (...) {
        ::unlink(part.c_str());
        throw;
    }
    capture::sync_folder(folder_of(file));
}

void make_folder(const std::string& path) {
    std::error_code ec;
    if (fs::create_directory(path, ec)) {
        fs::permissions(path, fs::perms::owner_all, ec);
        capture::sync_folder(folder_of(path));
    }
    if (ec) {
        throw Error{TENON_UNAVAILABLE, "cannot make " + path + ": " + ec.message()};
    }
}

// A policy's name has no '-', so the id says it.
std::string policy_of(std::string_view id) {
    return std::string{id.substr(0, id.find('-'))};
}

bool is_id(std::string_view id) {
    return !id.empty() && std::all_of(id.begin(), id.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
}

}  // namespace

void Folder::open() const {
    make_folder(path_);
}

std::string Folder::manifest_of(std::string_view policy, std::string_view id) const {
    return path_ + "/" + std::string{policy} + "/" + std::string{id} + ".json";
}

std::string Folder::file_of(const Manifest& manifest) const {
    return path_ + "/" + manifest.policy + "/" + manifest.id + ".csv.zst";
}

Listing Folder::list(std::string_view policy) const {
    Listing found;
    for (const HistoryTable& table : history_tables()) {
        const std::string folder = path_ + "/" + table.name;
        if ((!policy.empty() && table.name != policy) || !fs::exists(folder)) {
            continue;
        }
        std::vector<std::string> files;
        for (const auto& entry : fs::directory_iterator{folder}) {
            if (entry.path().extension() == ".json") {
                files.push_back(entry.path().string());
            }
        }
        std::sort(files.begin(), files.end());
        for (const std::string& file : files) {
            try {
                found.archives.push_back(decode(read_file(file), file));
            } catch (const Error& e) {
                found.damaged.emplace_back(e.what());
                found.damage_of.emplace(table.name, e.what());
            }
        }
    }
    std::stable_sort(
        found.archives.begin(),
        found.archives.end(),
        [](const Manifest& a, const Manifest& b) {
            return std::tie(a.policy, a.first, a.id) < std::tie(b.policy, b.first, b.id);
        }
    );
    return found;
}

Manifest Folder::get(std::string_view id) const {
    if (!is_id(id)) {
        throw Error{TENON_INVALID, "\"" + std::string{id} + "\" is no id of an archive"};
    }
    const std::string file = manifest_of(policy_of(id), id);
    if (!fs::exists(file)) {
        throw Error{TENON_NOT_FOUND, "there is no archive " + std::string{id}};
    }
    return decode(read_file(file), file);
}

void Folder::save(const Manifest& manifest) const {
    make_folder(path_ + "/" + manifest.policy);
    const std::string text = encode(manifest);
    replace_file(manifest_of(manifest.policy, manifest.id), [&](int fd, const std::string& name) {
        capture::write_all(fd, bytes_of(text), name);
    });
}

void Folder::remove(const Manifest& manifest) const {
    ::unlink(file_of(manifest).c_str());
    ::unlink(manifest_of(manifest.policy, manifest.id).c_str());
    capture::sync_folder(path_ + "/" + manifest.policy);
}

std::string Folder::new_id(std::string_view policy, std::int64_t first, std::int64_t end) const {
    const std::string range =
        std::string{policy} + "-" + std::to_string(first) + "-" + std::to_string(end) + "-";
    for (int n = 0;; ++n) {
        std::string id = range + std::to_string(n);
        if (!fs::exists(manifest_of(policy, id))) {
            return id;
        }
    }
}

void Folder::copy_to(const Folder& other, const Manifest& manifest) const {
    make_folder(other.path_);
    make_folder(other.path_ + "/" + manifest.policy);
    const std::string from = file_of(manifest);
    const capture::Descriptor in{::open(from.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!in.is_open()) {
        throw capture::file_error("open", from);
    }
    replace_file(other.file_of(manifest), [&](int fd, const std::string& name) {
        capture::Bytes block(std::size_t{1} << 20U);
        std::uint64_t at = 0;
        while (const std::size_t got =
                   capture::read_at(in.get(), block.data(), block.size(), at, from)) {
            capture::write_all(fd, capture::View{block}.first(got), name);
            at += got;
        }
    });
    other.save(manifest);
}

std::vector<Hold> Folder::holds() const {
    const std::string file = path_ + "/holds.json";
    if (!fs::exists(file)) {
        return {};
    }
    const std::string text = read_file(file);
    std::vector<Hold> holds;
    try {
        const json::value list = json::parse(text);
        for (const json::value& value : list.as_array()) {
            const json::object& one = value.as_object();
            const auto word = [&](const char* key) { return std::string{one.at(key).as_string()}; };
            const auto time = [&](const char* key) {
                return one.at(key).to_number<std::int64_t>();
            };
            holds.push_back(
                {word("id"),
                 word("policy"),
                 word("reason"),
                 time("from"),
                 time("to"),
                 time("since")}
            );
        }
    } catch (const std::exception& e) {
        throw Error{TENON_CORRUPT, file + ": " + e.what()};
    }
    return holds;
}

void Folder::save(const std::vector<Hold>& holds) const {
    json::array list;
    for (const Hold& hold : holds) {
        list.push_back(
            {{"id", hold.id},
             {"policy", hold.policy},
             {"reason", hold.reason},
             {"from", hold.from_real_ns},
             {"to", hold.to_real_ns},
             {"since", hold.since_real_ns}}
        );
    }
    const std::string text = json::serialize(list) + "\n";
    replace_file(path_ + "/holds.json", [&](int fd, const std::string& name) {
        capture::write_all(fd, bytes_of(text), name);
    });
}

std::string Folder::schedule() const {
    const std::string file = path_ + "/schedule";
    return fs::exists(file) ? read_file(file) : std::string{};
}

void Folder::save_schedule(std::string_view text) const {
    open();
    replace_file(path_ + "/schedule", [&](int fd, const std::string& name) {
        capture::write_all(fd, bytes_of(text), name);
    });
}

}  // namespace tenon::archive
