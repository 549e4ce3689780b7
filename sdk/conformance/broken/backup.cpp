// SPDX-License-Identifier: Apache-2.0
// Backups of the folder "original" in the data folder: the reference of the backup suite, and what
// it looks like when a rule is broken. A backup is a folder of pieces with an index that ends with
// its own checksum; it gets its name when it is complete.
#include "sdk/conformance/broken/fault.hpp"

#include <tenon/abi/backup.h>
#include <tenon/byte_codec.hpp>
#include <tenon/plugin.hpp>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace tenon::broken {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t k_kept = 2;

struct Piece {
    std::string name, file;
    std::uint64_t hash;
};

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

class Backup : public Plugin {
public:
    explicit Backup(const tenon_host* raw) : Plugin{raw} {
        provide("tenon.backup/1", this, &k_table);
    }

    void configure(std::string_view, bool) override {}

    void start() override {
        data_ = host().environment("data_dir");
        store_ = data_ / "backups";
        fs::create_directories(store_);
    }

private:
    static Backup& of(void* self) noexcept { return *static_cast<Backup*>(self); }

    // Complete ones, oldest first.
    [[nodiscard]] std::vector<std::string> ids() const {
        std::vector<std::string> found;
        for (const auto& entry : fs::directory_iterator{store_}) {
            const std::string name = entry.path().filename().string();
            if (!name.starts_with('.') || fault("backup.stopped")) {
                found.push_back(name);
            }
        }
        std::sort(found.begin(), found.end());
        if (fault("backup.list")) {
            std::reverse(found.begin(), found.end());
        }
        return found;
    }

    // Nothing when the index is not what was written.
    [[nodiscard]] std::optional<std::vector<Piece>> index_of(const std::string& id) const {
        const std::string text = read_bytes(store_ / id / "index");
        const std::size_t body = text.size() < 17 ? 0 : text.size() - 17;
        const std::string sum = text.substr(body);
        if (text.size() < 17 || sum != checksum(std::string_view{text}.substr(0, body)) + "\n") {
            return std::nullopt;
        }
        std::vector<Piece> pieces;
        std::istringstream in{text.substr(0, body)};
        Piece piece;
        while (in >> piece.hash >> piece.file >> piece.name) {
            pieces.push_back(piece);
        }
        return pieces;
    }

    [[nodiscard]] static std::string checksum(std::string_view bytes) {
        static constexpr char k_digits[] = "0123456789abcdef";
        std::uint64_t hash = hash64(bytes);
        std::string out(16, '0');
        for (char& digit : out) {
            digit = k_digits[hash & 15U];
            hash >>= 4U;
        }
        return out;
    }

