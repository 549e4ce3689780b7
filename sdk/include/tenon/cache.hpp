// SPDX-License-Identifier: Apache-2.0
// C++ side of tenon.cache/1 for those who keep something in it: the cached call.
//
//   cache_ = tenon::Cache{host()};                                        // in start
//   auto funds = tenon::cached(cache_, "balance", user, {}, [&] { return load_funds(user); });
//
// The plugin's manifest asks for it: {"interface": "tenon.cache/1", "optional": true}. With no
// cache bound the call simply loads. Values are std::string, or trivially copyable without
// pointers, or what CacheCodec is specialised for; a std::optional of them has "there is none" kept
// as well. Loads of one key run once, whoever asks meanwhile waits.
#pragma once

#include <tenon/abi/cache.h>
#include <tenon/plugin.hpp>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace tenon {

// How a value becomes bytes. decode gives nothing for bytes that are no such value, as an older
// version of the plugin may have left them: the value is then loaded again.
template <class T>
struct CacheCodec {
    static_assert(
        std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>,
        "specialise tenon::CacheCodec for this type"
    );

    static std::string encode(const T& value) {
        std::string out(sizeof value, '\0');
        std::memcpy(out.data(), &value, sizeof value);
        return out;
    }

    static std::optional<T> decode(std::string_view data) {
        if (data.size() != sizeof(T)) {
            return std::nullopt;
        }
        T value;
        std::memcpy(&value, data.data(), sizeof value);
        return value;
    }
};

template <>
struct CacheCodec<std::string> {
    static const std::string& encode(const std::string& value) { return value; }

    static std::optional<std::string> decode(std::string_view data) { return std::string{data}; }
};

// How long and under which tags. Empty: as the settings of the cache have it.
struct Keep {
    Keep() = default;

    template <class Rep, class Period>
    Keep(std::chrono::duration<Rep, Period> time_to_live) : ttl{time_to_live} {}  // NOLINT

    Keep(std::chrono::nanoseconds time_to_live, std::vector<std::string> kept_tags)
        : ttl{time_to_live}, tags{std::move(kept_tags)} {}

    std::chrono::nanoseconds ttl{0};
    std::vector<std::string> tags;                  // "user:7", "symbol:BTCUSDT"; at most 16
    std::chrono::nanoseconds wait{30'000'000'000};  // for the whole call
};

class Cache {
public:
    // No cache: everything is loaded.
    Cache() = default;

    explicit Cache(const Host& host)
        : service_{host.find<tenon_cache_1>("tenon.cache/1")},
          clock_{host.service<tenon_clock_1>("tenon.clock/1")} {}

    Cache(Service<tenon_cache_1> service, Service<tenon_clock_1> clock) noexcept
        : service_{service}, clock_{clock} {}

    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(service_); }

    // [any] The id of a named cache. Keep it where the look-up by name costs too much.
    [[nodiscard]] std::uint32_t open(std::string_view name) const {
        ErrorBuffer err;
        std::uint32_t id = 0;
        check(service_->open(service_.self, str(name), &id, &err), err, "open a cache");
        return id;
    }

    // [any] What the tiers that do not block have. Nothing without a cache.
    template <class T = std::string>
    [[nodiscard]] std::optional<T> get(std::string_view name, std::string_view key) const {
        if (!service_) {
            return std::nullopt;
        }
        StringSink out;
        ErrorBuffer err;
        const tenon_status status =
            service_->get(service_.self, open(name), bytes(key), out.sink(), nullptr, &err);
        if (status == TENON_NOT_FOUND) {
            return std::nullopt;
        }
        check(status, err, "read a cache");
        return CacheCodec<T>::decode(out.text());
    }

    // [any] Keeps a value that is there already.
    template <class T>
    void put(std::string_view name, std::string_view key, const T& value, const Keep& keep = {})
        const {
        if (service_) {
            std::vector<tenon_str> tags;
            const tenon_cache_keep raw = raw_keep(keep, tags);
            const std::string& data = CacheCodec<T>::encode(value);
            ErrorBuffer err;
            check(
                service_->put(service_.self, open(name), bytes(key), bytes(data), &raw, &err),
                err,
                "write a cache"
            );
        }
    }

    // [any]
    void erase(std::string_view name, std::string_view key) const {
        if (service_) {
            ErrorBuffer err;
            check(service_->erase(service_.self, open(name), bytes(key), &err), err, "erase");
        }
    }

    // [any] Every entry of every cache that carries the tag.
    void invalidate(std::string_view tag) const {
        if (service_) {
            ErrorBuffer err;
            check(service_->invalidate_tag(service_.self, str(tag), &err), err, "invalidate");
        }
    }

    // [any] Something happened to what the tag names: the settings say which caches care.
    void event(std::string_view event, std::string_view tag) const {
        if (service_) {
            ErrorBuffer err;
            check(service_->event(service_.self, str(event), str(tag), &err), err, "event");
        }
    }

    [[nodiscard]] Service<tenon_cache_1> service() const noexcept { return service_; }

    [[nodiscard]] std::int64_t deadline_ns(const Keep& keep) const noexcept {
        return clock_->now_ns(clock_.self) + keep.wait.count();
    }

    // The tags are borrowed from `keep` and `tags`.
    [[nodiscard]] static tenon_cache_keep raw_keep(const Keep& keep, std::vector<tenon_str>& tags) {
        for (const std::string& tag : keep.tags) {
            tags.push_back(str(tag));
        }
        auto raw = sized<tenon_cache_keep>();
        raw.ttl_ns = keep.ttl.count();
        raw.tags = tags.data();
        raw.tag_count = static_cast<std::uint32_t>(tags.size());
        return raw;
    }

private:
    Service<tenon_cache_1> service_;
    Service<tenon_clock_1> clock_;
};

