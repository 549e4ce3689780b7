// SPDX-License-Identifier: Apache-2.0
// tenon.backup/1: a backup that is listed is whole, what is damaged is found, a restore gives what
// was there and touches nothing else.
//
// The data folder holds files of random bytes in "original/" before the plugin starts. Whatever of
// them a restore brings back has to be equal; a plugin that backs up something else is judged by
// two restores that must agree. Pieces are the files that a backup adds to the data folder; a
// plugin that keeps them elsewhere cannot be checked for damage.
#include "sdk/conformance/suites/suites.hpp"

#include <tenon/abi/backup.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

namespace tenon::suites {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

using Tree = std::map<std::string, std::string>;  // relative path to bytes

[[nodiscard]] std::string read_bytes(const fs::path& file) {
    std::ifstream in{file, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

void write_bytes(const fs::path& file, std::string_view bytes) {
    fs::create_directories(file.parent_path());
    std::ofstream{file, std::ios::binary}.write(
        bytes.data(), static_cast<std::streamsize>(bytes.size())
    );
}

[[nodiscard]] Tree tree_of(const fs::path& folder) {
    Tree tree;
    if (fs::exists(folder)) {
        for (const auto& entry : fs::recursive_directory_iterator{folder}) {
            if (entry.is_regular_file()) {
                tree[fs::relative(entry.path(), folder).string()] = read_bytes(entry.path());
            }
        }
    }
    return tree;
}

class Archive {
public:
    explicit Archive(Bench& bench) : bench_{bench}, random_{bench.seed()}, data_{bench.data_dir()} {
        for (int i = 0; i < 4; ++i) {
            const std::string name = text("original/", i % 2 == 0 ? "" : "deep/", "file", i);
            write_bytes(data_ / name, random_.bytes(i == 0 ? 0 : 1 + random_.below(60'000)));
        }
        original_ = tree_of(data_ / "original");
        instance_ = bench.open();
        backup_ = instance_->service<tenon_backup_1>("tenon.backup/1");
    }

    [[nodiscard]] tenon_status try_create(std::string& out, tenon_backup_progress progress = {}) {
        tenon_backup_request request{};
        request.size = sizeof request;
        request.kind = TENON_BACKUP_FULL;
        request.label = str("conformance");
        StringSink sink;
        ErrorBuffer err;
        const tenon_status status =
            backup_->create(backup_.self, &request, progress, sink.sink(), &err);
        out = status == TENON_OK ? sink.text() : std::string{err.message()};
        return status;
    }

    // The id of a new backup, and the files that it added.
    std::string create() {
        const Tree before = tree_of(data_);
        std::string out;
        const tenon_status status = try_create(out);
        expect(status == TENON_OK, "create: ", status_name(status), " (", out, ")");
        json::error_code wrong;
        const json::value made = json::parse(out, wrong);
        expect(!wrong && made.is_object(), "create puts no JSON object: ", out);
        const json::value* const id = made.as_object().if_contains("id");
        expect(id != nullptr && id->is_string(), "create's JSON has no \"id\": ", out);
        pieces_.clear();
        for (const auto& [name, bytes] : tree_of(data_)) {
            if (before.count(name) == 0 && !bytes.empty()) {
                pieces_.push_back(data_ / name);
            }
        }
        return std::string{id->get_string()};
    }

    [[nodiscard]] const std::vector<fs::path>& pieces() const {
        if (pieces_.empty()) {
            throw NotApplicable{"a backup adds no file to the data folder: nothing to damage"};
        }
        return pieces_;
    }

    [[nodiscard]] json::array list() {
        StringSink sink;
        ErrorBuffer err;
        expect_status(backup_->list(backup_.self, sink.sink(), &err), TENON_OK, "list", &err);
        json::error_code wrong;
        const json::value all = json::parse(sink.text(), wrong);
        expect(!wrong && all.is_array(), "list puts no JSON list: ", sink.text());
        return all.as_array();
    }

    [[nodiscard]] std::vector<std::string> ids() {
        std::vector<std::string> found;
        for (const json::value& one : list()) {
            found.emplace_back(one.at("id").as_string());
        }
        return found;
    }

    [[nodiscard]] tenon_status verify(const std::string& id, std::string& message) {
        ErrorBuffer err;
        const tenon_status status = backup_->verify(backup_.self, str(id), {}, &err);
        message = err.message();
        return status;
    }

    [[nodiscard]] tenon_status restore(const std::string& id, const fs::path& folder) {
        tenon_restore_request request{};
        request.size = sizeof request;
        request.id = str(id);
        const std::string path = folder.string();
        request.folder = str(path);
        ErrorBuffer err;
        return backup_->restore(backup_.self, &request, {}, &err);
    }

    [[nodiscard]] json::array prune(bool dry_run) {
        StringSink sink;
        ErrorBuffer err;
        expect_status(
            backup_->prune(backup_.self, dry_run ? 1 : 0, sink.sink(), &err),
            TENON_OK,
            "prune",
            &err
        );
        json::error_code wrong;
        const json::value gone = json::parse(sink.text(), wrong);
        expect(!wrong && gone.is_array(), "prune puts no JSON list: ", sink.text());
        return gone.as_array();
    }

    [[nodiscard]] fs::path place(std::string_view name) const { return data_ / "restored" / name; }

    [[nodiscard]] const Tree& original() const noexcept { return original_; }

    [[nodiscard]] Random& random() noexcept { return random_; }

    [[nodiscard]] const fs::path& data() const noexcept { return data_; }

private:
    Bench& bench_;
    Random random_;
    fs::path data_;
    Tree original_;
    std::unique_ptr<Instance> instance_;
    Service<tenon_backup_1> backup_;
    std::vector<fs::path> pieces_;
};

void create(Bench& bench) {
    Archive archive{bench};
    const std::string id = archive.create();
    const bool well_formed =
        !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   c == '.' || c == '_' || c == '-';
        });
    expect(well_formed, "the id ", printable(id), " is not [A-Za-z0-9._-]{1,64}");
    std::string message;
    const tenon_status status = archive.verify(id, message);
    expect(status == TENON_OK, "verify of a new backup: ", status_name(status), " (", message, ")");
}

void list(Bench& bench) {
    Archive archive{bench};
    expect(archive.list().empty(), "backups are listed before the first one was made");
    std::vector<std::string> made;
    for (int i = 0; i < 2; ++i) {
        made.push_back(archive.create());
    }
    const json::array all = archive.list();
    expect(all.size() == 2, "2 backups were made, ", all.size(), " are listed");
    for (std::size_t i = 0; i < all.size(); ++i) {
        const json::object& one = all[i].as_object();
        for (const char* name :
             {"id",
              "kind",
              "label",
              "started_at",
              "finished_at",
              "bytes",
              "pieces",
              "from",
              "to",
              "parent",
              "verified_at"}) {
            expect(one.contains(name), "list has no \"", name, "\": ", json::serialize(one));
        }
        expect(one.at("id").as_string() == made[i], "list is not from the oldest to the newest");
        expect(one.at("label").as_string() == "conformance", "the label is not kept");
    }
}

void restore(Bench& bench) {
    Archive archive{bench};
    const std::string id = archive.create();
    const Tree elsewhere = tree_of(archive.data());
    for (const char* place : {"absent", "empty"}) {
        if (std::string_view{place} == "empty") {
            fs::create_directories(archive.place(place));
        }
        expect_status(
            archive.restore(id, archive.place(place)),
            TENON_OK,
            text("restore to an ", place, " folder")
        );
    }
    const Tree first = tree_of(archive.place("absent"));
    expect(!first.empty(), "restore brought back no file");
    expect(first == tree_of(archive.place("empty")), "two restores of one backup differ");
    for (const auto& [name, bytes] : archive.original()) {
        for (const auto& [restored, found] : first) {
            if (fs::path{restored}.filename() == fs::path{name}.filename()) {
                expect(
                    found == bytes,
                    "restored ",
                    restored,
                    " has ",
                    found.size(),
                    " bytes that are not the original's ",
                    bytes.size()
                );
            }
        }
    }
    fs::remove_all(archive.data() / "restored");
    expect(tree_of(archive.data()) == elsewhere, "restore touched files outside of its folder");
}

void newest(Bench& bench) {
    Archive archive{bench};
    (void)archive.create();
    write_bytes(archive.data() / "original/file1", "changed between two backups");
    const std::string id = archive.create();
    expect_status(archive.restore({}, archive.place("newest")), TENON_OK, "restore of the newest");
    expect_status(archive.restore(id, archive.place("named")), TENON_OK, "restore by id");
    expect(
        tree_of(archive.place("newest")) == tree_of(archive.place("named")),
        "without an id another backup than the newest is restored"
    );
}

enum class Damage : std::uint8_t { flipped, cut, missing };

void harm(const fs::path& piece, const std::string& bytes, Damage damage, std::size_t at) {
    switch (damage) {
        case Damage::flipped: {
            std::string wrong = bytes;
            wrong[at] = static_cast<char>(wrong[at] ^ 0x10);
            write_bytes(piece, wrong);
            break;
        }
        case Damage::cut:
            write_bytes(piece, std::string_view{bytes}.substr(0, at));
            break;
        case Damage::missing:
            fs::remove(piece);
            break;
    }
}

template <Damage damage>
void damaged(Bench& bench) {
    Archive archive{bench};
    const std::string id = archive.create();
    int number = 0;
    for (const fs::path& piece : archive.pieces()) {
        const std::string bytes = read_bytes(piece);
        harm(piece, bytes, damage, archive.random().below(bytes.size()));
        std::string message;
        const tenon_status status = archive.verify(id, message);
        const bool unlisted = status == TENON_NOT_FOUND;  // what names the backup is gone
        expect(
            status == TENON_CORRUPT || unlisted,
            piece.filename().string(),
            " is damaged, verify answers ",
            status_name(status)
        );
        expect(unlisted || !message.empty(), "verify does not name the piece that is damaged");
        const fs::path place = archive.place(text("damaged", ++number));
        const tenon_status restored = archive.restore(id, place);
        expect(
            restored == TENON_CORRUPT || restored == TENON_NOT_FOUND,
            piece.filename().string(),
            " is damaged, restore answers ",
            status_name(restored)
        );
        expect(tree_of(place).empty(), "a restore that failed left files in its folder");
        write_bytes(piece, bytes);
    }
    std::string message;
    expect_status(archive.verify(id, message), TENON_OK, "verify of the mended backup");
}

void folder_not_empty(Bench& bench) {
    Archive archive{bench};
    const std::string id = archive.create();
    write_bytes(archive.place("taken") / "precious", "not yours");
    expect_status(
        archive.restore(id, archive.place("taken")),
        TENON_CONFLICT,
        "restore to a folder that is not empty"
    );
    expect(
        tree_of(archive.place("taken")) == Tree{{"precious", "not yours"}},
        "a restore that was refused changed the folder"
    );
}

void unknown_id(Bench& bench) {
    Archive archive{bench};
    (void)archive.create();
    for (const std::string& id :
         {std::string{"no-such-backup"},
          std::string{"../../etc"},
          std::string{"a/b"},
          std::string(200, 'x')}) {
        std::string message;
        const tenon_status status = archive.verify(id, message);
        expect(
            status == TENON_NOT_FOUND || status == TENON_INVALID,
            "verify of ",
            printable(id),
            ": ",
            status_name(status)
        );
        const tenon_status restored = archive.restore(id, archive.place("unknown"));
        expect(
            restored == TENON_NOT_FOUND || restored == TENON_INVALID,
            "restore of ",
            printable(id),
            ": ",
            status_name(restored)
        );
        expect(tree_of(archive.place("unknown")).empty(), "an unknown backup was restored");
    }
}

void stopped(Bench& bench) {
    Archive archive{bench};
    const tenon_backup_progress progress{
        nullptr, [](void*, tenon_str, std::uint64_t, std::uint64_t) -> tenon_status {
            return TENON_DENIED;
        }};
    std::string out;
    const tenon_status status = archive.try_create(out, progress);
    if (status == TENON_OK) {
        throw NotApplicable{"the backup is over before it tells its progress"};
    }
    expect_status(status, TENON_DENIED, "create whose progress answers DENIED");
    expect(archive.list().empty(), "a backup that was stopped is listed");
    (void)archive.create();
}

void prune(Bench& bench) {
    Archive archive{bench};
    std::vector<std::string> made;
    for (int i = 0; i < 5; ++i) {
        made.push_back(archive.create());
    }
    const json::array would = archive.prune(true);
    expect(archive.ids() == made, "a dry run of prune deleted something");
    const json::array gone = archive.prune(false);
    expect(would == gone, "prune deleted others than its dry run had listed");
    const std::vector<std::string> left = archive.ids();
    expect(!left.empty() && left.back() == made.back(), "prune deleted the newest backup");
    expect(
        left.size() + gone.size() == made.size(),
        "of ",
        made.size(),
        " backups prune named ",
        gone.size(),
        ", ",
        left.size(),
        " are left"
    );
    for (const std::string& id : left) {
        std::string message;
        expect_status(archive.verify(id, message), TENON_OK, "verify of a backup that was kept");
    }
    for (int i = 0; i < 3; ++i) {
        (void)archive.prune(false);
    }
    expect(!archive.ids().empty(), "prune deleted the last backup");
}

constexpr std::string_view k_backup = "tenon.backup/1";

constexpr Check k_checks[] = {
    {"backup.create", "a new backup has an id and verifies", k_backup, &checked<&create>},
    {"backup.list", "what is complete is listed, oldest first", k_backup, &checked<&list>},
    {"backup.restore", "a restore gives what was there", k_backup, &checked<&restore>},
    {"backup.newest", "without an id the newest is restored", k_backup, &checked<&newest>},
    {"backup.flipped", "a flipped bit is found", k_backup, &checked<&damaged<Damage::flipped>>},
    {"backup.cut", "a piece that was cut is found", k_backup, &checked<&damaged<Damage::cut>>},
    {"backup.missing", "a missing piece is found", k_backup, &checked<&damaged<Damage::missing>>},
    {"backup.folder-not-empty",
     "a folder in use is left alone",
     k_backup,
     &checked<&folder_not_empty>},
    {"backup.unknown-id", "an unknown id is not found", k_backup, &checked<&unknown_id>},
    {"backup.stopped", "a stopped run leaves no backup", k_backup, &checked<&stopped>},
    {"backup.prune", "prune keeps what must be kept", k_backup, &checked<&prune>},
};

}  // namespace
}  // namespace tenon::suites

namespace tenon::conformance {

std::span<const Check> backup_checks() {
    return suites::k_checks;
}

}  // namespace tenon::conformance
