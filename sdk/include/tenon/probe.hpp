// SPDX-License-Identifier: Apache-2.0
// tenon.probe/1 in C++: derive from Probe, and call provide<tenon::Probe>(this) in the constructor.
#pragma once

#include <tenon/abi/probe.h>
#include <tenon/plugin.hpp>

namespace tenon {

class Probe {
public:
    static constexpr std::string_view k_id = "tenon.probe/1";

    // [io] Returns when all is well; throws Error with the reason otherwise. `deep`: also what is
    // dear. Ends before the deadline (monotonic).
    virtual void check(bool deep, std::int64_t deadline_ns) = 0;

    [[nodiscard]] static const void* table(const Probe&) noexcept {
        static constexpr tenon_probe_1 k_table{
            sizeof(tenon_probe_1),
            0,
            [](void* self, std::uint32_t deep, std::int64_t deadline_ns, tenon_err* err) noexcept {
                return guard(err, [&] {
                    static_cast<Probe*>(self)->check(deep != 0, deadline_ns);
                });
            }};
        return &k_table;
    }

protected:
    ~Probe() = default;
};

}  // namespace tenon
