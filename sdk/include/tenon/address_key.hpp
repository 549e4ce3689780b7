// SPDX-License-Identifier: Apache-2.0
// Whose budget a request of an address spends: an IPv4 address' own, also when it is written as an
// IPv6 one (::ffff:192.0.2.1), and that of the first 64 bits of an IPv6 address, since that is what
// one subscriber is given (RFC 6177): by whole addresses he would have as many budgets as he likes.
//
// `address` is what tenon.http_routes/1 has as `remote`. What is no address is its own key. Does
// not allocate.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tenon {

class AddressKey {
public:
    explicit AddressKey(std::string_view address) noexcept : key_{address} {
        if (address.find(':') == std::string_view::npos) {
            return;
        }
        if (address.find('.') != std::string_view::npos) {
            key_ = address.substr(address.rfind(':') + 1);
            return;
        }
        std::array<std::uint32_t, 4> groups{};
        if (read_network(address, groups)) {
            write(groups);
        }
    }

    AddressKey(const AddressKey&) = delete;
    AddressKey& operator=(const AddressKey&) = delete;

    // Valid as long as this, and the address that it was made of.
    [[nodiscard]] std::string_view view() const noexcept { return key_; }

private:
    static constexpr std::size_t k_groups = 8;

    // The value of a group of hexadecimal digits; false: it is none.
    static bool read_group(std::string_view text, std::uint32_t& out) noexcept {
        out = 0;
        for (const char c : text) {
            const bool digit = c >= '0' && c <= '9';
            const char letter = static_cast<char>(c | 0x20);
            if (!digit && (letter < 'a' || letter > 'f')) {
                return false;
            }
            out = out << 4 | static_cast<std::uint32_t>(digit ? c - '0' : letter - 'a' + 10);
        }
        return !text.empty() && text.size() <= 4;
    }

    // Groups up to the end of `text`; more than eight, or what is none: false.
    static bool read_groups(
        std::string_view text,
        std::array<std::uint32_t, k_groups>& out,
        std::size_t& count
    ) noexcept {
        count = 0;
        while (!text.empty()) {
            const std::size_t end = text.find(':');
            if (count == k_groups || !read_group(text.substr(0, end), out[count++])) {
                return false;
            }
            text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        }
        return true;
    }

    // The first four groups. Between "::" are as many zeros as it takes to have eight.
    static bool read_network(std::string_view address, std::array<std::uint32_t, 4>& out) noexcept {
        address = address.substr(0, address.find('%'));  // the zone
        const std::size_t gap = address.find("::");
        std::array<std::uint32_t, k_groups> head{};
        std::array<std::uint32_t, k_groups> tail{};
        std::size_t heads = 0;
        std::size_t tails = 0;
        if (!read_groups(address.substr(0, gap), head, heads) ||
            (gap != std::string_view::npos && !read_groups(address.substr(gap + 2), tail, tails)) ||
            heads + tails > k_groups || (gap == std::string_view::npos && heads != k_groups)) {
            return false;
        }
        for (std::size_t i = 0; i < out.size(); ++i) {
            const std::size_t first_tail = k_groups - tails;
            out[i] = i < heads ? head[i] : i >= first_tail ? tail[i - first_tail] : 0;
        }
        return true;
    }

    void write(const std::array<std::uint32_t, 4>& groups) noexcept {
        constexpr std::string_view k_digits = "0123456789abcdef";
        std::size_t size = 0;
        for (const std::uint32_t group : groups) {
            for (int shift = 12; shift >= 0; shift -= 4) {
                text_[size++] = k_digits[group >> shift & 0xf];
            }
            text_[size++] = ':';
        }
        for (const char c : std::string_view{":/64"}) {
            text_[size++] = c;
        }
        key_ = {text_.data(), size};
    }

    std::array<char, 24> text_{};
    std::string_view key_;
};

}  // namespace tenon
