// SPDX-License-Identifier: Apache-2.0
// One server under load: its symbols, the keys that were made for the test, its rounds.
#pragma once

#include "tools/cli/load_options.hpp"
#include "tools/load/fan_out.hpp"
#include "tools/load/generator.hpp"
#include "tools/load/result.hpp"
#include "tools/load/workload.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace tenon::cli {

class LoadSide {
public:
    // Asks the server what it has and makes the keys that the scenario needs: over the admin socket
    // of `data_dir`, when none is given. Throws UsageError, NoServer, std::runtime_error.
    LoadSide(LoadOptions options, std::filesystem::path data_dir);
    // Revokes the keys that were made and cancels what the users left open.
    ~LoadSide();
    LoadSide(const LoadSide&) = delete;
    LoadSide& operator=(const LoadSide&) = delete;

    // One more round. `name` stands before the lines of progress.
    void round(const std::string& name);

    [[nodiscard]] const load::Result& result() const noexcept { return result_; }

private:
    void find_address();
    void make_workload();
    [[nodiscard]] load::OrderDesk desk();
    void make_keys(const std::string& quote_asset);
    void end() noexcept;
    void cancel_left() const;
    [[nodiscard]] std::vector<std::string> symbols();
    [[nodiscard]] double server_cpu_s() const;
    [[nodiscard]] load::Run fan_out(const load::Generator::Report& report);
    [[nodiscard]] load::Run requests(const load::Generator::Report& report);

    LoadOptions options_;
    std::filesystem::path data_dir_;
    std::string address_;  // HOST:PORT
    std::vector<load::Credentials> keys_;
    bool keys_made_ = false;
    std::string symbol_;         // of the orders
    std::int64_t ahead_ms_ = 0;  // the server's clock
    std::unique_ptr<load::Workload> workload_;
    std::unique_ptr<load::Generator> generator_;
    load::Result result_;
};

}  // namespace tenon::cli
