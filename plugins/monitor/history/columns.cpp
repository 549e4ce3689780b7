// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/history/columns.hpp"

#include <tenon/plugin.hpp>

#include <boost/crc.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <sstream>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

namespace tenon::history {
namespace {

constexpr std::string_view k_magic = "tenon-history-columns";
constexpr int k_version = 1;
constexpr std::string_view k_end = "end ";

std::uint32_t crc_of(std::string_view text) {
    boost::crc_32_type crc;
    crc.process_bytes(text.data(), text.size());
    return crc.checksum();
}

[[noreturn]] void fail_damaged(const char* what) {
    throw Error{TENON_CORRUPT, std::string{"metric history: the list of series "} + what};
}

void write_whole(const std::filesystem::path& file, std::string_view text) {
    const std::filesystem::path fresh = file.string() + ".new";
    const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool good = fd >= 0;
    while (good && !text.empty()) {
        const ::ssize_t put = ::write(fd, text.data(), text.size());
        good = put > 0 || (put < 0 && errno == EINTR);
        text.remove_prefix(put > 0 ? static_cast<std::size_t>(put) : 0);
    }
    good = good && ::fsync(fd) == 0;
    const int error = errno;
    if (fd >= 0) {
        ::close(fd);
    }
    if (!good || std::rename(fresh.c_str(), file.c_str()) != 0) {
        throw Error{
            TENON_UNAVAILABLE,
            "metric history: cannot write the list of series: " +
                std::generic_category().message(good ? errno : error)};
    }
}

bool can_be_kept(std::string_view series) {
    return !series.empty() && series.size() <= Columns::k_name_max &&
           series.find('\n') == std::string_view::npos;
}

}  // namespace

std::optional<Columns> Columns::read(const std::filesystem::path& file, std::uint32_t count) {
    std::ifstream in{file, std::ios::binary};
    if (!in) {
        if (errno == ENOENT) {
            return std::nullopt;
        }
        throw Error{TENON_UNAVAILABLE, "metric history: cannot read the list of series"};
    }
    const std::string text{std::istreambuf_iterator<char>{in}, std::istreambuf_iterator<char>{}};
    const std::size_t end = text.rfind(k_end);
    if (end == std::string::npos || end == 0 || text[end - 1] != '\n') {
        fail_damaged("has no end");
    }
    std::istringstream tail{text.substr(end + k_end.size())};
    std::size_t lines = 0;
    std::uint32_t crc = 0;
    if (!(tail >> lines >> crc) || crc != crc_of(std::string_view{text}.substr(0, end))) {
        fail_damaged("has another sum than it says");
    }
    std::istringstream body{text.substr(0, end)};
    std::string magic;
    int version = 0;
    std::uint64_t id = 0;
    if (!(body >> magic >> version >> id) || magic != k_magic || version != k_version) {
        fail_damaged("is of another kind");
    }
    Columns columns{count, id};
    std::vector<bool> taken(count);
    for (std::size_t i = 0; i < lines; ++i) {
        Column column;
        std::string series;
        if (!(body >> column.index >> column.since_s >> column.seen_s) || body.get() != ' ' ||
            !std::getline(body, series) || column.index >= count || taken[column.index] ||
            !can_be_kept(series) || !columns.columns_.emplace(series, column).second) {
            fail_damaged("has a line that is wrong");
        }
        taken[column.index] = true;
    }
    return columns;
}

void Columns::write(const std::filesystem::path& file) const {
    std::ostringstream out;
    out << k_magic << ' ' << k_version << ' ' << id_ << '\n';
    for (const auto& [series, column] : columns_) {
        out << column.index << ' ' << column.since_s << ' ' << column.seen_s << ' ' << series
            << '\n';
    }
    std::string text = out.str();
    const std::uint32_t crc = crc_of(text);
    text.append(k_end).append(std::to_string(columns_.size())).append(" ");
    text.append(std::to_string(crc)).append("\n");
    write_whole(file, text);
}

std::optional<std::uint32_t> Columns::take(std::string_view series, std::int64_t at_s) {
    if (const auto found = columns_.find(series); found != columns_.end()) {
        Column& column = found->second;
        if (at_s < column.since_s) {  // the clock was ahead when it came
            column.since_s = at_s;
            is_changed_ = true;
        }
        column.seen_s = at_s;
        return column.index;
    }
    const auto index = can_be_kept(series) ? free_column(at_s) : std::nullopt;
    if (index) {
        columns_.emplace(std::string{series}, Column{*index, at_s, at_s});
        is_changed_ = true;
    }
    return index;
}

std::optional<std::uint32_t> Columns::free_column(std::int64_t at_s) {
    if (columns_.size() < count_) {
        std::vector<bool> taken(count_);
        for (const auto& [series, column] : columns_) {
            taken[column.index] = true;
        }
        const auto free = std::find(taken.begin(), taken.end(), false);
        return static_cast<std::uint32_t>(std::distance(taken.begin(), free));
    }
    const auto oldest =
        std::min_element(columns_.begin(), columns_.end(), [](const auto& a, const auto& b) {
            return a.second.seen_s < b.second.seen_s;
        });
    if (oldest == columns_.end() || at_s - oldest->second.seen_s < k_unseen_s) {
        return std::nullopt;
    }
    const std::uint32_t index = oldest->second.index;
    columns_.erase(oldest);
    return index;
}

bool Columns::take_changed() noexcept {
    return std::exchange(is_changed_, false);
}

}  // namespace tenon::history
