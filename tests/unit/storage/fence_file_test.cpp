// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/cluster/fence_file.hpp"

#include "tests/support/temporary_folder.hpp"

#include <tenon/plugin.hpp>

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <string>

namespace tenon::postgres {
namespace {

using Folder = test::TemporaryFolder;

void write(const std::filesystem::path& path, const std::string& text) {
    std::ofstream{path, std::ios::binary} << text;
}

}  // namespace

TEST_CASE("without a file nothing is fenced", "[postgres][fence][S6]") {
    const Folder folder;
    CHECK(FenceFile{folder.path() / "fence"}.load() == Fence{});
}

TEST_CASE("a fence is read back as it was stored", "[postgres][fence][S6]") {
    const Folder folder;
    const FenceFile file{folder.path() / "fence"};
    file.store({18'446'744'073'709'551'615U, 4'294'967'295U});
    CHECK(file.load() == Fence{18'446'744'073'709'551'615U, 4'294'967'295U});
    file.store({5, 2});
    CHECK(FenceFile{folder.path() / "fence"}.load() == Fence{5, 2});
    CHECK_FALSE(std::filesystem::exists(folder.path() / "fence.new"));
}

TEST_CASE("a fence file that is damaged is an error, not none", "[postgres][fence][S6]") {
    const Folder folder;
    const FenceFile file{folder.path() / "fence"};
    for (const char* text :
         {"",
          "tenon-fence 1 5",
          "tenon-fence 1 5 2",
          "tenon-fence 2 5 2\n",
          "tenon-fence 1 5 2\n\n",
          "tenon-fence 1 5 -2\n",
          "tenon-fence 1 5 x\n",
          "tenon-fence 1  5 2\n",
          "tenon-fence 1 99999999999999999999 2\n"}) {
        INFO(text);
        write(file.path(), text);
        CHECK_THROWS_WITH(file.load(), Catch::Contains("tenon-fence 1 SYSTEM TIMELINE"));
    }
}

TEST_CASE("a fence that cannot be written leaves the old one", "[postgres][fence][S6]") {
    const Folder folder;
    const FenceFile file{folder.path() / "fence"};
    file.store({5, 2});
    std::filesystem::create_directory(folder.path() / "fence.new");
    CHECK_THROWS_AS(file.store({5, 3}), Error);
    CHECK(file.load() == Fence{5, 2});
}

}  // namespace tenon::postgres
