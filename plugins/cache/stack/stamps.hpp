// SPDX-License-Identifier: Apache-2.0
// What the entries of a tier that servers share depend on, kept in that tier itself.
//
// A scope is what can be invalidated: a key, a cache, a tag in a cache. Its stamp in the tier is a
// value that is used once. An entry holds the stamps that its scopes had before its load began, and
// counts only while they are there unchanged. To invalidate is to write a new stamp; a stamp that
// was evicted makes its entries worthless, never valid again. So an entry that some server writes
// late, however late, is not believed after another has invalidated it, and no clock is compared.
// What it needs of a tier: a put is carried out once at most.
//
// A tag is a scope of its own (its hash), for those who invalidate it wherever it is, in whichever
// caches they know or do not know, and one more in each cache, for events. Tags are known only
// after the load. So each cache has one scope more, its clock, renewed before the stamp of any of
// its tags, and all caches one together: when the clocks stood still during the load, the tags'
// stamps that are read after it are those from before it, too.
#pragma once

#include "plugins/cache/stack/tier.hpp"

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::cache_stack {

using Scope = std::uint64_t;

// Of a key, of a tag, of the clock in the cache that `cache_tag` is the scope of.
[[nodiscard]] Scope key_scope(Scope cache_tag, std::string_view key) noexcept;
[[nodiscard]] Scope tag_scope(Scope cache_tag, std::uint64_t tag) noexcept;
[[nodiscard]] Scope clock_scope(Scope cache_tag) noexcept;

// The clock of the tags that are invalidated in all caches.
inline constexpr Scope k_every_cache = 0;

// Under what the stamps of a tag are, in one cache and in all.
void append_scopes(Scope cache_tag, std::uint64_t tag, std::vector<Scope>& to);

// A tier's key for a scope's stamp; no cache's name begins so. Nothing for other keys.
[[nodiscard]] std::string stamp_key(Scope scope);
[[nodiscard]] std::optional<Scope> scope_of(std::string_view tier_key) noexcept;

struct Stamp {
    std::uint64_t server = 0;  // random, of the process that made it
    std::uint64_t number = 0;

    [[nodiscard]] bool operator==(const Stamp&) const noexcept = default;
};

struct ScopeStamp {
    Scope scope = 0;
    Stamp stamp;
};

using StampList = std::vector<ScopeStamp>;

// What a load holds of one tier from before it began.
struct Hold {
    Tier* tier = nullptr;
    StampList stamps;
    StampList clocks;  // of the cache, of all caches
};

class Stamps {
public:
    Stamps();

    // Of the scopes in `tier`, made where there is none. False: the tier is left out.
    [[nodiscard]] bool
    read(Tier& tier, const std::vector<Scope>& scopes, std::int64_t now_ns, StampList& out);
    // Whether each scope has that stamp now.
    [[nodiscard]] static bool hold(Tier& tier, const StampList& stamps, std::int64_t now_ns);
    // From now on no entry in the tier counts that depends on the scope, or the tier is emptied
    // before this server asks it again.
    void renew(Tier& tier, Scope scope, std::int64_t now_ns);

private:
    // A stamp that nobody renewed for so long is made anew by the next load.
    static constexpr std::int64_t k_ttl_ns = 25LL * 3600 * 1'000'000'000;

    [[nodiscard]] std::optional<Stamp> make(Tier& tier, Scope scope, std::int64_t now_ns);

    [[nodiscard]] Stamp next() noexcept { return {server_, ++made_}; }

    std::uint64_t server_;
    std::atomic<std::uint64_t> made_{0};
};

// An entry as it is in a shared tier: a byte 't', the number of stamps (u8), each with its scope
// (3 x u64), and the entry as in other tiers.
[[nodiscard]] std::string with_stamps(const StampList& stamps, std::string_view entry);
// Takes them off the front of `data`. Nothing when it does not begin so.
[[nodiscard]] std::optional<StampList> take_stamps(std::string_view& data);

}  // namespace tenon::cache_stack
