// SPDX-License-Identifier: Apache-2.0
// The end of a copy whose target is lost: nobody can be asked there, so the operator answers for
// it.
#include "plugins/migrations/copy/copier.hpp"

namespace tenon::copy {
namespace {

// Of a source that takes no writes any more, and from which the copy itself is gone.
constexpr std::string_view k_finished = "finished";

}  // namespace

void forget_copy(const Side& source, const std::string& copy_id, std::int64_t deadline_ns) {
    const std::vector<Table> none;
    const Capture capture{source, none};
    Transaction at{source, TENON_INTENT_WRITE, deadline_ns};
    const std::string captured = capture.copy_id(*at);
    const bool fenced = capture.is_fenced(*at);
    if (captured.empty() && !fenced) {
        throw Error{TENON_NOT_FOUND, source.name + " is not being copied"};
    }
    const std::string expected = captured.empty() ? std::string{k_finished} : captured;
    if (copy_id != expected) {
        throw Error{
            TENON_CONFLICT,
            source.name + " has the copy " + expected +
                (fenced ? ", and takes no writes because of it; if its target lives, both would "
                          "take writes then"
                        : std::string{}) +
                ": --forget " + expected + " ends it, when its target is lost for good"};
    }
    capture.lift_fence(*at);
    capture.remove(*at);
    at.commit();
}

}  // namespace tenon::copy
