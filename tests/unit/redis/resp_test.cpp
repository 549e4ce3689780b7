// SPDX-License-Identifier: Apache-2.0
#include "sdk/redis/resp.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace tenon::redis;

namespace {

// A message as text: what was read, whatever way it came in.
std::string shown(const Reply& reply) {
    static constexpr std::array k_names{
        "text",
        "error",
        "integer",
        "real",
        "boolean",
        "null",
        "big",
        "array",
        "set",
        "map",
        "push"};
    std::string out{k_names.at(static_cast<std::size_t>(reply.kind()))};
    if (reply.kind() == Kind::integer || reply.kind() == Kind::boolean) {
        return out + " " + std::to_string(reply.integer());
    }
    if (reply.kind() < Kind::array) {
        return reply.is_null() ? out : out + " " + std::string{reply.text()};
    }
    out += " [";
    for (std::size_t i = 0; i < reply.size(); ++i) {
        out += (i == 0 ? "" : ", ") + shown(reply[i]);
    }
    return out + "]";
}

// Reads a stream that comes in pieces of `step` bytes; what comes after a failure is not read.
std::vector<std::string>
read_in_steps(std::string_view stream, std::size_t step, Limits limits = {}) {
    Reader reader{limits};
    std::vector<std::string> seen;
    std::string buffer;
    while (!stream.empty()) {
        buffer += stream.substr(0, step);
        stream.remove_prefix(std::min(step, stream.size()));
        for (;;) {
            // An allocation of exactly this size: reading past its end is caught by the sanitizer.
            const std::vector<char> exact{buffer.begin(), buffer.end()};
            const Reader::State state = reader.next(exact.data(), exact.size());
            if (state == Reader::State::failed) {
                seen.push_back("failed: " + reader.error());
                return seen;
            }
            if (state == Reader::State::need_more) {
                break;
            }
            seen.push_back(shown(reader.reply(exact.data())));
            buffer.erase(0, reader.consumed());
            if (buffer.empty()) {
                break;
            }
        }
    }
    return seen;
}

std::string one(std::string_view stream, Limits limits = {}) {
    const auto seen = read_in_steps(stream, stream.size(), limits);
    return seen.empty() ? "need more" : seen.front();
}

}  // namespace

TEST_CASE("every type of RESP3 is read, whole or byte by byte", "[redis][C2]") {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 24> k_cases{{
        {"+OK\r\n", "text OK"},
        {"+\r\n", "text "},
        {"-ERR no\r\n", "error ERR no"},
        {":-42\r\n", "integer -42"},
        {":9223372036854775807\r\n", "integer 9223372036854775807"},
        {"$5\r\nhe\r\no\r\n", "text he\r\no"},
        {"$0\r\n\r\n", "text "},
        {"$-1\r\n", "null"},
        {"*-1\r\n", "null"},
        {"_\r\n", "null"},
        {"#t\r\n", "boolean 1"},
        {"#f\r\n", "boolean 0"},
        {",3.25\r\n", "real 3.25"},
        {",-inf\r\n", "real -inf"},
        {"(3492890328409238509324850943850943825024385\r\n",
         "big 3492890328409238509324850943850943825024385"},
        {"!21\r\nSYNTAX invalid syntax\r\n", "error SYNTAX invalid syntax"},
        {"=8\r\ntxt:Some\r\n", "text Some"},
        {"*0\r\n", "array []"},
        {"*3\r\n:1\r\n$2\r\nab\r\n*1\r\n_\r\n", "array [integer 1, text ab, array [null]]"},
        {"%2\r\n+a\r\n:1\r\n+b\r\n%0\r\n", "map [text a, integer 1, text b, map []]"},
        {"~2\r\n+x\r\n#t\r\n", "set [text x, boolean 1]"},
        {">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n", "push [text invalidate, array [text k]]"},
        {"|1\r\n+ttl\r\n:3600\r\n+answer\r\n", "text answer"},
        {"*2\r\n|1\r\n+a\r\n*2\r\n:1\r\n:2\r\n:7\r\n:8\r\n", "array [integer 7, integer 8]"},
    }};
    std::string all;
    std::vector<std::string> wanted;
    for (const auto& [stream, expected] : k_cases) {
        CHECK(one(stream) == expected);
        all += stream;
        wanted.emplace_back(expected);
    }
    for (const std::size_t step : {std::size_t{1}, std::size_t{2}, std::size_t{7}, all.size()}) {
        CAPTURE(step);
        CHECK(read_in_steps(all, step) == wanted);
    }
}

