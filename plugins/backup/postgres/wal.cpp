// SPDX-License-Identifier: Apache-2.0
#include "plugins/backup/postgres/wal.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <sstream>
#include <tuple>

namespace tenon::backup_postgres {
namespace {

namespace json = boost::json;
constexpr const char* k_wal = "wal/";
constexpr const char* k_history = "history/";
constexpr const char* k_cluster = "cluster";

template <class Number>
std::optional<Number> hex(std::string_view text) {
    Number value = 0;
    const char* const end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, value, 16);
    return !text.empty() && error == std::errc{} && at == end ? std::optional{value} : std::nullopt;
}

std::optional<Stretch> stretch_of(std::string_view name) {
    // wal/TTTTTTTT-FFFFFFFFFFFFFFFF-FFFFFFFFFFFFFFFF
    if (name.size() != 46 || !name.starts_with(k_wal) || name[12] != '-' || name[29] != '-') {
        return std::nullopt;
    }
    const auto timeline = hex<Timeline>(name.substr(4, 8));
    const auto from = hex<Lsn>(name.substr(13, 16));
    const auto to = hex<Lsn>(name.substr(30, 16));
    if (!timeline || !from || !to || *from >= *to) {
        return std::nullopt;
    }
    return Stretch{*timeline, *from, *to};
}

std::string history_name(Timeline timeline) {
    char text[24];
    (void)std::snprintf(text, sizeof text, "history/%08X", timeline);
    return text;
}

std::string mark_name(Timeline timeline) {
    char text[24];
    (void)std::snprintf(text, sizeof text, "mark/%08X", timeline);
    return text;
}

json::array encode(const Mark& mark) {
    return {lsn_text(mark.lsn), mark.real_ns, mark.order};
}

// Throws what boost::json does, and TENON_INVALID.
Mark mark_of(const json::value& mark) {
    const json::array& parts = mark.as_array();
    return {
        lsn_of(parts.at(0).as_string()),
        parts.at(1).to_number<std::int64_t>(),
        parts.at(2).to_number<std::int64_t>()};
}

std::string encode(const WalPiece& piece) {
    json::array marks;
    for (const Mark& mark : piece.marks) {
        marks.push_back(encode(mark));
    }
    const json::object head{
        {"timeline", piece.at.timeline},
        {"from", lsn_text(piece.at.from)},
        {"to", lsn_text(piece.at.to)},
        {"marks", std::move(marks)}};
    return json::serialize(head) + "\n" + piece.bytes;
}

}  // namespace

std::string lsn_text(Lsn lsn) {
    char text[24];
    (void)std::snprintf(
        text,
        sizeof text,
        "%X/%X",
        static_cast<unsigned>(lsn >> 32U),
        static_cast<unsigned>(lsn & 0xFFFFFFFFU)
    );
    return text;
}

Lsn lsn_of(std::string_view text) {
    const std::size_t slash = text.find('/');
    const auto high = hex<std::uint32_t>(text.substr(0, slash));
    const auto low =
        slash == std::string_view::npos ? std::nullopt : hex<std::uint32_t>(text.substr(slash + 1));
    if (!high || !low) {
        throw Error{
            TENON_INVALID, "\"" + std::string{text} + "\" is no position of a log as 0/3000028"};
    }
    return (Lsn{*high} << 32U) | *low;
}

std::string segment_name(Timeline timeline, Lsn lsn, std::uint64_t segment_bytes) {
    const std::uint64_t number = lsn / segment_bytes;
    const std::uint64_t per_file_id = (std::uint64_t{1} << 32U) / segment_bytes;
    char text[32];
    (void)std::snprintf(
        text,
        sizeof text,
        "%08X%08X%08X",
        timeline,
        static_cast<unsigned>(number / per_file_id),
        static_cast<unsigned>(number % per_file_id)
    );
    return text;
}

std::string Stretch::name() const {
    char text[64];
    (void)std::snprintf(
        text,
        sizeof text,
        "wal/%08X-%016llX-%016llX",
        timeline,
        static_cast<unsigned long long>(from),
        static_cast<unsigned long long>(to)
    );
    return text;
}

// Lines of "TIMELINE<tab>LSN<tab>reason": that timeline ended there.
std::vector<Branch> branches_of(Timeline timeline, const std::string& history) {
    std::vector<Branch> all;
    std::istringstream lines{history};
    Lsn begin = 0;
    for (std::string line; std::getline(lines, line);) {
        if (line.empty() || line.front() == '#') {
            continue;
        }
        std::istringstream words{line};
        Timeline parent = 0;
        std::string end;
        if (!(words >> parent >> end)) {
            throw Error{
                TENON_CORRUPT,
                "the history of timeline " + std::to_string(timeline) + " is no such"};
        }
        all.push_back({parent, begin, lsn_of(end)});
        begin = all.back().end;
    }
    all.push_back({timeline, begin, UINT64_MAX});
    return all;
}

void WalStore::claim(const std::string& system, std::uint64_t segment_bytes) {
    std::string text;
    try {
        text = pieces_.get(k_cluster);
    } catch (const Error& e) {
        if (e.code() != TENON_NOT_FOUND) {
            throw;
        }
        pieces_.put(
            k_cluster,
            json::serialize(json::object{{"system", system}, {"segment_bytes", segment_bytes}})
        );
        return;
    }
    const std::string found{json::parse(text).at("system").as_string()};
    if (found != system) {
        throw Error{
            TENON_CONFLICT,
            "the store holds backups of another database cluster (" + found + ", this one is " +
                system + "): give this one a folder of its own"};
    }
}

