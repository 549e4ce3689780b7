// SPDX-License-Identifier: Apache-2.0
// Copies of a folder below another one. A backup is a folder of the target named by its id:
//
//   ID/files/…     the copies
//   ID/index       a line a piece, "CHECKSUM BYTES PATH"; "about KIND STARTED FINISHED LABEL"
//                  (in ns); "end CHECKSUM", of all lines before
//
// It is made under a name that starts with "." and renamed when everything is on disk, so that a
// run that was killed leaves nothing that looks like a backup. The checksum finds accidents, not
// intent.
#pragma once

#include <tenon/backup.hpp>
#include <tenon/json.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <unistd.h>
#include <vector>

struct Piece {
    std::string path;
    std::uint64_t bytes = 0;
    std::string checksum;
};

struct BackupAbout {
    std::string id, kind, label;
    std::int64_t started_real_ns = 0, finished_real_ns = 0;
    std::vector<Piece> pieces;

    [[nodiscard]] std::uint64_t bytes() const {
        std::uint64_t sum = 0;
        for (const Piece& piece : pieces) {
            sum += piece.bytes;
        }
        return sum;
    }
};

// FNV-1a, 64 bits (Fowler, Noll, Vo).
class Checksum {
public:
    void add(std::string_view bytes) noexcept {
        for (const char c : bytes) {
            hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
        }
    }

    [[nodiscard]] std::string hex() const {
        std::string out(16, '0');
        std::uint64_t rest = hash_;
        for (std::size_t i = out.size(); i-- > 0; rest >>= 4) {
            out[i] = "0123456789abcdef"[rest & 15];
        }
        return out;
    }

private:
    std::uint64_t hash_ = 0xcbf29ce484222325U;
};

// ISO 8601 in UTC, to the millisecond.
[[nodiscard]] inline std::string iso_time(std::int64_t real_ns) {
    const std::time_t seconds = real_ns / 1'000'000'000;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    std::array<char, 32> text{};
    const std::size_t length = std::strftime(text.data(), text.size(), "%FT%T", &parts);
    std::string ms = std::to_string(1000 + real_ns / 1'000'000 % 1000);
    return std::string{text.data(), length} + "." + ms.substr(1) + "Z";
}

namespace fs = std::filesystem;

class BackupStore {
public:
    using Progress = tenon::Backup::Progress;

    BackupStore(fs::path source, fs::path target)
        : source_{std::move(source)}, target_{std::move(target)} {}

    // Copies every regular file of the source but what is in the target. `about` brings id, kind,
    // label and start.
    void create(BackupAbout& about, std::int64_t finished_real_ns, const Progress& progress) const {
        const fs::path staging = target_ / ("." + about.id);
        const Remove undo{staging};
        make_folder(staging / "files");
        const std::vector<std::string> paths = source_files();
        std::uint64_t done = 0;
        for (const std::string& path : paths) {
            if (path.find('\n') != std::string::npos) {
                throw tenon::Error{TENON_UNSUPPORTED, "a file name with a line break"};
            }
            about.pieces.push_back(copy(source_ / path, staging / "files" / path, path));
            done += about.pieces.back().bytes;
            progress("copy", done, 0);
        }
        about.finished_real_ns = finished_real_ns;
        write_index(staging, about);
        sync_folder(staging);
        fs::rename(staging, target_ / about.id);
        sync_folder(target_);
    }

    // Complete ones, oldest first.
    [[nodiscard]] std::vector<BackupAbout> list() const {
        std::vector<BackupAbout> found;
        std::error_code ec;
        for (const auto& entry : fs::directory_iterator{target_, ec}) {
            const std::string id = entry.path().filename().string();
            if (!id.starts_with('.') && entry.is_directory() &&
                fs::exists(entry.path() / "index")) {
                found.push_back(read(id));
            }
        }
        std::sort(found.begin(), found.end(), [](const BackupAbout& a, const BackupAbout& b) {
            return a.started_real_ns != b.started_real_ns ? a.started_real_ns < b.started_real_ns
                                                          : a.id < b.id;
        });
        return found;
    }

    // Throws Error: TENON_NOT_FOUND, TENON_CORRUPT with the piece's name.
    void verify(const std::string& id, const Progress& progress) const {
        const BackupAbout about = read(id);
        std::uint64_t done = 0;
        for (const Piece& piece : about.pieces) {
            expect_same(measure(target_ / id / "files" / piece.path), piece);
            done += piece.bytes;
            progress("verify", done, about.bytes());
        }
    }

    // Into a folder that is empty or absent; on failure it stays so.
    void restore(const std::string& id, const fs::path& folder, const Progress& progress) const {
        std::error_code ec;
        if (fs::exists(folder, ec) &&
            (!fs::is_directory(folder, ec) || !fs::is_empty(folder, ec))) {
            throw tenon::Error{TENON_CONFLICT, folder.string() + " is not an empty folder"};
        }
        const BackupAbout about = read(id);
        const fs::path staging = folder.string() + ".restoring";
        const Remove undo{staging};
        make_folder(staging);
        std::uint64_t done = 0;
        for (const Piece& piece : about.pieces) {
            const fs::path from = target_ / id / "files" / piece.path;
            const bool there = fs::is_regular_file(from, ec);
            expect_same(there ? copy(from, staging / piece.path, piece.path) : Piece{}, piece);
            done += piece.bytes;
            progress("restore", done, about.bytes());
        }
        fs::rename(staging, folder);  // also onto an empty folder
        sync_folder(folder.parent_path());
    }

