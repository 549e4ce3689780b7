// SPDX-License-Identifier: Apache-2.0
#include "plugins/throttle/redis/leases.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <random>

namespace tenon::redis_throttle {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds k_soon{1};    // between looks while keys are refilled
constexpr milliseconds k_later{10};  // else: a key holds 50 ms of its rate
constexpr std::int64_t k_extra_ns = 250'000'000;
constexpr std::int64_t k_sweep_ns = 30 * k_second_ns;

// The generic cell rate algorithm with reservation, in us of the server's clock. A bucket that is
// not known counts as empty when the server was: its keys may have been in use before it lost them.
// KEYS: bucket, when the server was first seen, that servers take tokens. ARGV: interval, burst,
// tokens.
constexpr std::string_view k_reserve = R"lua(
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local interval, span = tonumber(ARGV[1]), ARGV[1] * ARGV[2]
local tat = redis.call('GET', KEYS[1])
if tat then
  tat = tonumber(tat)
else
  local born = redis.call('GET', KEYS[2])
  if not born then
    born = string.format('%.0f', now)
    redis.call('SET', KEYS[2], born)
  end
  tat = born + span
end
tat = math.max(tat, now) + ARGV[3] * interval
redis.call('SET', KEYS[1], string.format('%.3f', tat), 'PX', string.format('%.0f', (tat - now) / 1000 + 1000))
redis.call('SET', KEYS[3], '1', 'PX', 1000)
return string.format('%.0f', math.ceil(math.max(tat - now - span, 0)))
)lua";

// After Redis was lost: how many us to go on without it, so that all servers that lost it, too,
// come back at one time. Who finds others taking tokens comes back at once. KEYS: that servers take
// tokens, when they come back. ARGV: longest wait.
constexpr std::string_view k_resume = R"lua(
if redis.call('EXISTS', KEYS[1]) == 1 then return '0' end
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local at = redis.call('GET', KEYS[2])
if not at then
  at = now + ARGV[1]
  redis.call('SET', KEYS[2], string.format('%.0f', at), 'PX', string.format('%.0f', ARGV[1] / 1000 * 3))
end
return string.format('%.0f', math.max(at - now, 0))
)lua";

// KEYS: bucket. ARGV: interval, tokens.
constexpr std::string_view k_return = R"lua(
local tat = redis.call('GET', KEYS[1])
if tat then
  redis.call('SET', KEYS[1], string.format('%.3f', tat - ARGV[1] * ARGV[2]), 'KEEPTTL')
end
return 0
)lua";

constexpr std::size_t k_news_max = 4'096;

// A server's name among the others, new at each start.
std::string new_id() {
    std::random_device random;
    return std::to_string((std::uint64_t{random()} << 32) | random());
}

redis::ClientOptions with_channel(redis::ClientOptions options, const std::string& channel) {
    options.channels.push_back(channel);
    return options;
}

std::string interval_us(const SharedLimit& limit) {
    const std::int64_t ns = limit.plan().rate.interval_ns;
    std::string digits = std::to_string(ns % 1000);
    return std::to_string(ns / 1000) + "." + std::string(3 - digits.size(), '0') + digits;
}

}  // namespace

Leases::Leases(LeaseOptions options, LeaseOwner owner)
    : options_{std::move(options)},
      owner_{std::move(owner)},
      peers_{options_.name_space, new_id(), 5 * options_.heartbeat},
      prefix_{options_.name_space + ":t:"},
      born_key_{options_.name_space + ":born"},
      active_key_{options_.name_space + ":leasing"},
      resume_key_{options_.name_space + ":resume"},
      settle_us_{std::to_string(
          (options_.client.backoff_max + options_.client.connect_timeout).count() / 1000
      )},
      reserve_{std::string{k_reserve}},
      return_{std::string{k_return}},
      client_{with_channel(options_.client, peers_.channel()), this} {}

Leases::~Leases() {
    stop();
}

void Leases::start() {
    if (!thread_.joinable()) {
        stopping_ = false;
        client_.start();
        thread_ = std::thread{[this] { run(); }};
    }
}

void Leases::stop() noexcept {
    if (!thread_.joinable()) {
        return;
    }
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
        changed_.notify_all();
    }
    thread_.join();
    if (client_.is_up()) {
        (void)guard(nullptr, [this] { peers_.leave(client_); });  // else it is found to be gone
    }
    client_.stop();
    leased_.store(false);
}

