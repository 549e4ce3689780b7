// SPDX-License-Identifier: Apache-2.0
#include "plugins/backup/postgres/pieces.hpp"

namespace tenon::backup_postgres {
namespace {

constexpr int k_level = 3;

vault::View view_of(std::string_view text) noexcept {
    return {reinterpret_cast<const unsigned char*>(text.data()), text.size()};
}

}  // namespace

std::string sum_of(std::string_view name, std::string_view content) {
    capture::Hasher hasher;
    hasher.begin();
    hasher.add(view_of(name));
    hasher.add(view_of(std::string_view{"\0", 1}));
    hasher.add(view_of(content));
    return capture::hex_of(hasher.end());
}

void VaultPieces::put(const std::string& name, std::string_view content) {
    place_->put(name, vault::seal_piece(name, view_of(content), k_level, key_.get()));
}

std::string VaultPieces::get(const std::string& name) {
    vault::Bytes stored;
    try {
        stored = place_->get(name);
    } catch (const Error& e) {
        if (e.code() == TENON_NOT_FOUND) {
            throw Error{
                TENON_NOT_FOUND, "the piece " + name + " is missing (" + place_->where(name) + ")"};
        }
        throw;
    }
    const vault::Bytes content = vault::open_piece(
        name, stored, key_.get(), "the piece " + name + " (" + place_->where(name) + ")"
    );
    return {content.begin(), content.end()};
}

std::vector<std::string> VaultPieces::list(const std::string& prefix) {
    std::vector<std::string> names;
    for (vault::Object& one : place_->list(prefix)) {
        names.push_back(std::move(one.name));
    }
    return names;
}

void VaultPieces::remove(const std::string& name) {
    place_->remove(name);
}

void VaultPieces::sweep() {
    place_->sweep();
}

}  // namespace tenon::backup_postgres
