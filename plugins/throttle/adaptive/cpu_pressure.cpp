// SPDX-License-Identifier: Apache-2.0
#include "plugins/throttle/adaptive/cpu_pressure.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

namespace tenon::adaptive {
namespace {

[[nodiscard]] std::string read_file(const std::string& path) {
    std::ifstream file{path};
    return {std::istreambuf_iterator<char>{file}, {}};
}

}  // namespace

std::string find_cpu_pressure(const std::string& root) {
    std::ifstream groups{root + "/proc/self/cgroup"};
    for (std::string line; std::getline(groups, line);) {
        if (line.starts_with("0::/")) {  // the group of version 2
            const std::string path = root + "/sys/fs/cgroup/" + line.substr(4) + "/cpu.pressure";
            if (read_pressure_us(read_file(path))) {
                return path;
            }
        }
    }
    const std::string machine = root + "/proc/pressure/cpu";
    return read_pressure_us(read_file(machine)) ? machine : std::string{};
}

std::optional<std::int64_t> read_pressure_us(std::string_view text) noexcept {
    constexpr std::string_view k_total = " total=";
    const std::string_view line = text.substr(0, text.find('\n'));
    const std::size_t at = line.find(k_total);
    if (!line.starts_with("some ") || at == std::string_view::npos) {
        return std::nullopt;
    }
    std::int64_t total = 0;
    const char* const begin = line.data() + at + k_total.size();
    const auto [end, error] = std::from_chars(begin, line.data() + line.size(), total);
    return error == std::errc{} && end != begin && total >= 0 ? std::optional{total} : std::nullopt;
}

std::optional<double> CpuPressure::sample(std::int64_t now_ns) {
    const auto total_us = path_.empty() ? std::nullopt : read_pressure_us(read_file(path_));
    std::optional<double> share;
    if (total_us && total_us_ && now_ns > sampled_ns_) {
        const auto stalled_ns = static_cast<double>(*total_us - *total_us_) * 1'000;
        share = std::clamp(stalled_ns / static_cast<double>(now_ns - sampled_ns_), 0.0, 1.0);
    }
    total_us_ = total_us;
    sampled_ns_ = now_ns;
    return share;
}

std::int64_t Squeeze::sample(std::optional<double> pressure, std::int64_t lag_ns) noexcept {
    const bool over = (pressure_max_ > 0 && pressure && *pressure > pressure_max_) ||
                      (lag_max_ns_ > 0 && lag_ns > lag_max_ns_);
    share_ = over ? std::max(share_ * 4 / 5, k_least) : std::min(share_ + k_whole / 20, k_whole);
    return share_;
}

}  // namespace tenon::adaptive
