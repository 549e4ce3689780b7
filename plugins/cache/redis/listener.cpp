// SPDX-License-Identifier: Apache-2.0
#include "plugins/cache/redis/listener.hpp"

#include <tenon/structs.hpp>

#include <charconv>
#include <memory>

namespace tenon::redis_cache {

void Listener::tell(std::uint32_t kind, std::string_view subject, std::int64_t since_ns) {
    events_.fetch_add(1, std::memory_order_relaxed);
    const std::lock_guard lock{watch_mutex_};
    if (fn_ == nullptr) {
        return;
    }
    auto event = sized<tenon_cache_tier_event>();
    event.kind = kind;
    event.subject = bytes(subject);
    event.since_ns = since_ns == 0 ? 0 : since_ns + offset_ns_;
    fn_(ctx_, &event);
}

void Listener::watch(void* ctx, Watcher fn, std::int64_t clock_offset_ns) {
    const std::lock_guard lock{watch_mutex_};
    ctx_ = ctx;
    fn_ = fn;
    offset_ns_ = clock_offset_ns;
    if (fn_ != nullptr && !trusted_) {
        auto event = sized<tenon_cache_tier_event>();
        event.kind = TENON_CACHE_TIER_SUSPECT;
        event.since_ns = heard_ns_ == 0 ? 0 : heard_ns_ + offset_ns_;
        fn_(ctx_, &event);
    }
}

void Listener::up() {
    last_number_ = 0;
    std::int64_t since_ns = 0;
    {
        const std::lock_guard lock{watch_mutex_};
        trusted_ = true;
        since_ns = heard_ns_;
    }
    tell(TENON_CACHE_TIER_TRUSTED, {}, since_ns);
    watch_state_({});
}

void Listener::down(const std::string& reason, std::int64_t heard_ns) {
    {
        const std::lock_guard lock{watch_mutex_};
        trusted_ = false;
        heard_ns_ = heard_ns;
    }
    tell(TENON_CACHE_TIER_SUSPECT, {}, heard_ns);
    watch_state_(reason);
}

void Listener::will_put(const std::string& redis_key) {
    const std::lock_guard lock{own_mutex_};
    if (own_.size() >= k_own_max) {
        own_.clear();  // those are told of, which costs a look
    }
    own_.insert(redis_key);
}

void Listener::pushed(const redis::Reply& push) {
    if (push.size() < 2) {
        return;
    }
    const std::string_view kind = push[0].text();
    if (kind == "invalidate") {
        const redis::Reply keys = push[1];
        if (keys.is_null()) {  // FLUSHALL, FLUSHDB
            tell(TENON_CACHE_TIER_KEY, {});
            return;
        }
        for (std::size_t i = 0; i < keys.size(); ++i) {
            changed(keys[i].text());
        }
    } else if (kind == "message" && push.size() == 3 && push[1].text() == names_.channel) {
        announced(push[2].text());
    }
}

void Listener::changed(std::string_view redis_key) {
    if (redis_key == names_.seq) {
        tell(TENON_CACHE_TIER_KEY, {});
        return;
    }
    if (!redis_key.starts_with(names_.entries)) {
        return;
    }
    std::string key{redis_key};
    bool own = false;
    {
        const std::lock_guard lock{own_mutex_};
        own = own_.contains(key);
    }
    if (own) {
        auto question = std::make_unique<Question>(Question{this, std::move(key)});
        if (client_->send(
                {"GETRANGE", question->key, "16", "23"}, &Listener::writer_heard, question.get()
            )) {
            (void)question.release();
            return;
        }
    }
    tell(TENON_CACHE_TIER_KEY, redis_key.substr(names_.entries.size()));
}

void Listener::writer_heard(void* ctx, const redis::Reply* reply, const Error*) {
    const std::unique_ptr<Question> question{static_cast<Question*>(ctx)};
    Listener& self = *question->listener;
    if (reply != nullptr && reply->text() == self.names_.writer) {
        return;
    }
    {
        const std::lock_guard lock{self.own_mutex_};
        self.own_.erase(question->key);
    }
    self.tell(
        TENON_CACHE_TIER_KEY, std::string_view{question->key}.substr(self.names_.entries.size())
    );
}

void Listener::announced(std::string_view message) {
    std::int64_t number = 0;
    const auto [end, wrong] =
        std::from_chars(message.data(), message.data() + message.size(), number);
    const auto at = static_cast<std::size_t>(end - message.data());
    const std::size_t writer_at = at + 1;
    const std::size_t subject_at = writer_at + names_.writer.size() + 1;
    if (wrong != std::errc{} || message.size() <= subject_at) {
        return;  // not one of ours
    }
    if (last_number_ != 0 && number != last_number_ + 1) {
        gaps_.fetch_add(1, std::memory_order_relaxed);
        const std::int64_t since_ns = client_->heard_ns();
        tell(TENON_CACHE_TIER_SUSPECT, {}, since_ns);
        tell(TENON_CACHE_TIER_TRUSTED, {}, since_ns);
    }
    last_number_ = number;
    if (message.substr(writer_at, names_.writer.size()) != names_.writer) {
        tell(TENON_CACHE_TIER_TAG, message.substr(subject_at));
    }
}

}  // namespace tenon::redis_cache
