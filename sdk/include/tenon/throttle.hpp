// SPDX-License-Identifier: Apache-2.0
// tenon.throttle/1 in C++: derive from Throttle and call provide<tenon::Throttle>(this) in the
// constructor. What the functions must keep is in abi/throttle.h.
#pragma once

#include <tenon/abi/throttle.h>
#include <tenon/plugin.hpp>

#include <optional>
#include <span>

namespace tenon {

// take, refund, observe and state are on hot paths: noexcept, without locks, system calls and, once
// a key is known, without allocation.
class Throttle {
public:
    static constexpr std::string_view k_id = "tenon.throttle/1";
    using Claims = std::span<const tenon_throttle_claim>;

    [[nodiscard]] virtual std::optional<std::uint32_t> find(std::string_view limit) const = 0;
    // TENON_OK | TENON_LIMITED with retry_after_ns | TENON_INVALID.
    [[nodiscard]] virtual tenon_status
    take(Claims claims, std::int64_t now_ns, std::int64_t& retry_after_ns) noexcept = 0;
    virtual void refund(Claims claims, std::int64_t now_ns) noexcept = 0;

    virtual void observe(
        std::uint32_t limit,
        std::string_view key,
        const tenon_throttle_feedback& feedback,
        std::int64_t now_ns
    ) noexcept {
        (void)limit;
        (void)key;
        (void)feedback;
        (void)now_ns;
    }

    // `size` is set, the rest is zero. False: no such limit.
    [[nodiscard]] virtual bool state(
        std::uint32_t limit,
        std::string_view key,
        std::int64_t now_ns,
        tenon_throttle_state& out
    ) noexcept = 0;
    // Throws Error: TENON_NOT_FOUND (limit).
    [[nodiscard]] virtual std::string level(std::string_view limit) const = 0;
    // Throws Error: TENON_NOT_FOUND (limit), TENON_INVALID (level). An empty limit: all.
    virtual void set_level(std::string_view limit, std::string_view level) = 0;
    // JSON, as abi/throttle.h has it.
    [[nodiscard]] virtual std::string stats() const = 0;

    [[nodiscard]] static const void* table(const Throttle&) noexcept { return &k_table; }

protected:
    ~Throttle() = default;

private:
    static Throttle& of(void* self) noexcept { return *static_cast<Throttle*>(self); }

    static tenon_status find_limit(void* self, tenon_str limit, std::uint32_t* id) noexcept {
        return guard(nullptr, [&] {
            const auto found = of(self).find(view(limit));
            if (found) {
                *id = *found;
            }
            return found ? TENON_OK : TENON_NOT_FOUND;
        });
    }

    static tenon_status take_claims(
        void* self,
        const tenon_throttle_claim* claims,
        std::uint32_t count,
        std::int64_t now_ns,
        std::int64_t* retry_after_ns
    ) noexcept {
        std::int64_t retry = 0;
        if (count == 0 || count > TENON_THROTTLE_CLAIMS_MAX) {
            return TENON_INVALID;
        }
        const tenon_status status = of(self).take({claims, count}, now_ns, retry);
        if (status == TENON_LIMITED && retry_after_ns != nullptr) {
            *retry_after_ns = retry;
        }
        return status;
    }

    static void refund_claims(
        void* self,
        const tenon_throttle_claim* claims,
        std::uint32_t count,
        std::int64_t now_ns
    ) noexcept {
        of(self).refund({claims, count}, now_ns);
    }

    static void observe_answer(
        void* self,
        std::uint32_t limit,
        tenon_str key,
        const tenon_throttle_feedback* feedback,
        std::int64_t now_ns
    ) noexcept {
        of(self).observe(limit, view(key), *feedback, now_ns);
    }

    static tenon_status read_state(
        void* self,
        std::uint32_t limit,
        tenon_str key,
        std::int64_t now_ns,
        tenon_throttle_state* out
    ) noexcept {
        auto state = sized<tenon_throttle_state>();
        if (!of(self).state(limit, view(key), now_ns, state)) {
            return TENON_NOT_FOUND;
        }
        return copy_out(state, out);
    }

    static tenon_status
    read_level(void* self, tenon_str limit, tenon_sink out, tenon_err* err) noexcept {
        return guard(err, [&] { return out.put(out.ctx, bytes(of(self).level(view(limit)))); });
    }

    static tenon_status
    change_level(void* self, tenon_str limit, tenon_str level, tenon_err* err) noexcept {
        return guard(err, [&] { of(self).set_level(view(limit), view(level)); });
    }

    static tenon_status read_stats(void* self, tenon_sink out, tenon_err* err) noexcept {
        return guard(err, [&] { return out.put(out.ctx, bytes(of(self).stats())); });
    }

    static constexpr tenon_throttle_1 k_table{
        sizeof(tenon_throttle_1),
        0,
        &find_limit,
        &take_claims,
        &refund_claims,
        &observe_answer,
        &read_state,
        &read_level,
        &change_level,
        &read_stats};
};

}  // namespace tenon
