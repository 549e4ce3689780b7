// SPDX-License-Identifier: Apache-2.0
#include "plugins/backup/postgres/backups.hpp"

#include "plugins/backup/postgres/way.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

namespace tenon::backup_postgres {
namespace {

using std::chrono::steady_clock;
const std::string k_backup{"backup/"};
const std::string k_proof{"proof/"};
const std::string k_base{"base/"};
constexpr std::size_t k_tail_bytes = std::size_t{16} << 10U;
constexpr std::chrono::milliseconds k_answer{30'000};
constexpr std::chrono::minutes k_store_patience{10};

bool is_id(std::string_view id) noexcept {
    return !id.empty() && id.size() <= 64 && id.front() != '.' &&
           std::all_of(id.begin(), id.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                      c == '.' || c == '_' || c == '-';
           });
}

std::string base_name(const std::string& id, std::size_t number) {
    const std::string digits = std::to_string(number);
    return k_base + id + "-" + std::string(6 - std::min<std::size_t>(6, digits.size()), '0') +
           digits;
}

std::int64_t number(const std::string& text) {
    return std::strtoll(text.c_str(), nullptr, 10);
}

std::int64_t clock_of(Session& session) {
    return number(session.ask("SELECT (extract(epoch FROM clock_timestamp()) * 1e9)::bigint"));
}

// PostgreSQL's own list of files ends the tar, and with the range of the log that the base needs:
// https://www.postgresql.org/docs/15/backup-manifest-toplevel.html
void take_range(const std::string& tail, Manifest& manifest) {
    const std::size_t at = tail.rfind("\"WAL-Ranges\"");
    const std::size_t from = at == std::string::npos ? at : tail.find('[', at);
    const std::size_t to = from == std::string::npos ? from : tail.find(']', from);
    try {
        if (to == std::string::npos) {
            throw Error{
                TENON_UNAVAILABLE, "its list of files does not end with the range of the log"};
        }
        const auto parsed = boost::json::parse({tail.data() + from, to + 1 - from});
        const auto& ranges = parsed.as_array();
        manifest.timeline = ranges.at(0).at("Timeline").to_number<Timeline>();
        manifest.start = lsn_of(ranges.at(0).at("Start-LSN").as_string());
        manifest.end = lsn_of(ranges.at(ranges.size() - 1).at("End-LSN").as_string());
    } catch (const std::exception& e) {
        throw Error{
            TENON_UNAVAILABLE, std::string{"what pg_basebackup gave is no backup: "} + e.what()};
    }
}

// Pieces of one size out of a stream.
class Cutter {
public:
    Cutter(Pieces& pieces, Manifest& manifest) noexcept : pieces_{pieces}, manifest_{manifest} {}

    void add(std::string_view bytes) {
        while (!bytes.empty()) {
            const std::size_t n = std::min(bytes.size(), k_piece_bytes_max - piece_.size());
            piece_.append(bytes.substr(0, n));
            bytes.remove_prefix(n);
            if (piece_.size() == k_piece_bytes_max) {
                put();
            }
        }
    }

