// SPDX-License-Identifier: Apache-2.0
#include "plugins/archive/archive_format.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tenon::archive {
namespace {

namespace json = boost::json;

constexpr std::array<std::string_view, 7>
    k_states{"planned", "exported", "verified", "copied", "eligible", "deleted", "restored"};

capture::View bytes_of(std::string_view text) noexcept {
    return {reinterpret_cast<const unsigned char*>(text.data()), text.size()};
}

std::string sum_of(std::string_view text) {
    return capture::hex_of(capture::hash_of(bytes_of(text)));
}

json::array frames_of(const Manifest& manifest) {
    json::array frames;
    for (const Frame& frame : manifest.frames) {
        frames.push_back(
            {{"offset", frame.offset},
             {"bytes", frame.bytes},
             {"plain", frame.plain},
             {"rows", frame.rows},
             {"min_time", frame.min_time},
             {"max_time", frame.max_time}}
        );
    }
    return frames;
}

template <class Number>
Number number(const json::object& object, std::string_view key) {
    return object.at(key).to_number<Number>();
}

std::string text(const json::object& object, std::string_view key) {
    return std::string{object.at(key).as_string()};
}

std::vector<std::int64_t> numbers(const json::object& object, std::string_view key) {
    std::vector<std::int64_t> out;
    for (const json::value& one : object.at(key).as_array()) {
        out.push_back(one.to_number<std::int64_t>());
    }
    return out;
}

State state_of(std::string_view name) {
    const auto* const found = std::find(k_states.begin(), k_states.end(), name);
    if (found == k_states.end()) {
        throw Error{TENON_CORRUPT, "unknown state \"" + std::string{name} + "\""};
    }
    return static_cast<State>(found - k_states.begin());
}

void decode_into(Manifest& manifest, const json::object& whole) {
    if (number<int>(whole, "format") != 1) {
        throw Error{TENON_UNSUPPORTED, "its format is not 1"};
    }
    manifest.id = text(whole, "id");
    manifest.policy = text(whole, "policy");
    manifest.table = text(whole, "table");
    manifest.dialect = text(whole, "dialect");
    manifest.state = state_of(text(whole, "state"));
    manifest.migration = number<std::int64_t>(whole, "migration");
    manifest.created_real_ns = number<std::int64_t>(whole, "created_real_ns");
    manifest.updated_real_ns = number<std::int64_t>(whole, "updated_real_ns");
    manifest.first = number<std::int64_t>(whole, "first");
    manifest.end = number<std::int64_t>(whole, "end");
    for (const json::value& one : whole.at("columns").as_array()) {
        manifest.columns.push_back({text(one.as_object(), "name"), text(one.as_object(), "type")});
    }
    manifest.rows = number<std::uint64_t>(whole, "rows");
    manifest.bytes = number<std::uint64_t>(whole, "bytes");
    manifest.deleted = number<std::uint64_t>(whole, "deleted");
    manifest.changed = number<std::uint64_t>(whole, "changed");
    manifest.sha256 = text(whole, "sha256");
    manifest.row_hash = text(whole, "row_hash");
    manifest.min_key = numbers(whole, "min_key");
    manifest.max_key = numbers(whole, "max_key");
    manifest.min_time = number<std::int64_t>(whole, "min_time");
    manifest.max_time = number<std::int64_t>(whole, "max_time");
    manifest.copied = whole.at("copied").as_bool();
    for (const json::value& one : whole.at("frames").as_array()) {
        const json::object& frame = one.as_object();
        manifest.frames.push_back(
            {number<std::uint64_t>(frame, "offset"),
             number<std::uint64_t>(frame, "bytes"),
             number<std::uint64_t>(frame, "plain"),
             number<std::uint64_t>(frame, "rows"),
             number<std::int64_t>(frame, "min_time"),
             number<std::int64_t>(frame, "max_time")}
        );
    }
}

}  // namespace

std::string_view name_of(State state) noexcept {
    return k_states[static_cast<std::size_t>(state)];
}

