// SPDX-License-Identifier: Apache-2.0
#include "sdk/net/url.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>
#include <charconv>

namespace tenon::net {
namespace {

[[nodiscard]] Error refused() {
    return {TENON_INVALID, "expected a URL such as https://host:port/path"};
}

[[nodiscard]] bool take(std::string_view& text, std::string_view scheme) {
    if (!text.starts_with(scheme)) {
        return false;
    }
    text.remove_prefix(scheme.size());
    return true;
}

[[nodiscard]] bool is_port(std::string_view text) {
    unsigned port = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), port);
    return parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size() && port > 0 &&
           port <= 65'535;
}

}  // namespace

std::string Url::authority() const {
    std::string out = host.find(':') == std::string::npos ? host : "[" + host + "]";
    if (port != (is_tls ? "443" : "80")) {
        out.append(":").append(port);
    }
    return out;
}

Url parse_url(std::string_view text) {
    Url url;
    url.is_tls = take(text, "https://") || take(text, "wss://");
    if (!url.is_tls && !take(text, "http://") && !take(text, "ws://")) {
        throw refused();
    }
    const std::size_t slash = std::min(text.find('/'), text.size());
    std::string_view place = text.substr(0, slash);
    url.path = slash < text.size() ? text.substr(slash) : "/";
    const auto is_bad = [](char c) { return c <= ' ' || c == '@' || c == '#' || c == '\x7f'; };
    // A query without a path would be taken for a part of the name.
    if (std::any_of(text.begin(), text.end(), is_bad) || place.find('?') != place.npos) {
        throw refused();
    }
    if (place.starts_with('[')) {
        const std::size_t end = place.find(']');
        if (end == std::string_view::npos) {
            throw refused();
        }
        url.host = place.substr(1, end - 1);
        place.remove_prefix(end + 1);
    } else {
        const std::size_t end = std::min(place.find(':'), place.size());
        url.host = place.substr(0, end);
        place.remove_prefix(end);
    }
    url.port = place.empty() ? (url.is_tls ? "443" : "80") : std::string{place.substr(1)};
    if (url.host.empty() || (!place.empty() && place.front() != ':') || !is_port(url.port)) {
        throw refused();
    }
    return url;
}

}  // namespace tenon::net
