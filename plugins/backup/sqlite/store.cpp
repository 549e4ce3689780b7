// SPDX-License-Identifier: Apache-2.0
#include "plugins/backup/sqlite/store.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <set>
#include <stdio.h>
#include <unistd.h>

namespace tenon::backup_sqlite {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t k_block = std::size_t{1} << 20U;

std::string name_of(const std::string& file) {
    return file.substr(file.rfind('/') + 1);
}

void make_folder(const std::string& folder) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) {
        throw Error{TENON_UNAVAILABLE, "cannot make " + folder + ": " + error.message()};
    }
    fs::permissions(folder, fs::perms::owner_all, error);
}

bool is_id(std::string_view id) noexcept {
    return !id.empty() && id.size() <= 64 && id.front() != '.' &&
           std::all_of(id.begin(), id.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                      c == '.' || c == '_' || c == '-';
           });
}

std::string sum_of_file(const std::string& file, const std::string& name) {
    const capture::Descriptor fd{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!fd.is_open()) {
        if (errno == ENOENT) {
            throw Error{TENON_CORRUPT, "the piece " + name + " is missing (" + file + ")"};
        }
        throw capture::file_error("open", file);
    }
    capture::Hasher hasher;
    hasher.begin();
    capture::Bytes block(k_block);
    for (std::uint64_t at = 0;;) {
        const std::size_t got = capture::read_at(fd.get(), block.data(), block.size(), at, file);
        hasher.add(capture::View{block}.first(got));
        at += got;
        if (got < block.size()) {
            return capture::hex_of(hasher.end());
        }
    }
}

// A folder that goes with everything in it.
class Scratch {
public:
    explicit Scratch(std::string folder) : folder_{std::move(folder)} {
        std::error_code ignored;
        fs::remove_all(folder_, ignored);
        make_folder(folder_);
    }

    ~Scratch() {
        std::error_code ignored;
        fs::remove_all(folder_, ignored);
    }

    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

private:
    std::string folder_;
};

}  // namespace

void Store::require_going_on() const {
    if (cancelled_.load(std::memory_order_relaxed)) {
        throw Error{TENON_UNAVAILABLE, "the work was cancelled"};
    }
}

std::vector<Manifest> Store::list(std::vector<std::string>* damaged) const {
    std::vector<Manifest> all;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator{folder_, error}) {
        if (entry.path().extension() != ".json") {
            continue;
        }
        std::ifstream in{entry.path(), std::ios::binary};
        const std::string text{std::istreambuf_iterator<char>{in}, {}};
        try {
            all.push_back(decode(text, entry.path().string()));
        } catch (const Error& e) {
            if (damaged != nullptr) {
                damaged->push_back(e.what());
            }
        }
    }
    std::sort(all.begin(), all.end(), [](const Manifest& a, const Manifest& b) {
        return a.started_ns < b.started_ns;
    });
    return all;
}

Manifest Store::manifest_of(std::string_view id) const {
    if (!is_id(id)) {
        throw Error{TENON_INVALID, "\"" + std::string{id} + "\" is no id of a backup"};
    }
    const std::string file = folder_ + "/" + std::string{id} + ".json";
    if (::access(file.c_str(), F_OK) != 0) {
        throw Error{TENON_NOT_FOUND, "there is no backup " + std::string{id}};
    }
    std::ifstream in{file, std::ios::binary};
    const std::string text{std::istreambuf_iterator<char>{in}, {}};
    return decode(text, file);
}

// The newest base that leaves no gap behind the last backup, and what comes after it.
std::vector<capture::Piece> Store::choose() const {
    const capture::Listing all = capture::list(source_);
    if (all.bases.empty()) {
        throw Error{TENON_UNAVAILABLE, source_ + " holds no base yet"};
    }
    const std::vector<Manifest> known = list();
    const std::uint64_t reached = known.empty() ? UINT64_MAX : known.back().to_txid;
    const capture::Piece* first = &all.bases.front();
    for (const capture::Piece& base : all.bases) {
        first = base.txid <= reached ? &base : first;
    }
    std::vector<capture::Piece> chosen;
    for (const capture::Piece& base : all.bases) {
        if (base.txid >= first->txid) {
            chosen.push_back(base);
        }
    }
    for (const capture::Piece& segment : all.segments) {
        if (segment.txid > first->txid) {
            chosen.push_back(segment);
        }
    }
    return chosen;
}

