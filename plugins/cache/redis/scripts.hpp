// SPDX-License-Identifier: Apache-2.0
// What the tier does in Redis, in one step each.
//
// Keys of all scripts, in this order:
//   n       a counter from which every number below is drawn, so that a later one is larger. When
//   it is
//           missing (a new or emptied server) it begins at the server's time in us.
//   seq     the number of the last clear; an entry holds the one that it was put under
//   clears  hash: "seq", and for "p" + PREFIX the number of the last clear of that prefix
//   fence   of a group of keys: the number of the last erase, or put by a server, among them
//   entry   seq (8 bytes), expiry in ms of the server's clock (8), writer (8), value
#pragma once

#include <string>
#include <string_view>

namespace tenon::redis_cache::scripts {

inline constexpr std::size_t k_header_bytes = 24;
inline constexpr std::size_t k_prefixes_max = 64;  // cleared apart; then all is cleared

inline constexpr std::string_view k_common = R"lua(
local function text(number) return string.format('%.0f', number) end
local function ready()
  local n = redis.call('GET', KEYS[1])
  local seq = redis.call('GET', KEYS[2])
  if n and seq then return seq end
  if not n then
    local t = redis.call('TIME')
    redis.call('SET', KEYS[1], text(t[1] * 1000000 + t[2]))
  end
  seq = text(redis.call('INCR', KEYS[1]))
  redis.call('SET', KEYS[2], seq)
  redis.call('DEL', KEYS[3])
  redis.call('HSET', KEYS[3], 'seq', seq, 'p', seq)
  return seq
end
local function bump()
  local fence = text(redis.call('INCR', KEYS[1]))
  redis.call('SET', KEYS[4], fence)
  return fence
end
local function later(fence, seq)
  if tonumber(fence) > tonumber(seq) then return fence end
  return seq
end
local function keep(seq)
  local t = redis.call('TIME')
  local expires = t[1] * 1000 + math.floor(t[2] / 1000) + ARGV[2]
  redis.call('SET', KEYS[5], struct.pack('>I8I8', seq, expires) .. ARGV[3] .. ARGV[1], 'PX', ARGV[2])
end
)lua";

// value, ttl in ms, writer
inline constexpr std::string_view k_put = R"lua(
local seq = ready()
bump()
keep(seq)
return 1
)lua";

// value, ttl in ms, writer, token
inline constexpr std::string_view k_put_if = R"lua(
local seq = ready()
local fence = redis.call('GET', KEYS[4])
if not fence or later(fence, seq) ~= ARGV[4] then return 0 end
keep(seq)
return 1
)lua";

inline constexpr std::string_view k_token = R"lua(
local seq = ready()
return later(redis.call('GET', KEYS[4]) or bump(), seq)
)lua";

inline constexpr std::string_view k_erase = R"lua(
ready()
bump()
return redis.call('DEL', KEYS[5])
)lua";

// prefix, most prefixes
inline constexpr std::string_view k_clear = R"lua(
ready()
local seq = text(redis.call('INCR', KEYS[1]))
redis.call('SET', KEYS[2], seq)
if ARGV[1] == '' or redis.call('HLEN', KEYS[3]) > tonumber(ARGV[2]) then
  redis.call('DEL', KEYS[3])
  redis.call('HSET', KEYS[3], 'p', seq)
else
  redis.call('HSET', KEYS[3], 'p' .. ARGV[1], seq)
end
redis.call('HSET', KEYS[3], 'seq', seq)
return seq
)lua";

// KEYS: count; ARGV: channel, writer, subject. A message is "NUMBER WRITER SUBJECT".
inline constexpr std::string_view k_announce = R"lua(
local number = redis.call('INCR', KEYS[1])
redis.call('PUBLISH', ARGV[1], string.format('%.0f', number) .. ' ' .. ARGV[2] .. ' ' .. ARGV[3])
return number
)lua";

}  // namespace tenon::redis_cache::scripts
