// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/cluster/addresses.hpp"

#include <tenon/storage.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cstdlib>
#include <ctime>
#include <map>
#include <memory>
#include <mutex>
#include <netdb.h>
#include <string_view>

namespace tenon::postgres {
namespace {

constexpr std::int64_t k_second_ns = 1'000'000'000;

// libc writes to the request until it is over, whoever still waits.
struct Lookup {
    explicit Lookup(std::string name) : host{std::move(name)} {
        hints.ai_socktype = SOCK_STREAM;
        request.ar_name = host.c_str();
        request.ar_request = &hints;
    }

    std::string host;
    addrinfo hints{};
    gaicb request{};
    bool over = false;  // this and the next under the mutex
    int error = 0;
    std::vector<std::string> addresses;
};

struct Lookups {
    std::mutex mutex;
    std::map<std::string, std::shared_ptr<Lookup>> pending;
};

// Never deleted: libc may write to a request of it at any time, also at the end of the process.
Lookups& lookups() {
    static Lookups& all = *new Lookups;
    return all;
}

std::vector<std::string> texts_of(const addrinfo* found) {
    std::vector<std::string> texts;
    for (; found != nullptr; found = found->ai_next) {
        std::array<char, NI_MAXHOST> text{};
        const int failed = ::getnameinfo(
            found->ai_addr,
            found->ai_addrlen,
            text.data(),
            static_cast<socklen_t>(text.size()),
            nullptr,
            0,
            NI_NUMERICHOST
        );
        if (failed == 0 && std::find(texts.begin(), texts.end(), text.data()) == texts.end()) {
            texts.emplace_back(text.data());
        }
    }
    return texts;
}

StorageError failure(const std::string& host, const std::string& why) {
    return {TENON_UNAVAILABLE, "cannot connect: the name " + host + " " + why, Failure::other_host};
}

// With the lock held. True: over, for whoever asks.
bool harvest_locked(Lookups& all, Lookup& lookup) {
    if (lookup.over) {
        return true;
    }
    const int error = ::gai_error(&lookup.request);
    if (error == EAI_INPROGRESS) {
        return false;
    }
    lookup.over = true;
    lookup.error = error;
    if (lookup.request.ar_result != nullptr) {
        lookup.addresses = texts_of(lookup.request.ar_result);
        ::freeaddrinfo(lookup.request.ar_result);
    }
    all.pending.erase(lookup.host);
    return true;
}

std::shared_ptr<Lookup> begin(const std::string& host) {
    Lookups& all = lookups();
    const std::lock_guard lock{all.mutex};
    // One that ended after its waiters gave up is as old as that: not an answer for today.
    if (const auto left = all.pending.find(host); left != all.pending.end()) {
        const std::shared_ptr<Lookup> kept = left->second;
        (void)harvest_locked(all, *kept);
    }
    std::shared_ptr<Lookup>& lookup = all.pending[host];
    if (!lookup) {
        lookup = std::make_shared<Lookup>(host);
        gaicb* request = &lookup->request;
        if (const int error = ::getaddrinfo_a(GAI_NOWAIT, &request, 1, nullptr); error != 0) {
            all.pending.erase(host);
            throw failure(host, std::string{"cannot be looked up: "} + ::gai_strerror(error));
        }
    }
    return lookup;
}

bool harvest(Lookup& lookup) {
    Lookups& all = lookups();
    const std::lock_guard lock{all.mutex};
    return harvest_locked(all, lookup);
}

std::vector<std::string> look_up(
    const std::string& host,
    std::int64_t deadline_ns,
    const std::function<std::int64_t()>& now_ns
) {
    const std::shared_ptr<Lookup> lookup = begin(host);
    while (!harvest(*lookup)) {
        // A look-up that another waiter has just harvested must not be waited for: in short steps.
        constexpr std::int64_t k_step_ns = k_second_ns / 4;
        const std::int64_t left_ns = std::min(deadline_ns - now_ns(), k_step_ns);
        if (left_ns <= 0) {
            throw failure(host, "was not resolved in time");
        }
        const gaicb* const request = &lookup->request;
        const timespec time{left_ns / k_second_ns, left_ns % k_second_ns};
        (void)::gai_suspend(&request, 1, &time);
    }
    if (lookup->addresses.empty()) {
        const char* const why = lookup->error != 0 ? ::gai_strerror(lookup->error) : "no address";
        throw failure(host, std::string{"is not known: "} + why);
    }
    return lookup->addresses;
}

bool is_address(const std::string& host) noexcept {
    std::array<unsigned char, sizeof(in6_addr)> raw{};
    return host.find(':') != std::string::npos || ::inet_pton(AF_INET, host.c_str(), &raw) == 1;
}

std::string value_of_keyword(
    const std::vector<std::pair<std::string, std::string>>& keywords,
    std::string_view name
) {
    std::string value;
    for (const auto& [key, text] : keywords) {
        value = key == name ? text : value;
    }
    return value;
}

std::string from_environment(const char* name) {
    const char* const value = std::getenv(name);
    return value == nullptr ? std::string{} : std::string{value};
}

}  // namespace

std::vector<std::pair<std::string, std::string>> addresses_of(
    const std::vector<std::pair<std::string, std::string>>& keywords,
    std::int64_t deadline_ns,
    const std::function<std::int64_t()>& now_ns
) {
    const bool is_given =
        !value_of_keyword(keywords, "hostaddr").empty() || !from_environment("PGHOSTADDR").empty();
    const std::string own = value_of_keyword(keywords, "host");
    const bool has_service = own.empty() && (!value_of_keyword(keywords, "service").empty() ||
                                             !from_environment("PGSERVICE").empty());
    const std::string host = own.empty() ? from_environment("PGHOST") : own;
    if (is_given || has_service || host.empty() || host.front() == '/' || host.front() == '@' ||
        host.find(',') != std::string::npos || is_address(host)) {
        return {};
    }
    std::string hosts;
    std::string addresses;
    for (const std::string& address : look_up(host, deadline_ns, now_ns)) {
        hosts.append(hosts.empty() ? "" : ",").append(host);
        addresses.append(addresses.empty() ? "" : ",").append(address);
    }
    return {{"host", hosts}, {"hostaddr", addresses}};
}

}  // namespace tenon::postgres
