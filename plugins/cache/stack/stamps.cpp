// SPDX-License-Identifier: Apache-2.0
#include "plugins/cache/stack/stamps.hpp"

#include <tenon/byte_codec.hpp>

#include <algorithm>
#include <charconv>
#include <random>

namespace tenon::cache_stack {
namespace {

constexpr std::string_view k_prefix = "~s:";
constexpr std::size_t k_digits = 16;
constexpr std::uint8_t k_mark = 't';

std::string encode_stamp(const Stamp& stamp) {
    std::string out;
    ByteWriter writer{out};
    writer.put(stamp.server);
    writer.put(stamp.number);
    return out;
}

std::optional<Stamp> read_one(Tier& tier, Scope scope, std::int64_t now_ns) {
    const auto found = tier.get(stamp_key(scope), now_ns);
    if (!found || found->data.size() != 2 * sizeof(std::uint64_t)) {
        return std::nullopt;
    }
    ByteReader reader{found->data};
    Stamp stamp;
    stamp.server = reader.get<std::uint64_t>();
    stamp.number = reader.get<std::uint64_t>();
    return stamp;
}

}  // namespace

Scope key_scope(Scope cache_tag, std::string_view key) noexcept {
    return Hash64::mix(cache_tag ^ (hash64(key) + 0xd1342543de82ef95U));
}

Scope tag_scope(Scope cache_tag, std::uint64_t tag) noexcept {
    return Hash64::mix(cache_tag ^ (tag + 0x9e3779b97f4a7c15U));
}

Scope clock_scope(Scope cache_tag) noexcept {
    return Hash64::mix(cache_tag ^ 0xbf58476d1ce4e5b9U);
}

void append_scopes(Scope cache_tag, std::uint64_t tag, std::vector<Scope>& to) {
    to.push_back(tag);
    to.push_back(tag_scope(cache_tag, tag));
}

std::string stamp_key(Scope scope) {
    std::string out{k_prefix};
    out.append(k_digits, '0');
    for (std::size_t i = out.size(); i > k_prefix.size(); scope >>= 4) {
        out[--i] = "0123456789abcdef"[scope & 0xf];
    }
    return out;
}

std::optional<Scope> scope_of(std::string_view tier_key) noexcept {
    if (!tier_key.starts_with(k_prefix) || tier_key.size() != k_prefix.size() + k_digits) {
        return std::nullopt;
    }
    Scope scope = 0;
    const char* const end = tier_key.data() + tier_key.size();
    const auto [stop, problem] = std::from_chars(tier_key.data() + k_prefix.size(), end, scope, 16);
    return problem == std::errc{} && stop == end ? std::optional{scope} : std::nullopt;
}

Stamps::Stamps() {
    // Two processes never make the same stamp: a counter under 64 random bits.
    std::random_device random;
    server_ = (static_cast<std::uint64_t>(random()) << 32) | random();
}

bool Stamps::read(
    Tier& tier,
    const std::vector<Scope>& scopes,
    std::int64_t now_ns,
    StampList& out
) {
    for (const Scope scope : scopes) {
        auto stamp = read_one(tier, scope, now_ns);
        if (!stamp) {
            stamp = make(tier, scope, now_ns);
        }
        if (!stamp) {
            return false;
        }
        out.push_back({scope, *stamp});
    }
    return true;
}

// One that another server made meanwhile is not put over: by it that server may have invalidated
// what this one has in memory, and this one would not be told of it any more.
std::optional<Stamp> Stamps::make(Tier& tier, Scope scope, std::int64_t now_ns) {
    const std::string key = stamp_key(scope);
    const Stamp mine = next();
    if (!tier.conditional()) {
        return tier.put(key, encode_stamp(mine), now_ns, k_ttl_ns) ? read_one(tier, scope, now_ns)
                                                                   : std::nullopt;
    }
    const auto token = tier.token(key, now_ns);
    if (!token) {
        return std::nullopt;
    }
    if (const auto since = read_one(tier, scope, now_ns)) {
        return since;
    }
    return tier.put_if(key, encode_stamp(mine), now_ns, k_ttl_ns, *token)
               ? std::optional{mine}
               : read_one(tier, scope, now_ns);
}

bool Stamps::hold(Tier& tier, const StampList& stamps, std::int64_t now_ns) {
    return std::all_of(stamps.begin(), stamps.end(), [&](const ScopeStamp& held) {
        return read_one(tier, held.scope, now_ns) == held.stamp;
    });
}

void Stamps::renew(Tier& tier, Scope scope, std::int64_t now_ns) {
    (void)tier.put(stamp_key(scope), encode_stamp(next()), now_ns, k_ttl_ns, true);
}

std::string with_stamps(const StampList& stamps, std::string_view entry) {
    std::string out;
    out.reserve(2 + stamps.size() * 3 * sizeof(std::uint64_t) + entry.size());
    ByteWriter writer{out};
    writer.put(k_mark);
    writer.put(static_cast<std::uint8_t>(stamps.size()));
    for (const ScopeStamp& held : stamps) {
        writer.put(held.scope);
        writer.put(held.stamp.server);
        writer.put(held.stamp.number);
    }
    writer.put_raw(entry);
    return out;
}

std::optional<StampList> take_stamps(std::string_view& data) {
    ByteReader reader{data};
    const auto mark = reader.get<std::uint8_t>();
    const auto count = reader.get<std::uint8_t>();
    if (mark != k_mark) {
        return std::nullopt;
    }
    StampList stamps;
    for (std::uint8_t i = 0; i < count && reader.ok(); ++i) {
        ScopeStamp held;
        held.scope = reader.get<std::uint64_t>();
        held.stamp.server = reader.get<std::uint64_t>();
        held.stamp.number = reader.get<std::uint64_t>();
        stamps.push_back(held);
    }
    if (!reader.ok()) {
        return std::nullopt;
    }
    data.remove_prefix(reader.offset());
    return stamps;
}

}  // namespace tenon::cache_stack
