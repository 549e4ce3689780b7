// SPDX-License-Identifier: Apache-2.0
// Addresses of a host's name, asked of the system on the blocking pool and kept for a minute after
// the system gave them, however often they are used. An answer that is older is used when the
// system gives none. All on one reactor.
#pragma once

#include "sdk/net/timer.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <sys/socket.h>
#include <vector>

namespace tenon::net {

struct Address {
    sockaddr_storage storage{};
    socklen_t size = 0;
};

class Resolver {
public:
    // No address: why, for people.
    using Done = std::function<void(const std::vector<Address>&, const std::string& reason)>;

    struct Answer {
        std::vector<Address> addresses;
        std::string reason;
    };

    // Asks for a name; may take long. Called on the blocking pool.
    using Ask = std::function<Answer(const std::string& host, const std::string& port)>;

    static constexpr std::int64_t k_kept_ns = 60'000'000'000;
    // A question without an answer for so long is asked again: the answer may be lost when the
    // reactor takes no more posts.
    static constexpr std::int64_t k_patience_ns = 30'000'000'000;

    // `ask` instead of the system, for names that are no addresses; empty: the system.
    Resolver(Exec exec, std::uint32_t reactor, Ask ask = {});
    ~Resolver();
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    // `done` comes later, on the reactor; not at all when the resolver goes first. A question that
    // the system takes long for holds a thread of the pool.
    void resolve(const std::string& host, const std::string& port, Done done);
    // Nobody answers there: the host's other addresses are given before it, also when the name is
    // asked for anew. Whoever gives up in the middle of a connect would else never try them.
    void put_last(const std::string& host, const std::string& port, const Address& address);

private:
    struct Known {
        std::vector<Address> addresses;
        std::vector<Address> silent;  // those of them that were put last, the latest at the end
        std::int64_t until_ns = 0;
    };

    // What a question on the pool holds on to: nothing of ours once `open` is false.
    struct Gate {
        std::mutex mutex;
        bool open = true;
    };

    struct Asked {
        std::vector<Done> waiting;
        std::int64_t since_ns = 0;
    };

    static void arrange(Known& known);
    void begin(const std::string& host, const std::string& port);
    void answered(const std::string& key, Answer answer, bool fresh);

    Exec exec_;
    std::uint32_t reactor_;
    Ask ask_;
    std::map<std::string, Known> known_;
    std::map<std::string, Asked> asked_;
    std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
};

}  // namespace tenon::net
