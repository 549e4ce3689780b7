// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/http/client_address.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>

namespace tenon::http {
namespace {

[[nodiscard]] std::string_view trimmed(std::string_view text) noexcept {
    const std::size_t first = text.find_first_not_of(" \t");
    return first == std::string_view::npos
               ? std::string_view{}
               : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// Without a port: "192.0.2.1:4711", "[2001:db8::1]:4711", "[2001:db8::1]".
[[nodiscard]] std::string_view without_port(std::string_view text) noexcept {
    if (text.starts_with('[')) {
        const std::size_t end = text.find(']');
        return end == std::string_view::npos ? std::string_view{} : text.substr(1, end - 1);
    }
    const std::size_t colon = text.find(':');
    return colon == text.rfind(':') ? text.substr(0, colon) : text;
}

}  // namespace

std::string_view client_address(
    std::string_view peer,
    std::span<const tenon_http_header> headers,
    const AddressNetworks& trusted
) noexcept {
    std::string_view client = peer;
    std::string_view rest;  // of a header's list, from its end
    std::size_t next = headers.size();
    while (trusted.contains(client)) {
        while (rest.empty() && next > 0) {
            const tenon_http_header& header = headers[--next];
            rest = view(header.name) == "x-forwarded-for" ? view(header.value) : "";
        }
        if (rest.empty()) {
            break;
        }
        const std::size_t comma = rest.rfind(',');
        const std::string_view hop =
            without_port(trimmed(comma == std::string_view::npos ? rest : rest.substr(comma + 1)));
        rest = rest.substr(0, comma == std::string_view::npos ? 0 : comma);
        if (!read_address(hop)) {
            break;
        }
        client = hop;
    }
    return client;
}

}  // namespace tenon::http
