// SPDX-License-Identifier: Apache-2.0
#include "sdk/machine/system_metrics.hpp"

#include "sdk/machine/proc_files.hpp"

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <sys/statvfs.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

namespace tenon::machine {
namespace {

using Type = Exposition::Type;

void append_cpu(Exposition& out, const ProcLines& stat) {
    // Time of guests is part of user and nice.
    static constexpr std::array<const char*, 8> k_modes{
        "user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"};
    const auto hertz = static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK));
    std::uint64_t cpus = 0;
    for (const auto& words : stat) {
        if (words.empty() || !words[0].starts_with("cpu")) {
            continue;
        }
        if (words[0] != "cpu") {
            ++cpus;
            continue;
        }
        const auto ticks = numbers(words, 1);
        out.family(
            "tenon_system_cpu_seconds_total",
            Type::counter,
            "Time that all CPUs together spent in each mode."
        );
        for (std::size_t i = 0; i < k_modes.size() && i < ticks.size(); ++i) {
            out.sample_ms("mode", k_modes[i], ticks[i] * 1000 / hertz);
        }
    }
    if (cpus > 0) {
        out.family("tenon_system_cpus", Type::gauge, "CPUs that are online.");
        out.sample(cpus);
    }
}

void append_load(Exposition& out, const ProcLines& load) {
    static constexpr std::array<const char*, 3> k_minutes{"1", "5", "15"};
    if (load.empty() || load[0].size() < k_minutes.size()) {
        return;
    }
    out.family(
        "tenon_system_load_average",
        Type::gauge,
        "Tasks that run or wait, averaged over the last minutes."
    );
    for (std::size_t i = 0; i < k_minutes.size(); ++i) {
        out.sample("minutes", k_minutes[i], load[0][i]);
    }
}

void append_memory(Exposition& out, const ProcLines& meminfo) {
    struct Row {
        const char *key, *name, *help;
    };

    static constexpr std::array<Row, 4> k_rows{{
        {"MemTotal:", "tenon_system_memory_total_bytes", "Memory of the machine."},
        {"MemAvailable:",
         "tenon_system_memory_available_bytes",
         "Memory that programs can still get without swapping."},
        {"SwapTotal:", "tenon_system_swap_total_bytes", "Swap space."},
        {"SwapFree:", "tenon_system_swap_free_bytes", "Swap space that is not used."},
    }};
    std::map<std::string, std::uint64_t> kib;
    for (const auto& words : meminfo) {
        if (words.size() >= 2) {
            kib[words[0]] = to_number(words[1]).value_or(0);
        }
    }
    for (const Row& row : k_rows) {
        if (const auto found = kib.find(row.key); found != kib.end()) {
            out.family(row.name, Type::gauge, row.help);
            out.sample(found->second * 1024);
        }
    }
}

// A device and its counters, in the order that the kernel lists them.
using Devices = std::vector<std::pair<std::string, std::vector<std::uint64_t>>>;

struct DeviceFamily {
    const char *name, *help;
    std::size_t column;
    std::uint64_t unit;  // of one count; 0: the column is milliseconds
};

void append_devices(
    Exposition& out,
    const char* label,
    const Devices& devices,
    const std::vector<DeviceFamily>& families
) {
    if (devices.empty()) {
        return;
    }
    for (const DeviceFamily& family : families) {
        out.family(family.name, Type::counter, family.help);
        for (const auto& [name, columns] : devices) {
            const std::uint64_t value = family.column < columns.size() ? columns[family.column] : 0;
            if (family.unit == 0) {
                out.sample_ms(label, name, value);
            } else {
                out.sample(label, name, value * family.unit);
            }
        }
    }
}

