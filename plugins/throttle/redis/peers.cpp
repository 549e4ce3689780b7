// SPDX-License-Identifier: Apache-2.0
#include "plugins/throttle/redis/peers.hpp"

#include <algorithm>
#include <charconv>

namespace tenon::redis_throttle {
namespace {

// KEYS: servers, blocks, levels. ARGV: this server, silence in us after which one is gone.
// A server that may not ask for INFO is taken to evict nothing.
constexpr std::string_view k_beat = R"lua(
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - ARGV[2]))
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ARGV[2] / 500))
local blocks, all = {}, redis.call('HGETALL', KEYS[2])
for i = 1, #all, 2 do
  local left = all[i + 1] - now
  if left > 0 then
    blocks[#blocks + 1] = all[i]
    blocks[#blocks + 1] = string.format('%.0f', left)
  else
    redis.call('HDEL', KEYS[2], all[i])
  end
end
local evicts, info = '', redis.pcall('INFO', 'memory')
if type(info) == 'string' then
  local policy = string.match(info, 'maxmemory_policy:([%w%-]+)')
  local bytes = string.match(info, 'maxmemory:(%d+)')
  if policy and policy ~= 'noeviction' and bytes ~= '0' then evicts = policy end
end
return {redis.call('ZCARD', KEYS[1]), evicts, blocks, redis.call('HGETALL', KEYS[3])}
)lua";

// KEYS: blocks. ARGV: key and limit, us that are left, channel. Blocks that are over go with a
// beat; beyond so many a block is told, but not to those who come later.
constexpr std::string_view k_block = R"lua(
local t = redis.call('TIME')
local till = t[1] * 1000000 + t[2] + ARGV[2]
local known = redis.call('HGET', KEYS[1], ARGV[1])
if (known and tonumber(known) < till) or (not known and redis.call('HLEN', KEYS[1]) < 1000) then
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', till))
end
return redis.call('PUBLISH', ARGV[3], 'block ' .. ARGV[2] .. ' ' .. ARGV[1])
)lua";

// KEYS: levels. ARGV: limit, level, channel.
constexpr std::string_view k_level = R"lua(
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return redis.call('PUBLISH', ARGV[3], 'level ' .. ARGV[2] .. ' ' .. ARGV[1])
)lua";

constexpr std::int64_t k_left_max_us = std::int64_t{100} * 86'400 * 1'000'000;

// The first word of `text`, which is taken from it with the blank behind it.
[[nodiscard]] std::string_view word_of(std::string_view& text) noexcept {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return word;
}

template <class Number>
[[nodiscard]] bool read_number(std::string_view text, Number& out) noexcept {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc{} && end == text.data() + text.size();
}

// `name` is "KEY LIMIT"; a limit's name may have blanks.
void add_block(std::string_view name, std::string_view left_us, std::vector<Block>& out) {
    Block block;
    std::int64_t left = 0;
    if (read_number(word_of(name), block.key) && read_number(left_us, left) && left > 0 &&
        left <= k_left_max_us) {
        block.limit = name;
        block.left_ns = left * 1'000;
        out.push_back(std::move(block));
    }
}

}  // namespace

Peers::Peers(const std::string& name_space, std::string id, std::chrono::nanoseconds gone_after)
    : servers_{name_space + ":servers"},
      blocks_{name_space + ":blocks"},
      levels_{name_space + ":levels"},
      channel_{name_space + ":news"},
      id_{std::move(id)},
      gone_after_us_{std::to_string(gone_after.count() / 1'000)},
      beat_{k_beat},
      block_{k_block},
      level_{k_level} {}

bool Peers::beat(redis::Client& client, Done done, void* ctx) const {
    return client.send(
        {"EVAL", beat_, "3", servers_, blocks_, levels_, id_, gone_after_us_}, done, ctx
    );
}

bool Peers::tell(redis::Client& client, const Block& block) const {
    const std::string name = std::to_string(block.key) + " " + block.limit;
    const std::string left_us =
        std::to_string(std::clamp<std::int64_t>(block.left_ns / 1'000, 1, k_left_max_us));
    return client.send({"EVAL", block_, "1", blocks_, name, left_us, channel_}, nullptr, nullptr);
}

bool Peers::tell(redis::Client& client, const SharedLevel& level, Done done, void* ctx) const {
    return client.send(
        {"EVAL", level_, "1", levels_, level.limit, level.level, channel_}, done, ctx
    );
}

void Peers::leave(redis::Client& client) const {
    (void)client.call({"ZREM", servers_, id_});
}

std::optional<Beat> Peers::read_beat(const redis::Reply& reply) {
    if (reply.kind() != redis::Kind::array || reply.size() != 4 ||
        reply[0].kind() != redis::Kind::integer || reply[2].kind() != redis::Kind::array ||
        reply[3].kind() != redis::Kind::array) {
        return std::nullopt;
    }
    Beat beat;
    beat.servers = std::max<std::int64_t>(reply[0].integer(), 1);
    beat.evicts = reply[1].text();
    const redis::Reply blocks = reply[2];
    for (std::size_t i = 0; i + 1 < blocks.size(); i += 2) {
        add_block(blocks[i].text(), blocks[i + 1].text(), beat.news.blocks);
    }
    const redis::Reply levels = reply[3];
    for (std::size_t i = 0; i + 1 < levels.size(); i += 2) {
        beat.news.levels.push_back(
            {std::string{levels[i].text()}, std::string{levels[i + 1].text()}}
        );
    }
    return beat;
}

News Peers::read_push(const redis::Reply& push) const {
    News news;
    if (push.size() != 3 || push[0].text() != "message" || push[1].text() != channel_) {
        return news;
    }
    std::string_view text = push[2].text();
    const std::string_view what = word_of(text);
    const std::string_view first = word_of(text);
    if (what == "block") {
        add_block(text, first, news.blocks);
    } else if (what == "level") {
        news.levels.push_back({std::string{text}, std::string{first}});
    }
    return news;
}

}  // namespace tenon::redis_throttle
