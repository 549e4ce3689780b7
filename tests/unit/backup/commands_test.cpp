// SPDX-License-Identifier: Apache-2.0
// The commands of `tenon backup`, with options as `tenon` sends them.
#include "sdk/capture/folder.hpp"
#include "tests/support/loaded_plugin.hpp"
#include "tests/unit/capture/captured.hpp"

#include <fstream>

using tenon::test::Captured;
using tenon::test::content_of;
using tenon::test::LoadedPlugin;
namespace fs = std::filesystem;

TEST_CASE("a point is taken from text, and no unknown option is passed over", "[backup][S14]") {
    Captured database;
    database.wait_for_base();
    const std::uint64_t one = database.put(1, "one");
    database.put(2, "two");
    const std::string folder = database.backend.folder.path().string();
    const std::string to = folder + "/restored";
    tenon::test::FakeHost host;
    LoadedPlugin plugin{
        host,
        "backup-sqlite",
        R"({"source":")" + database.captures() + R"(","folder":")" + folder +
            R"(/store","scratch":")" + folder +
            R"(/scratch","every_s":0,"keep":1,"keep_hourly":0,"keep_daily":0,"keep_weekly":0,)"
            R"("keep_monthly":0,"drill":true,"ship_ms":0,"key":")" +
            std::string(64, '7') +
            R"(","s3_url":"","s3_bucket":"b","s3_prefix":"","s3_region":"r","s3_access_key_id":"",)"
            R"("s3_secret_access_key":"","s3_ca_file":""})"};
    (void)host.admin("backup.create", "{}");
    const std::string begin = R"({"folder":")" + to + R"(",)";
    (void
    )host.admin("backup.restore", begin + R"("to_sequence":")" + std::to_string(one) + R"("})");
    CHECK(content_of(to + "/tenon.db") == "ok,1,one,");
    fs::remove_all(to);
    for (const char* bad :
         {R"("to-sequence":"1"})",
          R"("to_sequence":"x"})",
          R"("to_sequence":"0"})",
          R"("to_time":"yesterday"})",
          R"("to_order":"1","id":"x"})"}) {
        CAPTURE(bad);
        CHECK_THROWS_AS(host.admin("backup.restore", begin + bad), tenon::Error);
        CHECK_FALSE(fs::exists(to));
    }
    (void)host.admin("backup.drill", "{}");
    (void)host.admin("backup.create", "{}");
    (void)host.admin("backup.drill", "{}");
    CHECK_THROWS_AS(host.admin("backup.prune", R"({"dry-run":true})"), tenon::Error);
    CHECK(host.admin("backup.prune", R"({"dry_run":true})").size() > 4);
    CHECK(host.admin("backup.prune", R"({"dry_run":true})").size() > 4);
    (void)host.admin("backup.prune", "{}");
    CHECK(host.admin("backup.prune", "{}") == "[]");
}