void append_disks(Exposition& out, const SystemSources& sources) {
    constexpr std::uint64_t k_sector = 512;  // whatever the disk's own is
    Devices disks;
    for (const auto& words : read_lines(sources.proc / "diskstats")) {
        if (words.size() < 14 || disks.size() == k_devices_max) {
            continue;
        }
        const std::string& name = words[2];
        std::error_code ec;
        const bool whole = std::filesystem::exists(sources.sys / "block" / name, ec);
        if (whole && !name.starts_with("loop") && !name.starts_with("ram")) {
            disks.emplace_back(name, numbers(words, 3));
        }
    }
    append_devices(
        out,
        "device",
        disks,
        {
            {"tenon_system_disk_reads_total", "Reads that a disk completed.", 0, 1},
            {"tenon_system_disk_read_bytes_total", "Bytes read from a disk.", 2, k_sector},
            {"tenon_system_disk_writes_total", "Writes that a disk completed.", 4, 1},
            {"tenon_system_disk_written_bytes_total", "Bytes written to a disk.", 6, k_sector},
            {"tenon_system_disk_busy_seconds_total", "Time with work in a disk's queue.", 9, 0},
        }
    );
}

void append_networks(Exposition& out, const ProcLines& lines) {
    Devices networks;
    for (auto words : lines) {
        // "eth0: 12 …" and, when the number is long, "eth0:12 …".
        const std::size_t colon = words.empty() ? std::string::npos : words[0].find(':');
        if (colon == std::string::npos || networks.size() == k_devices_max) {
            continue;
        }
        const std::string name = words[0].substr(0, colon);
        words[0].erase(0, colon + 1);
        if (words[0].empty()) {
            words.erase(words.begin());
        }
        if (!name.starts_with("veth")) {
            networks.emplace_back(name, numbers(words, 0));
        }
    }
    append_devices(
        out,
        "interface",
        networks,
        {
            {"tenon_system_network_received_bytes_total", "Bytes received.", 0, 1},
            {"tenon_system_network_receive_errors_total", "Bad packets received.", 2, 1},
            {"tenon_system_network_receive_dropped_total", "Packets dropped on receipt.", 3, 1},
            {"tenon_system_network_sent_bytes_total", "Bytes sent.", 8, 1},
            {"tenon_system_network_send_errors_total", "Packets that could not be sent.", 10, 1},
        }
    );
}

// "some avg10=0.00 avg60=0.00 avg300=0.00 total=123" with microseconds.
void append_pressure(
    Exposition& out,
    const std::filesystem::path& folder,
    std::string_view share,
    const char* name,
    const char* help
) {
    std::vector<std::pair<const char*, std::uint64_t>> stalled_ms;
    for (const char* resource : {"cpu", "memory", "io"}) {
        for (const auto& words : read_lines(folder / resource)) {
            if (words.size() == 5 && words[0] == share && words[4].starts_with("total=")) {
                stalled_ms.emplace_back(resource, to_number(words[4].substr(6)).value_or(0) / 1000);
            }
        }
    }
    if (!stalled_ms.empty()) {
        out.family(name, Type::counter, help);
    }
    for (const auto& [resource, ms] : stalled_ms) {
        out.sample_ms("resource", resource, ms);
    }
}

void append_data_dir(Exposition& out, const std::filesystem::path& data_dir) {
    struct statvfs use {};

    if (data_dir.empty() || statvfs(data_dir.c_str(), &use) != 0) {
        return;
    }
    out.family(
        "tenon_data_dir_size_bytes",
        Type::gauge,
        "Size of the file system that holds the data folder."
    );
    out.sample(use.f_blocks * use.f_frsize);
    out.family(
        "tenon_data_dir_available_bytes",
        Type::gauge,
        "Room that the server can still use on the file system of the data folder."
    );
    out.sample(use.f_bavail * use.f_frsize);
}

}  // namespace

void append_system(Exposition& out, const SystemSources& sources) {
    append_cpu(out, read_lines(sources.proc / "stat"));
    append_load(out, read_lines(sources.proc / "loadavg"));
    append_memory(out, read_lines(sources.proc / "meminfo"));
    append_disks(out, sources);
    append_networks(out, read_lines(sources.proc / "net/dev"));
    append_pressure(
        out,
        sources.proc / "pressure",
        "some",
        "tenon_system_pressure_some_seconds_total",
        "Time in which at least one task waited for the resource."
    );
    append_pressure(
        out,
        sources.proc / "pressure",
        "full",
        "tenon_system_pressure_full_seconds_total",
        "Time in which all tasks waited for the resource."
    );
    append_data_dir(out, sources.data_dir);
}

}  // namespace tenon::machine