    void put() {
        if (!piece_.empty()) {
            const std::string name = base_name(manifest_.id, manifest_.pieces.size());
            pieces_.put(name, piece_);
            manifest_.pieces.push_back({name, piece_.size(), sum_of(name, piece_)});
            piece_.clear();
        }
    }

private:
    Pieces& pieces_;
    Manifest& manifest_;
    std::string piece_;
};

}  // namespace

std::string content_of(Pieces& pieces, const BasePiece& piece) {
    std::string content;
    try {
        content = pieces.get(piece.name);
    } catch (const Error& e) {
        throw Error{e.code() == TENON_NOT_FOUND ? TENON_CORRUPT : e.code(), e.what()};
    }
    if (sum_of(piece.name, content) != piece.sha256) {
        throw Error{TENON_CORRUPT, "the piece " + piece.name + " is not the one of this backup"};
    }
    return content;
}

void Backups::require_going_on() const {
    if (cancelled()) {
        throw Error{TENON_UNAVAILABLE, "the work was cancelled"};
    }
}

Bounds Backups::bounds() const {
    return {steady_now() + settings_.timeout, [this] { return cancelled(); }};
}

void Backups::take_base(Manifest& manifest, const Say& say, std::uint64_t total) {
    Command command;
    // Without the log (-X none), which the receiver brings; one tar to standard output, with the
    // list of files and their checksums that pg_verifybackup reads.
    command.words = {
        program(settings_.tools, manifest.server_version, "pg_basebackup"),
        "-d",
        conninfo_of(settings_.server),
        "-D",
        "-",
        "-F",
        "tar",
        "-X",
        "none",
        "-c",
        "fast",
        "-w",
        "--no-slot",
        "--no-estimate-size",
        "--manifest-checksums=SHA256",
        "-l",
        "tenon " + manifest.id};
    command.environment = environment_of(settings_.server);
    Cutter cutter{pieces_, manifest};
    std::uint64_t done = 0;
    std::string tail;
    Streams streams;
    streams.out = [&](std::string_view bytes) {
        cutter.add(bytes);
        tail.append(bytes);
        tail.erase(0, tail.size() > k_tail_bytes ? tail.size() - k_tail_bytes : 0);
        done += bytes.size();
        say("base", done, std::max(done, total));
    };
    (void)run(command, streams, bounds());
    cutter.put();
    take_range(tail, manifest);
}

Manifest Backups::create(std::string_view label, const Say& say) {
    if (label.size() > 128) {
        throw Error{TENON_INVALID, "a label has at most 128 bytes"};
    }
    if (receiver_ == nullptr) {
        throw Error{TENON_UNAVAILABLE, "the log is not received, and a base is nothing without it"};
    }
    if (const Receiver::State state = receiver_->state(); !state.streaming) {
        throw Error{
            TENON_UNAVAILABLE,
            "the log does not come: " +
                (state.problem.empty() ? "the receiver is starting" : state.problem)};
    }
    Manifest manifest;
    manifest.label = label;
    Session session{settings_.server, false, k_answer, [this] { return cancelled(); }};
    manifest.server_version =
        static_cast<int>(number(session.ask("SHOW server_version_num")) / 10'000);
    manifest.system = session.ask("SELECT system_identifier FROM pg_control_system()");
    manifest.superuser = session.ask("SELECT rolname FROM pg_roles WHERE oid = 10");
    manifest.started_ns = clock_of(session);
    manifest.id = iso_time(manifest.started_ns);
    std::erase_if(manifest.id, [](char c) { return c == ':' || c == '-'; });
    const auto total = static_cast<std::uint64_t>(
        number(session.ask("SELECT sum(pg_database_size(oid)) FROM pg_database WHERE datallowconn"))
    );
    say("base", 0, total);
    take_base(manifest, say, total);
    // Asked for after the end: a little too late is safe.
    if (session.ask("SELECT to_regclass('orders') IS NOT NULL") == "t") {
        manifest.order = number(session.ask("SELECT coalesce(max(order_id), 0) FROM orders"));
    }
    manifest.finished_ns = clock_of(session);
    say("log", 0, 0);
    wait_until_stored(manifest.end);
    require_log_of(manifest);
    pieces_.put(k_backup + manifest.id, encode(manifest));
    say("done", manifest.bytes(), manifest.bytes());
    return manifest;
}

// The receiver goes on behind a gap, so that the end of the log is stored does not say that the
// rest is: a base without its log would be pruned for, and not restored.
void Backups::require_log_of(const Manifest& manifest) {
    const Way way = way_of(manifest, manifest.timeline);
    if (!way.missing.empty()) {
        throw Error{
            TENON_UNAVAILABLE,
            way.missing + ": it was lost while the base was made, which is not kept"};
    }
}

std::vector<Manifest> Backups::list(std::vector<std::string>* damaged) {
    std::vector<Manifest> all;
    std::map<std::string, std::int64_t> proven;
    for (const std::string& name : pieces_.list(k_proof)) {
        try {
            proven[name.substr(k_proof.size())] = number(pieces_.get(name));
        } catch (const Error&) {
            continue;  // a damaged proof proves nothing
        }
    }
    for (const std::string& name : pieces_.list(k_backup)) {
        try {
            all.push_back(decode(pieces_.get(name), name));
            const auto found = proven.find(all.back().id);
            all.back().proven_ns = found == proven.end() ? 0 : found->second;
        } catch (const Error& e) {
            // What is not there was pruned since the names were listed.
            if (damaged != nullptr && e.code() != TENON_NOT_FOUND) {
                damaged->push_back(e.what());
            }
        }
    }
    std::sort(all.begin(), all.end(), [](const Manifest& a, const Manifest& b) {
        return a.started_ns < b.started_ns;
    });
    return all;
}

Manifest Backups::manifest_of(std::string_view id) {
    if (!is_id(id)) {
        throw Error{TENON_INVALID, "\"" + std::string{id} + "\" is no id of a backup"};
    }
    const std::string name = k_backup + std::string{id};
    try {
        return decode(pieces_.get(name), name);
    } catch (const Error& e) {
        if (e.code() == TENON_NOT_FOUND) {
            throw Error{TENON_NOT_FOUND, "there is no backup " + std::string{id}};
        }
        throw;
    }
}

bool Backups::is_there(std::string_view id) {
    try {
        (void)pieces_.get(k_backup + std::string{id});
    } catch (const Error& e) {
        return e.code() != TENON_NOT_FOUND;
    }
    return true;
}

std::string Backups::others_than(std::string_view id) {
    std::string others;
    for (const Manifest& one : list()) {
        others += one.id == id ? "" : (others.empty() ? "" : ", ") + one.id;
    }
    return others.empty() ? "there is no other: make one" : "there are also " + others;
}

std::int64_t Backups::reached_real_ns() {
    return receiver_ == nullptr ? 0 : receiver_->state().stored_real_ns;
}

void Backups::wait_until_stored(Lsn lsn) {
    if (receiver_ == nullptr) {
        throw Error{TENON_UNAVAILABLE, "the log is not received"};
    }
    receiver_->wait_for(lsn, steady_now() + k_store_patience, [this] { return cancelled(); });
}

void Backups::verify(std::string_view id, const Say& say) {
    const Manifest manifest = manifest_of(id);
    try {
        std::uint64_t done = 0;
        for (const BasePiece& piece : manifest.pieces) {
            require_going_on();
            say("verify", done, manifest.bytes());
            done += content_of(pieces_, piece).size();
        }
        const Timeline newest = std::max(manifest.timeline, wal_.newest_timeline());
        Way way = way_of(manifest, newest);
        for (std::size_t i = 0; i < way.pieces.size(); ++i) {
            require_going_on();
            say("verify log", done, 0);
            done += log_piece(way, i, manifest, newest).bytes.size();
        }
        if (!way.missing.empty()) {
            throw Error{TENON_CORRUPT, way.missing};
        }
    } catch (const Error& e) {
        if (e.code() != TENON_CORRUPT && e.code() != TENON_NOT_FOUND) {
            throw;
        }
        if (!is_there(id)) {
            throw Error{
                TENON_NOT_FOUND,
                "the backup " + std::string{id} + " was pruned while it was read; " +
                    others_than(id)};
        }
        throw Error{
            TENON_CORRUPT,
            "the backup " + std::string{id} + ": " + e.what() + "; " + others_than(id)};
    }
}

void Backups::mark_proven(const std::string& id, std::int64_t real_ns) {
    pieces_.put(k_proof + id, std::to_string(real_ns));
}

std::vector<std::string> Backups::prune(const vault::Retention& policy, bool dry_run) {
    std::vector<std::string> damaged;
    const std::vector<Manifest> all = list(&damaged);
    std::vector<vault::Generation> generations;
    for (const Manifest& one : all) {
        generations.push_back({one.id, one.finished_ns, one.proven_ns != 0});
    }
    std::vector<std::string> gone = vault::given_up(std::move(generations), policy);
    if (dry_run) {
        return gone;
    }
    for (const std::string& id : gone) {
        pieces_.remove(k_backup + id);
        pieces_.remove(k_proof + id);
    }
    pieces_.sweep();
    std::vector<Manifest> kept = all;
    std::erase_if(kept, [&](const Manifest& one) {
        return std::find(gone.begin(), gone.end(), one.id) != gone.end();
    });
    if (!damaged.empty() || kept.empty()) {
        return gone;  // it is not known what a damaged one needs
    }
    std::set<std::string> needed;
    for (const Manifest& one : kept) {
        for (const BasePiece& piece : one.pieces) {
            needed.insert(piece.name);
        }
    }
    // One that began after the newest may be under way, in another process.
    const std::string under_way = k_base + kept.back().id + "-~";
    for (const std::string& name : pieces_.list(k_base)) {
        if (needed.count(name) == 0 && name < under_way) {
            pieces_.remove(name);
        }
    }
    // By position: clocks of hosts that took over from one another may differ.
    Timeline timeline = kept.front().timeline;
    Lsn start = kept.front().start;
    for (const Manifest& one : kept) {
        timeline = std::min(timeline, one.timeline);
        start = std::min(start, one.start);
    }
    const std::uint64_t segment = wal_.segment_bytes();
    wal_.prune(timeline, start / segment * segment);
    return gone;
}

}  // namespace tenon::backup_postgres
