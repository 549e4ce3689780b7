// SPDX-License-Identifier: Apache-2.0
// What servers that share limits tell each other through Redis: that they are there, for how long
// an upstream wants no more of a key, and which level somebody has set. Commands and their answers
// only; when they are sent and what follows is the leases' (leases.hpp).
//
// A beat says "I am here", and is answered by all that a server has to know, so who was away or
// comes late knows it by the first one. News in between come by publish. Times go as what is left
// of them, so that no two clocks are compared; what a message needs on its way makes a block that
// much longer.
//
// In Redis, each name behind the namespace: ":servers" (sorted by when they were last heard of),
// ":blocks" (key and limit, until when), ":levels" (of limits), and the channel ":news".
#pragma once

#include "sdk/redis/client.hpp"
#include "sdk/redis/script.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::redis_throttle {

// Do not come before left_ns are over.
struct Block {
    std::string limit;
    std::uint64_t key = 0;
    std::int64_t left_ns = 0;
};

struct SharedLevel {
    std::string limit, level;
};

struct News {
    std::vector<Block> blocks;
    std::vector<SharedLevel> levels;
};

// The answer to a beat.
struct Beat {
    std::int64_t servers = 0;  // that were heard of lately, this one too
    std::string evicts;        // how Redis drops keys when its memory is full; empty: it does not
    News news;
};

class Peers {
public:
    using Done = redis::Client::Done;

    // `id` is this server's, and no other's. One that is silent for `gone_after` counts no more.
    Peers(const std::string& name_space, std::string id, std::chrono::nanoseconds gone_after);

    [[nodiscard]] const std::string& channel() const noexcept { return channel_; }

    // [any] Each false: there is no connection.
    [[nodiscard]] bool beat(redis::Client& client, Done done, void* ctx) const;
    [[nodiscard]] bool tell(redis::Client& client, const Block& block) const;
    [[nodiscard]] bool tell(redis::Client& client, const SharedLevel& level, Done done, void* ctx)
        const;
    // [io] This server counts no more.
    void leave(redis::Client& client) const;

    // Nothing: it is not such an answer.
    [[nodiscard]] static std::optional<Beat> read_beat(const redis::Reply& reply);
    // What is no news of ours is passed over.
    [[nodiscard]] News read_push(const redis::Reply& push) const;

private:
    std::string servers_, blocks_, levels_, channel_, id_, gone_after_us_;
    std::string beat_, block_, level_;  // scripts; each is sent whole: they are rare
};

}  // namespace tenon::redis_throttle
