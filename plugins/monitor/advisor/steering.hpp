// SPDX-License-Identifier: Apache-2.0
// How the tuner asks and changes the server: by its admin commands, whoever carries them.
#pragma once

#include "plugins/monitor/advisor/knob.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::advisor {

class Steering {
public:
    static constexpr std::int64_t k_patience_ms = 10'000;

    virtual ~Steering() = default;

    // [io] The command's answer. Throws Error: TENON_UNAVAILABLE when nobody answered, else as the
    // command refused.
    [[nodiscard]] virtual boost::json::value
    ask(std::string_view command, boost::json::object args, std::int64_t patience_ms) = 0;

    [[nodiscard]] SettingsView settings(std::vector<Bound> bounds);
    // Throw Error when it was refused, with the server's reason; nothing is changed then.
    void
    set(const Knob& knob, const boost::json::value& value, std::string_view by, std::string_view why
    );
    void unset(const Knob& knob, std::string_view by, std::string_view why);

private:
    void change(
        std::string_view command,
        boost::json::object change,
        std::string_view by,
        std::string_view why
    );
};

}  // namespace tenon::advisor
