// SPDX-License-Identifier: Apache-2.0
// What the machine as a whole does: CPU, memory, disks, networks, pressure, and the room that is
// left where the data lies. Linux, from proc(5), sysfs(5), statvfs(3).
#pragma once

#include "sdk/machine/exposition.hpp"

#include <cstddef>
#include <filesystem>

namespace tenon::machine {

struct SystemSources {
    std::filesystem::path proc = "/proc";
    std::filesystem::path sys = "/sys";
    std::filesystem::path data_dir;  // empty: its file system is not told
};

// Label sets are bounded: of disks and of network interfaces the first 16 each, in the kernel's
// order. Partitions, loop devices and RAM disks are no disks, ends of containers' cables (veth) no
// interfaces.
inline constexpr std::size_t k_devices_max = 16;

// [io] A family that cannot be read, as with ProcSubset=pid or a kernel without pressure, is left
// out.
void append_system(Exposition& out, const SystemSources& sources);

}  // namespace tenon::machine
