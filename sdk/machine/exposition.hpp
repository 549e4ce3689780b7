// SPDX-License-Identifier: Apache-2.0
// Prometheus text format 0.0.4, written family by family.
// https://prometheus.io/docs/instrumenting/exposition_formats/
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::machine {

class Exposition {
public:
    enum class Type { counter, gauge };

    // The samples that follow belong to it. `help` without line ends and backslashes.
    void family(std::string_view name, Type type, std::string_view help);

    void sample(std::uint64_t value) { sample("", "", std::to_string(value)); }

    void sample(std::string_view label, std::string_view label_value, std::uint64_t value) {
        sample(label, label_value, std::to_string(value));
    }

    // In seconds, from smaller units.
    void sample_ms(std::uint64_t ms) { sample_ms("", "", ms); }

    void sample_ms(std::string_view label, std::string_view label_value, std::uint64_t ms);
    void sample(std::string_view label, std::string_view label_value, std::string_view value);

    [[nodiscard]] const std::string& text() const { return text_; }

private:
    std::string text_;
    std::string name_;
};

}  // namespace tenon::machine
