// SPDX-License-Identifier: Apache-2.0
// The reader of RESP3.
//
// input := what u8 (even: messages that are written first, odd: bytes as they are), seed u32 (of
// the messages and of how they are cut), bytes of the server Asserted: bounds are kept, the result
// is the same however input is split, and what was written as a message is read as that message.
#include "sdk/redis/resp.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

using namespace tenon::redis;
using tenon::fuzz::expect;

namespace {

using Random = std::mt19937_64;

std::size_t below(Random& random, std::size_t limit) {
    return static_cast<std::size_t>(random() % limit);
}

constexpr Limits k_limits{.depth = 4, .elements = 64, .bytes = 4096, .line = 64};

// Writes a random value; gives what reading it should show.
std::string write_value(Random& random, std::string& out, std::size_t depth) {
    static constexpr std::array k_aggregates{'*', '~', '%'};
    if (depth != 0 && below(random, 3) == 0) {
        const char type = k_aggregates.at(below(random, k_aggregates.size()));
        const std::size_t count = below(random, 4);
        out.append(1, type).append(std::to_string(count)).append("\r\n");
        std::string shown{type};
        for (std::size_t i = 0; i < (type == '%' ? 2 * count : count); ++i) {
            shown += "(" + write_value(random, out, depth - 1) + ")";
        }
        return shown;
    }
    switch (below(random, 4)) {
        case 0: {
            const std::string number = std::to_string(static_cast<std::int64_t>(random()));
            out.append(":").append(number).append("\r\n");
            return ":" + number;
        }
        case 1:
            out.append("_\r\n");
            return "_";
        case 2:
            out.append("-ERR x\r\n");
            return "-ERR x";
        default: {
            std::string text;
            for (std::size_t n = below(random, 40); n != 0; --n) {
                text += static_cast<char>(below(random, 4) == 0 ? '\r' : below(random, 256));
            }
            out.append("$")
                .append(std::to_string(text.size()))
                .append("\r\n")
                .append(text)
                .append("\r\n");
            return "$" + text;
        }
    }
}

std::string shown(const Reply& reply) {
    switch (reply.kind()) {
        case Kind::integer:
            return ":" + std::to_string(reply.integer());
        case Kind::null:
            return "_";
        case Kind::error:
            return "-" + std::string{reply.text()};
        case Kind::array:
        case Kind::set:
        case Kind::map:
        case Kind::push: {
            std::string out{
                reply.kind() == Kind::array ? "*"
                : reply.kind() == Kind::set ? "~"
                : reply.kind() == Kind::map ? "%"
                                            : ">"};
            for (std::size_t i = 0; i < reply.size(); ++i) {
                out += "(" + shown(reply[i]) + ")";
            }
            return out;
        }
        default:
            return "$" + std::string{reply.text()};
    }
}

// What a reader makes of a stream that comes in pieces of at most `step`.
std::vector<std::string> read(const std::string& stream, std::size_t step) {
    Reader reader{k_limits};
    std::vector<std::string> seen;
    std::string buffer;
    for (std::size_t at = 0; at < stream.size(); at += step) {
        buffer += stream.substr(at, step);
        while (!buffer.empty()) {
            // An allocation of exactly this size: reading past the end is caught by the sanitizer.
            const std::vector<char> exact{buffer.begin(), buffer.end()};
            const Reader::State state = reader.next(exact.data(), exact.size());
            expect(reader.nodes().size() <= k_limits.elements, "elements are bounded");
            if (state == Reader::State::failed) {
                expect(!reader.error().empty(), "a failure has a reason");
                seen.emplace_back("failed");
                return seen;
            }
            if (state == Reader::State::need_more) {
                break;
            }
            expect(reader.consumed() != 0 && reader.consumed() <= exact.size(), "bytes are taken");
            expect(reader.consumed() <= k_limits.bytes, "a message is bounded");
            const Answer copy{reader.reply(exact.data())};
            seen.push_back(shown(reader.reply(exact.data())));
            expect(shown(copy.reply()) == seen.back(), "a copy is the same");
            buffer.erase(0, reader.consumed());
        }
        expect(buffer.size() <= k_limits.bytes + step, "what is not consumed is bounded");
    }
    return seen;
}

void fuzz_good(Random& random) {
    std::string stream;
    std::vector<std::string> wanted;
    for (std::size_t n = 1 + below(random, 5); n != 0; --n) {
        std::string one;
        std::string value = write_value(random, one, k_limits.depth - 1);
        if (one.size() <= k_limits.bytes && std::count(one.begin(), one.end(), '\n') < 30) {
            stream += one;
            wanted.push_back(std::move(value));
        }
    }
    if (stream.empty()) {
        return;
    }
    expect(read(stream, stream.size()) == wanted, "what was written is read");
    expect(read(stream, 1 + below(random, 9)) == wanted, "what was written is read in pieces");
}

void fuzz_bad(Random& random, const std::string& stream) {
    if (stream.empty()) {
        return;
    }
    const auto whole = read(stream, stream.size());
    const auto pieces = read(stream, 1 + below(random, 7));
    expect(whole == pieces, "splitting does not change what is read");
}

}  // namespace

tenon::fuzz::Corpus tenon::fuzz::corpus() {
    Corpus made;
    made.words = {
        "\r\n",
        "$",
        "*3\r\n",
        "%1\r\n",
        "|1\r\n",
        ">2\r\n",
        "$-1\r\n",
        "$9999999999\r\n",
        "=5\r\ntxt:a\r\n",
        "#t\r\n",
        ",1.5\r\n",
        "(12\r\n"};
    Random random{1};
    for (char seed = 1; seed < 24; ++seed) {
        std::string stream{'\1', seed, '\0', '\0', '\0'};
        made.seeds.push_back(std::string{'\0', seed, '\0', '\0', '\0'});
        for (std::size_t n = 1 + below(random, 4); n != 0; --n) {
            (void)write_value(random, stream, 3);
        }
        made.seeds.push_back(std::move(stream));
    }
    return made;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    tenon::fuzz::Choices choices{tenon::fuzz::text_of(data, size)};
    const bool is_good = choices.below(2) == 0;
    Random random{choices.number<std::uint32_t>()};
    if (is_good) {
        fuzz_good(random);
    } else {
        fuzz_bad(random, std::string{choices.rest()});
    }
    return 0;
}
