// SPDX-License-Identifier: Apache-2.0
#include "kernel/runtime/secret_box.hpp"

#include <tenon/plugin.hpp>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tenon::runtime {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t k_key_bytes = crypto_aead_xchacha20poly1305_ietf_KEYBYTES;
constexpr std::size_t k_nonce_bytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t k_tag_bytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr char k_version = 1;

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
    const std::string reason = std::strerror(errno);
    throw Error{TENON_UNAVAILABLE, std::string{what} + " " + file.string() + ": " + reason};
}

void write_key(const fs::path& file, const unsigned char* key) {
    const fs::path fresh = file.string() + ".new";
    (void)::unlink(fresh.c_str());
    const File out{::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
    if (out.fd() < 0 || ::write(out.fd(), key, k_key_bytes) != ssize_t{k_key_bytes} ||
        ::fsync(out.fd()) != 0 || ::rename(fresh.c_str(), file.c_str()) != 0) {
        fail_file(file, "the master key cannot be written to");
    }
    const File folder{::open(file.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (folder.fd() < 0 || ::fsync(folder.fd()) != 0) {
        fail_file(file, "the master key's folder cannot be synchronised:");
    }
}

void read_key(const fs::path& file, bool credential, unsigned char* key) {
    const File in{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};

    struct stat info {};

    if (in.fd() < 0 || ::fstat(in.fd(), &info) != 0) {
        fail_file(file, "the master key cannot be read from");
    }
    // systemd guards its credentials itself, with modes of its own.
    if (!credential && (info.st_mode & 077U) != 0) {
        throw Error{
            TENON_DENIED,
            "the master key " + file.string() +
                " can be read by others than its owner; expected mode 0600 (chmod 600)"};
    }
    unsigned char beyond = 0;
    if (::read(in.fd(), key, k_key_bytes) != ssize_t{k_key_bytes} ||
        ::read(in.fd(), &beyond, 1) != 0) {
        throw Error{
            TENON_CORRUPT,
            "the master key " + file.string() + " has " + std::to_string(info.st_size) +
                " bytes; expected " + std::to_string(k_key_bytes)};
    }
}

const unsigned char* raw(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

unsigned char* raw(std::string& text) {
    return reinterpret_cast<unsigned char*>(text.data());
}

}  // namespace

void SecretBox::Free::operator()(unsigned char* key) const noexcept {
    sodium_free(key);
}

SecretBox::SecretBox(const fs::path& data_dir, bool first_start) {
    if (sodium_init() < 0) {
        throw Error{TENON_INTERNAL, "libsodium does not start"};
    }
    key_.reset(static_cast<unsigned char*>(sodium_malloc(k_key_bytes)));
    if (!key_) {
        throw Error{TENON_UNAVAILABLE, "no memory for the master key"};
    }
    if (const char* credentials = std::getenv("CREDENTIALS_DIRECTORY"); credentials != nullptr) {
        const fs::path file = fs::path{credentials} / "tenon-master-key";
        if (fs::exists(file)) {
            read_key(file, true, key_.get());
            (void)sodium_mprotect_readonly(key_.get());
            return;
        }
    }
    const fs::path file = data_dir / "master.key";
    if (!fs::exists(file)) {
        if (!first_start) {
            // A new key would make every stored secret unreadable, silently.
            throw Error{
                TENON_NOT_FOUND,
                "the master key " + file.string() +
                    " is missing, but this data folder has been used before; put it back"};
        }
        randombytes_buf(key_.get(), k_key_bytes);
        write_key(file, key_.get());
    }
    read_key(file, false, key_.get());
    (void)sodium_mprotect_readonly(key_.get());
}

std::string SecretBox::seal(std::string_view context, std::string_view plain) const {
    std::string out(1 + k_nonce_bytes + plain.size() + k_tag_bytes, '\0');
    out[0] = k_version;
    unsigned char* nonce = raw(out) + 1;
    randombytes_buf(nonce, k_nonce_bytes);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(
        nonce + k_nonce_bytes,
        nullptr,
        raw(plain),
        plain.size(),
        raw(context),
        context.size(),
        nullptr,
        nonce,
        key_.get()
    );
    return out;
}

std::string SecretBox::open(std::string_view context, std::string_view sealed) const {
    if (sealed.size() < 1 + k_nonce_bytes + k_tag_bytes || sealed[0] != k_version) {
        throw Error{TENON_CORRUPT, "not a sealed secret"};
    }
    const std::string_view cipher = sealed.substr(1 + k_nonce_bytes);
    std::string out(cipher.size() - k_tag_bytes, '\0');
    const int opened = crypto_aead_xchacha20poly1305_ietf_decrypt(
        raw(out),
        nullptr,
        nullptr,
        raw(cipher),
        cipher.size(),
        raw(context),
        context.size(),
        raw(sealed.substr(1)),
        key_.get()
    );
    if (opened != 0) {
        throw Error{TENON_CORRUPT, "the secret does not open: wrong master key, context or data"};
    }
    return out;
}

const tenon_secret_1& SecretBox::table() {
    static constexpr tenon_secret_1 k_table{
        sizeof(tenon_secret_1),
        0,
        [](void* self, tenon_str context, tenon_bytes plain, tenon_sink out, tenon_err* err
        ) noexcept {
            return guard(err, [&] {
                const auto& box = *static_cast<const SecretBox*>(self);
                return out.put(out.ctx, bytes(box.seal(view(context), view(plain))));
            });
        },
        [](void* self, tenon_str context, tenon_bytes sealed, tenon_sink out, tenon_err* err
        ) noexcept {
            return guard(err, [&] {
                const auto& box = *static_cast<const SecretBox*>(self);
                std::string plain = box.open(view(context), view(sealed));
                const tenon_status status = out.put(out.ctx, bytes(plain));
                sodium_memzero(plain.data(), plain.size());
                return status;
            });
        }};
    return k_table;
}

}  // namespace tenon::runtime
