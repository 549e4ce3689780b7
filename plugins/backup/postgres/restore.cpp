// SPDX-License-Identifier: Apache-2.0
// Restores. PostgreSQL stops its recovery with an error when the log ends before the target; so
// whether there is anything behind the target is looked up with pg_waldump first.
#include "plugins/backup/postgres/way.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <optional>
#include <unistd.h>

namespace tenon::backup_postgres {
namespace {

namespace fs = std::filesystem;
// In the data folder; PostgreSQL runs there.
constexpr const char* k_log_folder = "tenon_wal";

[[noreturn]] void fail_errno(const std::string& what, const std::string& path) {
    throw Error{TENON_UNAVAILABLE, "cannot " + what + " " + path + ": " + std::strerror(errno)};
}

constexpr std::string_view k_of_a_restore =
    "# Written by a restore of Tenon; of no effect once recovery has ended.";

void write_file(const std::string& path, std::string_view text) {
    std::ofstream out{path, std::ios::trunc};
    out << text;
    if (!out.flush()) {
        fail_errno("write", path);
    }
    out.close();
    fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
    give_to_server_user(path);
}

void sync_all(const std::string& folder) {
    const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool done = fd >= 0 && ::syncfs(fd) == 0;
    if (fd >= 0) {
        ::close(fd);
    }
    if (!done) {
        fail_errno("sync", folder);
    }
}

// A data folder to be; what is in it goes when it was not finished.
class Folder {
public:
    explicit Folder(const std::string& path) : path_{path} {
        if (path.empty() || path.front() != '/') {
            throw Error{TENON_INVALID, "the folder to restore to has to be an absolute path"};
        }
        std::error_code error;
        was_there_ = fs::exists(path, error);
        if (was_there_ && (!fs::is_directory(path, error) || !fs::is_empty(path, error))) {
            throw Error{TENON_CONFLICT, path + " is not an empty folder"};
        }
    }

    ~Folder() {
        if (begun_ && !finished_) {
            clear();
            std::error_code ignored;
            if (!was_there_) {
                fs::remove(path_, ignored);
            }
        }
    }

    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    void begin() {
        begun_ = true;
        std::error_code error;
        fs::create_directories(path_, error);
        if (error) {
            throw Error{TENON_UNAVAILABLE, "cannot make " + path_ + ": " + error.message()};
        }
        fs::permissions(path_, fs::perms::owner_all);
        give_to_server_user(path_);
    }

    void clear() noexcept {
        std::error_code ignored;
        for (const auto& entry : fs::directory_iterator{path_, ignored}) {
            std::error_code kept;
            fs::remove_all(entry.path(), kept);
        }
    }

    void finish() noexcept { finished_ = true; }

private:
    std::string path_;
    bool was_there_ = false;
    bool begun_ = false;
    bool finished_ = false;
};

// Segments of the log as files, filled up with zeros.
class LogWriter {
public:
    LogWriter(std::string folder, std::uint64_t segment_bytes)
        : folder_{std::move(folder)}, segment_bytes_{segment_bytes} {}

    ~LogWriter() { close(); }

    LogWriter(const LogWriter&) = delete;
    LogWriter& operator=(const LogWriter&) = delete;

    void add(const WalPiece& piece) {
        const std::string path =
            folder_ + "/" + segment_name(piece.at.timeline, piece.at.from, segment_bytes_);
        if (path != path_) {
            close();
            path_ = path;
            fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
            if (fd_ < 0 || ::ftruncate(fd_, static_cast<off_t>(segment_bytes_)) != 0) {
                fail_errno("create", path);
            }
            give_to_server_user(path);
        }
        std::string_view bytes = piece.bytes;
        for (auto at = static_cast<off_t>(piece.at.from % segment_bytes_); !bytes.empty();) {
            const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), at);
            if (n < 0 && errno != EINTR) {
                fail_errno("write", path_);
            }
            bytes.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
            at += std::max<ssize_t>(n, 0);
        }
    }

private:
    void close() noexcept {
        if (fd_ >= 0) {
            ::close(fd_);
        }
        fd_ = -1;
    }

