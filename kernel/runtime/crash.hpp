// SPDX-License-Identifier: Apache-2.0
// The crash sentinel: on SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, and when a plugin calls exit(),
// one line on standard error and DATA_DIR/crash.json say which plugin was running, in which call.
// Then the signal takes its course, core dump included.
//
// It says where the process was when it died. Memory that one plugin damaged and another stumbled
// over is blamed on the other. When several threads crash together the first is told. A stack
// overflow is told in the kernel's threads (give_crash_stack), not in those that plugins made.
#pragma once

#include "kernel/runtime/owner.hpp"

#include <filesystem>

namespace tenon::runtime {

inline constexpr const char* k_crash_file = "crash.json";

// Once in a process. From then on `known` owners are named when the program counter is in their
// library.
void arm_crash_sentinel(const std::filesystem::path& data_dir);

// Gives the calling thread a stack for the sentinel until it ends, so that a stack overflow is told
// too. Arming gives one to its own thread.
void give_crash_stack();

// Notes where the library with this address lies. The owner lives as long as the process may crash.
void know_image(Owner& owner, const void* address);
// The owner goes; its library stays, and is nobody's.
void forget_image(const Owner& owner);
void forget_images();

// Every plugin has started: a crash from now on is no failed start.
void note_ready();

}  // namespace tenon::runtime
