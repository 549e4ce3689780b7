// SPDX-License-Identifier: Apache-2.0
// What a fuzz target is made of. A target is a file with LLVMFuzzerTestOneInput() and corpus(), in
// two programs from the same source: of the preset `fuzz` with libFuzzer (tools/fuzz), and in every
// other build with driver.cpp, which changes the corpus at random.
//
// An input that breaks something ends the process: a failed expect(), an exception that a target
// lets out, or what a sanitizer finds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace tenon::fuzz {

struct Corpus {
    std::vector<std::string> seeds;  // inputs to begin with; those that once broke something too
    std::vector<std::string> words;  // what means something in the format, to be put in anywhere
};

// Of this program's target.
[[nodiscard]] Corpus corpus();

// Makes FOLDER with a file for each seed, and the words as libFuzzer's dictionary FOLDER.dict.
// False, with a reason on standard error, when it cannot.
[[nodiscard]] bool write_corpus(const std::string& folder);

inline void expect(bool holds, const char* what) {
    if (!holds) {
        (void)std::fprintf(stderr, "broken: %s\n", what);
        std::abort();
    }
}

[[nodiscard]] inline std::string_view text_of(const std::uint8_t* data, std::size_t size) noexcept {
    return {reinterpret_cast<const char*>(data), size};
}

// Decisions that are taken from the front of an input; zeros when it has ended.
class Choices {
public:
    explicit Choices(std::string_view input) noexcept : left_{input} {}

    template <class Number>
    [[nodiscard]] Number number() noexcept {
        Number value{};
        const std::string_view raw = bytes(sizeof value);
        std::memcpy(&value, raw.data(), raw.size());
        return value;
    }

    // limit: 1 .. 65,536
    [[nodiscard]] std::size_t below(std::size_t limit) noexcept {
        return (limit <= 256 ? number<std::uint8_t>() : number<std::uint16_t>()) % limit;
    }

    // Fewer at the end.
    [[nodiscard]] std::string_view bytes(std::size_t most) noexcept {
        const std::string_view taken = left_.substr(0, most);
        left_.remove_prefix(taken.size());
        return taken;
    }

    [[nodiscard]] std::string_view rest() noexcept { return bytes(left_.size()); }

    [[nodiscard]] bool is_empty() const noexcept { return left_.empty(); }

private:
    std::string_view left_;
};

// Changes `bytes` as the choices say, at most `most` times: the input is what is written there, so
// that a format with checksums is met behind them too. True when something is another than before.
inline bool damage(Choices& choices, std::string& bytes, std::size_t most) {
    const std::string before = bytes;
    for (std::size_t edits = choices.below(most + 1); edits != 0 && !bytes.empty(); --edits) {
        const std::size_t at = choices.number<std::uint32_t>() % bytes.size();
        switch (choices.below(4)) {
            case 0:
                bytes[at] = static_cast<char>(choices.number<std::uint8_t>());
                break;
            case 1:
                bytes.erase(at, 1 + choices.below(64));
                break;
            case 2:
                bytes.insert(at, choices.bytes(1 + choices.below(16)));
                break;
            default:
                bytes.replace(at, 8, bytes.substr(bytes.size() / 2, 8));
        }
    }
    return bytes != before;
}

}  // namespace tenon::fuzz
