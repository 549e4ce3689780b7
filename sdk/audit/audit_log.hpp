// SPDX-License-Identifier: Apache-2.0
// DATA_DIR/audit.log: who did what, one JSON object a line, each bound to the one before it.
//
//   {"seq":1,"time_ms":…,"actor":"…","plugin":"…","action":"…","subject":"…","detail":…,
//    "prev":"<64 hex>","hash":"<64 hex>"}
//
// `hash` is BLAKE2b-256 (RFC 7693) over the line's bytes before `,"hash"`; `prev` is the hash of
// the line before, 64 zeros in the first. So a line that was changed, added, moved or taken out of
// the middle is found. That whole lines at the end are missing cannot be seen in the file alone:
// keep the last hash elsewhere.
#pragma once

#include <tenon/abi/host.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

namespace tenon::audit {

// 64 zeros: before the first line.
[[nodiscard]] const std::string& first_hash();

struct Entry {
    std::int64_t time_ms = 0;
    std::string_view actor, plugin, action, subject;
    boost::json::value detail;
};

struct Line {
    std::string text;  // with its line end
    std::string hash;
};

[[nodiscard]] Line
make_line(const Entry& entry, std::uint64_t sequence, const std::string& previous_hash);

struct Check {
    std::uint64_t lines = 0;  // whole ones
    std::uint64_t broken = 0;
    std::string first_broken;              // "line 7: …", empty when none is
    std::uint64_t last_sequence = 0;       // of the last line
    std::string last_hash = first_hash();  // that the last line has
    std::uint64_t whole_bytes = 0;         // up to the end of the last whole line
    std::uint64_t torn_bytes = 0;          // after it: a line whose writing was cut off

    [[nodiscard]] bool good() const { return broken == 0; }
};

// Reads the file line by line; each whole line also goes to `row`, when given. A missing file is an
// empty one. Throws Error TENON_UNAVAILABLE when it cannot be read.
[[nodiscard]] Check check_file(
    const std::filesystem::path& file,
    const std::function<void(std::string_view line)>& row = {}
);

// {"ok","lines","broken","first_broken","last_seq","last_hash","torn_bytes"}
[[nodiscard]] boost::json::object to_json(const Check& check);

// The newest lines, oldest first; one that is no JSON as {"damaged":"…"}. Reads from the end of the
// file, as far back as they go, and checks no hashes: that is check_file()'s. Throws Error
// TENON_UNAVAILABLE when the file cannot be read.
[[nodiscard]] boost::json::array newest(const std::filesystem::path& file, std::size_t count);

// `tenon audit verify` and `tenon audit list`: "audit.verify" gives the check, "audit.list" the
// newest entries ({"count":"20"}). Throws Error.
[[nodiscard]] boost::json::value run_command(
    std::string_view command,
    const boost::json::object& args,
    const std::filesystem::path& file
);

// Appends. A line that was cut off when the writer died is taken away when the log is opened; a
// broken chain goes on from the last line, so that the break stays where it is. Thread-safe.
class Log {
public:
    static constexpr std::size_t k_word_max = 256;  // actor, action
    static constexpr std::size_t k_subject_max = 1024;
    static constexpr std::size_t k_detail_max = 65536;

    // Reads the file whole. Throws Error TENON_UNAVAILABLE when it cannot be read or written.
    explicit Log(std::filesystem::path file);
    ~Log();
    Log(const Log&) = delete;
    Log& operator=(const Log&) = delete;

    // What was found when it was opened.
    [[nodiscard]] const Check& found() const { return found_; }

    [[nodiscard]] const std::filesystem::path& file() const { return file_; }

    // [io] On disk when it returns. Throws Error TENON_INVALID, or TENON_UNAVAILABLE with nothing
    // written.
    void record(std::string_view plugin, const tenon_audit_event& event, std::int64_t time_ms);

private:
    std::filesystem::path file_;
    Check found_;
    std::mutex mutex_;
    int fd_ = -1;
    std::uint64_t sequence_ = 0;  // guarded by mutex_
    std::uint64_t size_ = 0;      // guarded by mutex_
    std::string hash_;            // guarded by mutex_
    bool cut_wanted_ = false;     // guarded by mutex_; a failed line could not be taken out
};

}  // namespace tenon::audit
