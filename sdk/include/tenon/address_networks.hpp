// SPDX-License-Identifier: Apache-2.0
// A list of addresses and networks in the notation of RFC 4632 (CIDR): whether an address is of it.
// An IPv4 address and the IPv6 form of it (::ffff:192.0.2.1) are the same.
#pragma once

#include <tenon/plugin.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon {

// The 16 bytes of an IPv6 address, an IPv4 one as ::ffff:a.b.c.d; nothing: it is none. A zone
// (fe80::1%eth0) is not of the address.
[[nodiscard]] inline std::optional<std::array<std::uint8_t, 16>> read_address(std::string_view text
) noexcept {
    text = text.substr(0, text.find('%'));
    std::array<char, INET6_ADDRSTRLEN> terminated{};
    if (text.size() >= terminated.size()) {
        return std::nullopt;
    }
    std::copy(text.begin(), text.end(), terminated.begin());
    std::array<std::uint8_t, 16> out{};
    if (text.find(':') != std::string_view::npos) {
        return inet_pton(AF_INET6, terminated.data(), out.data()) == 1 ? std::optional{out}
                                                                       : std::nullopt;
    }
    out[10] = out[11] = 0xFF;
    return inet_pton(AF_INET, terminated.data(), &out[12]) == 1 ? std::optional{out} : std::nullopt;
}

// The address of whoever comes by a Unix socket.
inline constexpr std::string_view k_unix_address = "unix:";

class AddressNetworks {
public:
    // "192.0.2.1", "10.0.0.0/8", "2001:db8::/32", or k_unix_address. Throws Error TENON_INVALID
    // that names what is wrong, bits beyond the prefix too: who writes 10.0.0.1/8 may have meant
    // either.
    void add(std::string_view text) {
        const auto fail = [&](const char* why) {
            throw Error{TENON_INVALID, "\"" + std::string{text} + "\": " + why};
        };
        if (text == k_unix_address) {
            unix_ = true;
            return;
        }
        const std::size_t slash = text.find('/');
        const auto address = read_address(text.substr(0, slash));
        if (!address || text.find('%') != std::string_view::npos) {
            fail("an IPv4 or IPv6 address expected, a network (10.0.0.0/8), or unix:");
        }
        Network network{*address, 128};
        if (slash != std::string_view::npos) {
            const unsigned most = text.find(':') == std::string_view::npos ? 32 : 128;
            const std::string_view digits = text.substr(slash + 1);
            unsigned bits = 0;
            const auto [end, fault] =
                std::from_chars(digits.data(), digits.data() + digits.size(), bits);
            if (fault != std::errc{} || end != digits.data() + digits.size() || bits > most) {
                fail(
                    most == 32 ? "a prefix of 0 to 32 bits expected"
                               : "a prefix of 0 to 128 bits expected"
                );
            }
            network.bits = 128 - most + bits;
        }
        if (network.first != first_of(network.first, network.bits)) {
            fail("the address has bits beyond the network's prefix");
        }
        networks_.push_back(network);
    }

    // Of a list separated by commas, without spaces; an empty text has none. Throws as add.
    [[nodiscard]] static AddressNetworks of_list(std::string_view text) {
        AddressNetworks out;
        while (!text.empty()) {
            const std::size_t comma = std::min(text.find(','), text.size());
            out.add(text.substr(0, comma));
            text.remove_prefix(std::min(comma + 1, text.size()));
        }
        return out;
    }

    [[nodiscard]] bool empty() const noexcept { return networks_.empty() && !unix_; }

    [[nodiscard]] bool contains(std::string_view text) const noexcept {
        if (unix_ && text == k_unix_address) {
            return true;
        }
        const auto address = networks_.empty() ? std::nullopt : read_address(text);
        return address &&
               std::any_of(networks_.begin(), networks_.end(), [&](const Network& network) {
                   return first_of(*address, network.bits) == network.first;
               });
    }

private:
    using Bytes = std::array<std::uint8_t, 16>;

    struct Network {
        Bytes first;
        unsigned bits;
    };

    // The address with what is beyond the prefix cleared.
    [[nodiscard]] static Bytes first_of(Bytes address, unsigned bits) noexcept {
        for (unsigned i = bits / 8; i < address.size(); ++i) {
            address[i] = i == bits / 8 ? static_cast<std::uint8_t>(address[i] & ~(0xFF >> bits % 8))
                                       : std::uint8_t{0};
        }
        return address;
    }

    std::vector<Network> networks_;
    bool unix_ = false;
};

}  // namespace tenon
