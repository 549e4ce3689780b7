// SPDX-License-Identifier: Apache-2.0
#include "sdk/net/resolver.hpp"

#include <algorithm>
#include <cstring>
#include <netdb.h>
#include <utility>

namespace tenon::net {
namespace {

[[nodiscard]] bool same(const Address& a, const Address& b) noexcept {
    return a.size == b.size && std::memcmp(&a.storage, &b.storage, a.size) == 0;
}

[[nodiscard]] auto place_of(std::vector<Address>& in, const Address& address) {
    return std::find_if(in.begin(), in.end(), [&](const Address& one) {
        return same(one, address);
    });
}

[[nodiscard]] std::string key_of(const std::string& host, const std::string& port) {
    return host + " " + port;
}

[[nodiscard]] Resolver::Answer
ask_system(const std::string& host, const std::string& port, bool numeric) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = numeric ? AI_NUMERICHOST | AI_NUMERICSERV : AI_NUMERICSERV;
    addrinfo* found = nullptr;
    const int failed = getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
    Resolver::Answer answer;
    if (failed != 0) {
        answer.reason = "the name " + host + " has no address: " + gai_strerror(failed);
        return answer;
    }
    for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
        Address address;
        if (one->ai_addrlen <= sizeof address.storage) {
            std::memcpy(&address.storage, one->ai_addr, one->ai_addrlen);
            address.size = one->ai_addrlen;
            answer.addresses.push_back(address);
        }
    }
    freeaddrinfo(found);
    return answer;
}

}  // namespace

Resolver::Resolver(Exec exec, std::uint32_t reactor, Ask ask)
    : exec_{exec}, reactor_{reactor}, ask_{std::move(ask)} {
    if (!ask_) {
        ask_ = [](const std::string& host, const std::string& port) {
            return ask_system(host, port, false);
        };
    }
}

Resolver::~Resolver() {
    const std::lock_guard lock{gate_->mutex};
    gate_->open = false;
}

void Resolver::resolve(const std::string& host, const std::string& port, Done done) {
    const std::string key = key_of(host, port);
    const std::int64_t now = exec_->turn_now_ns(exec_.self);
    const auto [asked, first] = asked_.try_emplace(key);
    asked->second.waiting.push_back(std::move(done));
    if (!first && now - asked->second.since_ns < k_patience_ns) {
        return;
    }
    asked->second.since_ns = now;
    try {
        begin(host, port);
    } catch (...) {
        asked_.erase(key);  // nobody will answer it
        throw;
    }
}

void Resolver::begin(const std::string& host, const std::string& port) {
    const std::string key = key_of(host, port);
    const auto known = known_.find(key);
    const bool kept =
        known != known_.end() && known->second.until_ns > exec_->turn_now_ns(exec_.self);
    // The gate is checked on the reactor, where the resolver goes: no lock is needed there.
    const auto give = [this, key, kept, gate = gate_](Answer answer) {
        if (gate->open) {
            answered(key, std::move(answer), !kept);
        }
    };
    Answer at_once = kept ? Answer{known->second.addresses, {}} : ask_system(host, port, true);
    if (!at_once.addresses.empty()) {
        post(exec_, reactor_, [give, at_once] { give(at_once); });
        return;
    }
    try {
        run_blocking(exec_, [=, exec = exec_, reactor = reactor_, gate = gate_, ask = ask_] {
            Answer answer = ask(host, port);
            const std::lock_guard lock{gate->mutex};
            if (gate->open) {
                post(exec, reactor, [give, answer] { give(answer); });
            }
        });
    } catch (const Error& e) {
        const std::string reason = "the name " + host + " cannot be asked for: " + e.what();
        post(exec_, reactor_, [give, reason] { give(Answer{{}, reason}); });
    }
}

void Resolver::answered(const std::string& key, Answer answer, bool fresh) {
    Known& known = known_[key];
    if (fresh && !answer.addresses.empty()) {
        known.addresses = std::move(answer.addresses);
        known.until_ns = exec_->turn_now_ns(exec_.self) + k_kept_ns;
        arrange(known);
    }
    const std::vector<Address> addresses = known.addresses;
    const std::vector<Done> waiting = std::move(asked_[key].waiting);
    asked_.erase(key);
    const auto gate = gate_;
    for (const Done& done : waiting) {
        if (gate->open) {
            done(addresses, answer.reason);
        }
    }
}

void Resolver::put_last(const std::string& host, const std::string& port, const Address& address) {
    const auto known = known_.find(key_of(host, port));
    if (known == known_.end()) {
        return;
    }
    std::vector<Address>& silent = known->second.silent;
    std::erase_if(silent, [&](const Address& one) { return same(one, address); });
    silent.push_back(address);
    arrange(known->second);
}

// Those that are silent to the end, in the order in which they were found so; the others are
// forgotten.
void Resolver::arrange(Known& known) {
    std::vector<Address>& all = known.addresses;
    std::erase_if(known.silent, [&](const Address& one) {
        return place_of(all, one) == all.end();
    });
    for (const Address& one : known.silent) {
        const auto at = place_of(all, one);
        std::rotate(at, at + 1, all.end());
    }
}

}  // namespace tenon::net
