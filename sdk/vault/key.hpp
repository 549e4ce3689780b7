// SPDX-License-Identifier: Apache-2.0
// The key that pieces are encrypted under: 32 bytes in guarded memory, known by an id that says
// nothing about them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace tenon::vault {

class Key {
public:
    static constexpr std::size_t k_bytes = 32;
    using Id = std::array<unsigned char, 8>;

    // 64 hexadecimal digits (`openssl rand -hex 32`), spaces and a line end around them are
    // ignored. Throws Error TENON_INVALID, which shows nothing of the text.
    [[nodiscard]] static std::shared_ptr<const Key> parse(std::string_view text);

    [[nodiscard]] const unsigned char* data() const noexcept { return key_.get(); }

    [[nodiscard]] const Id& id() const noexcept { return id_; }

    // The id as 16 hexadecimal digits.
    [[nodiscard]] std::string name() const;
    // A key for another use, of the same length; `use` has at most 8 bytes.
    [[nodiscard]] std::array<unsigned char, k_bytes> derived(std::string_view use) const;

private:
    struct Free {
        void operator()(unsigned char* key) const noexcept;
    };

    Key();

    std::unique_ptr<unsigned char, Free> key_;
    Id id_{};
};

}  // namespace tenon::vault
