// SPDX-License-Identifier: Apache-2.0
// Who is signed in with which browser. A session's token is 256 random bits that only its cookie
// holds; here is its hash. Sessions end when they are not used for a while, after a fixed time,
// when they are ended, and with the server: they are in memory.
//
// Not thread-safe: one reactor's. Times are monotonic nanoseconds.
#pragma once

#include "plugins/console/roles.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace tenon::console {

struct SessionLimits {
    std::int64_t idle_ns = 0, absolute_ns = 0;
    std::size_t sessions_max = 0;  // of all; 16 of one actor
};

class Sessions {
public:
    struct Session {
        std::uint64_t id = 0;  // never reused
        Principal who;
        std::string csrf;  // what each write has to show
        std::int64_t begin_ns = 0, seen_ns = 0;
    };

    // Is told of each session that ends, before it is gone.
    using Ended = std::function<void(const Session&)>;

    explicit Sessions(SessionLimits limits, Ended ended = {});

    void set_limits(SessionLimits limits) noexcept { limits_ = limits; }

    // The token for the cookie. When there is no room the one that was used least recently ends, of
    // the same actor if he has 16.
    [[nodiscard]] std::string open(Principal who, std::int64_t now_ns);
    // NULL when it has ended or never was. With `touch` it counts as used.
    [[nodiscard]] const Session* find(std::string_view token, std::int64_t now_ns, bool touch);
    void end(std::string_view token);
    void end_of(std::string_view actor);
    void end_if(const std::function<bool(const Session&)>& is_to_end);
    // Ends what is over.
    void sweep(std::int64_t now_ns);

    [[nodiscard]] std::size_t size() const noexcept { return sessions_.size(); }

private:
    using Digest = std::array<unsigned char, 32>;
    using Map = std::map<Digest, Session>;

    [[nodiscard]] static Digest digest_of(std::string_view token) noexcept;
    [[nodiscard]] bool is_over(const Session& session, std::int64_t now_ns) const noexcept;
    void make_room(std::string_view actor);
    Map::iterator drop(Map::iterator at);

    SessionLimits limits_;
    Ended ended_;
    Map sessions_;
    std::uint64_t next_id_ = 1;
};

// 256 random bits, 43 characters of base64url.
[[nodiscard]] std::string random_token();

// Whether two texts are the same, in a time that depends on their lengths alone.
[[nodiscard]] bool same_secret(std::string_view a, std::string_view b) noexcept;

}  // namespace tenon::console
