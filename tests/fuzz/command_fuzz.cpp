// SPDX-License-Identifier: Apache-2.0
// The trading core's commands as the journal has them.
//
// input := command
// Asserted: a command that decodes is within its bounds, and what it encodes to decodes to the same
// bytes again.
#include "plugins/trading/engine/core/command.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/simulation/command_generator.hpp"

#include <set>

using namespace tenon::trading;
using tenon::fuzz::expect;

tenon::fuzz::Corpus tenon::fuzz::corpus() {
    Corpus made;
    test::CommandGenerator generator{1, 2, 3};
    std::set<std::pair<CommandKind, char>> seen;
    for (int i = 0; i < 5000; ++i) {
        Command command;
        command.sequence = 7;
        command.body = generator.next();
        std::string bytes;
        encode(command, bytes);
        if (seen.emplace(command.kind(), bytes[0]).second) {
            made.seeds.push_back(std::move(bytes));
        }
    }
    return made;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input = tenon::fuzz::text_of(data, size);
    Command command;
    const DecodeStatus status = decode(input, command);
    expect(!name(status).empty(), "an outcome has a name");
    if (status != DecodeStatus::ok) {
        return 0;
    }
    expect(well_formed(command), "what decodes is within its bounds");
    expect(!name(command.kind()).empty(), "a kind has a name");
    std::string once;
    encode(command, once);
    Command again;
    expect(decode(once, again) == DecodeStatus::ok, "what was encoded decodes");
    std::string twice;
    encode(again, twice);
    expect(once == twice, "a command comes back as it went");
    expect(once.size() <= input.size(), "encoding adds nothing");
    return 0;
}