std::uint64_t WalStore::segment_bytes() {
    return json::parse(pieces_.get(k_cluster)).at("segment_bytes").to_number<std::uint64_t>();
}

void WalStore::put(const WalPiece& piece, std::uint64_t block_bytes) {
    const std::string name = piece.at.name();
    pieces_.put(name, encode(piece));
    (void)get(piece.at);
    const Lsn block = piece.at.from / block_bytes * block_bytes;
    if (piece.at.to == block + block_bytes && piece.at.from != block) {
        join(piece.at.timeline, block, block_bytes);
    }
}

// Its parts stay until the next pruning: a restore that has listed them is still to find them.
void WalStore::join(Timeline timeline, Lsn block, std::uint64_t block_bytes) {
    const Lsn end = block + block_bytes;
    const std::vector<Stretch> parts = run_of(list(), timeline, block, end);
    if (parts.size() < 2 || parts.back().to != end) {
        return;  // it was begun in the middle of a segment
    }
    WalPiece whole{{timeline, block, end}, {}, {}};
    for (const Stretch& part : parts) {
        WalPiece one = get(part);
        const std::size_t known = static_cast<std::size_t>(block + whole.bytes.size() - part.from);
        whole.bytes.append(one.bytes, known);
        whole.marks.insert(whole.marks.end(), one.marks.begin(), one.marks.end());
    }
    pieces_.put(whole.at.name(), encode(whole));
    (void)get(whole.at);
}

void WalStore::put_mark(Timeline timeline, const Mark& mark) {
    pieces_.put(mark_name(timeline), json::serialize(encode(mark)));
}

std::optional<Mark> WalStore::mark(Timeline timeline) {
    const std::string name = mark_name(timeline);
    try {
        return mark_of(json::parse(pieces_.get(name)));
    } catch (const Error& e) {
        if (e.code() != TENON_NOT_FOUND) {
            throw;
        }
        return std::nullopt;
    } catch (const std::exception& e) {
        throw Error{TENON_CORRUPT, name + " is no mark: " + e.what()};
    }
}

void WalStore::put_history(Timeline timeline, const std::string& text) {
    pieces_.put(history_name(timeline), text);
}

std::string WalStore::history(Timeline timeline) {
    return timeline <= 1 ? "" : pieces_.get(history_name(timeline));
}

WalPiece WalStore::get(const Stretch& at) {
    const std::string name = at.name();
    const std::string content = pieces_.get(name);
    const std::size_t end = content.find('\n');
    WalPiece piece{at, {}, end == std::string::npos ? "" : content.substr(end + 1)};
    if (piece.bytes.size() != at.to - at.from) {
        throw Error{
            TENON_CORRUPT,
            "the piece " + name + " holds " + std::to_string(piece.bytes.size()) +
                " bytes of the log instead of " + std::to_string(at.to - at.from)};
    }
    try {
        const json::value head = json::parse({content.data(), end});
        for (const json::value& mark : head.at("marks").as_array()) {
            piece.marks.push_back(mark_of(mark));
        }
    } catch (const std::exception& e) {
        throw Error{TENON_CORRUPT, "the piece " + name + " has no readable head: " + e.what()};
    }
    return piece;
}

std::vector<Stretch> WalStore::list() {
    std::vector<Stretch> all;
    for (const std::string& name : pieces_.list(k_wal)) {
        if (const auto stretch = stretch_of(name)) {
            all.push_back(*stretch);
        }
    }
    return all;
}

Timeline WalStore::newest_timeline() {
    Timeline newest = 1;
    for (const std::string& name : pieces_.list(k_history)) {
        newest = std::max(newest, hex<Timeline>(name.substr(name.find('/') + 1)).value_or(1));
    }
    for (const Stretch& one : list()) {
        newest = std::max(newest, one.timeline);
    }
    return newest;
}

void WalStore::prune(Timeline timeline, Lsn before) {
    std::vector<Stretch> all = list();
    // The longest of those that begin alike first: what it holds is behind it.
    std::sort(all.begin(), all.end(), [](const Stretch& a, const Stretch& b) {
        return std::tie(a.timeline, a.from, b.to) < std::tie(b.timeline, b.from, a.to);
    });
    Stretch last{};
    for (const Stretch& one : all) {
        const bool inside = last.timeline == one.timeline && last.from <= one.from &&
                            last.to >= one.to && !(last == one);
        if (inside || (one.timeline <= timeline && one.to <= before)) {
            pieces_.remove(one.name());
        } else if (last.timeline != one.timeline || one.to > last.to) {
            last = one;
        }
    }
}

std::vector<Stretch> run_of(const std::vector<Stretch>& all, Timeline timeline, Lsn from, Lsn end) {
    std::vector<Stretch> run;
    Lsn at = from;
    const Stretch* best = nullptr;
    for (const Stretch& one : all) {
        if (one.timeline != timeline || one.to <= at || one.from >= end) {
            continue;
        }
        if (one.from > at) {
            if (best == nullptr) {
                break;
            }
            run.push_back(*best);
            at = best->to;
            best = nullptr;
            if (one.from > at) {
                break;
            }
            if (one.to <= at) {
                continue;
            }
        }
        if (best == nullptr || one.to > best->to) {
            best = &one;
        }
    }
    if (best != nullptr && at < end) {
        run.push_back(*best);
    }
    return run;
}

}  // namespace tenon::backup_postgres
