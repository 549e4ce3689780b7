// SPDX-License-Identifier: Apache-2.0
#include "plugins/throttle/adaptive/cpu_pressure.hpp"

#include "plugins/throttle/adaptive/adaptive_limits.hpp"
#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

using namespace tenon::adaptive;

namespace {

constexpr std::int64_t k_ms = 1'000'000;

void write(const std::filesystem::path& path, std::string_view text) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream{path} << text;
}

std::string pressure(std::int64_t total_us) {
    return "some avg10=1.00 avg60=2.00 avg300=3.00 total=" + std::to_string(total_us) +
           "\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=77\n";
}

}  // namespace

TEST_CASE("the pressure is read of the kernel's own words", "[throttle][H5]") {
    CHECK(read_pressure_us(pressure(12'345)) == 12'345);
    CHECK(read_pressure_us("some avg10=0.00 total=0") == 0);
    for (const std::string_view none :
         {"",
          "some",
          "some avg10=0.00",
          "some total=",
          "some total=x",
          "some total=-1",
          "full avg10=0.00 total=5",
          "total=5"}) {
        CHECK_FALSE(read_pressure_us(none));
    }
}

TEST_CASE("the control group's pressure goes before the machine's", "[throttle][H5]") {
    const tenon::test::TemporaryFolder folder;
    const std::string root = folder.path().string();
    CHECK(find_cpu_pressure(root).empty());
    write(root + "/proc/pressure/cpu", pressure(1));
    CHECK(find_cpu_pressure(root) == root + "/proc/pressure/cpu");
    write(root + "/proc/self/cgroup", "4:memory:/a\n0::/tenon.slice\n");
    CHECK(find_cpu_pressure(root) == root + "/proc/pressure/cpu");
    write(root + "/sys/fs/cgroup/tenon.slice/cpu.pressure", pressure(1));
    CHECK(find_cpu_pressure(root) == root + "/sys/fs/cgroup/tenon.slice/cpu.pressure");
}

TEST_CASE("a sample is the share of time since the one before", "[throttle][H5]") {
    const tenon::test::TemporaryFolder folder;
    const std::string path = (folder.path() / "cpu").string();
    CpuPressure of{path};
    CHECK_FALSE(of.sample(0));  // there is no such file
    write(path, pressure(1'000));
    CHECK_FALSE(of.sample(100 * k_ms));
    write(path, pressure(26'000));
    CHECK(of.sample(200 * k_ms).value() == Approx(0.25));
    CHECK_FALSE(of.sample(200 * k_ms));
    write(path, pressure(900'000));
    CHECK(of.sample(300 * k_ms).value() == 1.0);
    write(path, "nonsense");
    CHECK_FALSE(of.sample(400 * k_ms));
    write(path, pressure(900'000));
    CHECK_FALSE(of.sample(500 * k_ms));
    CHECK(of.sample(600 * k_ms).value() == 0.0);
}

TEST_CASE("under pressure less is let in, and soon again as much as before", "[throttle][H5]") {
    Squeeze squeeze{0.5, 20 * k_ms};
    CHECK(squeeze.sample(0.5, 20 * k_ms) == 1'000);
    CHECK(squeeze.sample(0.6, 0) == 800);
    CHECK(squeeze.sample(0.0, 21 * k_ms) == 640);  // 200 ms
    for (int i = 0; i < 20; ++i) {
        CHECK(squeeze.sample(1.0, 0) >= Squeeze::k_least);
    }
    CHECK(squeeze.sample(1.0, 0) == Squeeze::k_least);
    std::int64_t share = 0;
    for (int i = 0; i < 20; ++i) {  // 2 s
        share = squeeze.sample(std::nullopt, 0);
    }
    CHECK(share == Squeeze::k_whole);
    Squeeze off{0, 0};
    CHECK(off.sample(1.0, 1'000 * k_ms) == Squeeze::k_whole);
}

TEST_CASE("a squeezed limit keeps its floor and what is under way", "[throttle][H5]") {
    AdaptiveLimits limits;
    AdaptiveSettings wanted;
    wanted.name = "a";
    wanted.gradient.floor = 4;
    wanted.gradient.initial = 20;
    wanted.gradient.ceiling = 20;
    limits.apply({wanted});
    const std::uint32_t id = limits.find("a").value();
    const tenon_throttle_claim claim{id, 1, tenon::str("k")};
    std::int64_t retry_ns = 0;
    const auto take_all = [&] {
        int taken = 0;
        while (limits.take({&claim, 1}, 0, retry_ns) == TENON_OK) {
            ++taken;
        }
        return taken;
    };
    limits.squeeze(500);
    CHECK(take_all() == 10);
    limits.squeeze(100);
    CHECK(take_all() == 0);
    for (int i = 0; i < 10; ++i) {
        limits.refund({&claim, 1}, 0);
    }
    CHECK(take_all() == 4);
    limits.squeeze(1'000);
    CHECK(take_all() == 16);
}
