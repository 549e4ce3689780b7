// SPDX-License-Identifier: Apache-2.0
// How often somebody may try to sign in: a few failures for a name from one address, more for a
// name from all of them, and more for an address with all names. Whether a name exists makes no
// difference. A success forgets the failures of its name from its address. Addresses are told apart
// by tenon/address_key.hpp.
//
// Not thread-safe: one reactor's. Memory is bounded; when it is full of live counts, who is not
// among them has to wait.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace tenon::console {

class SignInGuard {
public:
    static constexpr std::uint32_t k_pair_max = 5, k_name_max = 30, k_address_max = 30;
    static constexpr std::chrono::nanoseconds k_window = std::chrono::minutes{1};
    static constexpr std::size_t k_counts_max = 8192;

    // Takes one try. Nothing: go on. Else how long to wait.
    [[nodiscard]] std::optional<std::chrono::nanoseconds>
    take(std::string_view name, std::string_view address, std::int64_t now_ns);
    void succeeded(std::string_view name, std::string_view address);

private:
    struct Count {
        std::uint32_t tries = 0;
        std::int64_t end_ns = 0;
    };

    [[nodiscard]] static std::string pair_key(std::string_view name, std::string_view address);
    // NULL: there is none, or its time is over.
    [[nodiscard]] const Count* live_count(const std::string& key, std::int64_t now_ns) const;
    // For what one try adds. False: all are live.
    [[nodiscard]] bool make_room(std::int64_t now_ns);

    std::map<std::string, Count> counts_;
};

}  // namespace tenon::console
