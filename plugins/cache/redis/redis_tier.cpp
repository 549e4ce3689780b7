// SPDX-License-Identifier: Apache-2.0
#include "plugins/cache/redis/redis_tier.hpp"

#include "plugins/cache/redis/scripts.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <random>

namespace tenon::redis_cache {
namespace {

constexpr std::int64_t k_ms = 1'000'000;
constexpr std::uint64_t k_fences = 4096;  // groups of keys

// The state of the key that this thread found nothing under last: who loads takes it next, and one
// from before that is as good, so that it costs no round trip of its own.
struct Missed {
    std::uint64_t of = 0;  // which tier; 0: none
    std::string key;
    std::uint64_t token = 0;
};

thread_local Missed t_missed;

std::uint64_t next_id() {
    static std::atomic<std::uint64_t> last{0};
    return ++last;
}

std::string random_writer() {
    std::random_device random;
    static constexpr std::string_view k_letters{"0123456789abcdefghjkmnpqrstvwxyz"};
    std::string writer;
    for (int i = 0; i < 8; ++i) {
        writer += k_letters[random() % k_letters.size()];
    }
    return writer;
}

redis::Script script(std::string_view body) {
    return redis::Script{std::string{scripts::k_common} + std::string{body}};
}

// FNV-1a: the same on every server.
std::uint64_t hash_of(std::string_view text) noexcept {
    std::uint64_t hash = 0xcbf29ce484222325U;
    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    }
    return hash ^ (hash >> 32);
}

std::uint64_t number_of(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (wrong != std::errc{} || end != text.data() + text.size()) {
        throw Error{TENON_CORRUPT, "a number of the cache in Redis is none"};
    }
    return value;
}

std::uint64_t big_endian(std::string_view data, std::size_t at) noexcept {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < 8; ++i) {
        value = (value << 8U) | static_cast<unsigned char>(data[at + i]);
    }
    return value;
}

// What the client is to do when it connects, for this namespace.
redis::ClientOptions with_greeting(redis::ClientOptions options, const std::string& name_space) {
    options.greeting.push_back(
        {"CLIENT",
         "TRACKING",
         "ON",
         "BCAST",
         "PREFIX",
         name_space + ":e:",
         "PREFIX",
         name_space + ":seq"}
    );
    options.channels.push_back(name_space + ":announce");
    return options;
}

// "name:VALUE" of INFO.
std::string_view info_value(std::string_view info, std::string_view name) noexcept {
    const std::string line = "\n" + std::string{name} + ":";
    const std::size_t at = info.find(line);
    if (at == std::string_view::npos) {
        return {};
    }
    const std::string_view rest = info.substr(at + line.size());
    return rest.substr(0, rest.find('\r'));
}

}  // namespace

RedisTier::RedisTier(TierOptions options, WatchState watch_state)
    : options_{std::move(options)},
      id_{next_id()},
      writer_{random_writer()},
      n_key_{options_.name_space + ":n"},
      seq_key_{options_.name_space + ":seq"},
      clears_key_{options_.name_space + ":clears"},
      announced_key_{options_.name_space + ":announced"},
      channel_{options_.name_space + ":announce"},
      put_{script(scripts::k_put)},
      put_if_{script(scripts::k_put_if)},
      token_{script(scripts::k_token)},
      erase_{script(scripts::k_erase)},
      clear_{script(scripts::k_clear)},
      announce_{std::string{scripts::k_announce}},
      listener_{{options_.name_space + ":e:", seq_key_, channel_, writer_}, std::move(watch_state)},
      client_{with_greeting(options_.client, options_.name_space), &listener_} {
    listener_.attach(client_);
}

RedisTier::Keys RedisTier::keys_of(std::string_view key) const {
    return {
        options_.name_space + ":f:" + std::to_string(hash_of(key) % k_fences),
        (options_.name_space + ":e:").append(key)};
}

redis::Answer
RedisTier::run(const redis::Script& script, const Keys& keys, const redis::Words& arguments) {
    t_missed.of = 0;
    redis::Answer answer =
        script.call(client_, {n_key_, seq_key_, clears_key_, keys.fence, keys.entry}, arguments);
    (void)redis::checked(answer.reply());
    return answer;
}

std::optional<std::int64_t> RedisTier::get(
    std::string_view key,
    std::int64_t now_ns,
    const std::function<void(std::string_view)>& out
) {
    const Keys keys = keys_of(key);
    // TIME after the entry: what is left of its life is never told too long.
    const std::array<redis::Words, 2> both{{{"MGET", seq_key_, keys.entry, keys.fence}, {"TIME"}}};
    const std::vector<redis::Answer> answers = client_.call_all(both);
    const redis::Reply found = redis::checked(answers[0].reply());
    const redis::Reply time = redis::checked(answers[1].reply());
    if (found.size() != 3 || time.size() != 2) {
        throw Error{TENON_CORRUPT, "Redis answers MGET or TIME as no Redis does"};
    }
    const std::string_view entry = found[1].text();
    if (!found[0].is_null() && entry.size() >= scripts::k_header_bytes) {
        const auto expires_ms = static_cast<std::int64_t>(big_endian(entry, 8));
        const auto time_ms = static_cast<std::int64_t>(
            number_of(time[0].text()) * 1000 + number_of(time[1].text()) / 1000
        );
        if (time_ms < expires_ms && stands(key, big_endian(entry, 0), number_of(found[0].text()))) {
            counts_.hits.fetch_add(1, std::memory_order_relaxed);
            out(entry.substr(scripts::k_header_bytes));
            return now_ns + (expires_ms - time_ms) * k_ms;
        }
    }
    counts_.misses.fetch_add(1, std::memory_order_relaxed);
    t_missed.of = 0;
    if (!found[0].is_null() && !found[2].is_null()) {
        t_missed.key = key;
        t_missed.token = std::max(number_of(found[2].text()), number_of(found[0].text()));
        t_missed.of = id_;
    }
    return std::nullopt;
}

