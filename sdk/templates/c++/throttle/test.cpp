// SPDX-License-Identifier: Apache-2.0
#include "check.h"
#include "token_buckets.hpp"

namespace {

constexpr std::int64_t k_second = 1'000'000'000;

std::int64_t
take(TokenBuckets& buckets, std::string_view key, std::int64_t cost, std::int64_t now) {
    const TokenBuckets::Want want{key, cost};
    return buckets.take(&want, 1, {10, 5}, now);
}

}  // namespace

int main() {
    TokenBuckets buckets{2};
    CHECK(take(buckets, "a", 5, 0) == 0);              // the whole burst
    CHECK(take(buckets, "a", 1, 0) == k_second / 10);  // one token's time
    CHECK(take(buckets, "b", 5, 0) == 0);              // another key, another budget
    CHECK(take(buckets, "a", 6, 0) == TokenBuckets::k_never);
    CHECK(take(buckets, "a", 1, k_second / 10) == 0);
    CHECK(take(buckets, "a", 1, 0) == k_second / 5);   // time does not run backwards
    CHECK(take(buckets, "c", 5, k_second / 10) == 0);  // no place left: the shared budget
    CHECK(take(buckets, "d", 1, k_second / 10) != 0);
    CHECK(buckets.keys() == 2);

    // All or nothing, the same key twice counts twice.
    TokenBuckets pair{8};
    const TokenBuckets::Want wants[] = {{"x", 3}, {"y", 3}, {"x", 3}};
    CHECK(pair.take(wants, 3, {10, 5}, 0) == TokenBuckets::k_never);
    CHECK(pair.take(wants, 2, {10, 5}, 0) == 0);
    const TokenBuckets::Want again[] = {{"z", 5}, {"x", 3}};
    CHECK(pair.take(again, 2, {10, 5}, 0) == k_second / 10);
    CHECK(pair.budget("z", {10, 5}, 0).available == 5);
    CHECK(pair.budget("x", {10, 5}, 0).available == 2);
    pair.refund({"x", 100}, {10, 5}, 0);
    CHECK(pair.budget("x", {10, 5}, 0).available == 5);
    CHECK(pair.budget("never seen", {10, 5}, 0).full_after_ns == 0);

    // Never more than the burst and the rate, whatever the pace of the calls.
    TokenBuckets steady{1};
    std::int64_t given = 0;
    for (std::int64_t now = 0; now <= 10 * k_second; now += 7'000'001) {
        given += take(steady, "k", 1, now) == 0 ? 1 : 0;
    }
    CHECK(given <= 105 && given >= 103);
    return failures();
}