    void remove(const std::string& id) const { fs::remove_all(target_ / id); }

private:
    struct Remove {
        explicit Remove(fs::path path) : folder{std::move(path)} {}

        Remove(const Remove&) = delete;
        Remove& operator=(const Remove&) = delete;

        ~Remove() {
            std::error_code ec;
            fs::remove_all(folder, ec);
        }

        fs::path folder;
    };

    [[noreturn]] static void refuse(const fs::path& file) {
        throw tenon::Error{TENON_UNAVAILABLE, file.string() + ": " + std::strerror(errno)};
    }

    static void make_folder(const fs::path& folder) {
        std::error_code ec;
        fs::create_directories(folder, ec);
        if (ec) {
            throw tenon::Error{TENON_UNAVAILABLE, folder.string() + ": " + ec.message()};
        }
    }

    static void sync_folder(const fs::path& folder) {
        const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY);
        if (fd < 0 || ::fsync(fd) != 0) {
            refuse(folder);
        }
        ::close(fd);
    }

    [[nodiscard]] std::vector<std::string> source_files() const {
        std::vector<std::string> paths;
        for (fs::recursive_directory_iterator at{source_}, end; at != end; ++at) {
            std::error_code ec;
            if (at->is_directory() && fs::equivalent(at->path(), target_, ec)) {
                at.disable_recursion_pending();
            } else if (fs::is_regular_file(at->symlink_status(ec))) {
                paths.push_back(at->path().lexically_relative(source_).string());
            }
        }
        std::sort(paths.begin(), paths.end());
        return paths;
    }

    // Reads a file to its end, block by block.
    template <class Each>
    static Piece read_blocks(const fs::path& from, Each each) {
        std::ifstream in{from, std::ios::binary};
        if (!in) {
            refuse(from);
        }
        Piece piece;
        Checksum checksum;
        std::vector<char> block(1U << 16U);
        while (in) {
            in.read(block.data(), static_cast<std::streamsize>(block.size()));
            const std::string_view got{block.data(), static_cast<std::size_t>(in.gcount())};
            checksum.add(got);
            piece.bytes += got.size();
            each(got);
        }
        piece.checksum = checksum.hex();
        return piece;
    }

    static Piece measure(const fs::path& file) {
        std::error_code ec;
        if (!fs::is_regular_file(file, ec)) {
            return {};
        }
        return read_blocks(file, [](std::string_view) {});
    }

    static Piece copy(const fs::path& from, const fs::path& to, const std::string& path) {
        make_folder(to.parent_path());
        const int fd = ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600);
        if (fd < 0) {
            refuse(to);
        }
        const Close close{fd};
        Piece piece = read_blocks(from, [&](std::string_view block) {
            while (!block.empty()) {
                const ssize_t put = ::write(fd, block.data(), block.size());
                if (put < 0) {
                    refuse(to);
                }
                block.remove_prefix(static_cast<std::size_t>(put));
            }
        });
        if (::fsync(fd) != 0) {
            refuse(to);
        }
        piece.path = path;
        return piece;
    }

    struct Close {
        explicit Close(int file) : fd{file} {}

        Close(const Close&) = delete;
        Close& operator=(const Close&) = delete;

        ~Close() { ::close(fd); }

        int fd;
    };

    static void expect_same(const Piece& found, const Piece& wanted) {
        if (found.bytes != wanted.bytes || found.checksum != wanted.checksum) {
            throw tenon::Error{TENON_CORRUPT, wanted.path + " is damaged or missing"};
        }
    }

    static void write_index(const fs::path& staging, const BackupAbout& about) {
        std::ostringstream index;
        for (const Piece& piece : about.pieces) {
            index << piece.checksum << ' ' << piece.bytes << ' ' << piece.path << '\n';
        }
        index << "about " << about.kind << ' ' << about.started_real_ns << ' '
              << about.finished_real_ns << ' ' << about.label << '\n';
        Checksum checksum;
        checksum.add(index.str());
        std::ofstream out{staging / "index", std::ios::binary};
        out << index.str() << "end " << checksum.hex() << '\n';
        out.close();
        const int fd = ::open((staging / "index").c_str(), O_RDONLY);
        if (!out || fd < 0 || ::fsync(fd) != 0) {
            refuse(staging / "index");
        }
        ::close(fd);
    }

    [[nodiscard]] BackupAbout read(const std::string& id) const {
        std::ifstream in{target_ / id / "index", std::ios::binary};
        if (id.empty() || id.find('/') != std::string::npos || id.starts_with('.') || !in) {
            throw tenon::Error{TENON_NOT_FOUND, "there is no backup " + id};
        }
        BackupAbout about;
        about.id = id;
        Checksum checksum;
        for (std::string line; std::getline(in, line);) {
            std::istringstream words{line};
            std::string first;
            words >> first;
            if (first == "end") {
                std::string sum;
                words >> sum;
                if (sum == checksum.hex() && !in.eof()) {  // with its line's end
                    return about;
                }
                break;
            }
            checksum.add(line + "\n");
            if (first == "about") {
                words >> about.kind >> about.started_real_ns >> about.finished_real_ns;
                std::getline(words >> std::ws, about.label);
            } else {
                Piece piece;
                piece.checksum = first;
                words >> piece.bytes;
                words.get();
                std::getline(words, piece.path);
                about.pieces.push_back(piece);
            }
        }
        throw tenon::Error{TENON_CORRUPT, "the index of backup " + id + " is damaged"};
    }

    fs::path source_, target_;
};