bool RedisTier::stands(std::string_view key, std::uint64_t entry_seq, std::uint64_t seq) {
    if (entry_seq >= seq) {
        return true;
    }
    std::unique_lock lock{clears_mutex_};
    if (clears_.seq != seq) {
        lock.unlock();
        const redis::Answer answer = client_.call({"HGETALL", clears_key_});
        const redis::Reply all = redis::checked(answer.reply());
        Clears now;
        for (std::size_t i = 0; i + 1 < all.size(); i += 2) {
            const std::string_view field = all[i].text();
            const std::uint64_t number = number_of(all[i + 1].text());
            if (field == "seq") {
                now.seq = number;
            } else {
                now.prefixes.emplace_back(field.substr(1), number);
            }
        }
        lock.lock();
        clears_ = std::move(now);
        if (clears_.seq < seq) {
            return false;  // the list was evicted: nobody knows what was cleared
        }
    }
    for (const auto& [prefix, number] : clears_.prefixes) {
        if (number > entry_seq && key.starts_with(prefix)) {
            return false;
        }
    }
    return true;
}

bool RedisTier::write(
    const redis::Script& script,
    std::string_view key,
    std::string_view value,
    std::int64_t ttl_ns,
    const std::string& token
) {
    if (value.size() > options_.value_bytes_max) {
        throw Error{
            TENON_INVALID,
            "a value of " + std::to_string(value.size()) + " bytes, at most " +
                std::to_string(options_.value_bytes_max) + " are kept"};
    }
    const std::string ttl_ms = std::to_string(ttl_ns / k_ms);
    const Keys keys = keys_of(key);
    listener_.will_put(keys.entry);
    redis::Words arguments{value, ttl_ms, writer_};
    if (!token.empty()) {
        arguments.push_back(token);
    }
    return run(script, keys, arguments).reply().integer() == 1;
}

void RedisTier::put(std::string_view key, std::string_view value, std::int64_t ttl_ns) {
    if (ttl_ns < k_ms) {
        (void)run(erase_, keys_of(key), {});  // over before it is there
    } else {
        (void)write(put_, key, value, ttl_ns, {});
    }
    counts_.puts.fetch_add(1, std::memory_order_relaxed);
}

bool RedisTier::put_if(
    std::string_view key,
    std::string_view value,
    std::int64_t ttl_ns,
    std::uint64_t token
) {
    if (ttl_ns < k_ms) {
        return true;  // not kept: what is there is not older than the token
    }
    const bool kept = write(put_if_, key, value, ttl_ns, std::to_string(token));
    (kept ? counts_.puts : counts_.conflicts).fetch_add(1, std::memory_order_relaxed);
    return kept;
}

std::uint64_t RedisTier::token(std::string_view key) {
    if (t_missed.of == id_ && t_missed.key == key) {
        t_missed.of = 0;  // once
        return t_missed.token;
    }
    return number_of(run(token_, keys_of(key), {}).reply().text());
}

bool RedisTier::erase(std::string_view key) {
    const bool was_there = run(erase_, keys_of(key), {}).reply().integer() != 0;
    counts_.erased.fetch_add(was_there ? 1 : 0, std::memory_order_relaxed);
    return was_there;
}

void RedisTier::clear(std::string_view prefix) {
    const std::string most = std::to_string(scripts::k_prefixes_max);
    (void)run(clear_, {"", ""}, {prefix, most});
}

void RedisTier::announce(std::string_view subject) {
    const redis::Answer answer =
        announce_.call(client_, {announced_key_}, {channel_, writer_, subject});
    (void)redis::checked(answer.reply());
}

std::pair<std::uint64_t, std::uint64_t> RedisTier::bytes_and_max() {
    if (!asking_.exchange(true) &&
        !client_.send({"INFO", "memory"}, &RedisTier::memory_heard, this)) {
        asking_.store(false);
    }
    return {bytes_.load(), bytes_max_.load()};
}

void RedisTier::memory_heard(void* ctx, const redis::Reply* reply, const Error*) {
    RedisTier& self = *static_cast<RedisTier*>(ctx);
    if (reply != nullptr && !reply->is_error()) {
        (void)guard(nullptr, [&] {
            const std::string_view info = reply->text();
            self.bytes_.store(number_of(info_value(info, "used_memory")));
            self.bytes_max_.store(number_of(info_value(info, "maxmemory")));
            const std::lock_guard lock{self.policy_mutex_};
            self.policy_ = info_value(info, "maxmemory_policy");
        });
    }
    self.asking_.store(false);
}

std::string RedisTier::eviction_policy() const {
    const std::lock_guard lock{policy_mutex_};
    return policy_;
}

}  // namespace tenon::redis_cache
