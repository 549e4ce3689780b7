// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/metrics/open_metrics.hpp"
#include "sdk/machine/process_metrics.hpp"
#include "sdk/machine/system_metrics.hpp"
#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>

using namespace tenon;
using Catch::Contains;
using machine::Exposition;

namespace {

// A machine that is made of files.
class Machine {
public:
    Machine& file(const std::string& name, const std::string& text) {
        const auto path = folder_.path() / name;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream{path} << text;
        return *this;
    }

    [[nodiscard]] std::string text() const {
        Exposition out;
        machine::append_system(out, {folder_.path() / "proc", folder_.path() / "sys", {}});
        return out.text();
    }

private:
    test::TemporaryFolder folder_;
};

}  // namespace

TEST_CASE("the process's use is read and written with its unit", "[monitor][metrics][M1]") {
    const machine::ProcessUse use = machine::read_process_use();
    CHECK(use.resident_bytes > 100'000);
    CHECK(use.open_fds >= 3);
    CHECK(use.open_fds_max >= use.open_fds);
    CHECK(use.threads >= 1);
    CHECK(use.start_real_ms > 1'600'000'000'000);
    Exposition out;
    machine::append_process(out, {12'034, 5, 6, 9, 7, 3, 1'700'000'000'120, 4096, 8192});
    CHECK_THAT(
        out.text(),
        Contains("# TYPE tenon_process_cpu_seconds_total counter\n"
                 "tenon_process_cpu_seconds_total 12.034\n")
    );
    CHECK_THAT(out.text(), Contains("tenon_process_start_time_seconds 1700000000.120\n"));
    CHECK_THAT(out.text(), Contains("tenon_process_open_fds_max 9\n"));
    CHECK_THAT(out.text(), Contains("tenon_process_disk_written_bytes_total 8192\n"));
}

TEST_CASE("the process's CPU time is told to the millisecond", "[monitor][metrics][M1]") {
    // In ticks of a clock it would go on by ten at a time.
    std::uint64_t before = machine::read_process_use().cpu_ms;
    bool is_fine = false;
    for (int steps = 0; steps < 1'000 && !is_fine;) {
        const std::uint64_t now = machine::read_process_use().cpu_ms;
        REQUIRE(now >= before);
        is_fine = now % 10 != 0;
        steps += now != before ? 1 : 0;
        before = now;
    }
    CHECK(is_fine);
}

TEST_CASE("the machine's CPU time is told by mode", "[monitor][metrics][M1]") {
    const auto hertz = sysconf(_SC_CLK_TCK);
    Machine machine;
    machine.file(
        "proc/stat",
        "cpu  " + std::to_string(hertz) + " 0 3 4 5 6 7 8 9 10\ncpu0 1 2\ncpu1 1 2\nintr 99\n"
    );
    const std::string text = machine.text();
    CHECK_THAT(text, Contains("tenon_system_cpu_seconds_total{mode=\"user\"} 1.000\n"));
    CHECK_THAT(text, Contains("{mode=\"steal\"}"));
    CHECK_THAT(text, !Contains("guest"));
    CHECK_THAT(text, Contains("\ntenon_system_cpus 2\n"));
}

TEST_CASE("memory and load are told in base units", "[monitor][metrics][M1]") {
    Machine machine;
    machine.file("proc/meminfo", "MemTotal:  1000 kB\nMemAvailable:  900 kB\nHugePages_Total: 0\n")
        .file("proc/loadavg", "0.50 1.25 2.00 1/200 333\n");
    const std::string text = machine.text();
    CHECK_THAT(text, Contains("tenon_system_memory_total_bytes 1024000\n"));
    CHECK_THAT(text, Contains("tenon_system_memory_available_bytes 921600\n"));
    CHECK_THAT(text, !Contains("tenon_system_swap"));
    CHECK_THAT(text, Contains("tenon_system_load_average{minutes=\"5\"} 1.25\n"));
}

TEST_CASE("of disks only whole ones are told", "[monitor][metrics][M1]") {
    Machine machine;
    machine
        .file(
            "proc/diskstats",
            "7 0 loop0 1 1 1 1 1 1 1 1 1 1 1\n"
            "254 0 vda 10 0 20 0 30 0 40 0 0 1500 0\n"
            "254 1 vda1 9 0 9 0 9 0 9 0 0 9 0\n"
        )
        .file("sys/block/vda/size", "1")
        .file("sys/block/loop0/size", "1");
    const std::string text = machine.text();
    CHECK_THAT(text, Contains("tenon_system_disk_read_bytes_total{device=\"vda\"} 10240\n"));
    CHECK_THAT(text, Contains("tenon_system_disk_written_bytes_total{device=\"vda\"} 20480\n"));
    CHECK_THAT(text, Contains("tenon_system_disk_busy_seconds_total{device=\"vda\"} 1.500\n"));
    CHECK_THAT(text, !Contains("vda1"));
    CHECK_THAT(text, !Contains("loop0"));
}

TEST_CASE("networks are told with and without a blank behind the name", "[monitor][metrics][M1]") {
    Machine machine;
    machine.file(
        "proc/net/dev",
        "Inter-|   Receive  |  Transmit\n face |bytes packets|bytes packets\n"
        "    lo: 1 2 3 4 0 0 0 0 5 6 7 8\n"
        "eth0:11 12 13 14 0 0 0 0 15 16 17 18\n"
        "veth9: 1 1 1 1 1 1 1 1 1 1 1 1\n"
    );
    const std::string text = machine.text();
    CHECK_THAT(text, Contains("tenon_system_network_received_bytes_total{interface=\"lo\"} 1\n"));
    CHECK_THAT(
        text, Contains("tenon_system_network_received_bytes_total{interface=\"eth0\"} 11\n")
    );
    CHECK_THAT(
        text, Contains("tenon_system_network_receive_dropped_total{interface=\"eth0\"} 14\n")
    );
    CHECK_THAT(text, Contains("tenon_system_network_sent_bytes_total{interface=\"eth0\"} 15\n"));
    CHECK_THAT(text, !Contains("veth9"));
}

TEST_CASE("a machine with many devices has a bounded number of series", "[monitor][metrics][K10]") {
    Machine machine;
    std::string lines;
    for (int i = 0; i < 100; ++i) {
        lines += "if" + std::to_string(i) + ": 1 2 3 4 0 0 0 0 5 6 7 8\n";
    }
    machine.file("proc/net/dev", lines);
    const std::string text = machine.text();
    CHECK_THAT(text, Contains("interface=\"if15\""));
    CHECK_THAT(text, !Contains("interface=\"if16\""));
}

TEST_CASE("pressure is told for the resources that the kernel measures", "[monitor][metrics][M1]") {
    Machine machine;
    machine.file("proc/pressure/cpu", "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n")
        .file(
            "proc/pressure/io",
            "some avg10=0.00 avg60=0.00 avg300=0.00 total=2000\n"
            "full avg10=0.00 avg60=0.00 avg300=0.00 total=1000\n"
        );
    const std::string text = machine.text();
    CHECK_THAT(
        text, Contains("tenon_system_pressure_some_seconds_total{resource=\"cpu\"} 1.500\n")
    );
    CHECK_THAT(
        text,
        Contains("# TYPE tenon_system_pressure_full_seconds_total counter\n"
                 "tenon_system_pressure_full_seconds_total{resource=\"io\"} 0.001\n")
    );
}

TEST_CASE("what cannot be read is left out, not told as 0", "[monitor][metrics][M1]") {
    CHECK(Machine{}.text().empty());
}

TEST_CASE("rubbish in the kernel's files breaks nothing", "[monitor][metrics][M1]") {
    Machine machine;
    machine.file("proc/stat", "cpu\n\ncpu  x -1 99999999999999999999\n")
        .file("proc/meminfo", "MemTotal:\nMemAvailable: much kB\n")
        .file("proc/net/dev", ":\n: \nlo:\n")
        .file("proc/pressure/cpu", "some total=\nsome a b c total=12x\n")
        .file("proc/loadavg", "1\n");
    const std::string text = machine.text();
    CHECK_THAT(text, Contains("tenon_system_cpu_seconds_total{mode=\"user\"} 0.000\n"));
    CHECK_THAT(text, Contains("tenon_system_memory_available_bytes 0\n"));
}

TEST_CASE("the same text is told as OpenMetrics", "[monitor][metrics][M1]") {
    CHECK(
        monitor::to_open_metrics("# HELP tenon_a_total Of \"all\" \\n kinds.\n"
                                 "# TYPE tenon_a_total counter\n"
                                 "tenon_a_total{x=\"# TYPE\"} 3\n"
                                 "# HELP tenon_b Now.\n"
                                 "# TYPE tenon_b gauge\n"
                                 "tenon_b -1\n"
                                 "# TYPE tenon_c counter\n"
                                 "tenon_c 4\n") ==
        "# HELP tenon_a Of \\\"all\\\" \\n kinds.\n"
        "# TYPE tenon_a counter\n"
        "tenon_a_total{x=\"# TYPE\"} 3\n"
        "# HELP tenon_b Now.\n"
        "# TYPE tenon_b gauge\n"
        "tenon_b -1\n"
        "# TYPE tenon_c unknown\n"
        "tenon_c 4\n"
        "# EOF\n"
    );
    CHECK(monitor::to_open_metrics("") == "# EOF\n");
}

TEST_CASE("OpenMetrics is given to who asks for it", "[monitor][metrics][M1]") {
    using monitor::wants_open_metrics;
    CHECK(wants_open_metrics("application/openmetrics-text"));
    CHECK(wants_open_metrics(
        "text/plain;q=0.5, application/openmetrics-text; version=1.0.0 ;q=0.75,*/*;q=0.1"
    ));
    CHECK_FALSE(wants_open_metrics(""));
    CHECK_FALSE(wants_open_metrics("*/*"));
    CHECK_FALSE(wants_open_metrics("application/openmetrics-text;version=0.0.1"));
    CHECK_FALSE(wants_open_metrics("application/openmetrics-text;q=0"));
    CHECK_FALSE(wants_open_metrics("application/openmetrics-text; q=0.0, text/plain"));
}
