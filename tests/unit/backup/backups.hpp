// SPDX-License-Identifier: Apache-2.0
// A captured database and a store of its backups.
#pragma once

#include "plugins/backup/sqlite/store.hpp"
#include "sdk/vault/folder_place.hpp"
#include "tests/unit/capture/captured.hpp"

namespace tenon::test {

inline const auto k_quiet = [](auto, auto, auto) {};
inline constexpr std::int64_t k_hour = 3'600'000'000'000;
inline constexpr std::int64_t k_start = 1'780'000'000'000'000'000;

struct Backups {
    explicit Backups(Captured& database)
        : folder{(database.backend.folder.path() / "backups").string()},
          to{(database.backend.folder.path() / "restored").string()},
          scratch{(database.backend.folder.path() / "scratch").string()},
          shipper{database.captures(), vault_in(folder)},
          store{database.captures(), scratch, vault_in(folder), [this] {
                    shipper.backup_changed();
                }} {}

    [[nodiscard]] static std::unique_ptr<vault::Vault> vault_in(const std::string& folder) {
        return std::make_unique<vault::Vault>(
            std::make_shared<vault::FolderPlace>(folder), vault::Options{1, {}, 65'536}
        );
    }

    [[nodiscard]] std::string restored(std::string_view id, const capture::Target& target) {
        (void)store.restore(id, target, to, k_quiet);
        const std::string content = content_of(to + "/tenon.db");
        std::filesystem::remove_all(to);
        return content;
    }

    std::string folder;
    std::string to;
    std::string scratch;
    backup_sqlite::Shipper shipper;
    backup_sqlite::Store store;
};

[[nodiscard]] inline std::uint64_t end_of(const vault::Manifest& one) {
    return one.about.at("to_sequence").to_number<std::uint64_t>();
}

[[nodiscard]] inline std::uint64_t begin_of(const vault::Manifest& one) {
    return one.about.at("from_sequence").to_number<std::uint64_t>();
}

[[nodiscard]] inline std::string failure_of(const std::function<void()>& body) {
    try {
        body();
    } catch (const Error& e) {
        return e.what();
    }
    return "";
}

}  // namespace tenon::test