TEST_CASE("garbage fails with what came", "[redis][C2]") {
    CHECK(one("HTTP/1.1 400\r\n") == "failed: not a value of RESP3: \"HTTP/1.1 400\"");
    CHECK(one("\r\n") == "failed: an empty line where a value was expected");
    CHECK(one(":12x\r\n") == "failed: not a number: \"12x\"");
    CHECK(one(":\r\n") == "failed: not a number: \"\"");
    CHECK(one(":99999999999999999999\r\n") == "failed: not a number: \"99999999999999999999\"");
    CHECK(one("$-2\r\n") == "failed: a string of \"-2\" bytes");
    CHECK(one("*-2\r\n") == "failed: an aggregate of \"-2\" elements");
    CHECK(one("%-1\r\n") == "failed: an aggregate of \"-1\" elements");
    CHECK(one("$?\r\n") == "failed: not a number: \"?\"");
    CHECK(one("$3\r\nabcde\r\n") == "failed: a string that does not end where it said: \"de\"");
    CHECK(one("+a\rb\r\n") == "failed: a line that does not end in CRLF: \"+a?b\"");
    CHECK(one("#x\r\n") == "failed: not a boolean: \"x\"");
    CHECK(one("_x\r\n") == "failed: not a null: \"x\"");
    CHECK(one("=3\r\nabc\r\n") == "failed: a verbatim string without its format");
    CHECK(one("*1\r\n>1\r\n+a\r\n") == "failed: a push inside another value");
}

TEST_CASE("depth, elements, bytes and lines are bounded", "[redis][C2]") {
    const Limits limits{.depth = 2, .elements = 4, .bytes = 64, .line = 16};
    CHECK(one("*1\r\n*1\r\n:1\r\n", limits) == "array [array [integer 1]]");
    CHECK(one("*1\r\n*1\r\n*1\r\n:1\r\n", limits) == "failed: a message nested deeper than 2");
    CHECK(one("*3\r\n:1\r\n:2\r\n:3\r\n", limits) == "array [integer 1, integer 2, integer 3]");
    CHECK(one("*5\r\n", limits) == "failed: an aggregate of \"5\" elements");
    CHECK(one("%3\r\n", limits) == "failed: an aggregate of \"3\" elements");
    CHECK(
        one("*2\r\n*1\r\n:1\r\n*1\r\n:1\r\n", limits) == "failed: a message of more than 4 elements"
    );
    CHECK(one("$65\r\n", limits) == "failed: a string of \"65\" bytes");
    CHECK(one("$60\r\n", limits) == "failed: a message of more than 64 bytes");
    CHECK(
        one("+" + std::string(16, 'a'), limits) ==
        "failed: a line of more than 16 bytes: \"+aaaaaaaaaaaaaaaa\""
    );
    CHECK(one("*4000000000\r\n") == "failed: an aggregate of \"4000000000\" elements");
}

TEST_CASE("an answer outlives the bytes it was read from", "[redis][C2]") {
    std::string stream{"*3\r\n$3\r\nabc\r\n:5\r\n*1\r\n+z\r\n"};
    Reader reader;
    REQUIRE(reader.next(stream.data(), stream.size()) == Reader::State::message);
    const Answer answer{reader.reply(stream.data())};
    stream.assign(stream.size(), '?');
    CHECK(shown(answer.reply()) == "array [text abc, integer 5, array [text z]]");
}

TEST_CASE("a command is an array of bulk strings, whatever bytes it has", "[redis][C2]") {
    std::string out;
    const std::array<std::string_view, 3> words{"SET", std::string_view{"a\0\r\n", 4}, ""};
    append_command(out, words);
    CHECK(out == std::string{"*3\r\n$3\r\nSET\r\n$4\r\na\0\r\n\r\n$0\r\n\r\n", 29});
}
