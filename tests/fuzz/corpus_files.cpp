// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/fuzz.hpp"

#include <filesystem>
#include <fstream>

namespace tenon::fuzz {
namespace {

// "\x41\x42", which libFuzzer reads as these bytes.
std::string escaped(std::string_view word) {
    std::string out = "\"";
    for (const char c : word) {
        char code[8];
        (void)std::snprintf(code, sizeof code, "\\x%02X", static_cast<unsigned char>(c));
        out += code;
    }
    return out + "\"\n";
}

}  // namespace

bool write_corpus(const std::string& folder) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    const Corpus all = corpus();
    for (std::size_t i = 0; i < all.seeds.size(); ++i) {
        std::ofstream{folder + "/seed-" + std::to_string(i), std::ios::binary} << all.seeds[i];
    }
    std::ofstream words{folder + ".dict", std::ios::binary};
    for (const std::string& word : all.words) {
        words << escaped(word);
    }
    words.close();
    if (error || !words) {
        (void)std::fprintf(stderr, "cannot write the corpus to %s\n", folder.c_str());
        return false;
    }
    return true;
}

}  // namespace tenon::fuzz
