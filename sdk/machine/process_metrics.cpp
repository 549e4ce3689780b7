// SPDX-License-Identifier: Apache-2.0
#include "sdk/machine/process_metrics.hpp"

#include "sdk/machine/proc_files.hpp"

#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <sys/resource.h>
#include <system_error>
#include <time.h>
#include <unistd.h>

namespace tenon::machine {
namespace {

using Type = Exposition::Type;

// Fields of /proc/self/stat from the third on: the second is a name that may hold anything.
std::vector<std::uint64_t> stat_fields(const std::filesystem::path& proc) {
    std::ifstream file{proc / "self/stat"};
    const std::string text{std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}};
    const std::size_t name_end = text.rfind(')');
    if (name_end == std::string::npos) {
        return {};
    }
    std::istringstream rest{text.substr(name_end + 1)};
    return numbers({std::istream_iterator<std::string>{rest}, {}}, 0);
}

std::uint64_t boot_real_s(const std::filesystem::path& proc) {
    for (const auto& words : read_lines(proc / "stat")) {
        if (words.size() == 2 && words[0] == "btime") {
            return to_number(words[1]).value_or(0);
        }
    }
    return 0;
}

std::uint64_t count_files(const std::filesystem::path& folder) {
    std::uint64_t count = 0;
    std::error_code ec;
    for (std::filesystem::directory_iterator i{folder, ec}, end; !ec && i != end; i.increment(ec)) {
        ++count;
    }
    return count;
}

void gauge(Exposition& out, const char* name, const char* help, std::uint64_t value) {
    out.family(name, Type::gauge, help);
    out.sample(value);
}

void counter(Exposition& out, const char* name, const char* help, std::uint64_t value) {
    out.family(name, Type::counter, help);
    out.sample(value);
}

}  // namespace

ProcessUse read_process_use(const std::filesystem::path& proc) {
    // Of the fields counted from 1 in proc(5): 12 majflt, 20 threads, 22 start, 24 rss. Not 14
    // and 15, utime and stime: a hundredth of a second is much beside what few requests take.
    constexpr std::size_t k_first = 3;
    ProcessUse use;
    const std::vector<std::uint64_t> fields = stat_fields(proc);
    const auto hertz = static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK));
    if (fields.size() > 24 - k_first) {
        use.major_faults = fields[12 - k_first];
        use.threads = fields[20 - k_first];
        use.start_real_ms = boot_real_s(proc) * 1000 + fields[22 - k_first] * 1000 / hertz;
        use.resident_bytes =
            fields[24 - k_first] * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    }
    timespec used{};
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0) {
        use.cpu_ms = static_cast<std::uint64_t>(used.tv_sec) * 1000 +
                     static_cast<std::uint64_t>(used.tv_nsec) / 1'000'000;
    }
    use.open_fds = count_files(proc / "self/fd");
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        use.open_fds_max = limit.rlim_cur;
    }
    for (const auto& words : read_lines(proc / "self/io")) {
        if (words.size() == 2 && words[0] == "read_bytes:") {
            use.disk_read_bytes = to_number(words[1]).value_or(0);
        } else if (words.size() == 2 && words[0] == "write_bytes:") {
            use.disk_written_bytes = to_number(words[1]).value_or(0);
        }
    }
    return use;
}

void append_process(Exposition& out, const ProcessUse& use) {
    out.family(
        "tenon_process_cpu_seconds_total", Type::counter, "CPU time of the server, user and system."
    );
    out.sample_ms(use.cpu_ms);
    gauge(out, "tenon_process_resident_bytes", "Memory resident in RAM.", use.resident_bytes);
    gauge(out, "tenon_process_open_fds", "Open file descriptors.", use.open_fds);
    gauge(
        out,
        "tenon_process_open_fds_max",
        "File descriptors that the process may have open.",
        use.open_fds_max
    );
    gauge(out, "tenon_process_threads", "Threads.", use.threads);
    counter(
        out,
        "tenon_process_major_faults_total",
        "Pages that had to be read from disk.",
        use.major_faults
    );
    counter(
        out,
        "tenon_process_disk_read_bytes_total",
        "Bytes that the process caused to be read from storage.",
        use.disk_read_bytes
    );
    counter(
        out,
        "tenon_process_disk_written_bytes_total",
        "Bytes that the process caused to be written to storage.",
        use.disk_written_bytes
    );
    out.family(
        "tenon_process_start_time_seconds",
        Type::gauge,
        "When the process started, since the epoch."
    );
    out.sample_ms(use.start_real_ms);
}

}  // namespace tenon::machine
