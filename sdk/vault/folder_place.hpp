// SPDX-License-Identifier: Apache-2.0
// Objects as files of a folder, which is made with mode 0700 when the first one is put. A file is
// written beside its place, synced, renamed and its folder synced: after a crash it is whole or not
// there. It is locked (flock) meanwhile: a sweep leaves what others write now.
#pragma once

#include "sdk/vault/place.hpp"

namespace tenon::vault {

class FolderPlace final : public Place {
public:
    explicit FolderPlace(std::string folder) : folder_{std::move(folder)} {}

    void put(const std::string& name, View bytes) override;
    [[nodiscard]] Bytes get(const std::string& name) override;
    [[nodiscard]] std::vector<Object> list(const std::string& prefix) override;
    [[nodiscard]] std::optional<std::uint64_t> size(const std::string& name) override;
    void remove(const std::string& name) override;
    void sweep() override;
    [[nodiscard]] std::string where(const std::string& name) const override;

private:
    std::string folder_;
};

}  // namespace tenon::vault