namespace detail {

template <class T>
struct CachedValue {
    using Type = T;
    static constexpr bool k_optional = false;
};

template <class T>
struct CachedValue<std::optional<T>> {
    using Type = T;
    static constexpr bool k_optional = true;
};

// What one cached call hands to the loader, on the caller's stack.
template <class Load>
struct CachedLoad {
    using Result = std::remove_cvref_t<std::invoke_result_t<Load&>>;
    using Value = typename CachedValue<Result>::Type;

    Load& load;
    const Keep& keep;
    std::vector<tenon_str> tags;
    std::exception_ptr failure;  // of the load that this call ran

    static tenon_status
    run(void* ctx, std::int64_t, tenon_sink value, tenon_cache_keep* keep, tenon_err* err
    ) noexcept {
        auto& mine = *static_cast<CachedLoad*>(ctx);
        return guard(err, [&]() -> tenon_status {
            try {
                const Result loaded = mine.load();
                const tenon_cache_keep raw = Cache::raw_keep(mine.keep, mine.tags);
                keep->ttl_ns = raw.ttl_ns;
                keep->tags = raw.tags;
                keep->tag_count = raw.tag_count;
                if constexpr (CachedValue<Result>::k_optional) {
                    if (!loaded) {
                        return TENON_NOT_FOUND;
                    }
                    return value.put(value.ctx, bytes(CacheCodec<Value>::encode(*loaded)));
                } else {
                    return value.put(value.ctx, bytes(CacheCodec<Value>::encode(loaded)));
                }
            } catch (...) {
                mine.failure = std::current_exception();
                throw;
            }
        });
    }
};

}  // namespace detail

// [io] The value of `key` in the named cache, or what `load` gives, which is then kept. What the
// load throws comes out here; to others who wait for the same load it is an Error with its code and
// text. Throws Error TENON_TIMEOUT when another's load is not done within keep.wait.
template <class Load>
auto cached(
    const Cache& cache,
    std::string_view name,
    std::string_view key,
    const Keep& keep,
    Load&& load
) {
    using Call = detail::CachedLoad<std::remove_reference_t<Load>>;
    using Result = typename Call::Result;
    using Value = typename Call::Value;
    if (!cache) {
        return Result(load());
    }
    Call call{load, keep, {}, nullptr};
    auto request = sized<tenon_cache_request>();
    request.cache = cache.open(name);
    request.key = bytes(key);
    request.deadline_ns = cache.deadline_ns(keep);
    request.ctx = &call;
    request.load = &Call::run;
    const auto service = cache.service();
    StringSink out;
    ErrorBuffer err;
    const tenon_status status = service->fetch(service.self, &request, out.sink(), nullptr, &err);
    if (call.failure) {
        std::rethrow_exception(call.failure);
    }
    if constexpr (detail::CachedValue<Result>::k_optional) {
        if (status == TENON_NOT_FOUND) {
            return Result{};
        }
    }
    check(status, err, std::string{name});
    if (auto value = CacheCodec<Value>::decode(out.text())) {
        return Result(std::move(*value));
    }
    cache.erase(name, key);
    return Result(load());
}

// What an asynchronous cached call gives. value is there when status is TENON_OK.
template <class T>
struct Fetched {
    tenon_status status = TENON_OK;
    std::optional<T> value;
    std::string message;
};

// [reactor] The same without blocking: `load` runs on the blocking pool, `done(Fetched<T>)` on the
// calling reactor, never inline. `load` gives a T or std::optional<T> and owns what it needs. There
// must be a cache. Throws Error TENON_UNAVAILABLE when the pool is full; then neither runs.
template <class Load, class Done>
void cached_async(
    const Cache& cache,
    std::string_view name,
    std::string_view key,
    Keep keep,
    Load load,
    Done done
) {
    using Result = std::remove_cvref_t<std::invoke_result_t<Load&>>;
    using Value = typename detail::CachedValue<Result>::Type;

    struct Call {
        Call(Keep kept, Load loader, Done answer)
            : keep{std::move(kept)},
              load{std::move(loader)},
              done{std::move(answer)},
              body{load, keep, {}, nullptr} {}

        Keep keep;
        Load load;
        Done done;
        detail::CachedLoad<Load> body;
    };

    auto call = std::make_unique<Call>(std::move(keep), std::move(load), std::move(done));
    auto request = sized<tenon_cache_request>();
    request.cache = cache.open(name);
    request.key = bytes(key);
    request.deadline_ns = cache.deadline_ns(call->keep);
    request.ctx = &call->body;
    request.load = &detail::CachedLoad<Load>::run;
    const auto finish = [](void* ctx,
                           tenon_status status,
                           tenon_bytes data,
                           const tenon_cache_answer*,
                           const tenon_err* err) noexcept {
        const std::unique_ptr<Call> mine{static_cast<Call*>(ctx)};
        (void)guard(nullptr, [&] {
            Fetched<Value> fetched;
            fetched.status = status;
            if (status == TENON_OK) {
                fetched.value = CacheCodec<Value>::decode(view(data));
                fetched.status = fetched.value ? TENON_OK : TENON_CORRUPT;
            } else if (err != nullptr) {
                fetched.message.assign(err->msg, err->len);
            }
            mine->done(std::move(fetched));
        });
    };
    const auto service = cache.service();
    ErrorBuffer err;
    check(
        service->fetch_async(service.self, &request, {call.get(), finish}, &err),
        err,
        std::string{name}
    );
    (void)call.release();
}

}  // namespace tenon