    std::string folder_;
    std::uint64_t segment_bytes_;
    std::string path_;
    int fd_ = -1;
};

struct Found {};

// "2026-05-04 03:02:01.123456+00"
std::string sql_time(std::int64_t real_ns) {
    std::string text = iso_time(real_ns);
    text[text.find('T')] = ' ';
    text.pop_back();
    return text + "+00";
}

Lsn end_of(const Backups::Way& way, Timeline timeline) {
    for (const Branch& branch : way.branches) {
        if (branch.timeline == timeline) {
            return branch.end;
        }
    }
    return 0;
}

}  // namespace

Backups::Way Backups::way_of(const Manifest& from, Timeline to) {
    Way way;
    bool found = false;
    for (const Branch& branch : branches_of(to, wal_.history(to))) {
        found = found || (branch.timeline == from.timeline && from.end <= branch.end);
        if (found) {
            way.branches.push_back(branch);
        }
    }
    if (!found) {
        throw Error{
            TENON_NOT_FOUND,
            "the backup " + from.id + " of timeline " + std::to_string(from.timeline) +
                " does not lead to timeline " + std::to_string(to)};
    }
    const std::uint64_t segment = wal_.segment_bytes();
    const std::vector<Stretch> all = wal_.list();
    for (const Branch& branch : way.branches) {
        const bool first = branch.timeline == from.timeline;
        const Lsn begin = (first ? from.start : branch.begin) / segment * segment;
        const std::vector<Stretch> run = run_of(all, branch.timeline, begin, branch.end);
        const Lsn reached = run.empty() ? begin : run.back().to;
        way.pieces.insert(way.pieces.end(), run.begin(), run.end());
        const auto beyond = std::find_if(all.begin(), all.end(), [&](const Stretch& one) {
            return one.timeline == branch.timeline && one.from > reached && one.from < branch.end;
        });
        const bool last = branch.end == UINT64_MAX;
        if (beyond != all.end() || (!last && reached < branch.end) ||
            (first && reached < from.end)) {
            const Lsn end = beyond != all.end() ? beyond->from : last ? from.end : branch.end;
            way.missing = "the log from " + lsn_text(reached) + " to " + lsn_text(end) +
                          " of timeline " + std::to_string(branch.timeline) + " is missing (" +
                          segment_name(branch.timeline, reached, segment) + ")";
            break;
        }
    }
    return way;
}

WalPiece Backups::log_piece(Way& way, std::size_t i, const Manifest& from, Timeline to) {
    for (int left = 3;; --left) {
        const Stretch wanted = way.pieces[i];
        try {
            return wal_.get(wanted);
        } catch (const Error& e) {
            if (e.code() != TENON_NOT_FOUND || left == 0) {
                throw;
            }
        }
        Way now = way_of(from, to);
        const auto same = std::find_if(now.pieces.begin(), now.pieces.end(), [&](const auto& one) {
            return one.timeline == wanted.timeline && one.from <= wanted.from &&
                   one.to >= wanted.to;
        });
        if (same == now.pieces.end()) {
            throw Error{
                TENON_CORRUPT,
                now.missing.empty() ? "the piece " + wanted.name() + " is missing" : now.missing};
        }
        way.pieces.resize(i);
        way.pieces.insert(way.pieces.end(), same, now.pieces.end());
        way.missing = now.missing;
    }
}

std::string Backups::missing() {
    const std::vector<Manifest> all = list();
    if (all.empty()) {
        return "";
    }
    return way_of(all.back(), std::max(all.back().timeline, wal_.newest_timeline())).missing;
}

