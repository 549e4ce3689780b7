// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/metrics/process_metrics.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace tenon::monitor {
namespace {

std::string read_all(const char* path) {
    std::ifstream file{path};
    return {std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}};
}

// Fields of /proc/self/stat from the third on: the second is a name that may hold anything
// (proc(5)).
std::vector<std::uint64_t> stat_fields() {
    const std::string text = read_all("/proc/self/stat");
    const std::size_t name_end = text.rfind(')');
    std::vector<std::uint64_t> fields;
    if (name_end == std::string::npos) {
        return fields;
    }
    std::istringstream rest{text.substr(name_end + 1)};
    std::string word;
    while (rest >> word) {
        const bool number = word.find_first_not_of("0123456789") == std::string::npos;
        fields.push_back(number ? std::stoull(word) : 0);
    }
    return fields;
}

std::int64_t boot_real_s() {
    std::istringstream text{read_all("/proc/stat")};
    std::string word;
    while (text >> word) {
        if (word == "btime") {
            std::int64_t seconds = 0;
            text >> seconds;
            return seconds;
        }
    }
    return 0;
}

std::string seconds(std::uint64_t ms) {
    const std::string fraction = std::to_string(1000 + ms % 1000).substr(1);
    return std::to_string(ms / 1000) + "." + fraction;
}

void append(
    std::string& out,
    std::string_view name,
    std::string_view kind,
    const std::string& value
) {
    out.append("# TYPE ").append(name).append(" ").append(kind).append("\n");
    out.append(name).append(" ").append(value).append("\n");
}

}  // namespace

ProcessUse read_process_use() {
    // Of the fields counted from 1 in proc(5): 14 utime, 15 stime, 20 threads, 22 start, 24 rss.
    constexpr std::size_t k_first = 3;
    ProcessUse use;
    const std::vector<std::uint64_t> fields = stat_fields();
    const auto hertz = static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK));
    if (fields.size() > 24 - k_first) {
        use.cpu_ms = (fields[14 - k_first] + fields[15 - k_first]) * 1000 / hertz;
        use.threads = fields[20 - k_first];
        const std::uint64_t since_boot_ms = fields[22 - k_first] * 1000 / hertz;
        use.start_real_ms = boot_real_s() * 1000 + static_cast<std::int64_t>(since_boot_ms);
        use.resident_bytes =
            fields[24 - k_first] * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    }
    std::error_code ec;
    for (std::filesystem::directory_iterator i{"/proc/self/fd", ec}, end; !ec && i != end;
         i.increment(ec)) {
        ++use.open_fds;
    }
    return use;
}

std::string process_metrics_text(const ProcessUse& use) {
    std::string out;
    append(out, "tenon_process_cpu_seconds_total", "counter", seconds(use.cpu_ms));
    append(out, "tenon_process_resident_bytes", "gauge", std::to_string(use.resident_bytes));
    append(out, "tenon_process_open_fds", "gauge", std::to_string(use.open_fds));
    append(out, "tenon_process_threads", "gauge", std::to_string(use.threads));
    append(
        out,
        "tenon_process_start_time_seconds",
        "gauge",
        seconds(static_cast<std::uint64_t>(use.start_real_ms))
    );
    return out;
}

}  // namespace tenon::monitor
