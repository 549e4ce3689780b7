// SPDX-License-Identifier: Apache-2.0
// A cache tier under test, on the bench's clock.
#pragma once

#include "sdk/conformance/suites/suites.hpp"

#include <tenon/abi/cache_tier.h>

#include <string>

namespace tenon::suites {

inline constexpr std::int64_t k_second = 1'000'000'000;
inline constexpr std::int64_t k_hour = 3'600 * k_second;

struct Got {
    tenon_status status;
    std::string value;
    std::int64_t expires_ns;
};

class Tier {
public:
    explicit Tier(Bench& bench) : bench_{bench}, instance_{bench.open()} {
        tier_ = instance_->service<tenon_cache_tier_1>("tenon.cache_tier/1");
        if ((tier_->flags & TENON_CACHE_TIER_SHARED) != 0) {
            // What the check before put is there still.
            expect_status(clear({}), TENON_OK, "clear of a shared tier, to begin with");
        }
    }

    [[nodiscard]] tenon_status
    put(std::string_view key, std::string_view value, std::int64_t now, std::int64_t ttl) const {
        ErrorBuffer err;
        return tier_->put(tier_.self, bytes(key), bytes(value), now, ttl, &err);
    }

    [[nodiscard]] Got get(std::string_view key, std::int64_t now) const {
        ErrorBuffer err;
        StringSink value;
        std::int64_t expires = INT64_MIN;
        const tenon_status status =
            tier_->get(tier_.self, bytes(key), now, value.sink(), &expires, &err);
        return {status, std::move(value.text()), expires};
    }

    [[nodiscard]] tenon_status erase(std::string_view key) const {
        ErrorBuffer err;
        return tier_->erase(tier_.self, bytes(key), &err);
    }

    [[nodiscard]] tenon_status clear(std::string_view prefix) const {
        ErrorBuffer err;
        return tier_->clear(tier_.self, bytes(prefix), &err);
    }

    [[nodiscard]] tenon_cache_tier_stats stats() const {
        tenon_cache_tier_stats out{};
        out.size = sizeof out;
        expect_status(tier_->stats(tier_.self, &out), TENON_OK, "stats");
        return out;
    }

    // Puts until a get gives it back, so that what follows has an entry to work with.
    void keep(std::string_view key, std::string_view value, std::int64_t now, std::int64_t ttl)
        const {
        constexpr int k_tries = 20;
        for (int i = 0; i < k_tries; ++i) {
            expect_status(put(key, value, now, ttl), TENON_OK, text("put of ", printable(key)));
            const Got got = get(key, now);
            if (got.status == TENON_OK) {
                expect(
                    got.value == value,
                    "put ",
                    printable(value),
                    " under ",
                    printable(key),
                    ", got ",
                    printable(got.value)
                );
                return;
            }
            expect_status(got.status, TENON_NOT_FOUND, text("get of ", printable(key)));
            expect(got.value.empty(), "a get that answered NOT_FOUND put bytes into the sink");
        }
        throw Breach{text(
            "the tier keeps nothing under ",
            printable(key),
            ": ",
            k_tries,
            " puts of ",
            printable(value),
            ", each missed by the get after it"
        )};
    }

    // As keep(), but a value that the tier refuses as too long is no breach. True: it is there.
    [[nodiscard]] bool keep_if_it_fits(std::string_view key, std::string_view value) const {
        const tenon_status status = put(key, value, now(), k_hour);
        if (status == TENON_INVALID) {
            return false;
        }
        expect_status(status, TENON_OK, text("put of ", value.size(), " bytes"));
        const Got got = get(key, now());
        expect(
            got.status == TENON_NOT_FOUND || (got.status == TENON_OK && got.value == value),
            "put ",
            value.size(),
            " bytes, then get: ",
            status_name(got.status),
            " with ",
            got.value.size(),
            " bytes"
        );
        return got.status == TENON_OK;
    }

    [[nodiscard]] std::int64_t now() const { return bench_.now_ns(); }

    [[nodiscard]] const Service<tenon_cache_tier_1>& table() const noexcept { return tier_; }

    [[nodiscard]] Instance& instance() const noexcept { return *instance_; }

private:
    Bench& bench_;
    std::unique_ptr<Instance> instance_;
    Service<tenon_cache_tier_1> tier_;
};

}  // namespace tenon::suites
