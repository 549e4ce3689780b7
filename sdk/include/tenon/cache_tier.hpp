// SPDX-License-Identifier: Apache-2.0
// tenon.cache_tier/1 in C++: derive from CacheTier, fill in five functions, and call
// provide<tenon::CacheTier>(this) in the constructor; a tier that servers share derives from
// SharedCacheTier. What they must keep is in abi/cache_tier.h.
#pragma once

#include <tenon/abi/cache_tier.h>
#include <tenon/plugin.hpp>

#include <optional>

namespace tenon {

// All functions are called from any thread, concurrently; a thrown Error becomes its status.
class CacheTier {
public:
    static constexpr std::string_view k_id = "tenon.cache_tier/1";

    // Hands the value to a sink, once or in pieces. What it throws comes from the reader: let it
    // pass.
    class Out {
    public:
        explicit Out(tenon_sink sink) noexcept : sink_{sink} {}

        void operator()(std::string_view chunk) const {
            if (const tenon_status status = sink_.put(sink_.ctx, bytes(chunk));
                status != TENON_OK) {
                throw Error{status, "the reader refused the value"};
            }
        }

    private:
        tenon_sink sink_;
    };

    // Calls `out` with the value and gives its expiry; nothing when there is no entry at now_ns.
    virtual std::optional<std::int64_t> get(std::string_view key, std::int64_t now_ns, Out out) = 0;
    virtual void
    put(std::string_view key, std::string_view value, std::int64_t now_ns, std::int64_t ttl_ns) = 0;
    // False when there was none.
    virtual bool erase(std::string_view key) = 0;
    virtual void clear(std::string_view prefix) = 0;
    // `size` is set, the rest is zero.
    virtual void stats(tenon_cache_tier_stats& out) = 0;

    [[nodiscard]] static const void* table(const CacheTier& tier) noexcept {
        return tier.blocking_ ? &k_blocking : &k_direct;
    }

protected:
    // blocking: the functions may wait for a network or a disk, and are called on the pool only.
    explicit CacheTier(bool blocking = false) noexcept : blocking_{blocking} {}

    ~CacheTier() = default;

    static CacheTier& of(void* self) noexcept { return *static_cast<CacheTier*>(self); }

    static tenon_status get_entry(
        void* self,
        tenon_bytes key,
        std::int64_t now_ns,
        tenon_sink out,
        std::int64_t* expires_ns,
        tenon_err* err
    ) noexcept {
        return guard(err, [&] {
            const auto expiry = of(self).get(view(key), now_ns, Out{out});
            if (!expiry) {
                return TENON_NOT_FOUND;
            }
            if (expires_ns != nullptr) {
                *expires_ns = *expiry;
            }
            return TENON_OK;
        });
    }

    static tenon_status put_entry(
        void* self,
        tenon_bytes key,
        tenon_bytes value,
        std::int64_t now_ns,
        std::int64_t ttl_ns,
        tenon_err* err
    ) noexcept {
        return guard(err, [&] {
            if (key.n == 0 || key.n > TENON_CACHE_KEY_MAX || ttl_ns <= 0) {
                throw Error{
                    TENON_INVALID, "a key of 1 .. 1024 bytes and a positive ttl are wanted"};
            }
            of(self).put(view(key), view(value), now_ns, ttl_ns);
        });
    }

    static tenon_status erase_entry(void* self, tenon_bytes key, tenon_err* err) noexcept {
        return guard(err, [&] { return of(self).erase(view(key)) ? TENON_OK : TENON_NOT_FOUND; });
    }

    static tenon_status clear_entries(void* self, tenon_bytes prefix, tenon_err* err) noexcept {
        return guard(err, [&] { of(self).clear(view(prefix)); });
    }

    static tenon_status read_stats(void* self, tenon_cache_tier_stats* out) noexcept {
        return guard(nullptr, [&] {
            auto stats = sized<tenon_cache_tier_stats>();
            of(self).stats(stats);
            copy_out(stats, out);
        });
    }

private:
    static constexpr tenon_cache_tier_1 k_direct{
        sizeof(tenon_cache_tier_1),
        0,
        &get_entry,
        &put_entry,
        &erase_entry,
        &clear_entries,
        &read_stats,
        nullptr,
        nullptr,
        nullptr,
        nullptr,
        nullptr};
    static constexpr tenon_cache_tier_1 k_blocking{
        sizeof(tenon_cache_tier_1),
        TENON_CACHE_TIER_BLOCKING,
        &get_entry,
        &put_entry,
        &erase_entry,
        &clear_entries,
        &read_stats,
        nullptr,
        nullptr,
        nullptr,
        nullptr,
        nullptr};
    bool blocking_;
};

// A tier that several servers share and that may wait for its network: provide<SharedCacheTier>.
class SharedCacheTier : public CacheTier {
public:
    // Tells a watcher one event. Empty when nobody watches.
    using Watcher = void (*)(void* ctx, const tenon_cache_tier_event* event);

    // fn nullptr ends it.
    virtual void watch(void* ctx, Watcher fn) = 0;
    virtual void announce(std::string_view subject) = 0;
    [[nodiscard]] virtual std::uint64_t token(std::string_view key) = 0;
    // False: the key changed after the token was taken.
    [[nodiscard]] virtual bool put_if(
        std::string_view key,
        std::string_view value,
        std::int64_t now_ns,
        std::int64_t ttl_ns,
        std::uint64_t token
    ) = 0;

    [[nodiscard]] static const void* table(const SharedCacheTier&) noexcept { return &k_shared; }

protected:
    SharedCacheTier() noexcept : CacheTier{true} {}

    ~SharedCacheTier() = default;

private:
    static SharedCacheTier& shared(void* self) noexcept {
        return static_cast<SharedCacheTier&>(of(self));
    }

    static tenon_status watch_entries(void* self, void* ctx, Watcher fn, tenon_err* err) noexcept {
        return guard(err, [&] { shared(self).watch(ctx, fn); });
    }

    static tenon_status announce_subject(void* self, tenon_bytes subject, tenon_err* err) noexcept {
        return guard(err, [&] {
            if (subject.n == 0 || subject.n > TENON_CACHE_KEY_MAX) {
                throw Error{TENON_INVALID, "a subject of 1 .. 1024 bytes is wanted"};
            }
            shared(self).announce(view(subject));
        });
    }

    static tenon_status
    take_token(void* self, tenon_bytes key, std::uint64_t* token, tenon_err* err) noexcept {
        return guard(err, [&] { *token = shared(self).token(view(key)); });
    }

    static tenon_status put_entry_if(
        void* self,
        tenon_bytes key,
        tenon_bytes value,
        std::int64_t now_ns,
        std::int64_t ttl_ns,
        std::uint64_t token,
        tenon_err* err
    ) noexcept {
        return guard(err, [&] {
            if (key.n == 0 || key.n > TENON_CACHE_KEY_MAX || ttl_ns <= 0) {
                throw Error{
                    TENON_INVALID, "a key of 1 .. 1024 bytes and a positive ttl are wanted"};
            }
            return shared(self).put_if(view(key), view(value), now_ns, ttl_ns, token)
                       ? TENON_OK
                       : TENON_CONFLICT;
        });
    }

    static constexpr tenon_cache_tier_1 k_shared{
        sizeof(tenon_cache_tier_1),
        TENON_CACHE_TIER_BLOCKING | TENON_CACHE_TIER_SHARED,
        &get_entry,
        &put_entry,
        &erase_entry,
        &clear_entries,
        &read_stats,
        nullptr,
        &watch_entries,
        &announce_subject,
        &take_token,
        &put_entry_if};
};

}  // namespace tenon
