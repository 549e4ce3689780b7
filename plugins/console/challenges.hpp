// SPDX-License-Identifier: Apache-2.0
// Texts to sign in with: whoever holds a private key signs one, and shows so that he has it without
// giving it away. A text holds for a minute, and for one sign-in. None is kept before it was used:
// each carries its time and a MAC of this server's own, so that asking for many takes no memory.
//
// Not thread-safe: one reactor's. Times are monotonic nanoseconds.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace tenon::console {

class Challenges {
public:
    static constexpr std::int64_t k_holds_ns = 60'000'000'000;
    static constexpr std::size_t k_used_max = 4096;

    Challenges();

    [[nodiscard]] std::string make(std::int64_t now_ns) const;
    // Whether it is one of these, in its time, and was not used.
    [[nodiscard]] bool holds(std::string_view challenge, std::int64_t now_ns);
    // False: so many were used within a minute that this one cannot be remembered.
    [[nodiscard]] bool use(std::string_view challenge, std::int64_t now_ns);

    // What is signed: no request of any API begins like it, and it names the server as the browser
    // does, so that what one server is given is of no use at another.
    [[nodiscard]] static std::string text_of(std::string_view host, std::string_view challenge);

private:
    [[nodiscard]] std::string mac_of(std::string_view text) const;

    std::array<unsigned char, 32> key_{};
    std::map<std::string, std::int64_t, std::less<>> used_;  // until when
};

}  // namespace tenon::console
