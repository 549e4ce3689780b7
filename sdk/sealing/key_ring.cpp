// SPDX-License-Identifier: Apache-2.0
#include "sdk/sealing/key_ring.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

namespace tenon::sealing {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view k_key = "master.key", k_next = "master.key.next",
                           k_retired = "master.key.retired";
constexpr std::string_view k_credential = "tenon-master-key",
                           k_next_credential = "tenon-master-key-next";

[[nodiscard]] fs::path credential(std::string_view name) {
    const char* const folder = std::getenv("CREDENTIALS_DIRECTORY");
    if (folder == nullptr) {
        return {};
    }
    fs::path path = fs::path{folder} / name;
    return fs::exists(path) ? path : fs::path{};
}

[[nodiscard]] std::shared_ptr<const MasterKey> read(const fs::path& given, const fs::path& file) {
    return std::make_shared<const MasterKey>(
        given.empty() ? MasterKey::read(file, MasterKey::Source::file)
                      : MasterKey::read(given, MasterKey::Source::credential)
    );
}

void write_lines(const fs::path& file, const std::vector<std::string>& lines) {
    const fs::path fresh = file.string() + ".new";
    std::string text;
    for (const std::string& line : lines) {
        text.append(line).append("\n");
    }
    (void)::unlink(fresh.c_str());
    const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool good =
        fd >= 0 && ::write(fd, text.data(), text.size()) == std::ssize(text) && ::fsync(fd) == 0;
    if (fd >= 0) {
        good = ::close(fd) == 0 && good;
    }
    if (!good || ::rename(fresh.c_str(), file.c_str()) != 0) {
        throw Error{
            TENON_UNAVAILABLE,
            "the list of retired keys cannot be written: " + file.string() + ": " +
                std::strerror(errno)};
    }
    sync_folder(file.parent_path());
}

}  // namespace

KeyRing::KeyRing(fs::path data_dir, bool first_start)
    : data_dir_{std::move(data_dir)},
      credential_{credential(k_credential)},
      next_credential_{credential(k_next_credential)} {
    read_retired();
    load(first_start);
}

fs::path KeyRing::file(std::string_view name) const {
    return data_dir_ / name;
}

void KeyRing::read_retired() {
    std::ifstream in{file(k_retired)};
    for (std::string line; std::getline(in, line);) {
        if (!line.empty()) {
            retired_.push_back(line);
        }
    }
    if (in.bad()) {
        throw Error{TENON_UNAVAILABLE, file(k_retired).string() + " cannot be read"};
    }
}

bool KeyRing::is_retired(std::string_view name) const {
    return std::find(retired_.begin(), retired_.end(), name) != retired_.end();
}

void KeyRing::load(bool first_start) {
    const fs::path key = file(k_key), next = file(k_next);
    if (credential_.empty() && !fs::exists(key) && !fs::exists(next)) {
        if (!first_start) {
            // A new key would make every stored secret unreadable, silently.
            throw Error{
                TENON_NOT_FOUND,
                "the master key " + key.string() +
                    " is missing, but this data folder has been used before; put it back"};
        }
        MasterKey::random().write(key);
    }
    keys_.current = read(credential_, key);
    if (!credential_.empty() && next_credential_.empty() && fs::exists(next)) {
        // Left by a rotation of files before the key became a credential.
        if (read({}, next)->id() != keys_.current->id()) {
            throw Error{
                TENON_CONFLICT,
                "a rotation is under way in " + next.string() + ", but the credential " +
                    std::string{k_credential} + " is another key: give that file's key as " +
                    std::string{k_next_credential} +
                    ", or remove it when nothing was sealed under it"};
        }
    } else if (!next_credential_.empty() || fs::exists(next)) {
        keys_.previous = std::move(keys_.current);
        keys_.current = read(next_credential_, next);
        if (keys_.current->id() == keys_.previous->id()) {
            // The credential was moved to its place, and the next one not taken away yet.
            keys_.previous.reset();
        } else if (is_retired(keys_.previous->name())) {
            take_next();
        }
    }
    if (is_retired(keys_.current->name())) {
        const fs::path& given = credential_.empty() ? key : credential_;
        throw Error{
            TENON_DENIED,
            "the master key " + keys_.current->name() + " in " + given.string() +
                " was retired by a rotation; put the key that followed it there"};
    }
}

// The old key is on the list of retired ones: what is left of the end of the rotation.
void KeyRing::take_next() {
    if (!credential_.empty() || !next_credential_.empty()) {
        advice_ = "give the key " + keys_.current->name() + " as the credential " +
                  std::string{k_credential} + " and take " + std::string{k_next_credential} +
                  " away";
    }
    if (next_credential_.empty() && credential_.empty()) {
        // Kept beside, never read: what was backed up before can still be opened by hand.
        const fs::path kept = file(std::string{k_retired} + "-" + keys_.previous->name());
        if (::link(file(k_key).c_str(), kept.c_str()) != 0 && errno != EEXIST) {
            throw Error{
                TENON_UNAVAILABLE,
                file(k_key).string() + " cannot be kept as " + kept.string() + ": " +
                    std::strerror(errno)};
        }
        if (::rename(file(k_next).c_str(), file(k_key).c_str()) != 0) {
            throw Error{
                TENON_UNAVAILABLE,
                file(k_next).string() + " cannot be renamed: " + std::strerror(errno)};
        }
        sync_folder(data_dir_);
    }
    keys_.previous.reset();
}

void KeyRing::rotate() {
    if (keys_.previous) {
        return;
    }
    if (!credential_.empty() || !next_credential_.empty()) {
        throw Error{
            TENON_CONFLICT,
            "the master key is the credential " + std::string{k_credential} +
                ": make a new one of 32 random bytes, give it to the service as " +
                std::string{k_next_credential} + " (LoadCredential) and restart"};
    }
    auto next = std::make_shared<const MasterKey>(MasterKey::random());
    next->write(file(k_next));
    keys_ = {std::move(next), std::move(keys_.current)};
}

void KeyRing::finish() {
    if (!keys_.previous) {
        throw Error{TENON_CONFLICT, "no rotation of the master key is under way"};
    }
    retire(keys_.previous->name());
    take_next();
}

void KeyRing::retire(const std::string& name) {
    if (!is_retired(name)) {
        std::vector<std::string> names = retired_;
        names.push_back(name);
        write_lines(file(k_retired), names);
        retired_ = std::move(names);
    }
}

}  // namespace tenon::sealing
