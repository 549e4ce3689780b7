// SPDX-License-Identifier: Apache-2.0
#include "backup_store.hpp"
#include "check.h"

namespace {

void write_file(const fs::path& file, std::string_view text) {
    fs::create_directories(file.parent_path());
    std::ofstream{file, std::ios::binary} << text;
}

std::string text_of(const fs::path& file) {
    std::ostringstream text;
    text << std::ifstream{file, std::ios::binary}.rdbuf();
    return text.str();
}

template <class Body>
tenon_status status_of(Body body) {
    return tenon::guard(nullptr, body);
}

}  // namespace

int main() {
    const BackupStore::Progress quiet{{nullptr, nullptr}};
    const fs::path root = fs::temp_directory_path() / ("backup-test-" + std::to_string(getpid()));
    write_file(root / "data" / "a", "12345");
    write_file(root / "data" / "inner" / "b c", std::string(100'000, 'x'));
    const BackupStore store{root / "data", root / "data" / "backups"};

    BackupAbout about;
    about.id = "one";
    about.kind = "full";
    about.label = "the first";
    store.create(about, 7, quiet);
    CHECK(about.pieces.size() == 2 && about.bytes() == 100'005);
    CHECK(store.list().size() == 1 && store.list()[0].label == "the first");
    CHECK(store.list()[0].finished_real_ns == 7);
    store.verify("one", quiet);

    store.restore("one", root / "restored", quiet);
    CHECK(text_of(root / "restored" / "a") == "12345");
    CHECK(text_of(root / "restored" / "inner" / "b c") == std::string(100'000, 'x'));
    CHECK(!fs::exists(root / "restored" / "backups"));
    CHECK(status_of([&] { store.restore("one", root / "restored", quiet); }) == TENON_CONFLICT);
    CHECK(status_of([&] { store.verify("../one", quiet); }) == TENON_NOT_FOUND);

    write_file(root / "data" / "backups" / "one" / "files" / "a", "12349");
    CHECK(status_of([&] { store.verify("one", quiet); }) == TENON_CORRUPT);
    CHECK(status_of([&] { store.restore("one", root / "again", quiet); }) == TENON_CORRUPT);
    CHECK(!fs::exists(root / "again"));
    fs::remove(root / "data" / "backups" / "one" / "files" / "a");
    CHECK(status_of([&] { store.verify("one", quiet); }) == TENON_CORRUPT);

    BackupAbout stopped;
    stopped.id = "two";
    const BackupStore::Progress stop{{nullptr, [](void*, tenon_str, std::uint64_t, std::uint64_t) {
                                          return tenon_status{TENON_UNAVAILABLE};
                                      }}};
    CHECK(status_of([&] { store.create(stopped, 0, stop); }) == TENON_UNAVAILABLE);
    CHECK(store.list().size() == 1);

    CHECK(iso_time(1'000'000'000'123'456'789) == "2001-09-09T01:46:40.123Z");
    fs::remove_all(root);
    return failures();
}
