// SPDX-License-Identifier: Apache-2.0
// A fuzz target without libFuzzer: its seeds as they are, then seeds changed at random.
//
// usage: NAME_fuzz [--seed N] [--runs N]     the seed is printed; the same one repeats the run
//        NAME_fuzz FILE...                   replays inputs, as libFuzzer leaves them
//        NAME_fuzz --write-corpus FOLDER     the seeds as files
// An input that ends the process is left in NAME_fuzz.crash of the working directory.
#include "tests/fuzz/fuzz.hpp"

#include <charconv>
#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <random>
#include <unistd.h>

namespace {

using Random = std::mt19937_64;

constexpr std::size_t k_input_bytes_max = 64U * 1024U;

// For the signal handler.
struct Current {
    std::string file;
    std::string input;
};

Current& current() {
    static Current one;
    return one;
}

void keep_input(int signal) {
    const Current& now = current();
    const int fd = ::open(now.file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const bool kept = fd >= 0 && ::write(fd, now.input.data(), now.input.size()) ==
                                     static_cast<ssize_t>(now.input.size());
    const std::string_view said = kept ? "the input is kept in " : "the input cannot be kept in ";
    (void)!::write(STDERR_FILENO, said.data(), said.size());
    (void)!::write(STDERR_FILENO, now.file.data(), now.file.size());
    (void)!::write(STDERR_FILENO, "\n", 1);
    (void)std::signal(signal, SIG_DFL);
    (void)std::raise(signal);
}

std::size_t below(Random& random, std::size_t limit) {
    return static_cast<std::size_t>(random() % limit);
}

void run(std::string input) {
    current().input = std::move(input);
    // An allocation of exactly this size: reading past the end is caught by the sanitizer.
    const std::vector<std::uint8_t> exact{current().input.begin(), current().input.end()};
    (void)LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

std::string mutate(Random& random, const tenon::fuzz::Corpus& corpus) {
    const auto seed = [&] { return corpus.seeds[below(random, corpus.seeds.size())]; };
    std::string text = seed();
    for (std::size_t edits = below(random, 7); edits != 0; --edits) {
        const std::size_t at = below(random, text.size() + 1);
        switch (below(random, 7)) {
            case 0:
                text.insert(at, 1, static_cast<char>(below(random, 256)));
                break;
            case 1:
            case 2:
                if (at < text.size()) {
                    text[at] = static_cast<char>(below(random, 256));
                }
                break;
            case 3:
                text.erase(at, below(random, 8));
                break;
            case 4:
                if (!corpus.words.empty()) {
                    text.insert(at, corpus.words[below(random, corpus.words.size())]);
                }
                break;
            case 5:
                text.insert(at, text.substr(below(random, text.size() + 1), below(random, 64)));
                break;
            default:
                text.replace(at, std::string::npos, seed());
        }
    }
    text.resize(std::min(text.size(), k_input_bytes_max));
    return text;
}

bool replay(const std::string& file) {
    std::ifstream in{file, std::ios::binary};
    if (!in) {
        (void)std::fprintf(stderr, "cannot read %s\n", file.c_str());
        return false;
    }
    run({std::istreambuf_iterator<char>{in}, {}});
    return true;
}

int campaign(const std::string& name, std::uint64_t seed, std::uint64_t runs) {
    (void)std::printf("%s --seed %ju --runs %ju\n", name.c_str(), uintmax_t{seed}, uintmax_t{runs});
    (void)std::fflush(stdout);
    const tenon::fuzz::Corpus corpus = tenon::fuzz::corpus();
    for (const std::string& input : corpus.seeds) {
        run(input);
    }
    Random random{seed};
    for (std::uint64_t i = 0; i < runs; ++i) {
        run(mutate(random, corpus));
    }
    return 0;
}

// False: no number.
bool read_number(std::string_view text, std::uint64_t& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> args{argv + 1, argv + argc};
    const std::string program{argv[0]};
    const std::string name = program.substr(program.rfind('/') + 1);
    current().file = name + ".crash";
    for (const int signal : {SIGABRT, SIGSEGV, SIGFPE, SIGBUS, SIGILL}) {
        (void)std::signal(signal, &keep_input);
    }
    std::uint64_t seed = std::random_device{}();
    std::uint64_t runs = 20'000;
    for (std::size_t i = 0; i < args.size(); ++i) {
        if (!args[i].starts_with("--")) {
            if (!replay(args[i])) {
                return 2;
            }
            continue;
        }
        const bool has_value = i + 1 < args.size();
        if (args[i] == "--write-corpus" && has_value) {
            return tenon::fuzz::write_corpus(args[i + 1]) ? 0 : 2;
        }
        std::uint64_t* const number = args[i] == "--seed"   ? &seed
                                      : args[i] == "--runs" ? &runs
                                                            : nullptr;
        if (number == nullptr || !has_value || !read_number(args[++i], *number)) {
            (void)std::fprintf(stderr, "usage: %s [--seed N] [--runs N] | FILE...\n", name.c_str());
            return 2;
        }
    }
    const bool replays = !args.empty() && !args[0].starts_with("--");
    return replays ? 0 : campaign(name, seed, runs);
}