// What was copied before is taken as it is: its name has its checksum, which verify() looks at.
Part Store::copy(const capture::Piece& piece, std::uint64_t bytes) {
    const std::string part = pieces() + "/part";
    const capture::Descriptor from{::open(piece.file.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!from.is_open()) {
        throw capture::file_error("open", piece.file);
    }
    const capture::Descriptor to{
        ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
    if (!to.is_open()) {
        throw capture::file_error("create", part);
    }
    capture::Hasher hasher;
    hasher.begin();
    capture::Bytes block;
    for (std::uint64_t at = 0; at < bytes;) {
        require_going_on();
        block.resize(static_cast<std::size_t>(std::min<std::uint64_t>(k_block, bytes - at)));
        if (capture::read_at(from.get(), block.data(), block.size(), at, piece.file) !=
            block.size()) {
            throw Error{TENON_UNAVAILABLE, piece.file + " became shorter while it was copied"};
        }
        hasher.add(block);
        capture::write_all(to.get(), block, part);
        at += block.size();
    }
    const std::string sum = capture::hex_of(hasher.end());
    Part made{name_of(piece.file), name_of(piece.file) + "." + sum.substr(0, 16), bytes, sum};
    const std::string file = pieces() + "/" + made.file;
    if (::fsync(to.get()) != 0 || ::rename(part.c_str(), file.c_str()) != 0) {
        throw capture::file_error("finish", file);
    }
    return made;
}

void Store::write_manifest(const Manifest& manifest) const {
    capture::sync_folder(pieces());
    const std::string file = folder_ + "/" + manifest.id + ".json";
    const std::string part = file + ".part";
    const std::string text = encode(manifest);
    {
        const capture::Descriptor fd{
            ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
        if (!fd.is_open()) {
            throw capture::file_error("create", part);
        }
        capture::write_all(
            fd.get(), {reinterpret_cast<const unsigned char*>(text.data()), text.size()}, part
        );
        if (::fsync(fd.get()) != 0 || ::rename(part.c_str(), file.c_str()) != 0) {
            throw capture::file_error("finish", file);
        }
    }
    capture::sync_folder(folder_);
}

Manifest Store::create(std::string_view label, std::int64_t now_real_ns, const Say& say) {
    if (label.size() > 128) {
        throw Error{TENON_INVALID, "a label has at most 128 bytes"};
    }
    make_folder(pieces());
    std::vector<capture::Piece> chosen = choose();
    Manifest manifest;
    manifest.started_ns = manifest.finished_ns = now_real_ns;
    manifest.label = label;
    manifest.id = iso_time(now_real_ns);
    std::erase_if(manifest.id, [](char c) { return c == ':' || c == '-'; });
    if (::access((folder_ + "/" + manifest.id + ".json").c_str(), F_OK) == 0) {
        throw Error{TENON_CONFLICT, "there is a backup " + manifest.id + " already"};
    }
    std::uint64_t total = 0;
    std::uint64_t done = 0;
    // Sizes as they are now: a segment that has a successor in the list was ended before that.
    for (capture::Piece& piece : chosen) {
        std::error_code error;
        piece.bytes = fs::file_size(piece.file, error);
        if (error) {
            throw Error{TENON_UNAVAILABLE, "cannot read " + piece.file + ": " + error.message()};
        }
        total += piece.bytes;
    }
    for (const capture::Piece& piece : chosen) {
        say("copy", done, total);
        manifest.parts.push_back(copy(piece, piece.bytes));
        done += piece.bytes;
    }
    say("check", done, total);
    // The newest segment was copied while it grew: what the copies really hold is looked at.
    const Scratch scratch{folder_ + "/.check"};
    link_parts(manifest, folder_ + "/.check");
    const capture::Listing copies = capture::list(folder_ + "/.check");
    const capture::BaseHeader first = capture::read_base_header(copies.bases.front().file);
    const capture::BaseHeader last = capture::unpack_base(copies.bases.back().file, "", {});
    manifest.from_txid = first.txid;
    manifest.from_ns = first.real_ns;
    manifest.to_txid = last.txid;
    manifest.to_ns = last.real_ns;
    capture::Walker walker{folder_ + "/.check", last};
    while (const auto commit = walker.next({})) {
        manifest.to_txid = commit->txid;
        manifest.to_ns = commit->real_ns;
        require_going_on();
    }
    write_manifest(manifest);
    say("done", total, total);
    return manifest;
}

void Store::link_parts(const Manifest& manifest, const std::string& folder) const {
    for (const Part& part : manifest.parts) {
        const std::string to = fs::absolute(pieces() + "/" + part.file).string();
        const std::string from = folder + "/" + part.name;
        if (::symlink(to.c_str(), from.c_str()) != 0) {
            throw capture::file_error("link", from);
        }
    }
}

void Store::check(const Manifest& manifest, const Say& say) {
    std::uint64_t done = 0;
    for (const Part& part : manifest.parts) {
        require_going_on();
        say("verify", done, manifest.bytes());
        const std::string file = pieces() + "/" + part.file;
        if (sum_of_file(file, part.name) != part.sha256) {
            throw Error{
                TENON_CORRUPT,
                "the piece " + part.name + " of the backup " + manifest.id + " is damaged (" +
                    file + ")"};
        }
        done += part.bytes;
    }
}

void Store::verify(std::string_view id, const Say& say) {
    const Manifest manifest = manifest_of(id);
    check(manifest, say);
    const std::string folder = folder_ + "/.check";
    const Scratch scratch{folder};
    link_parts(manifest, folder);
    std::uint64_t reached = 0;
    for (const capture::Piece& base : capture::list(folder).bases) {
        const capture::BaseHeader header = capture::unpack_base(base.file, "", {});
        capture::Walker walker{folder, header};
        reached = header.txid;
        while (walker.next({})) {
            require_going_on();
            reached = walker.txid();
        }
    }
    if (reached != manifest.to_txid) {
        throw Error{
            TENON_CORRUPT,
            "the backup " + manifest.id + " reaches commit " + std::to_string(reached) +
                ", its manifest says " + std::to_string(manifest.to_txid)};
    }
}

capture::Position Store::restore(
    std::string_view id,
    const capture::Target& target,
    const std::string& to,
    const Say& say
) {
    if (to.empty() || to.front() != '/') {
        throw Error{TENON_INVALID, "the folder to restore to has to be an absolute path"};
    }
    std::error_code error;
    const bool was_there = fs::exists(to, error);
    if (was_there && (!fs::is_directory(to, error) || !fs::is_empty(to, error))) {
        throw Error{TENON_CONFLICT, to + " is not an empty folder"};
    }
    Manifest chosen;
    if (!id.empty()) {
        chosen = manifest_of(id);
    } else {
        std::vector<Manifest> all = list();
        const auto reaches = [&](const Manifest& one) {
            return target.txid != 0 ? one.from_txid <= target.txid && target.txid <= one.to_txid
                   : target.real_ns != 0 ? one.from_ns <= target.real_ns
                                         : true;
        };
        const auto found = std::find_if(all.rbegin(), all.rend(), reaches);
        if (found == all.rend()) {
            throw Error{TENON_NOT_FOUND, "no backup reaches the wanted state"};
        }
        chosen = std::move(*found);
    }
    check(chosen, say);
    const std::string links = folder_ + "/.restore";
    const Scratch scratch{links};
    link_parts(chosen, links);
    make_folder(to);
    try {
        return capture::restore(
            links,
            target,
            to + "/tenon.db",
            [&](std::uint64_t done, std::uint64_t total) {
                say("restore", done, total);
                return !cancelled_.load(std::memory_order_relaxed);
            }
        );
    } catch (...) {
        if (!was_there) {
            fs::remove(to, error);
        }
        throw;
    }
}

std::vector<std::string> Store::prune(std::size_t keep, bool dry_run) {
    const std::vector<Manifest> all = list();
    std::vector<std::string> gone;
    std::set<std::string> needed;
    const std::size_t first_kept = all.size() > keep ? all.size() - keep : 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (i < first_kept) {
            gone.push_back(all[i].id);
            continue;
        }
        for (const Part& part : all[i].parts) {
            needed.insert(part.file);
        }
    }
    if (dry_run) {
        return gone;
    }
    for (const std::string& id : gone) {
        ::unlink((folder_ + "/" + id + ".json").c_str());
    }
    std::vector<std::string> damaged;
    (void)list(&damaged);
    std::error_code error;
    if (damaged.empty()) {  // else it is not known what a damaged one needs
        for (const auto& entry : fs::directory_iterator{pieces(), error}) {
            if (needed.count(entry.path().filename().string()) == 0) {
                ::unlink(entry.path().c_str());
            }
        }
    }
    return gone;
}

}  // namespace tenon::backup_sqlite