std::string encode(const Manifest& manifest) {
    json::array columns;
    for (const Column& column : manifest.columns) {
        columns.push_back({{"name", column.name}, {"type", column.type}});
    }
    const json::object whole{
        {"format", 1},
        {"id", manifest.id},
        {"policy", manifest.policy},
        {"table", manifest.table},
        {"state", name_of(manifest.state)},
        {"dialect", manifest.dialect},
        {"migration", manifest.migration},
        {"created_real_ns", manifest.created_real_ns},
        {"updated_real_ns", manifest.updated_real_ns},
        {"first", manifest.first},
        {"end", manifest.end},
        {"columns", std::move(columns)},
        {"rows", manifest.rows},
        {"deleted", manifest.deleted},
        {"changed", manifest.changed},
        {"bytes", manifest.bytes},
        {"sha256", manifest.sha256},
        {"row_hash", manifest.row_hash},
        {"min_key", json::array(manifest.min_key.begin(), manifest.min_key.end())},
        {"max_key", json::array(manifest.max_key.begin(), manifest.max_key.end())},
        {"min_time", manifest.min_time},
        {"max_time", manifest.max_time},
        {"copied", manifest.copied},
        {"frames", frames_of(manifest)}};
    const std::string line = json::serialize(whole);
    return line + "\n" + sum_of(line) + "\n";
}

Manifest decode(std::string_view content, const std::string& file) {
    const std::size_t end = content.find('\n');
    if (end == std::string_view::npos ||
        content.substr(end + 1) != sum_of(content.substr(0, end)) + "\n") {
        throw Error{TENON_CORRUPT, file + " is damaged: it does not match its checksum"};
    }
    try {
        Manifest manifest;
        const json::value whole = json::parse({content.data(), end});
        decode_into(manifest, whole.as_object());
        return manifest;
    } catch (const std::exception& e) {
        throw Error{TENON_CORRUPT, file + ": " + e.what()};
    }
}

ArchiveWriter::ArchiveWriter(std::string file, const Manifest& manifest, int level)
    : file_{std::move(file)},
      part_{file_ + ".part"},
      level_{level},
      out_{::open(part_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)} {
    if (!out_.is_open()) {
        throw capture::file_error("create", part_);
    }
    hasher_.begin();
    std::vector<std::string> names;
    for (const Column& column : manifest.columns) {
        names.push_back(column.name);
    }
    Frame header;
    try {
        put(header_of(names), header);
    } catch (...) {
        ::unlink(part_.c_str());
        throw;
    }
}

ArchiveWriter::~ArchiveWriter() {
    if (!part_.empty()) {
        ::unlink(part_.c_str());
    }
}

void ArchiveWriter::add(std::string_view line, std::int64_t time) {
    if (frame_.rows == 0) {
        frame_.min_time = frame_.max_time = time;
    }
    frame_.min_time = std::min(frame_.min_time, time);
    frame_.max_time = std::max(frame_.max_time, time);
    ++frame_.rows;
    block_.append(line);
    row_hash_.add(line);
    if (frame_.rows == k_frame_rows || block_.size() >= k_frame_bytes) {
        flush();
    }
}

void ArchiveWriter::flush() {
    if (frame_.rows == 0) {
        return;
    }
    put(block_, frame_);
    rows_ += frame_.rows;
    frames_.push_back(std::exchange(frame_, {}));
    block_.clear();
}

void ArchiveWriter::put(std::string_view plain, Frame& frame) {
    const capture::Bytes packed = squeezer_.compress(bytes_of(plain), level_);
    capture::write_all(out_.get(), packed, part_);
    hasher_.add(packed);
    frame.offset = offset_;
    frame.bytes = packed.size();
    frame.plain = plain.size();
    offset_ += packed.size();
}

