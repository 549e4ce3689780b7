// SPDX-License-Identifier: Apache-2.0
#include "sdk/machine/page.hpp"

#include "sdk/machine/process_metrics.hpp"
#include "sdk/machine/system_metrics.hpp"

namespace tenon::machine {

std::string
metrics_page(const Service<tenon_metrics_1>& metrics, const std::filesystem::path& data_dir) {
    StringSink sink;
    const tenon_status status = metrics->collect(metrics.self, sink.sink());
    if (status != TENON_OK) {
        throw Error{status, "the host's metrics cannot be collected"};
    }
    Exposition own;
    append_process(own, read_process_use());
    SystemSources sources;
    sources.data_dir = data_dir;
    append_system(own, sources);
    return std::move(sink.text().append(own.text()));
}

}  // namespace tenon::machine
