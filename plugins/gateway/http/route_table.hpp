// SPDX-License-Identifier: Apache-2.0
// Which handler takes a request: exact paths and prefixes, by method. Not synchronised.
#pragma once

#include <tenon/abi/http.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tenon::http {

struct Route {
    std::uint64_t handle = 0;
    std::string method;  // "*" takes all; of a WebSocket route: empty
    std::string path;    // as mounted
    void* ctx = nullptr;
    void (*fn)(void*, const tenon_http_request*) = nullptr;
    tenon_ws_handler ws{};  // of a WebSocket route
};

class RouteTable {
public:
    struct Match {
        const Route* route = nullptr;
        std::string_view tail;
        bool path_known = false;  // the path has routes, perhaps not of this method
    };

    // Gives the route its handle; 0 when the path and method are taken.
    std::uint64_t add(Route route);
    // False when there is no such route.
    bool remove(std::uint64_t handle);
    // The longest path that matches; an exact one before a prefix. HEAD falls back to GET.
    [[nodiscard]] Match find(std::string_view method, std::string_view path) const;
    [[nodiscard]] Match find_websocket(std::string_view path) const;
    // The methods that the path takes, as an Allow header lists them.
    [[nodiscard]] std::string allowed(std::string_view path) const;

private:
    struct Hash {
        using is_transparent = void;

        std::size_t operator()(std::string_view text) const noexcept {
            return std::hash<std::string_view>{}(text);
        }
    };

    using Routes = std::vector<std::unique_ptr<Route>>;

    struct Prefix {
        std::string text;  // ends in '/'
        Routes routes;
    };

    [[nodiscard]] Routes& routes_of(const std::string& path);
    template <class Take>
    [[nodiscard]] Match search(std::string_view path, Take take) const;

    std::unordered_map<std::string, Routes, Hash, std::equal_to<>> exact_;
    std::vector<Prefix> prefixes_;  // the longest first
    std::uint64_t next_handle_ = 1;
};

}  // namespace tenon::http
