// SPDX-License-Identifier: Apache-2.0
// All metrics of a server: the host's series, its plugins' among them, then what the system says of
// the process and of the machine. Prometheus text format 0.0.4.
#pragma once

#include <tenon/abi/host.h>
#include <tenon/plugin.hpp>

#include <filesystem>
#include <string>

namespace tenon::machine {

// [io] Throws Error when the host's series cannot be collected.
[[nodiscard]] std::string
metrics_page(const Service<tenon_metrics_1>& metrics, const std::filesystem::path& data_dir);

}  // namespace tenon::machine