bool Leases::wait_up(std::chrono::nanoseconds timeout) {
    std::unique_lock lock{mutex_};
    (void)changed_.wait_for(lock, timeout, [this] { return leased_.load() || refused_; });
    return leased_.load();
}

std::string Leases::reason() const {
    const std::lock_guard lock{mutex_};
    return state_ ? *state_ : client_.reason();
}

void Leases::up() {
    const std::lock_guard lock{mutex_};
    resume_wanted_ = true;
    beat_ns_ = 0;
    changed_.notify_all();
}

void Leases::resume() {
    if (cuts_.load() == 0) {
        resume_ns_ = 0;
    } else if (!client_.send(
                   {"EVAL", k_resume, "2", active_key_, resume_key_, settle_us_},
                   &Leases::resume_heard,
                   this
               )) {
        resume_ns_ = redis::Client::now_ns() + std::stoll(settle_us_) * 1000;
    }
    changed_.notify_all();
}

void Leases::resume_heard(void* ctx, const redis::Reply* reply, const Error*) {
    Leases& self = *static_cast<Leases*>(ctx);
    if (reply == nullptr) {
        return;  // lost again
    }
    std::int64_t wait_us = std::stoll(self.settle_us_);
    if (!reply->is_error()) {
        const std::string_view text = reply->text();
        (void)std::from_chars(text.data(), text.data() + text.size(), wait_us);
    }
    self.resume_in(wait_us * 1000);
}

void Leases::resume_in(std::int64_t wait_ns) {
    const std::lock_guard lock{mutex_};
    if (refused_) {
        return;
    }
    resume_ns_ = redis::Client::now_ns() + wait_ns;
    changed_.notify_all();
}

void Leases::cut_off() noexcept {
    resume_ns_ = INT64_MAX;
    cuts_.fetch_add(1);
    leased_.store(false, std::memory_order_release);
}

void Leases::down(const std::string& reason, std::int64_t) {
    const std::lock_guard lock{mutex_};
    resume_wanted_ = false;
    cut_off();
    state_ = reason;
    changed_.notify_all();
}

void Leases::pushed(const redis::Reply& push) {
    const std::lock_guard lock{mutex_};
    add_news(peers_.read_push(push));
    changed_.notify_all();
}

void Leases::add_news(News news) {
    // What finds no room is told again by the next beat.
    for (Block& block : news.blocks) {
        if (news_.blocks.size() < k_news_max) {
            news_.blocks.push_back(std::move(block));
        }
    }
    for (SharedLevel& level : news.levels) {
        if (news_.levels.size() < k_news_max) {
            news_.levels.push_back(std::move(level));
        }
    }
}

void Leases::beat_heard(void* ctx, const redis::Reply* reply, const Error*) {
    Leases& self = *static_cast<Leases*>(ctx);
    const std::lock_guard lock{self.mutex_};
    self.beating_ = false;
    auto beat = reply == nullptr ? std::nullopt : Peers::read_beat(*reply);
    if (beat) {
        self.heard(std::move(*beat));
    } else if (reply != nullptr) {
        self.state_ = "Redis answers a heartbeat with: " + std::string{reply->text()};
    }
    self.changed_.notify_all();
}

void Leases::heard(Beat beat) {
    servers_.store(beat.servers);
    // While limits are not shared each has its part of what was known before: a Redis that comes
    // back empty hears of the others one by one.
    for (std::size_t i = 0; leased_.load() && owner_.limit_at(i) != nullptr; ++i) {
        owner_.limit_at(i)->set_servers(beat.servers);
    }
    add_news(std::move(beat.news));
    refused_ = !beat.evicts.empty();
    if (refused_) {
        if (leased_.load()) {
            cut_off();
        }
        resume_ns_ = INT64_MAX;
        resume_wanted_ = true;
        state_ = "limits are not shared: Redis drops keys (maxmemory-policy " + beat.evicts +
                 "), expected noeviction";
        return;
    }
    if (std::exchange(resume_wanted_, false)) {
        resume();
    }
    state_ = beat.servers <= options_.servers
                 ? std::string{}
                 : std::to_string(beat.servers) + " servers share limits that are set for " +
                       std::to_string(options_.servers);
}

