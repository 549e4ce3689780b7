// SPDX-License-Identifier: Apache-2.0
// OpenMetrics 1.0, for who asks for it.
// https://github.com/OpenObservability/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md
#pragma once

#include <string>
#include <string_view>

namespace tenon::monitor {

// The text of format 0.0.4, in which the lines of a family stand together behind its HELP and TYPE,
// in OpenMetrics 1.0: a counter's family is named without "_total", quotes in HELP are escaped, and
// the text ends in "# EOF". A counter that is not named so is told as of unknown type.
[[nodiscard]] std::string to_open_metrics(std::string_view text_format);

// Of the values that an Accept header lists, is OpenMetrics 1.0 one, and not refused by q=0?
[[nodiscard]] bool wants_open_metrics(std::string_view accept);

}  // namespace tenon::monitor
