// SPDX-License-Identifier: Apache-2.0
#include "sdk/redis/address.hpp"

#include <tenon/plugin.hpp>

#include <charconv>
#include <optional>

namespace tenon::redis {
namespace {

[[noreturn]] void refuse(const std::string& why) {
    throw Error{TENON_INVALID, "the URL of Redis: " + why};
}

template <class Number>
Number number(std::string_view text, std::string_view what, Number most) {
    std::uint64_t value = 0;
    const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (wrong != std::errc{} || end != text.data() + text.size() || value > most) {
        refuse(std::string{what} + " is a number, at most " + std::to_string(most));
    }
    return static_cast<Number>(value);
}

std::string decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        unsigned value = 0;
        const char* const from = text.data() + i + 1;
        if (i + 2 >= text.size() || std::from_chars(from, from + 2, value, 16).ptr != from + 2) {
            refuse("% is followed by two hexadecimal digits");
        }
        out += static_cast<char>(value);
        i += 2;
    }
    return out;
}

// Takes "USER[:PASSWORD]@" off.
void take_user(std::string_view& rest, Address& address) {
    const std::size_t at = rest.substr(0, rest.find('/')).rfind('@');
    if (at == std::string_view::npos) {
        return;
    }
    const std::string_view login = rest.substr(0, at);
    const std::size_t colon = login.find(':');
    address.user = decoded(login.substr(0, colon));
    if (colon != std::string_view::npos) {
        address.password = decoded(login.substr(colon + 1));
    }
    rest.remove_prefix(at + 1);
}

void take_host(std::string_view host, Address& address) {
    std::optional<std::string_view> port;
    if (host.starts_with('[')) {
        const std::size_t end = host.find(']');
        if (end == std::string_view::npos) {
            refuse("[ without ]");
        }
        const std::string_view after = host.substr(end + 1);
        if (!after.empty() && !after.starts_with(':')) {
            refuse("only a port may follow ]");
        }
        if (!after.empty()) {
            port = after.substr(1);
        }
        host = host.substr(1, end - 1);
    } else if (const std::size_t colon = host.find(':'); colon != std::string_view::npos) {
        port = host.substr(colon + 1);
        host = host.substr(0, colon);
    }
    if (host.empty()) {
        refuse("a host is wanted");
    }
    address.host = host;
    if (port) {
        address.port = number<std::uint16_t>(*port, "the port", 65535);
    }
}

constexpr std::uint32_t k_database_max = 1'000'000;

}  // namespace

std::string Address::shown() const {
    if (!socket.empty()) {
        return socket;
    }
    const bool v6 = host.find(':') != std::string::npos;
    return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Address parse_url(std::string_view url) {
    Address address;
    const auto is = [&url](std::string_view scheme) {
        const bool found = url.starts_with(scheme);
        url.remove_prefix(found ? scheme.size() : 0);
        return found;
    };
    address.tls = is("rediss://");
    if (address.tls || is("redis://")) {
        take_user(url, address);
        const std::size_t slash = url.find('/');
        take_host(url.substr(0, slash), address);
        if (slash != std::string_view::npos && slash + 1 < url.size()) {
            address.database =
                number<std::uint32_t>(url.substr(slash + 1), "the database", k_database_max);
        }
        return address;
    }
    if (is("unix://")) {
        take_user(url, address);
        const std::size_t query = url.find("?db=");
        address.socket = url.substr(0, query);
        if (!address.socket.starts_with('/')) {
            refuse("unix:// is followed by an absolute path");
        }
        if (query != std::string_view::npos) {
            address.database =
                number<std::uint32_t>(url.substr(query + 4), "the database", k_database_max);
        }
        return address;
    }
    refuse("it begins with redis://, rediss:// or unix://");
}

}  // namespace tenon::redis
