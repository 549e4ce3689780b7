// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/alerts/silences.hpp"

#include <tenon/json.hpp>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace tenon::alerts {
namespace {

constexpr std::int64_t k_longest_ms = 30LL * 86'400'000;

[[nodiscard]] bool fits(std::string_view pattern, std::string_view value) {
    return pattern.ends_with('*') ? value.starts_with(pattern.substr(0, pattern.size() - 1))
                                  : value == pattern;
}

void append(std::string& out, const Silence& silence) {
    out.append("{\"id\":").append(std::to_string(silence.id)).append(",\"matchers\":{");
    for (const auto& [label, value] : silence.matchers) {
        out.append(out.back() == '{' ? "" : ",");
        append_json(out, label);
        out.push_back(':');
        append_json(out, value);
    }
    out.append("},\"from_ms\":").append(std::to_string(silence.from_ms));
    out.append(",\"until_ms\":").append(std::to_string(silence.until_ms)).append(",\"by\":");
    append_json(out, silence.by);
    out.append(",\"comment\":");
    append_json(out, silence.comment);
    out.push_back('}');
}

std::string text_of(const std::map<std::uint64_t, Silence>& silences, std::int64_t now_ms) {
    std::string out{"["};
    for (const auto& [id, silence] : silences) {
        if (silence.until_ms > now_ms) {
            out.append(out.size() == 1 ? "" : ",");
            append(out, silence);
        }
    }
    return out.append("]");
}

// Whole and on disk, or not at all.
void write_file(const std::filesystem::path& file, std::string_view text) {
    const std::string fresh = file.string() + ".new";
    const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    bool good = fd >= 0;
    while (good && !text.empty()) {
        const ssize_t written = ::write(fd, text.data(), text.size());
        good = written > 0 || (written < 0 && errno == EINTR);
        text.remove_prefix(written > 0 ? static_cast<std::size_t>(written) : 0);
    }
    good = good && ::fsync(fd) == 0;
    const int error = errno;
    if (fd >= 0) {
        ::close(fd);
    }
    if (!good || std::rename(fresh.c_str(), file.c_str()) != 0) {
        throw Error{
            TENON_UNAVAILABLE,
            "cannot write " + file.string() + ": " +
                std::generic_category().message(good ? errno : error)};
    }
}

Silence read_one(const Settings& json) {
    Silence silence;
    silence.id = json.get<std::uint64_t>("id");
    silence.matchers = json.get<std::map<std::string, std::string>>("matchers");
    silence.from_ms = json.get<std::int64_t>("from_ms");
    silence.until_ms = json.get<std::int64_t>("until_ms");
    silence.by = json.get<std::string>("by");
    silence.comment = json.get<std::string>("comment");
    return silence;
}

struct SilenceEntry {
    explicit SilenceEntry(const Settings& json) : silence{read_one(json)} {}

    Silence silence;
};

}  // namespace

bool Silence::matches(const Alert& alert) const {
    return std::all_of(matchers.begin(), matchers.end(), [&](const auto& matcher) {
        const auto& [label, value] = matcher;
        if (label == "alert") {
            return fits(value, alert.rule);
        }
        if (label == "severity") {
            return fits(value, to_text(alert.severity));
        }
        const auto found = alert.labels.find(label);
        return found != alert.labels.end() && fits(value, found->second);
    });
}

std::int64_t duration_ms(std::string_view text) {
    std::int64_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    const std::string_view unit{end, static_cast<std::size_t>(text.data() + text.size() - end)};
    const std::int64_t unit_ms = unit == "s"   ? 1'000
                                 : unit == "m" ? 60'000
                                 : unit == "h" ? 3'600'000
                                 : unit == "d" ? 86'400'000
                                               : 0;
    if (error != std::errc{} || unit_ms == 0 || count < 1 || count > k_longest_ms / unit_ms) {
        throw Error{TENON_INVALID, "expected a time such as 90s, 30m, 2h or 7d, 30 days at most"};
    }
    return count * unit_ms;
}