bool Backups::leads_to(const Manifest& from, const Target& target) {
    if ((target.real_ns != 0 && from.finished_ns > target.real_ns) ||
        (target.order != 0 && from.order >= target.order)) {
        return false;
    }
    const auto branches = branches_of(target.timeline, wal_.history(target.timeline));
    return std::any_of(branches.begin(), branches.end(), [&](const Branch& branch) {
        return branch.timeline == from.timeline && from.end <= branch.end;
    });
}

void Backups::unpack(const Manifest& from, const std::string& folder, const Say& say) {
    try {
        Command reach;
        reach.words = {"test", "-w", folder};
        (void)run(reach, {}, bounds());
    } catch (const Error& e) {
        throw Error{
            TENON_INVALID,
            cancelled() ? e.what()
                        : "the user " + server_user() + " cannot reach " + folder +
                              ": PostgreSQL's programs run as that user"};
    }
    Command command;
    command.words = {"tar", "-x", "-f", "-", "-C", folder, "--no-same-owner", "-p"};
    Streams streams;
    std::size_t next = 0;
    std::uint64_t done = 0;
    streams.in = [&]() -> std::string {
        if (next == from.pieces.size()) {
            return "";
        }
        std::string content = content_of(pieces_, from.pieces[next++]);
        done += content.size();
        say("base", done, from.bytes());
        return content;
    };
    (void)run(command, streams, bounds());
    Command check;
    check.words = {
        program(settings_.tools, from.server_version, "pg_verifybackup"), "-n", "-q", folder};
    say("check", done, from.bytes());
    try {
        (void)run(check, {}, bounds());
    } catch (const Error& e) {
        throw Error{cancelled() ? e.code() : TENON_CORRUPT, e.what()};
    }
}

// Is there a record that makes recovery stop?
bool Backups::goes_beyond(
    const Manifest& from,
    const Target& target,
    const std::string& folder,
    const Stretch& after
) {
    Command command;
    command.words = {
        program(settings_.tools, from.server_version, "pg_waldump"),
        "-p",
        folder + "/" + k_log_folder,
        "-t",
        std::to_string(after.timeline),
        "-s",
        lsn_text(after.from)};
    command.environment = {"TZ=UTC"};
    command.may_fail = true;  // it ends where the log does, with an error
    if (target.real_ns != 0) {
        command.words.insert(command.words.end(), {"-r", "Transaction"});
    }
    std::string line;
    bool found = false;
    const auto look = [&] {
        if (!line.starts_with("rmgr: ")) {
            return false;
        }
        if (target.real_ns == 0) {
            return true;
        }
        std::size_t at = line.find("desc: COMMIT 2");
        at = at == std::string::npos ? line.find("desc: ABORT 2") : at;
        const std::size_t time = at == std::string::npos ? at : line.find('2', at);
        if (time == std::string::npos || line.size() < time + 26) {
            return false;
        }
        std::string iso = line.substr(time, 26);  // 2026-05-04 03:02:01.123456
        iso[10] = 'T';
        return time_of_iso(iso + "Z") > target.real_ns;
    };
    Streams streams;
    streams.out = [&](std::string_view bytes) {
        for (const char c : bytes) {
            if (c != '\n') {
                line.push_back(c);
                continue;
            }
            if (look()) {
                found = true;
                throw Found{};
            }
            line.clear();
        }
    };
    try {
        (void)run(command, streams, bounds());
    } catch (const Found&) {
        return found;
    }
    return false;
}