void Leases::tell_level(std::string_view limit, std::string_view level) {
    const std::lock_guard lock{mutex_};
    for (std::size_t i = 0; const SharedLimit* const each = owner_.limit_at(i); ++i) {
        if (limit.empty() || limit == each->name()) {
            std::erase_if(untold_, [&](const auto& untold) {
                return !untold->asked && untold->level.limit == each->name();
            });
            untold_.push_back(std::make_unique<Untold>(Untold{
                this, {each->name(), std::string{level}}, false}));
        }
    }
    tell_now_ = true;
    changed_.notify_all();
}

void Leases::level_heard(void* ctx, const redis::Reply* reply, const Error*) {
    Untold& told = *static_cast<Untold*>(ctx);
    Leases& self = *told.leases;
    const std::lock_guard lock{self.mutex_};
    told.asked = false;
    if (reply != nullptr) {
        if (reply->is_error()) {
            self.state_ = "Redis refuses a level: " + std::string{reply->text()};
        }
        std::erase_if(self.untold_, [&](const auto& untold) { return untold.get() == &told; });
    }
}

void Leases::keep_up(std::int64_t now_ns) {
    const bool beat = now_ns >= beat_ns_ && !beating_;
    if (!client_.is_up() || (!beat && !tell_now_)) {
        return;
    }
    tell_now_ = false;
    for (const auto& untold : untold_) {  // before the beat, which is answered with them
        untold->asked = untold->asked ||
                        peers_.tell(client_, untold->level, &Leases::level_heard, untold.get());
    }
    if (beat) {
        beating_ = peers_.beat(client_, &Leases::beat_heard, this);
        beat_ns_ = now_ns + options_.heartbeat.count();
    }
}

void Leases::use_news(std::unique_lock<std::mutex>& lock) {
    News news = std::exchange(news_, {});
    std::erase_if(news.levels, [&](const SharedLevel& level) {
        return std::any_of(untold_.begin(), untold_.end(), [&](const auto& untold) {
            return untold->level.limit == level.limit;  // ours is newer
        });
    });
    if (news.blocks.empty() && news.levels.empty()) {
        return;
    }
    lock.unlock();
    for (std::size_t i = 0; SharedLimit* const limit = owner_.limit_at(i); ++i) {
        for (const Block& block : news.blocks) {
            if (block.limit == limit->name()) {
                limit->block(block.key, limit->advance(owner_.now_ns()) + block.left_ns, false);
            }
        }
        for (const SharedLevel& level : news.levels) {
            if (level.limit == limit->name()) {
                owner_.set_level(level.limit, level.level);
            }
        }
    }
    lock.lock();
}

void Leases::tell_state(std::unique_lock<std::mutex>& lock) {
    if (state_ == told_) {
        return;
    }
    told_ = state_;
    const std::string reason = *told_;
    lock.unlock();
    owner_.watch_state(reason);
    lock.lock();
}

void Leases::run() {
    std::unique_lock lock{mutex_};
    while (!stopping_) {
        const std::int64_t now = redis::Client::now_ns();
        keep_up(now);
        tell_state(lock);
        use_news(lock);
        if (now >= resume_ns_) {
            resume_ns_ = INT64_MAX;
            for (std::size_t i = 0; SharedLimit* const limit = owner_.limit_at(i); ++i) {
                limit->drop_tokens();
            }
            for (const auto& refill : refills_) {  // what the Redis of before had granted
                if (refill->stage == Stage::granted) {
                    want_again(*refill);
                }
            }
            leased_.store(true, std::memory_order_release);
            changed_.notify_all();
        }
        const bool busy = leased_.load() ? look(now) : false;
        if (now - swept_ns_ > k_sweep_ns) {
            swept_ns_ = now;
            for (std::size_t i = 0; SharedLimit* const limit = owner_.limit_at(i); ++i) {
                limit->sweep(leased_.load());
            }
        }
        changed_.wait_for(lock, busy ? k_soon : k_later);
    }
    // Asked for and not answered: the answers come when the client stops.
}

void Leases::tell_block(SharedLimit& limit, Place& place) {
    if (!place.tell_block.exchange(false)) {
        return;
    }
    const std::int64_t left = place.blocked_ns.load() - limit.advance(owner_.now_ns());
    if (left > 0 && !peers_.tell(client_, {limit.name(), place.key.load(), left})) {
        place.tell_block.store(true);
        limit.mark(place);
    }
}

void Leases::collect_marked() {
    for (std::size_t i = 0; SharedLimit* const limit = owner_.limit_at(i); ++i) {
        limit->each_marked([&](Place& place) {
            tell_block(*limit, place);
            if (!std::exchange(place.refilling, true)) {
                refills_.push_back(std::make_unique<Refill>(Refill{
                    this, limit, &place, place.key.load()}));
            }
        });
    }
}