std::pair<std::string, std::string> matcher_of(std::string_view text) {
    const std::size_t equals = text.find('=');
    if (equals == 0 || equals == std::string_view::npos || equals + 1 == text.size()) {
        throw Error{TENON_INVALID, "match: expected label=value, such as alert=CpuHigh"};
    }
    return {std::string{text.substr(0, equals)}, std::string{text.substr(equals + 1)}};
}

void Silences::open(std::filesystem::path file, std::int64_t now_ms) {
    const std::lock_guard lock{mutex_};
    file_ = std::move(file);
    std::ifstream in{file_};
    if (file_.empty() || !in) {
        return;
    }
    const std::string list{std::istreambuf_iterator<char>{in}, std::istreambuf_iterator<char>{}};
    const Settings read{"{\"silences\":" + list + "}"};
    for (auto& entry : read.get<std::vector<SilenceEntry>>("silences")) {
        next_id_ = std::max(next_id_, entry.silence.id + 1);
        if (entry.silence.until_ms > now_ms && silences_.size() < k_silences_max) {
            silences_.emplace(entry.silence.id, std::move(entry.silence));
        }
    }
}

std::uint64_t Silences::add(Silence silence, std::int64_t now_ms) {
    const auto too_long = [](std::string_view text) { return text.size() > k_text_max; };
    if (silence.matchers.empty() || silence.matchers.size() > k_matchers_max) {
        throw Error{TENON_INVALID, "match: expected 1 to 16 matchers"};
    }
    for (const auto& [label, value] : silence.matchers) {
        if (too_long(label) || too_long(value)) {
            throw Error{TENON_INVALID, "match: longer than 256 bytes"};
        }
    }
    if (too_long(silence.by) || too_long(silence.comment)) {
        throw Error{TENON_INVALID, "by and comment: longer than 256 bytes"};
    }
    if (silence.until_ms <= now_ms || silence.until_ms - now_ms > k_longest_ms) {
        throw Error{TENON_INVALID, "for: expected an end within the next 30 days"};
    }
    const std::lock_guard lock{mutex_};
    auto next = silences_;
    std::erase_if(next, [&](const auto& one) { return one.second.until_ms <= now_ms; });
    if (next.size() >= k_silences_max) {
        throw Error{TENON_UNAVAILABLE, "there are 200 silences already"};
    }
    silence.id = next_id_;
    silence.from_ms = now_ms;
    next.emplace(silence.id, std::move(silence));
    keep(std::move(next), now_ms);
    return next_id_++;
}

Silence Silences::remove(std::uint64_t id, std::int64_t now_ms) {
    const std::lock_guard lock{mutex_};
    auto next = silences_;
    const auto found = next.find(id);
    if (found == next.end() || found->second.until_ms <= now_ms) {
        throw Error{TENON_NOT_FOUND, "there is no silence " + std::to_string(id)};
    }
    Silence gone = std::move(found->second);
    next.erase(found);
    keep(std::move(next), now_ms);
    return gone;
}

void Silences::keep(std::map<std::uint64_t, Silence> next, std::int64_t now_ms) {
    if (!file_.empty()) {
        write_file(file_, text_of(next, now_ms) + "\n");
    }
    silences_ = std::move(next);
}

bool Silences::hides(const Alert& alert, std::int64_t now_ms) const {
    const std::lock_guard lock{mutex_};
    return std::any_of(silences_.begin(), silences_.end(), [&](const auto& one) {
        return one.second.until_ms > now_ms && one.second.matches(alert);
    });
}

std::vector<Silence> Silences::list(std::int64_t now_ms) const {
    const std::lock_guard lock{mutex_};
    std::vector<Silence> out;
    for (const auto& [id, silence] : silences_) {
        if (silence.until_ms > now_ms) {
            out.push_back(silence);
        }
    }
    return out;
}

std::string Silences::json(std::int64_t now_ms) const {
    const std::lock_guard lock{mutex_};
    return text_of(silences_, now_ms);
}

}  // namespace tenon::alerts
