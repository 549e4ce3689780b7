// SPDX-License-Identifier: Apache-2.0
#include "sdk/audit/audit_log.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <fstream>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tenon::audit {

namespace json = boost::json;

namespace {

constexpr std::size_t k_hex = 64;
constexpr std::string_view k_seq = "{\"seq\":";
constexpr std::string_view k_prev = ",\"prev\":\"";
constexpr std::string_view k_hash = "\",\"hash\":\"";
constexpr std::string_view k_end = "\"}";
constexpr std::size_t k_tail = k_prev.size() + k_hex + k_hash.size() + k_hex + k_end.size();

std::string hash_of(std::string_view text) {
    std::array<unsigned char, k_hex / 2> raw{};
    (void)::crypto_generichash(
        raw.data(),
        raw.size(),
        reinterpret_cast<const unsigned char*>(text.data()),
        text.size(),
        nullptr,
        0
    );
    std::string hex(k_hex + 1, '\0');
    (void)::sodium_bin2hex(hex.data(), hex.size(), raw.data(), raw.size());
    hex.resize(k_hex);
    return hex;
}

// What a line says of its place in the chain.
struct Links {
    std::uint64_t sequence = 0;
    std::string_view previous, hash, hashed;
};

bool read_links(std::string_view line, Links& out) {
    if (line.size() < k_seq.size() + k_tail || !line.starts_with(k_seq) || !line.ends_with(k_end)) {
        return false;
    }
    const std::size_t prev = line.size() - k_tail;
    const std::size_t hash = prev + k_prev.size() + k_hex;
    if (line.substr(prev, k_prev.size()) != k_prev || line.substr(hash, k_hash.size()) != k_hash) {
        return false;
    }
    const char* const digits = line.data() + k_seq.size();
    const auto [end, ec] = std::from_chars(digits, line.data() + line.size(), out.sequence);
    out.previous = line.substr(prev + k_prev.size(), k_hex);
    out.hash = line.substr(hash + k_hash.size(), k_hex);
    out.hashed = line.substr(0, hash + 1);  // with the quote that ends prev
    return ec == std::errc{};
}

class Checker {
public:
    void line(std::string_view text) {
        ++check.lines;
        Links links;
        if (!read_links(text, links)) {
            broken("is not a line of this log");
            check.last_sequence += 1;
            check.last_hash = first_hash();
            return;
        }
        if (hash_of(links.hashed) != links.hash) {
            broken("was changed: its hash does not fit");
        } else if (links.previous != check.last_hash) {
            broken("does not follow the line before it");
        } else if (links.sequence != check.last_sequence + 1) {
            broken("has the number " + std::to_string(links.sequence));
        }
        check.last_sequence = links.sequence;
        check.last_hash = links.hash;
    }

    Check check;

private:
    void broken(const std::string& why) {
        if (check.broken++ == 0) {
            check.first_broken = "line " + std::to_string(check.lines) + " " + why;
        }
    }
};

class File {
public:
    explicit File(const std::filesystem::path& path)
        : path_{path}, fd_{::open(path.c_str(), O_RDONLY | O_CLOEXEC)} {
        if (fd_ < 0 && errno != ENOENT) {
            fail();
        }
    }

    ~File() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }

    File(const File&) = delete;
    File& operator=(const File&) = delete;

    // 0 of a file that is not there.
    [[nodiscard]] std::size_t size() const {
        struct stat facts {};

        if (fd_ < 0) {
            return 0;
        }
        if (::fstat(fd_, &facts) != 0) {
            fail();
        }
        return static_cast<std::size_t>(facts.st_size);
    }

    // Fewer bytes where the file was cut off meanwhile.
    [[nodiscard]] std::string read(std::size_t at, std::size_t bytes) const {
        std::string block(bytes, '\0');
        std::size_t got = 0;
        while (got < bytes) {
            const ssize_t more =
                ::pread(fd_, block.data() + got, bytes - got, static_cast<off_t>(at + got));
            if (more < 0 && errno == EINTR) {
                continue;
            }
            if (more < 0) {
                fail();
            }
            if (more == 0) {
                break;
            }
            got += static_cast<std::size_t>(more);
        }
        block.resize(got);
        return block;
    }

private:
    [[noreturn]] void fail() const {
        throw Error{TENON_UNAVAILABLE, "cannot read " + path_.string()};
    }

    const std::filesystem::path& path_;
    int fd_;
};

// The last whole lines, oldest first. Reads from the end only as far back as they go, a block at a
// time, each byte once.
std::deque<std::string> last_lines(const std::filesystem::path& path, std::size_t count) {
    constexpr std::size_t k_block = 65'536;
    std::deque<std::string> lines;
    const File file{path};
    std::size_t begin = count == 0 ? 0 : file.size();
    bool whole = false;  // a line end follows what is gathered
    std::string rest;    // of one line, block by block from its end, each turned round
    const auto take = [&] {
        if (whole) {
            lines.emplace_front(rest.rbegin(), rest.rend());
        }
        rest.clear();
    };
    while (begin > 0 && lines.size() < count) {
        const std::size_t bytes = std::min(begin, k_block);
        begin -= bytes;
        const std::string block = file.read(begin, bytes);
        for (std::size_t at = block.size(); at > 0 && lines.size() < count; --at) {
            if (block[at - 1] == '\n') {
                take();
                whole = true;
            } else if (whole) {
                rest.push_back(block[at - 1]);
            }
        }
    }
    if (begin == 0 && lines.size() < count) {
        take();
    }
    return lines;
}

// What is not UTF-8 would make a line that no reader takes.
bool is_text(tenon_str text) {
    json::error_code ec;
    (void)json::parse(json::serialize(json::string{view(text)}), ec);
    return !ec;
}

}  // namespace

