// SPDX-License-Identifier: Apache-2.0
// A cache tier that answers some keys in its own way and misbehaves as its setting says. Every
// image that is built from this defines the same global symbols.
#include <tenon/cache_tier.hpp>

#include <condition_variable>
#include <map>
#include <mutex>
#include <new>
#include <stdexcept>

extern "C" int ticker_next();

// The same names in every image; each must see its own.
extern "C" __attribute__((visibility("default"))) int tenon_test_clash = 0;

extern "C" __attribute__((visibility("default"))) const char* tenon_test_tool() {
    return TOOL;
}

// A function-local static of an inline function: STB_GNU_UNIQUE unless the build prevents it.
inline int& shared_by_name() {
    static int k_count = 0;
    return k_count;
}

class Odd : public tenon::Plugin, public tenon::CacheTier {
public:
    explicit Odd(const tenon_host* host) : Plugin{host} { provide<CacheTier>(this); }

    void configure(std::string_view json, bool) override {
        const auto is = [&](std::string_view mode) {
            return json.find(mode) != std::string_view::npos;
        };
        if (is("fail_configure")) {
            throw std::invalid_argument{"refused by " TOOL};
        }
        fails_ = is("fail_start");
        hangs_ = is("hang_start");
        rubbish_ = is("rubbish");
        leaks_ = is("leak");
    }

    void start() override {
        if (fails_) {
            throw tenon::Error{TENON_CORRUPT, "start failed in " TOOL};
        }
        if (hangs_) {
            std::mutex mutex;
            std::unique_lock lock{mutex};
            std::condition_variable never;
            never.wait(lock, [] { return false; });
        }
        if (leaks_) {
            // 8 MiB that nobody frees, and no pointer to them.
            auto* lost = new volatile char[std::size_t{8} << 20U];
            for (std::size_t at = 0; at < std::size_t{8} << 20U; at += 4096) {
                lost[at] = 1;
            }
        }
        if (rubbish_) {
            log_rubbish();
        }
    }

    std::optional<std::int64_t> get(std::string_view key, std::int64_t, Out out) override {
        if (key == "throw") {
            throw std::runtime_error{"thrown inside " TOOL};
        }
        if (key == "throw-number") {
            throw 7;
        }
        if (key == "throw-memory") {
            throw std::bad_alloc{};
        }
        if (key == "clash") {
            out(std::string{tenon_test_tool()} + " " + std::to_string(++tenon_test_clash) + " " +
                std::to_string(++shared_by_name()));
            return 0;
        }
        if (key == "ticker") {
            out(std::to_string(ticker_next()));
            return 0;
        }
        const std::lock_guard lock{mutex_};
        const auto found = entries_.find(key);
        if (found == entries_.end()) {
            return std::nullopt;
        }
        out(found->second);
        return 0;
    }

    void put(std::string_view key, std::string_view value, std::int64_t, std::int64_t) override {
        const std::lock_guard lock{mutex_};
        entries_.insert_or_assign(std::string{key}, std::string{value});
    }

    bool erase(std::string_view key) override {
        const std::lock_guard lock{mutex_};
        return entries_.erase(std::string{key}) != 0;
    }

    void clear(std::string_view) override {
        const std::lock_guard lock{mutex_};
        entries_.clear();
    }

    void stats(tenon_cache_tier_stats& out) override {
        const std::lock_guard lock{mutex_};
        out.entries = entries_.size();
    }

private:
    void log_rubbish() const {
        const auto log = host().service<tenon_log_1>("tenon.log/1");
        const std::string bytes{"\xff\xfe\0 a=b\nplugin=kernel event=forged\x1b[2J\xc3", 40};
        const std::string huge(std::size_t{1} << 20U, '\x80');
        const tenon_log_field fields[] = {
            {tenon::str(bytes), tenon::str(bytes), 99, 0},
            {{nullptr, 0}, {nullptr, 0}, TENON_FIELD_TEXT, 0},
            {tenon::str("number"), tenon::str("} not a number {"), TENON_FIELD_NUMBER, 0},
            {tenon::str("huge"), tenon::str(huge), TENON_FIELD_TEXT, 0}};
        for (const std::int32_t level : {-2'000'000'000, -1, 0, 2, 4, 5, 2'000'000'000}) {
            log->write(log.self, level, tenon::str(bytes), fields, 4);
            log->write(log.self, level, {nullptr, 0}, nullptr, 0);
        }
        log->write(log.self, TENON_LOG_INFO, tenon::str("rubbish_ended"), nullptr, 0);
    }

    bool fails_ = false;
    bool hangs_ = false;
    bool rubbish_ = false;
    bool leaks_ = false;
    std::mutex mutex_;
    std::map<std::string, std::string, std::less<>> entries_;
};

TENON_EXPORT_PLUGIN(Odd)
