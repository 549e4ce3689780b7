// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/http/route_table.hpp"

#include <algorithm>

namespace tenon::http {
namespace {

constexpr std::string_view k_tail = "/<tail>";

const Route* of_method(const std::vector<std::unique_ptr<Route>>& routes, std::string_view method) {
    const Route* any = nullptr;
    const Route* get = nullptr;
    for (const auto& route : routes) {
        if (route->fn == nullptr) {
            continue;
        }
        if (route->method == method) {
            return route.get();
        }
        any = route->method == "*" ? route.get() : any;
        get = route->method == "GET" ? route.get() : get;
    }
    return method == "HEAD" && get != nullptr ? get : any;
}

const Route* of_websocket(const std::vector<std::unique_ptr<Route>>& routes) {
    const auto found = std::find_if(routes.begin(), routes.end(), [](const auto& route) {
        return route->fn == nullptr;
    });
    return found == routes.end() ? nullptr : found->get();
}

}  // namespace

std::uint64_t RouteTable::add(Route route) {
    Routes& routes = routes_of(route.path);
    const bool taken = std::any_of(routes.begin(), routes.end(), [&](const auto& other) {
        return other->method == route.method;
    });
    if (taken) {
        return 0;
    }
    route.handle = next_handle_++;
    routes.push_back(std::make_unique<Route>(std::move(route)));
    return routes.back()->handle;
}

bool RouteTable::remove(std::uint64_t handle) {
    const auto drop = [handle](Routes& routes) {
        return std::erase_if(routes, [handle](const auto& route) {
                   return route->handle == handle;
               }) != 0;
    };
    for (auto entry = exact_.begin(); entry != exact_.end(); ++entry) {
        if (drop(entry->second)) {
            if (entry->second.empty()) {
                exact_.erase(entry);
            }
            return true;
        }
    }
    for (auto prefix = prefixes_.begin(); prefix != prefixes_.end(); ++prefix) {
        if (drop(prefix->routes)) {
            if (prefix->routes.empty()) {
                prefixes_.erase(prefix);
            }
            return true;
        }
    }
    return false;
}

RouteTable::Routes& RouteTable::routes_of(const std::string& path) {
    if (!path.ends_with(k_tail)) {
        return exact_[path];
    }
    const std::string text = path.substr(0, path.size() - k_tail.size() + 1);
    const auto at = std::find_if(prefixes_.begin(), prefixes_.end(), [&](const Prefix& prefix) {
        return prefix.text == text || prefix.text.size() < text.size();
    });
    if (at != prefixes_.end() && at->text == text) {
        return at->routes;
    }
    return prefixes_.insert(at, Prefix{text, {}})->routes;
}

template <class Take>
RouteTable::Match RouteTable::search(std::string_view path, Take take) const {
    Match match;
    if (const auto found = exact_.find(path); found != exact_.end()) {
        match.path_known = true;
        match.route = take(found->second);
        if (match.route != nullptr) {
            return match;
        }
    }
    for (const Prefix& prefix : prefixes_) {
        if (path.starts_with(prefix.text)) {
            match.path_known = true;
            match.route = take(prefix.routes);
            if (match.route != nullptr) {
                match.tail = path.substr(prefix.text.size());
                return match;
            }
        }
    }
    return match;
}

RouteTable::Match RouteTable::find(std::string_view method, std::string_view path) const {
    return search(path, [&](const Routes& routes) { return of_method(routes, method); });
}

RouteTable::Match RouteTable::find_websocket(std::string_view path) const {
    return search(path, of_websocket);
}

std::string RouteTable::allowed(std::string_view path) const {
    std::vector<std::string_view> methods;
    (void)search(path, [&](const Routes& routes) -> const Route* {
        for (const auto& route : routes) {
            if (route->fn != nullptr) {
                methods.push_back(route->method);
                if (route->method == "GET") {
                    methods.push_back("HEAD");
                }
            }
        }
        return nullptr;
    });
    std::sort(methods.begin(), methods.end());
    methods.erase(std::unique(methods.begin(), methods.end()), methods.end());
    std::string list;
    for (const std::string_view method : methods) {
        list.append(list.empty() ? "" : ", ").append(method);
    }
    return list;
}

}  // namespace tenon::http