const std::string& first_hash() {
    static const std::string k_zeros(k_hex, '0');
    return k_zeros;
}

Line make_line(const Entry& entry, std::uint64_t sequence, const std::string& previous_hash) {
    const json::object fields{
        {"seq", sequence},
        {"time_ms", entry.time_ms},
        {"actor", entry.actor},
        {"plugin", entry.plugin},
        {"action", entry.action},
        {"subject", entry.subject},
        {"detail", entry.detail},
        {"prev", previous_hash}};
    std::string text = json::serialize(fields);
    text.pop_back();
    std::string hash = hash_of(text);
    text.append(k_hash.substr(1)).append(hash).append(k_end).append("\n");
    return {std::move(text), std::move(hash)};
}

Check check_file(
    const std::filesystem::path& file,
    const std::function<void(std::string_view line)>& row
) {
    Checker checker;
    std::ifstream in{file, std::ios::binary};
    if (!in) {
        std::error_code ec;
        if (std::filesystem::exists(file, ec)) {
            throw Error{TENON_UNAVAILABLE, "cannot read " + file.string()};
        }
        return checker.check;
    }
    std::string text;
    while (std::getline(in, text)) {
        if (in.eof()) {
            checker.check.torn_bytes = text.size();
            break;
        }
        checker.line(text);
        checker.check.whole_bytes += text.size() + 1;
        if (row) {
            row(text);
        }
    }
    if (in.bad()) {  // or what could not be read would be taken for a torn end
        throw Error{TENON_UNAVAILABLE, "cannot read " + file.string()};
    }
    return checker.check;
}

json::object to_json(const Check& check) {
    return {
        {"ok", check.good()},
        {"lines", check.lines},
        {"broken", check.broken},
        {"first_broken", check.first_broken},
        {"last_seq", check.last_sequence},
        {"last_hash", check.last_hash},
        {"torn_bytes", check.torn_bytes}};
}

json::array newest(const std::filesystem::path& file, std::size_t count) {
    json::array out;
    for (const std::string& line : last_lines(file, count)) {
        json::error_code ec;
        json::value value = json::parse(line, ec);
        out.push_back(ec ? json::value(json::object{{"damaged", line}}) : std::move(value));
    }
    return out;
}

json::value
run_command(std::string_view command, const json::object& args, const std::filesystem::path& file) {
    if (command == "audit.verify") {
        return to_json(check_file(file));
    }
    std::size_t count = 20;
    if (const json::value* given = args.if_contains("count"); given != nullptr) {
        const std::string text =
            given->is_string() ? std::string{given->get_string()} : json::serialize(*given);
        const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), count);
        if (ec != std::errc{} || end != text.data() + text.size() || count > 100'000) {
            throw Error{TENON_INVALID, "count: found " + text + ", expected 0 to 100000"};
        }
    }
    return newest(file, count);
}

Log::Log(std::filesystem::path file)
    : file_{std::move(file)},
      found_{check_file(file_)},
      fd_{::open(file_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)},
      sequence_{found_.last_sequence},
      size_{found_.whole_bytes},
      hash_{found_.last_hash} {
    if (fd_ < 0 || ::ftruncate(fd_, static_cast<off_t>(size_)) != 0) {
        const std::string reason = std::strerror(errno);
        ::close(fd_);
        throw Error{TENON_UNAVAILABLE, "cannot write " + file_.string() + ": " + reason};
    }
}

Log::~Log() {
    ::close(fd_);
}

void Log::record(std::string_view plugin, const tenon_audit_event& event, std::int64_t time_ms) {
    if (!TENON_HOLDS(&event, tenon_audit_event, detail)) {
        throw Error{TENON_INVALID, "the audit event is shorter than its revision"};
    }
    const auto bounded = [](tenon_str text, std::size_t longest, bool needed) {
        return text.n <= longest && (text.n != 0 || !needed);
    };
    json::error_code ec;
    const json::value detail =
        event.detail.n == 0 ? json::value{} : json::parse(view(event.detail), ec);
    if (!bounded(event.actor, k_word_max, true) || !bounded(event.action, k_word_max, true) ||
        !bounded(event.subject, k_subject_max, false) ||
        !bounded(event.detail, k_detail_max, false) || ec || !is_text(event.actor) ||
        !is_text(event.action) || !is_text(event.subject)) {
        throw Error{
            TENON_INVALID,
            "an audit event is UTF-8, has an actor and an action of at most 256 bytes, a subject "
            "of at most "
            "1024, and detail that is JSON of at most 65536"};
    }
    const std::lock_guard lock{mutex_};
    if (cut_wanted_ && ::ftruncate(fd_, static_cast<off_t>(size_)) != 0) {
        throw Error{TENON_UNAVAILABLE, "audit.log: a line that failed cannot be taken out"};
    }
    cut_wanted_ = false;
    const Line line = make_line(
        {time_ms, view(event.actor), plugin, view(event.action), view(event.subject), detail},
        sequence_ + 1,
        hash_
    );
    const ssize_t wrote = ::write(fd_, line.text.data(), line.text.size());
    if (wrote != static_cast<ssize_t>(line.text.size()) || ::fdatasync(fd_) != 0) {
        const std::string reason = wrote < 0 ? std::strerror(errno) : "the disk did not take it";
        cut_wanted_ = ::ftruncate(fd_, static_cast<off_t>(size_)) != 0;
        throw Error{TENON_UNAVAILABLE, "audit.log: " + reason};
    }
    ++sequence_;
    size_ += line.text.size();
    hash_ = line.hash;
}

}  // namespace tenon::audit
