// SPDX-License-Identifier: Apache-2.0
// Memory for secrets: locked, guarded, wiped when it goes. It has no formatter and no copy.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

namespace tenon::accounts {

// libsodium's guarded heap. Throws std::bad_alloc.
[[nodiscard]] void* allocate_secret(std::size_t size);
void free_secret(void* memory) noexcept;

// Overwrites text that held a secret.
void wipe(std::string& text) noexcept;

// One object in guarded memory.
template <class T>
class Secret {
    static_assert(std::is_trivially_destructible_v<T>);

public:
    Secret() : value_{new (allocate_secret(sizeof(T))) T{}} {}

    [[nodiscard]] T& get() noexcept { return *value_; }

    [[nodiscard]] const T& get() const noexcept { return *value_; }

private:
    struct Free {
        void operator()(T* value) const noexcept { free_secret(value); }
    };

    std::unique_ptr<T, Free> value_;
};

// Bytes of a size known when they are made.
class SecretBytes {
public:
    explicit SecretBytes(std::span<const char> bytes);

    [[nodiscard]] std::span<const unsigned char> get() const noexcept {
        return {bytes_.get(), size_};
    }

private:
    struct Free {
        void operator()(unsigned char* bytes) const noexcept { free_secret(bytes); }
    };

    std::size_t size_;
    std::unique_ptr<unsigned char[], Free> bytes_;
};

}  // namespace tenon::accounts
