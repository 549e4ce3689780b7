// SPDX-License-Identifier: Apache-2.0
#include "sdk/sealing/master_key.hpp"

#include <tenon/plugin.hpp>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tenon::sealing {
namespace {

namespace fs = std::filesystem;

// A descriptor that closes itself.
class File {
public:
    explicit File(int fd) : fd_{fd} {}

    ~File() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }

    File(const File&) = delete;
    File& operator=(const File&) = delete;

    [[nodiscard]] int fd() const { return fd_; }

private:
    int fd_;
};

[[noreturn]] void fail_file(const fs::path& file, std::string_view what) {
    const int number = errno;
    throw Error{
        number == ENOENT ? TENON_NOT_FOUND : TENON_UNAVAILABLE,
        std::string{what} + " " + file.string() + ": " + std::strerror(number)};
}

[[nodiscard]] std::string octal(unsigned mode) {
    std::array<char, 8> text{};
    (void)std::snprintf(text.data(), text.size(), "%04o", mode & 07777U);
    return text.data();
}

[[nodiscard]] bool is_ours(const struct stat& info) {
    return info.st_uid == ::geteuid() || info.st_uid == 0;
}

[[noreturn]] void deny(const std::string& what) {
    throw Error{TENON_DENIED, what};
}

[[nodiscard]] std::string owner_text(const struct stat& info) {
    return "belongs to user " + std::to_string(info.st_uid) + "; expected user " +
           std::to_string(::geteuid()) + " or root";
}

void check_link(const fs::path& file) {
    struct stat link {};

    if (::lstat(file.c_str(), &link) != 0) {
        fail_file(file, "the master key cannot be read from");
    }
    if (S_ISLNK(link.st_mode) && !is_ours(link)) {
        deny("the master key " + file.string() + " is a symbolic link that " + owner_text(link));
    }
}

void check_folder(const fs::path& file) {
    std::error_code ec;
    const fs::path folder = fs::canonical(file, ec).parent_path();

    struct stat info {};

    if (ec || ::stat(folder.c_str(), &info) != 0) {
        fail_file(file, "the folder cannot be looked at of the master key");
    }
    const std::string start =
        "the master key " + file.string() + " is in the folder " + folder.string();
    if (!is_ours(info)) {
        deny(start + ", which " + owner_text(info));
    }
    if ((info.st_mode & S_IWOTH) != 0) {
        deny(
            start + ", which everybody may write to: mode " + octal(info.st_mode) +
            "; expected 0700 (chmod 700)"
        );
    }
}

void check_file(const fs::path& file, const struct stat& info, MasterKey::Source source) {
    const std::string start = "the master key " + file.string();
    if (!S_ISREG(info.st_mode)) {
        deny(start + " is not a regular file");
    }
    const unsigned mode = info.st_mode & 07777U;
    if (source == MasterKey::Source::credential) {
        if ((mode & 07U) != 0) {
            deny(
                start + " is open to everybody: mode " + octal(mode) +
                "; expected the 0400 or 0440 that systemd gives credentials"
            );
        }
        return;
    }
    if (!is_ours(info)) {
        deny(start + " " + owner_text(info));
    }
    if (mode != 0400U && mode != 0600U) {
        deny(start + " has mode " + octal(mode) + "; expected 0400 or 0600 (chmod 600)");
    }
}

}  // namespace

void MasterKey::Free::operator()(unsigned char* key) const noexcept {
    sodium_free(key);
}

MasterKey::MasterKey() {
    if (sodium_init() < 0) {
        throw Error{TENON_INTERNAL, "libsodium does not start"};
    }
    key_.reset(static_cast<unsigned char*>(sodium_malloc(k_bytes)));
    if (!key_) {
        throw Error{TENON_UNAVAILABLE, "no memory for the master key"};
    }
}

void MasterKey::seal() {
    constexpr std::string_view k_purpose = "tenon master key id";
    std::array<unsigned char, crypto_generichash_BYTES_MIN> hash{};
    static_assert(crypto_generichash_BYTES_MIN >= k_id_bytes);
    (void)crypto_generichash(
        hash.data(),
        hash.size(),
        reinterpret_cast<const unsigned char*>(k_purpose.data()),
        k_purpose.size(),
        key_.get(),
        k_bytes
    );
    id_.assign(reinterpret_cast<const char*>(hash.data()), k_id_bytes);
    (void)sodium_mprotect_readonly(key_.get());
}

MasterKey MasterKey::random() {
    MasterKey key;
    randombytes_buf(key.key_.get(), k_bytes);
    key.seal();
    return key;
}

MasterKey MasterKey::read(const fs::path& file, Source source) {
    MasterKey key;
    if (source == Source::file) {
        check_link(file);
        check_folder(file);
    }
    // Not blocked by a pipe that somebody put there.
    const File in{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};

    struct stat info {};

    if (in.fd() < 0 || ::fstat(in.fd(), &info) != 0) {
        fail_file(file, "the master key cannot be read from");
    }
    check_file(file, info, source);
    unsigned char beyond = 0;
    if (info.st_size != off_t{k_bytes} ||
        ::read(in.fd(), key.key_.get(), k_bytes) != ssize_t{k_bytes} ||
        ::read(in.fd(), &beyond, 1) != 0) {
        throw Error{
            TENON_CORRUPT,
            "the master key " + file.string() + " has " + std::to_string(info.st_size) +
                " bytes; expected " + std::to_string(k_bytes)};
    }
    key.seal();
    return key;
}

void MasterKey::write(const fs::path& file) const {
    const fs::path fresh = file.string() + ".new";
    (void)::unlink(fresh.c_str());
    const File out{::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
    if (out.fd() < 0 || ::write(out.fd(), key_.get(), k_bytes) != ssize_t{k_bytes} ||
        ::fsync(out.fd()) != 0 || ::rename(fresh.c_str(), file.c_str()) != 0) {
        fail_file(file, "the master key cannot be written to");
    }
    sync_folder(file.parent_path());
}

std::string MasterKey::name() const {
    return hex_of(id_);
}

std::string hex_of(std::string_view bytes) {
    constexpr std::string_view k_digits = "0123456789abcdef";
    std::string out;
    for (const char c : bytes) {
        const auto value = static_cast<unsigned char>(c);
        out.push_back(k_digits[value >> 4U]);
        out.push_back(k_digits[value & 15U]);
    }
    return out;
}

void sync_folder(const fs::path& folder) {
    const File open{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (open.fd() < 0 || ::fsync(open.fd()) != 0) {
        fail_file(folder, "the master key's folder cannot be synchronised:");
    }
}

}  // namespace tenon::sealing