std::string Backups::lay_out_log(
    const Manifest& from,
    const Target& target,
    const std::string& folder,
    const Say& say
) {
    const std::string log = folder + "/" + k_log_folder;
    fs::create_directory(log);
    fs::permissions(log, fs::perms::owner_all);
    give_to_server_user(log);
    Way way = way_of(from, target.timeline);
    for (const Branch& branch : way.branches) {
        if (branch.timeline > 1) {
            char name[32];
            (void)std::snprintf(name, sizeof name, "/%08X.history", branch.timeline);
            write_file(log + name, wal_.history(branch.timeline));
        }
    }
    const bool has_target = target.real_ns != 0 || target.order != 0;
    LogWriter writer{log, wal_.segment_bytes()};
    const auto up_to = [](const Mark& mark) {
        return "recovery_target_lsn = '" + lsn_text(mark.lsn) +
               "'\nrecovery_target_inclusive = off\n";
    };
    std::optional<Mark> reached;  // the first that has the target behind it
    Stretch look_from{from.timeline, from.end, 0};
    std::int64_t newest_ns = from.finished_ns;
    std::size_t looked_at = 0;
    for (std::size_t i = 0; i < way.pieces.size(); ++i) {
        if (cancelled()) {
            throw Error{TENON_UNAVAILABLE, "the work was cancelled"};
        }
        const WalPiece piece = log_piece(way, i, from, target.timeline);
        say("log", i, way.pieces.size());
        writer.add(piece);
        for (const Mark& mark : piece.marks) {
            if (mark.lsn > end_of(way, piece.at.timeline)) {
                break;  // the server went another way from there
            }
            const bool there =
                has_target && ((target.real_ns != 0 && mark.real_ns >= target.real_ns) ||
                               (target.order != 0 && mark.order >= target.order));
            if (there && !reached && mark.lsn >= from.end) {
                reached = mark;
                looked_at = i;
                if (target.order != 0) {
                    look_from = {piece.at.timeline, mark.lsn, 0};
                }
            }
            if (!reached && mark.lsn >= from.end) {
                look_from = {piece.at.timeline, mark.lsn, 0};
            }
            newest_ns = std::max(newest_ns, mark.real_ns);
        }
        const bool last = i + 1 == way.pieces.size();
        // Each look reads the log from the mark on again: more and more rarely.
        if (reached && (last || i >= looked_at)) {
            looked_at = i + std::max<std::size_t>(1, i - looked_at) * 2;
            if (piece.at.timeline != look_from.timeline ||
                goes_beyond(from, target, folder, look_from)) {
                return target.order != 0 ? up_to(*reached)
                                         : "recovery_target_time = '" + sql_time(target.real_ns) +
                                               "'\nrecovery_target_inclusive = on\n";
            }
        }
    }
    if (const auto mark = wal_.mark(target.timeline);
        mark && mark->lsn >= from.end && !way.pieces.empty() &&
        way.pieces.back().timeline == target.timeline && mark->lsn <= way.pieces.back().to) {
        newest_ns = std::max(newest_ns, mark->real_ns);
        if (!reached && target.order != 0 && mark->order >= target.order) {
            reached = mark;
            if (goes_beyond(from, target, folder, {target.timeline, mark->lsn, 0})) {
                return up_to(*reached);
            }
        }
    }
    if (!way.missing.empty() && !reached) {
        throw Error{
            TENON_CORRUPT,
            way.missing + "; states up to " + iso_time(newest_ns) + " can be restored"};
    }
    newest_ns = std::max(newest_ns, reached_real_ns());
    if (has_target && !reached && (target.order != 0 || newest_ns < target.real_ns)) {
        throw Error{
            TENON_NOT_FOUND,
            target.order != 0
                ? "the stored log does not reach order " + std::to_string(target.order)
                : "the stored log reaches " + iso_time(newest_ns) + " only"};
    }
    return "";  // nothing was committed behind the target
}

namespace {

// The cluster's own settings, without those of an earlier restore: it may have been made by one,
// and the old target would end this recovery where that one ended.
std::string settings_without_recovery(const std::string& path) {
    if (!fs::exists(path)) {
        return "";
    }
    std::ifstream in{path};
    if (!in) {
        fail_errno("read", path);
    }
    std::string kept;
    for (std::string line; std::getline(in, line);) {
        const std::size_t begin = line.find_first_not_of(" \t");
        const std::string_view key =
            begin == std::string::npos ? std::string_view{} : std::string_view{line}.substr(begin);
        if (!key.starts_with("recovery_target") && !key.starts_with("recovery_end_command") &&
            !key.starts_with("restore_command") && !key.starts_with(k_of_a_restore)) {
            kept += line + "\n";
        }
    }
    if (in.bad()) {
        fail_errno("read", path);
    }
    return kept;
}

}  // namespace