    [[nodiscard]] static std::string json_of(const std::string& id) {
        return R"({"id":")" + id +
               R"(","kind":"full","label":"conformance","started_at":"2026-01-01T00:00:00Z",)" +
               R"("finished_at":"2026-01-01T00:00:01Z","bytes":0,"pieces":0,"from":null,"to":null,)" +
               R"("parent":null,"verified_at":null})";
    }

    tenon_status create(tenon_backup_progress progress, tenon_sink out) {
        std::string id = std::to_string(++last_);
        id.insert(0, 6 - std::min<std::size_t>(6, id.size()), '0');
        id.insert(0, fault("backup.create") ? "backup " : "backup-");
        const fs::path making = store_ / ("." + id);
        std::ostringstream index;
        std::size_t number = 0;
        for (const auto& entry : fs::recursive_directory_iterator{data_ / "original"}) {
            if (!entry.is_regular_file()) {
                continue;
            }
            const std::string bytes = read_bytes(entry.path());
            const std::string file = "piece-" + std::to_string(++number);
            write_bytes(making / file, bytes);
            index << hash64(bytes) << ' ' << file << ' '
                  << fs::relative(entry.path(), data_ / "original").string() << '\n';
            const tenon_status status =
                progress.fn == nullptr ? TENON_OK
                                       : progress.fn(progress.ctx, str("copy"), bytes.size(), 0);
            if (status != TENON_OK) {
                if (!fault("backup.stopped")) {
                    fs::remove_all(making);
                }
                return status;
            }
        }
        write_bytes(making / "index", index.str() + checksum(index.str()) + "\n");
        fs::rename(making, store_ / id);
        return out.put(out.ctx, bytes(json_of(id)));
    }

    tenon_status list(tenon_sink out) const {
        std::string json{"["};
        for (const std::string& id : ids()) {
            json.append(json.size() == 1 ? "" : ",").append(json_of(id));
        }
        return out.put(out.ctx, bytes(json.append("]")));
    }

    [[nodiscard]] bool known(const std::string& id) const {
        const auto all = ids();
        return std::find(all.begin(), all.end(), id) != all.end();
    }

    tenon_status verify(const std::string& id, tenon_err* err) const {
        if (!known(id)) {
            return fault("backup.unknown-id") ? TENON_OK
                                              : fail(err, TENON_NOT_FOUND, "no such backup");
        }
        const auto pieces = index_of(id);
        if (!pieces) {
            const bool gone = !fs::exists(store_ / id / "index");
            return (fault("backup.missing") && gone) || (fault("backup.cut") && !gone)
                       ? TENON_OK
                       : fail(err, TENON_CORRUPT, "index");
        }
        for (const Piece& piece : *pieces) {
            const fs::path file = store_ / id / piece.file;
            if (fault("backup.missing") && !fs::exists(file)) {
                continue;
            }
            const std::string bytes = read_bytes(file);
            if (hash64(bytes) != piece.hash && !fault("backup.flipped") && !fault("backup.cut")) {
                return fail(err, TENON_CORRUPT, piece.file);
            }
        }
        return TENON_OK;
    }

    tenon_status restore(const tenon_restore_request& request, tenon_err* err) const {
        const auto all = ids();
        std::string id{view(request.id)};
        if (id.empty() && !all.empty()) {
            id = fault("backup.newest") ? all.front() : all.back();
        }
        const tenon_status sound = verify(id, err);
        if (sound != TENON_OK || !known(id)) {
            return sound != TENON_OK ? sound : fail(err, TENON_NOT_FOUND, "no such backup");
        }
        const fs::path folder{std::string{view(request.folder)}};
        if (fs::exists(folder) && !fs::is_empty(folder) && !fault("backup.folder-not-empty")) {
            return fail(err, TENON_CONFLICT, "the folder is not empty");
        }
        for (const Piece& piece : index_of(id).value_or(std::vector<Piece>{})) {
            std::string bytes = read_bytes(store_ / id / piece.file);
            if (fault("backup.restore") && !bytes.empty()) {
                bytes.pop_back();
            }
            write_bytes(folder / piece.name, bytes);
        }
        return TENON_OK;
    }

    tenon_status prune(bool dry_run, tenon_sink out) const {
        const std::vector<std::string> all = ids();
        const std::size_t kept = fault("backup.prune") ? 0 : k_kept;
        std::string json{"["};
        for (std::size_t i = 0; i + kept < all.size(); ++i) {
            json.append(i == 0 ? "\"" : ",\"").append(all[i]).append("\"");
            if (!dry_run) {
                fs::remove_all(store_ / all[i]);
            }
        }
        return out.put(out.ctx, bytes(json.append("]")));
    }

    static constexpr tenon_backup_1 k_table{
        sizeof(tenon_backup_1),
        0,
        [](void* self,
           const tenon_backup_request*,
           tenon_backup_progress progress,
           tenon_sink out,
           tenon_err* err) noexcept {
            return guard(err, [&] { return of(self).create(progress, out); });
        },
        [](void* self, tenon_sink out, tenon_err* err) noexcept {
            return guard(err, [&] { return of(self).list(out); });
        },
        [](void* self, tenon_str id, tenon_backup_progress, tenon_err* err) noexcept {
            return guard(err, [&] { return of(self).verify(std::string{view(id)}, err); });
        },
        [](void* self, const tenon_restore_request* request, tenon_backup_progress, tenon_err* err
        ) noexcept { return guard(err, [&] { return of(self).restore(*request, err); }); },
        [](void* self, std::uint32_t dry_run, tenon_sink out, tenon_err* err) noexcept {
            return guard(err, [&] { return of(self).prune(dry_run != 0, out); });
        },
        [](void*) noexcept {}};

    fs::path data_, store_;
    std::uint64_t last_ = 0;
};

}  // namespace
}  // namespace tenon::broken

TENON_EXPORT_PLUGIN(tenon::broken::Backup)
