// SPDX-License-Identifier: Apache-2.0
// Prometheus text format 0.0.4, written family by family, and the same text as OpenMetrics 1.0.
// https://prometheus.io/docs/instrumenting/exposition_formats/
// https://github.com/OpenObservability/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::monitor {

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

// The text of format 0.0.4, in which the lines of a family stand together behind its HELP and TYPE,
// in OpenMetrics 1.0: a counter's family is named without "_total", quotes in HELP are escaped, and
// the text ends in "# EOF". A counter that is not named so is told as of unknown type.
[[nodiscard]] std::string to_open_metrics(std::string_view text_format);

// Of the values that an Accept header lists, is OpenMetrics 1.0 one, and not refused by q=0?
[[nodiscard]] bool wants_open_metrics(std::string_view accept);

}  // namespace tenon::monitor
