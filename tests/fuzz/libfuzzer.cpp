// SPDX-License-Identifier: Apache-2.0
// In libFuzzer's programs: `NAME_fuzz --write-corpus FOLDER` gives the seeds as files and ends.
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv);

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
    if (*argc == 3 && std::string_view{(*argv)[1]} == "--write-corpus") {
        std::exit(tenon::fuzz::write_corpus((*argv)[2]) ? 0 : 1);  // NOLINT: no thread runs yet
    }
    return 0;
}
