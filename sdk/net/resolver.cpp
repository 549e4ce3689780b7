// SPDX-License-Identifier: Apache-2.0
#include "sdk/net/resolver.hpp"

#include <cstring>
#include <netdb.h>
#include <utility>

namespace tenon::net {

Resolver::Resolver(Exec exec, std::uint32_t reactor) : exec_{exec}, reactor_{reactor} {}

Resolver::~Resolver() {
    const std::lock_guard lock{gate_->mutex};
    gate_->open = false;
}

Resolver::Answer Resolver::ask(const std::string& host, const std::string& port, bool numeric) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = numeric ? AI_NUMERICHOST | AI_NUMERICSERV : AI_NUMERICSERV;
    addrinfo* found = nullptr;
    const int failed = getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
    Answer answer;
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

void Resolver::resolve(const std::string& host, const std::string& port, Done done) {
    const std::string key = host + " " + port;
    const bool first = asked_.find(key) == asked_.end();
    asked_[key].push_back(std::move(done));
    if (!first) {
        return;
    }
    // The gate is checked on the reactor, where the resolver goes: no lock is needed there.
    const auto give = [this, key, gate = gate_](Answer answer) {
        if (gate->open) {
            answered(key, std::move(answer));
        }
    };
    const auto known = known_.find(key);
    const bool fresh =
        known != known_.end() && known->second.until_ns > exec_->turn_now_ns(exec_.self);
    Answer at_once = fresh ? Answer{known->second.addresses, {}} : ask(host, port, true);
    if (!at_once.addresses.empty()) {
        post(exec_, reactor_, [give, at_once] { give(at_once); });
        return;
    }
    try {
        run_blocking(exec_, [give, host, port, exec = exec_, reactor = reactor_, gate = gate_] {
            Answer answer = ask(host, port, false);
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

void Resolver::answered(const std::string& key, Answer answer) {
    Known& known = known_[key];
    if (!answer.addresses.empty()) {
        known = {answer.addresses, exec_->turn_now_ns(exec_.self) + k_kept_ns};
    }
    const std::vector<Address> addresses = known.addresses;
    const std::vector<Done> waiting = std::move(asked_[key]);
    asked_.erase(key);
    const auto gate = gate_;
    for (const Done& done : waiting) {
        if (gate->open) {
            done(addresses, answer.reason);
        }
    }
}

}  // namespace tenon::net
