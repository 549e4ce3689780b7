// SPDX-License-Identifier: Apache-2.0
// tenon.log/1 on spdlog: one event a line, text or JSON, to standard error or to a rotated file.
//
// Lines are formatted by the caller and written by a thread of their own, so that no reactor waits
// for a disk; when its queue is full the oldest lines go, and are counted. Control characters never
// reach the output as they are, and the values of fields whose name says that they are secret are
// not written.
#pragma once

#include "sdk/log/log_line.hpp"
#include "sdk/manifest/deployment.hpp"

#include <tenon/plugin.hpp>

#include <atomic>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

namespace spdlog {
class async_logger;

namespace details {
class thread_pool;
}
}  // namespace spdlog

namespace tenon::runtime {

class LogRouter;

// The log of one plugin, or of the kernel.
class LogSource {
public:
    LogSource(LogRouter& router, std::string name, std::int32_t level)
        : router_{&router}, name_{std::move(name)}, level_{level} {}

    [[nodiscard]] bool enabled(std::int32_t level) const noexcept {
        return level >= level_.load(std::memory_order_relaxed) && level < log::k_off;
    }

    void write(std::int32_t level, std::string_view event, std::span<const tenon_log_field> fields)
        const noexcept;

    void write(std::int32_t level, std::string_view event, std::initializer_list<Field> fields)
        const noexcept;

    void set_level(std::int32_t level) noexcept { level_.store(level, std::memory_order_relaxed); }

    [[nodiscard]] std::int32_t level() const noexcept {
        return level_.load(std::memory_order_relaxed);
    }

    [[nodiscard]] const std::string& name() const noexcept { return name_; }

    [[nodiscard]] static const tenon_log_1& table();

private:
    LogRouter* router_;
    const std::string name_;
    std::atomic<std::int32_t> level_;
};

class LogRouter {
public:
    // Throws Error when the file cannot be opened.
    explicit LogRouter(const manifest::LogSettings& settings);
    ~LogRouter();
    LogRouter(const LogRouter&) = delete;
    LogRouter& operator=(const LogRouter&) = delete;

    // The same name gives the same source. Valid as long as the router.
    [[nodiscard]] LogSource& source(std::string_view name);
    // "*" sets all. False: no source of this name.
    [[nodiscard]] bool set_level(std::string_view name, std::int32_t level);
    [[nodiscard]] std::map<std::string, std::int32_t> levels() const;

    void write(
        std::int32_t level,
        std::string_view source,
        std::string_view event,
        std::span<const tenon_log_field> fields
    );
    // Lines lost because the queue was full.
    [[nodiscard]] std::size_t dropped() const;
    // Writes what is queued; later lines are dropped.
    void close();

private:
    const manifest::LogSettings settings_;
    log::Format format_;
    std::shared_ptr<spdlog::details::thread_pool> pool_;
    std::shared_ptr<spdlog::async_logger> logger_;
    std::atomic<bool> open_{true};
    mutable std::mutex mutex_;
    std::map<std::string, std::unique_ptr<LogSource>, std::less<>> sources_;  // guarded by mutex_
};

}  // namespace tenon::runtime
