// SPDX-License-Identifier: Apache-2.0
// The trading core with the internal venue: any commands, and any bytes as its snapshot.
//
// input := what u8 (even: commands, odd: a snapshot), seed u16 of generated commands, count u8 of
// them, then
//   commands   (length u16, command)*, each with the sequence that is next
//   snapshot   edits of the snapshot after the generated commands; without those, the snapshot
// Asserted: no rule of the money is broken whatever commands come; a snapshot that is read gives
// the same bytes and the same hash again, one that is refused is refused by an Error, and commands
// go on after it.
#include "tests/fuzz/fuzz.hpp"
#include "tests/simulation/command_generator.hpp"
#include "tests/simulation/core_world.hpp"

#include <algorithm>

using namespace tenon::trading;
using tenon::fuzz::Choices;
using tenon::fuzz::expect;
using tenon::test::CoreWorld;

namespace {

void expect_sound(const CoreWorld& world) {
    const std::string broken = world.core.check_invariants();
    if (!broken.empty()) {
        (void)std::fprintf(stderr, "%s\n", broken.c_str());
    }
    expect(broken.empty(), "the rules of the money hold");
}

void generate(CoreWorld& world, std::uint64_t seed, std::size_t count) {
    tenon::test::CommandGenerator generator{
        seed, world.catalogue.instrument_count(), world.catalogue.asset_count()};
    for (; count != 0; --count) {
        (void)world.apply(generator.next());
    }
}

std::string snapshot_of(const CoreWorld& world) {
    std::string bytes;
    world.core.snapshot_write(bytes);
    return bytes;
}

void fuzz_commands(CoreWorld& world, Choices& choices) {
    while (!choices.is_empty()) {
        Command command;
        if (decode(choices.bytes(choices.number<std::uint16_t>()), command) == DecodeStatus::ok) {
            (void)world.apply(command.body);
        }
    }
    expect_sound(world);
    CoreWorld other;
    const std::string bytes = snapshot_of(world);
    other.core.snapshot_read(bytes);
    expect(other.core.state_hash() == world.core.state_hash(), "a snapshot is the whole state");
    expect(snapshot_of(other) == bytes, "a snapshot is written as it was read");
}

void fuzz_snapshot(const CoreWorld& world, Choices& choices, bool is_raw) {
    std::string bytes;
    if (is_raw) {
        bytes = choices.rest();
    } else {
        bytes = snapshot_of(world);
        (void)tenon::fuzz::damage(choices, bytes, 8);
    }
    CoreWorld other;
    try {
        other.core.snapshot_read(bytes);
    } catch (const tenon::Error& error) {
        expect(
            error.code() == TENON_CORRUPT || error.code() == TENON_INVALID,
            "what does not fit is called corrupt or invalid"
        );
        return;
    }
    expect_sound(other);
    const std::string kept = snapshot_of(other);
    CoreWorld third;
    third.core.snapshot_read(kept);
    expect(snapshot_of(third) == kept, "a snapshot is written as it was read");
}

}  // namespace

tenon::fuzz::Corpus tenon::fuzz::corpus() {
    Corpus made;
    test::CommandGenerator generator{1, 2, 3};
    std::string commands(4, '\0');
    for (int i = 0; i < 100; ++i) {
        Command command;
        command.body = generator.next();
        std::string bytes;
        encode(command, bytes);
        commands.push_back(static_cast<char>(bytes.size() & 0xffU));
        commands.push_back(static_cast<char>(bytes.size() >> 8U));
        commands += bytes;
        if (i % 25 == 24) {
            made.seeds.push_back(commands);
        }
    }
    for (const int count : {0, 20, 60, 100}) {
        const char tail = static_cast<char>(count);
        made.seeds.push_back(std::string{'\0', '\5', '\0', tail});
        made.seeds.push_back(std::string{'\1', '\5', '\0', tail, '\2', 'a', 'b', 'c'});
    }
    CoreWorld world;
    generate(world, 3, 60);
    made.seeds.push_back(std::string{'\1', '\0', '\0', '\0'} + snapshot_of(world));
    return made;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Choices choices{tenon::fuzz::text_of(data, size)};
    const bool is_snapshot = choices.below(2) == 1;
    const std::uint64_t seed = choices.number<std::uint16_t>();
    const std::size_t count = choices.below(256);
    CoreWorld world;
    generate(world, seed, count);
    if (is_snapshot) {
        fuzz_snapshot(world, choices, count == 0);
    } else {
        fuzz_commands(world, choices);
    }
    return 0;
}