bool Leases::look(std::int64_t now_ns) {
    collect_marked();
    std::erase_if(refills_, [&](const auto& refill) {
        refill->place->refilling = advance(*refill, now_ns);
        return !refill->place->refilling;
    });
    return !refills_.empty();
}

bool Leases::advance(Refill& refill, std::int64_t now_ns) {
    Place& place = *refill.place;
    const Plan& plan = refill.limit->plan();
    if (refill.stage == Stage::asked) {
        return true;
    }
    if (refill.stage == Stage::granted) {
        if (now_ns < refill.due_ns) {
            place.wait_ns.store(refill.due_ns - now_ns);
            return true;
        }
        place.tokens.fetch_add(refill.tokens);
        counts_.tokens.fetch_add(
            static_cast<std::uint64_t>(refill.tokens), std::memory_order_relaxed
        );
        refill.stage = Stage::idle;
    }
    const std::int64_t have = place.tokens.load();
    const std::int64_t wanted = std::min(place.wanted.exchange(0), plan.most);
    const std::int64_t full = std::max(plan.own, wanted);
    if (have <= plan.own / 2 || have < wanted) {
        refill.extra_ns = 0;
        refill.wanted = wanted;
        ask(refill, full - have);
        return true;
    }
    if (have > plan.own) {
        refill.extra_ns = refill.extra_ns == 0 ? now_ns : refill.extra_ns;
        if (now_ns - refill.extra_ns > k_extra_ns) {
            const std::int64_t extra = have - plan.own;
            std::int64_t seen = have;
            if (place.tokens.compare_exchange_strong(seen, plan.own)) {
                give_back(refill, extra);
            }
        }
        return true;
    }
    place.wait_ns.store(0);
    return false;
}

std::string Leases::key_of(const Refill& refill) const {
    return prefix_ + refill.limit->name() + ":" + std::to_string(refill.key);
}

void Leases::want_again(Refill& refill) {
    refill.stage = Stage::idle;
    refill.place->wanted.store(std::max(refill.place->wanted.load(), refill.wanted));
}

void Leases::ask(Refill& refill, std::int64_t tokens) {
    refill.tokens = tokens;
    const std::string key = key_of(refill);
    const std::string interval = interval_us(*refill.limit);
    const std::string burst = std::to_string(refill.limit->plan().shared);
    const std::string count = std::to_string(tokens);
    const redis::Words words = reserve_.words(
        refill.whole_script, "3", {key, born_key_, active_key_}, {interval, burst, count}
    );
    refill.stage = Stage::asked;
    if (client_.send(words, &Leases::answered, &refill)) {
        counts_.refills.fetch_add(1, std::memory_order_relaxed);
    } else {
        want_again(refill);
    }
}

void Leases::answered(void* ctx, const redis::Reply* reply, const Error*) {
    Refill& refill = *static_cast<Refill*>(ctx);
    Leases& self = *refill.leases;
    const std::lock_guard lock{self.mutex_};
    refill.stage = Stage::idle;
    if (reply == nullptr || reply->is_error()) {
        // What was perhaps reserved is lost: never too many are let through. Who waits still wants
        // it.
        want_again(refill);
        refill.whole_script = reply != nullptr && redis::is_unknown_script(*reply);
        self.counts_.lost.fetch_add(refill.whole_script ? 0 : 1, std::memory_order_relaxed);
        return;
    }
    refill.whole_script = false;
    std::int64_t wait_us = 0;
    const std::string_view text = reply->text();
    (void)std::from_chars(text.data(), text.data() + text.size(), wait_us);
    refill.stage = Stage::granted;
    refill.due_ns = redis::Client::now_ns() + wait_us * 1000;
    refill.place->wait_ns.store(wait_us * 1000);
}

void Leases::give_back(const Refill& refill, std::int64_t tokens) {
    counts_.returned.fetch_add(static_cast<std::uint64_t>(tokens), std::memory_order_relaxed);
    const std::string key = key_of(refill);
    const std::string interval = interval_us(*refill.limit);
    const std::string count = std::to_string(tokens);
    // Not known to the server, or lost: then they are gone, and less is let through.
    (void)client_.send(return_.words(true, "1", {key}, {interval, count}), nullptr, nullptr);
}

}  // namespace tenon::redis_throttle
