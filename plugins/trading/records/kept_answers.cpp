// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/records/kept_answers.hpp"

#include <tenon/abi/cache_tier.h>
#include <tenon/byte_codec.hpp>

#include <algorithm>
#include <chrono>

namespace tenon::records {
namespace {

constexpr std::string_view k_cache = "api_response";

// A failure goes to who asked for it; whoever waited meanwhile asks for himself.
struct NotKept : Error {
    explicit NotKept(Answer given)
        : Error{TENON_UNAVAILABLE, "not kept"}, answer{std::move(given)} {}

    Answer answer;
};

// What its answers hang on; NULL: they are not kept.
[[nodiscard]] const Resource* table_of(const Resource& resource) noexcept {
    if (&resource == &k_performance) {
        return &k_trade_logs;
    }
    if (&resource == &k_news_sentiment) {
        return &k_news;
    }
    const bool is_kept = &resource == &k_models || &resource == &k_signals ||
                         &resource == &k_predictions || &resource == &k_news ||
                         &resource == &k_trade_logs;
    return is_kept ? &resource : nullptr;
}

[[nodiscard]] bool is_read(Operation operation) noexcept {
    return operation == Operation::list || operation == Operation::get ||
           operation == Operation::summary;
}

[[nodiscard]] std::string tag_of(const Resource& table) {
    return "records:" + std::string{table.name};
}

[[nodiscard]] std::string key_of(const Request& request) {
    const Caller& caller = request.caller;
    std::string key = "records " + std::to_string(caller.account) + " ";
    key.append(caller.may_read ? "r" : "").append(caller.may_trade ? "t" : "");
    key.append(caller.is_admin ? "a " : " ").append(request.path).append("?").append(request.query);
    return key;
}

}  // namespace

Answer KeptAnswers::answer(const Ask& ask, const std::function<Answer()>& work) const {
    const Resource* const table = table_of(*ask.endpoint.resource);
    if (!cache_ || table == nullptr) {
        return work();
    }
    if (!is_read(ask.endpoint.operation)) {
        Answer answer = work();
        if (answer.status < 400 || answer.status >= 500) {  // 5xx: it may have been written
            (void)guard(nullptr, [&] { cache_.invalidate(tag_of(*table)); });
        }
        return answer;
    }
    const std::string key = key_of(ask.request);
    if (ask.ttl_ns <= 0 || key.size() > TENON_CACHE_KEY_MAX) {
        return work();
    }
    Keep keep{std::chrono::nanoseconds{ask.ttl_ns}, {tag_of(*table)}};
    keep.wait = std::chrono::nanoseconds{ask.wait_ns};
    const std::int64_t now = ask.request.now_real_ns;
    try {
        const std::string kept = cached(cache_, k_cache, key, keep, [&] {
            Answer fresh = work();
            if (fresh.status != 200) {
                throw NotKept{std::move(fresh)};
            }
            std::string data;
            ByteWriter writer{data};
            writer.put(now);
            writer.put_raw(fresh.body);
            return data;
        });
        ByteReader reader{kept};
        const auto made = reader.get<std::int64_t>();
        if (reader.ok()) {
            constexpr std::int64_t k_ns_per_ms = 1'000'000;
            return {
                200,
                kept.substr(reader.offset()),
                std::max<std::int64_t>(0, now - made) / k_ns_per_ms};
        }
    } catch (const NotKept& failure) {
        return failure.answer;
    } catch (const Error&) {  // of the cache, or of another's load
    }
    return work();
}

}  // namespace tenon::records
