// SPDX-License-Identifier: Apache-2.0
// A master key: 32 bytes in guarded memory, known by an id that says nothing about them.
//
// A key file is trusted only when nobody else can have written or read it:
//   a regular file of the server's user or root, mode 0400 or 0600; a symbolic link to it only when
//   one of the two made the link; in a folder of one of the two that others may not write to.
// systemd guards its credentials itself, with owners and modes of its own; such a file is refused
// only when everybody may read it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace tenon::sealing {

class MasterKey {
public:
    static constexpr std::size_t k_bytes = 32;
    static constexpr std::size_t k_id_bytes = 8;

    enum class Source { file, credential };

    // A new one of libsodium's randomness.
    [[nodiscard]] static MasterKey random();
    // Throws Error with the path, and the owner, mode or size that is wrong; never the content:
    // TENON_NOT_FOUND, TENON_UNAVAILABLE, TENON_DENIED, TENON_CORRUPT.
    [[nodiscard]] static MasterKey read(const std::filesystem::path& file, Source source);
    // Replaces the file at once, mode 0600, safe on disk when it returns. Throws Error.
    void write(const std::filesystem::path& file) const;

    // BLAKE2b of the key to 64 bits, with a text of its own, so that it is no part of anything
    // else.
    [[nodiscard]] const std::string& id() const noexcept { return id_; }

    // The id as 16 hexadecimal digits.
    [[nodiscard]] std::string name() const;

    [[nodiscard]] const unsigned char* data() const noexcept { return key_.get(); }

private:
    struct Free {
        void operator()(unsigned char* key) const noexcept;
    };

    MasterKey();
    void seal();  // derives the id; from here on nobody writes

    std::unique_ptr<unsigned char, Free> key_;  // locked in memory, wiped when freed
    std::string id_;
};

[[nodiscard]] std::string hex_of(std::string_view bytes);

// Makes renames in the folder last. Throws Error.
void sync_folder(const std::filesystem::path& folder);

}  // namespace tenon::sealing
