// SPDX-License-Identifier: Apache-2.0
#include "kernel/runtime/log.hpp"

#include "kernel/runtime/clock.hpp"

#include <tenon/plugin.hpp>

#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>
#include <cstdlib>

namespace tenon::runtime {

namespace {

constexpr std::size_t k_queue = 8192;

spdlog::level::level_enum to_spdlog(std::int32_t level) {
    return static_cast<spdlog::level::level_enum>(std::clamp(level, 0, 4));
}

spdlog::sink_ptr make_sink(const manifest::LogSettings& settings) {
    if (settings.file.empty()) {
        return std::make_shared<spdlog::sinks::stderr_sink_mt>();
    }
    try {
        return std::make_shared<spdlog::sinks::rotating_file_sink_mt>(
            settings.file.string(), settings.max_size_mb << 20U, settings.max_files
        );
    } catch (const spdlog::spdlog_ex& e) {
        throw Error{TENON_INVALID, std::string{"the log file cannot be opened: "} + e.what()};
    }
}

log::Format choose(const manifest::LogSettings& settings) {
    if (settings.json) {
        return log::Format::json;
    }
    const bool journal = settings.file.empty() && std::getenv("JOURNAL_STREAM") != nullptr;
    return journal ? log::Format::journal : log::Format::text;
}

}  // namespace

void LogSource::write(
    std::int32_t level,
    std::string_view event,
    std::span<const tenon_log_field> fields
) const noexcept {
    if (enabled(level)) {
        (void)guard(nullptr, [&] { router_->write(level, name_, event, fields); });
    }
}

void LogSource::write(
    std::int32_t level,
    std::string_view event,
    std::initializer_list<Field> fields
) const noexcept {
    (void)guard(nullptr, [&] {
        std::vector<tenon_log_field> raw;
        for (const Field& field : fields) {
            raw.push_back(field.raw());
        }
        write(level, event, std::span<const tenon_log_field>{raw});
    });
}

const tenon_log_1& LogSource::table() {
    static constexpr tenon_log_1 k_table{
        sizeof(tenon_log_1),
        0,
        [](void* self, std::int32_t level) noexcept -> std::uint32_t {
            return static_cast<const LogSource*>(self)->enabled(level) ? 1 : 0;
        },
        [](void* self,
           std::int32_t level,
           tenon_str event,
           const tenon_log_field* fields,
           std::uint32_t count) noexcept {
            const std::span given{fields, fields == nullptr ? 0 : std::size_t{count}};
            static_cast<const LogSource*>(self)->write(level, view(event), given);
        }};
    return k_table;
}

LogRouter::LogRouter(const manifest::LogSettings& settings)
    : settings_{settings}, format_{choose(settings)} {
    pool_ = std::make_shared<spdlog::details::thread_pool>(k_queue, 1);
    logger_ = std::make_shared<spdlog::async_logger>(
        "tenon", make_sink(settings), pool_, spdlog::async_overflow_policy::overrun_oldest
    );
    logger_->set_level(spdlog::level::trace);
    logger_->flush_on(spdlog::level::info);
    logger_->set_pattern("%v");
}

LogRouter::~LogRouter() {
    close();
}

LogSource& LogRouter::source(std::string_view name) {
    const std::lock_guard lock{mutex_};
    const auto found = sources_.find(name);
    if (found != sources_.end()) {
        return *found->second;
    }
    const auto own = settings_.levels.find(name);
    const std::string& level = own == settings_.levels.end() ? settings_.level : own->second;
    auto made = std::make_unique<LogSource>(
        *this, std::string{name}, log::level_of(level).value_or(TENON_LOG_INFO)
    );
    return *sources_.emplace(std::string{name}, std::move(made)).first->second;
}

bool LogRouter::set_level(std::string_view name, std::int32_t level) {
    const std::lock_guard lock{mutex_};
    bool found = false;
    for (const auto& [key, source] : sources_) {
        if (name == "*" || name == key) {
            source->set_level(level);
            found = true;
        }
    }
    return found;
}

std::map<std::string, std::int32_t> LogRouter::levels() const {
    const std::lock_guard lock{mutex_};
    std::map<std::string, std::int32_t> out;
    for (const auto& [key, source] : sources_) {
        out[key] = source->level();
    }
    return out;
}

void LogRouter::write(
    std::int32_t level,
    std::string_view source,
    std::string_view event,
    std::span<const tenon_log_field> fields
) {
    if (!open_.load(std::memory_order_acquire)) {
        return;
    }
    const std::string line = log::format_line(format_, realtime_ns(), level, source, event, fields);
    // The text goes as it is, never as a format string.
    logger_->log(to_spdlog(level), spdlog::string_view_t{line.data(), line.size()});
}

std::size_t LogRouter::dropped() const {
    return pool_ ? pool_->overrun_counter() : 0;
}

void LogRouter::close() {
    if (open_.exchange(false)) {
        logger_->flush();
        // The pool's destructor writes what is queued; the logger keeps only a weak reference.
        const std::lock_guard lock{mutex_};
        pool_.reset();
    }
}

}  // namespace tenon::runtime
