// SPDX-License-Identifier: Apache-2.0
// Immutable pieces in a place of the vault, each known by its name: compressed, bound to the name
// by SHA-256, and encrypted where there is a key. One thread at a time.
#pragma once

#include "sdk/vault/piece.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::backup_postgres {

inline constexpr std::size_t k_piece_bytes_max = vault::k_piece_bytes_max;

class Pieces {
public:
    Pieces() = default;
    virtual ~Pieces() = default;
    Pieces(const Pieces&) = delete;
    Pieces& operator=(const Pieces&) = delete;

    // Safe when it returns, at most k_piece_bytes_max. An equal name replaces what was there.
    // Throws as vault::Place does.
    virtual void put(const std::string& name, std::string_view content) = 0;
    // What was put under that name. Throws TENON_NOT_FOUND; TENON_CORRUPT when it is anything else:
    // flipped, cut, or another piece in its place; TENON_DENIED under another key. Messages name
    // the piece.
    [[nodiscard]] virtual std::string get(const std::string& name) = 0;
    // Names in their order; the prefix ends with '/'.
    [[nodiscard]] virtual std::vector<std::string> list(const std::string& prefix) = 0;
    virtual void remove(const std::string& name) = 0;
    // What killed runs have left unfinished.
    virtual void sweep() = 0;
};

class VaultPieces final : public Pieces {
public:
    VaultPieces(std::shared_ptr<vault::Place> place, std::shared_ptr<const vault::Key> key) noexcept
        : place_{std::move(place)}, key_{std::move(key)} {}

    void put(const std::string& name, std::string_view content) override;
    [[nodiscard]] std::string get(const std::string& name) override;
    [[nodiscard]] std::vector<std::string> list(const std::string& prefix) override;
    void remove(const std::string& name) override;
    void sweep() override;

private:
    std::shared_ptr<vault::Place> place_;
    std::shared_ptr<const vault::Key> key_;
};

// SHA-256 of a name, a zero byte and content, as hexadecimal digits.
[[nodiscard]] std::string sum_of(std::string_view name, std::string_view content);

}  // namespace tenon::backup_postgres
