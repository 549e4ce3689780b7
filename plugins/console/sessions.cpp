// SPDX-License-Identifier: Apache-2.0
#include "plugins/console/sessions.hpp"

#include <algorithm>
#include <sodium.h>
#include <utility>

namespace tenon::console {
namespace {

constexpr std::size_t k_of_one_actor_max = 16;

}  // namespace

std::string random_token() {
    std::array<unsigned char, 32> raw{};
    randombytes_buf(raw.data(), raw.size());
    constexpr int k_variant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
    std::string text(sodium_base64_ENCODED_LEN(raw.size(), k_variant), '\0');
    sodium_bin2base64(text.data(), text.size(), raw.data(), raw.size(), k_variant);
    text.pop_back();  // its end
    sodium_memzero(raw.data(), raw.size());
    return text;
}

bool same_secret(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

Sessions::Sessions(SessionLimits limits, Ended ended) : limits_{limits}, ended_{std::move(ended)} {}

Sessions::Digest Sessions::digest_of(std::string_view token) noexcept {
    Digest digest{};
    crypto_generichash(
        digest.data(),
        digest.size(),
        reinterpret_cast<const unsigned char*>(token.data()),
        token.size(),
        nullptr,
        0
    );
    return digest;
}

bool Sessions::is_over(const Session& session, std::int64_t now_ns) const noexcept {
    return now_ns - session.seen_ns >= limits_.idle_ns ||
           now_ns - session.begin_ns >= limits_.absolute_ns;
}

Sessions::Map::iterator Sessions::drop(Map::iterator at) {
    if (ended_) {
        ended_(at->second);
    }
    return sessions_.erase(at);
}

void Sessions::make_room(std::string_view actor) {
    const auto older = [](const auto& a, const auto& b) {
        return std::pair{a.second.seen_ns, a.second.id} < std::pair{b.second.seen_ns, b.second.id};
    };
    auto oldest_of_actor = sessions_.end();
    std::size_t count = 0;
    for (auto at = sessions_.begin(); at != sessions_.end(); ++at) {
        if (at->second.who.actor == actor) {
            ++count;
            oldest_of_actor = oldest_of_actor == sessions_.end() || older(*at, *oldest_of_actor)
                                  ? at
                                  : oldest_of_actor;
        }
    }
    if (count >= k_of_one_actor_max) {
        drop(oldest_of_actor);
    } else if (!sessions_.empty() && sessions_.size() >= limits_.sessions_max) {
        drop(std::min_element(sessions_.begin(), sessions_.end(), older));
    }
}

std::string Sessions::open(Principal who, std::int64_t now_ns) {
    sweep(now_ns);
    make_room(who.actor);
    std::string token = random_token();
    Session& session = sessions_[digest_of(token)];
    session.id = next_id_++;
    session.who = std::move(who);
    session.csrf = random_token();
    session.begin_ns = now_ns;
    session.seen_ns = now_ns;
    return token;
}

const Sessions::Session* Sessions::find(std::string_view token, std::int64_t now_ns, bool touch) {
    const auto found = token.empty() ? sessions_.end() : sessions_.find(digest_of(token));
    if (found == sessions_.end()) {
        return nullptr;
    }
    if (is_over(found->second, now_ns)) {
        drop(found);
        return nullptr;
    }
    if (touch) {
        found->second.seen_ns = now_ns;
    }
    return &found->second;
}

void Sessions::end(std::string_view token) {
    if (const auto found = sessions_.find(digest_of(token)); found != sessions_.end()) {
        drop(found);
    }
}

void Sessions::end_of(std::string_view actor) {
    end_if([&](const Session& session) { return session.who.actor == actor; });
}

void Sessions::sweep(std::int64_t now_ns) {
    end_if([&](const Session& session) { return is_over(session, now_ns); });
}

void Sessions::end_if(const std::function<bool(const Session&)>& is_to_end) {
    for (auto at = sessions_.begin(); at != sessions_.end();) {
        at = is_to_end(at->second) ? drop(at) : std::next(at);
    }
}

}  // namespace tenon::console