void ArchiveWriter::finish(Manifest& manifest) {
    flush();
    if (::fsync(out_.get()) != 0) {
        throw capture::file_error("sync", part_);
    }
    if (::rename(part_.c_str(), file_.c_str()) != 0) {
        throw capture::file_error("rename", part_);
    }
    part_.clear();
    capture::sync_folder(file_.substr(0, file_.rfind('/')));
    // Who reads it again should meet the disk, not the cache.
    (void)::posix_fadvise(out_.get(), 0, 0, POSIX_FADV_DONTNEED);
    manifest.sha256 = capture::hex_of(hasher_.end());
    manifest.row_hash = row_hash_.hex();
    manifest.rows = rows_;
    manifest.bytes = offset_;
    manifest.frames = std::move(frames_);
    if (!manifest.frames.empty()) {
        manifest.min_time = INT64_MAX;
        manifest.max_time = INT64_MIN;
        for (const Frame& frame : manifest.frames) {
            manifest.min_time = std::min(manifest.min_time, frame.min_time);
            manifest.max_time = std::max(manifest.max_time, frame.max_time);
        }
    }
}

ArchiveReader::ArchiveReader(std::string file, const Manifest& manifest)
    : file_{std::move(file)},
      manifest_{&manifest},
      in_{::open(file_.c_str(), O_RDONLY | O_CLOEXEC)} {
    if (!in_.is_open()) {
        if (errno == ENOENT) {
            throw Error{TENON_NOT_FOUND, file_ + " is missing"};
        }
        throw capture::file_error("open", file_);
    }
}

std::string_view ArchiveReader::frame(std::size_t index) {
    const Frame& frame = manifest_->frames.at(index);
    const std::string what = file_ + " is damaged in frame " + std::to_string(index + 1);
    if (frame.plain > 2 * (k_frame_bytes + (std::size_t{64} << 20U))) {
        throw Error{TENON_CORRUPT, what + ": it is too long"};
    }
    packed_.resize(frame.bytes);
    if (capture::read_at(in_.get(), packed_.data(), packed_.size(), frame.offset, file_) !=
        packed_.size()) {
        throw Error{TENON_CORRUPT, what + ": the file ends before"};
    }
    plain_.resize(frame.plain);
    squeezer_.decompress(packed_, frame.plain, plain_, what);
    return {reinterpret_cast<const char*>(plain_.data()), plain_.size()};
}

void verify_file(
    const std::string& file,
    const Manifest& manifest,
    const std::function<bool()>& stopping
) {
    const capture::Descriptor in{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!in.is_open()) {
        throw Error{TENON_NOT_FOUND, file + " is missing"};
    }
    // Frames first: damage is named by its frame.
    ArchiveReader reader{file, manifest};
    RowHash hash;
    std::uint64_t rows = 0;
    Row row;
    for (std::size_t i = 0; i < manifest.frames.size(); ++i) {
        if (stopping && stopping()) {
            throw Error{TENON_UNAVAILABLE, "stopped"};
        }
        CsvReader lines{reader.frame(i)};
        std::uint64_t in_frame = 0;
        try {
            for (std::string_view line; lines.next(row, &line); ++in_frame) {
                hash.add(line);
                if (row.size() != manifest.columns.size()) {
                    throw Error{
                        TENON_CORRUPT,
                        "a row has " + std::to_string(row.size()) + " fields, expected " +
                            std::to_string(manifest.columns.size())};
                }
            }
        } catch (const Error& e) {
            throw Error{
                TENON_CORRUPT,
                file + " is damaged in frame " + std::to_string(i + 1) + ": " + e.what()};
        }
        if (in_frame != manifest.frames[i].rows) {
            throw Error{
                TENON_CORRUPT,
                file + " is damaged in frame " + std::to_string(i + 1) +
                    ": its rows are not as many as the manifest says"};
        }
        rows += in_frame;
    }
    if (rows != manifest.rows || hash.hex() != manifest.row_hash) {
        throw Error{TENON_CORRUPT, file + " holds other rows than were written"};
    }
    capture::Hasher hasher;
    hasher.begin();
    capture::Bytes block(std::size_t{1} << 20U);
    std::uint64_t at = 0;
    while (const std::size_t got =
               capture::read_at(in.get(), block.data(), block.size(), at, file)) {
        hasher.add(capture::View{block}.first(got));
        at += got;
    }
    if (at != manifest.bytes || capture::hex_of(hasher.end()) != manifest.sha256) {
        throw Error{TENON_CORRUPT, file + " is damaged: it does not match its checksum"};
    }
}

}  // namespace tenon::archive