void Backups::write_settings(
    const std::string& folder,
    const Target& target,
    const std::string& until
) const {
    const std::string settings = folder + "/postgresql.auto.conf";
    write_file(
        settings,
        settings_without_recovery(settings) + std::string{k_of_a_restore} +
            "\nrestore_command = 'cp \"" + k_log_folder +
            "/%f\" \"%p\"'\nrecovery_end_command = 'rm -rf " + k_log_folder +
            "'\nrecovery_target_timeline = '" + std::to_string(target.timeline) +
            "'\nrecovery_target_action = 'promote'\n" + until
    );
    std::error_code ignored;
    if (!fs::exists(folder + "/postgresql.conf", ignored)) {
        // Debian keeps these files elsewhere, and a backup does not have them.
        write_file(
            folder + "/postgresql.conf",
            "# A restore of Tenon made this file: the backup had none.\nhot_standby = off\n"
        );
        write_file(folder + "/pg_hba.conf", "local all all peer\nlocal replication all peer\n");
        write_file(folder + "/pg_ident.conf", "");
    }
    write_file(folder + "/recovery.signal", "");
}

// Newest first; one that is named is tried whatever it leads to, so that it is told why not.
std::vector<Manifest> Backups::leading_to(std::string_view id, const Target& target) {
    if (!id.empty()) {
        return {manifest_of(id)};
    }
    std::vector<Manifest> all = list();
    std::erase_if(all, [&](const Manifest& one) { return !leads_to(one, target); });
    std::reverse(all.begin(), all.end());
    return all;
}

Restored
Backups::restore(std::string_view id, const Target& wanted, const std::string& to, const Say& say) {
    Folder folder{to};
    Target target = wanted;
    target.timeline = target.timeline != 0 ? target.timeline : wal_.newest_timeline();
    Restored made;
    made.timeline = target.timeline;
    std::vector<Manifest> candidates = leading_to(id, target);
    std::optional<Error> damage;
    while (!candidates.empty()) {
        const Manifest from = candidates.front();
        candidates.erase(candidates.begin());
        try {
            if (!leads_to(from, target)) {
                throw Error{
                    TENON_NOT_FOUND,
                    "the backup " + from.id + " does not lead to the wanted state"};
            }
            folder.begin();
            unpack(from, to, say);
            const std::string until = lay_out_log(from, target, to, say);
            write_settings(to, target, until);
            sync_all(to);
            folder.finish();
            made.from = from;
            made.until = until.empty() ? "the end of the log" : until.substr(0, until.find('\n'));
            return made;
        } catch (const Error& e) {
            const bool is_damaged = e.code() == TENON_CORRUPT;
            if (is_damaged && !is_there(from.id)) {
                made.pruned.push_back(from.id);
                std::erase_if(candidates, [&](const Manifest& one) { return !is_there(one.id); });
            } else if (is_damaged) {
                made.passed_over.push_back(from.id + ": " + e.what());
                damage = e;
            } else {
                throw;
            }
            folder.clear();
        }
    }
    if (!made.pruned.empty()) {
        throw Error{
            TENON_NOT_FOUND,
            "the backup " + made.pruned.front() +
                " was pruned while it was restored, and none that is left leads to the wanted "
                "state; " +
                others_than(made.pruned.front())};
    }
    if (damage) {
        throw Error{*damage};
    }
    throw Error{TENON_NOT_FOUND, "no backup leads to the wanted state"};
}

}  // namespace tenon::backup_postgres
