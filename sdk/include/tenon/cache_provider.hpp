// SPDX-License-Identifier: Apache-2.0
// tenon.cache/1 in C++, the side of a stack: derive from CacheProvider and call
// provide<tenon::CacheProvider>(this) in the constructor. The side of those who keep something in a
// cache is cache.hpp. What the functions must keep is in abi/cache.h; a thrown Error becomes its
// status.
#pragma once

#include <tenon/abi/cache.h>
#include <tenon/plugin.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace tenon {

class CacheProvider {
public:
    static constexpr std::string_view k_id = "tenon.cache/1";
    using Refresh =
        tenon_status (*)(void* ctx, tenon_bytes key, std::int64_t deadline_ns, tenon_sink value, tenon_cache_keep*, tenon_err*);

    // [any] Throws Error TENON_INVALID (name), TENON_UNAVAILABLE (too many).
    [[nodiscard]] virtual std::uint32_t open(std::string_view name) = 0;
    // [any] TENON_OK | TENON_NOT_FOUND. answer: size is set, the rest is zero.
    [[nodiscard]] virtual tenon_status
    get(std::uint32_t cache, std::string_view key, tenon_sink out, tenon_cache_answer& answer) = 0;
    // [io] A loader's failure is written to `err` and returned.
    [[nodiscard]] virtual tenon_status fetch(
        const tenon_cache_request& request,
        tenon_sink out,
        tenon_cache_answer& answer,
        tenon_err* err
    ) = 0;
    // [reactor] `done` fires later on the calling reactor, unless this throws.
    virtual void fetch_async(const tenon_cache_request& request, tenon_cache_done done) = 0;
    // [control]
    virtual void refresh(std::uint32_t cache, void* ctx, Refresh load) = 0;
    // [any] All of them. keep may be NULL.
    virtual void put(
        std::uint32_t cache,
        std::string_view key,
        std::string_view value,
        const tenon_cache_keep* keep
    ) = 0;
    virtual void erase(std::uint32_t cache, std::string_view key) = 0;
    virtual void invalidate_tag(std::string_view tag) = 0;
    virtual void event(std::string_view event, std::string_view tag) = 0;
    // JSON, as abi/cache.h has it.
    [[nodiscard]] virtual std::string stats() = 0;

    [[nodiscard]] static const void* table(const CacheProvider&) noexcept { return &k_table; }

protected:
    ~CacheProvider() = default;

private:
    static CacheProvider& of(void* self) noexcept { return *static_cast<CacheProvider*>(self); }

    static tenon_status
    open_cache(void* self, tenon_str name, std::uint32_t* cache, tenon_err* err) noexcept {
        return guard(err, [&] { *cache = of(self).open(view(name)); });
    }

    static void give(const tenon_cache_answer& answer, tenon_cache_answer* out) noexcept {
        if (out != nullptr) {
            (void)copy_out(answer, out);
        }
    }

    static tenon_status get_entry(
        void* self,
        std::uint32_t cache,
        tenon_bytes key,
        tenon_sink out,
        tenon_cache_answer* answer,
        tenon_err* err
    ) noexcept {
        auto mine = sized<tenon_cache_answer>();
        const tenon_status status =
            guard(err, [&] { return of(self).get(cache, view(key), out, mine); });
        give(mine, answer);
        return status;
    }

    static tenon_status fetch_entry(
        void* self,
        const tenon_cache_request* request,
        tenon_sink out,
        tenon_cache_answer* answer,
        tenon_err* err
    ) noexcept {
        auto mine = sized<tenon_cache_answer>();
        const tenon_status status =
            guard(err, [&] { return of(self).fetch(*request, out, mine, err); });
        give(mine, answer);
        return status;
    }

    static tenon_status fetch_later(
        void* self,
        const tenon_cache_request* request,
        tenon_cache_done done,
        tenon_err* err
    ) noexcept {
        return guard(err, [&] {
            of(self).fetch_async(*request, done);
            return TENON_PENDING;
        });
    }

    static tenon_status
    set_refresh(void* self, std::uint32_t cache, void* ctx, Refresh load, tenon_err* err) noexcept {
        return guard(err, [&] { of(self).refresh(cache, ctx, load); });
    }

    static tenon_status put_entry(
        void* self,
        std::uint32_t cache,
        tenon_bytes key,
        tenon_bytes value,
        const tenon_cache_keep* keep,
        tenon_err* err
    ) noexcept {
        return guard(err, [&] { of(self).put(cache, view(key), view(value), keep); });
    }

    static tenon_status
    erase_entry(void* self, std::uint32_t cache, tenon_bytes key, tenon_err* err) noexcept {
        return guard(err, [&] { of(self).erase(cache, view(key)); });
    }

    static tenon_status drop_tag(void* self, tenon_str tag, tenon_err* err) noexcept {
        return guard(err, [&] { of(self).invalidate_tag(view(tag)); });
    }

    static tenon_status tell(void* self, tenon_str event, tenon_str tag, tenon_err* err) noexcept {
        return guard(err, [&] { of(self).event(view(event), view(tag)); });
    }

    static tenon_status read_stats(void* self, tenon_sink out, tenon_err* err) noexcept {
        return guard(err, [&] {
            const std::string text = of(self).stats();
            return out.put(out.ctx, bytes(text));
        });
    }

    static constexpr tenon_cache_1 k_table{
        sizeof(tenon_cache_1),
        0,
        &open_cache,
        &get_entry,
        &fetch_entry,
        &fetch_later,
        &set_refresh,
        &put_entry,
        &erase_entry,
        &drop_tag,
        &tell,
        &read_stats};
};

}  // namespace tenon
