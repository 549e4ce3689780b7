// SPDX-License-Identifier: Apache-2.0
// The answers of an HTTP/1.1 server to one request after the other, out of what its socket gave.
// Bodies are skipped, not kept. Answers have a Content-Length, or no body by their status; chunked
// ones are refused, since their end costs more to find than a load generator should spend. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tenon::load {

class AnswerReader {
public:
    // 0: more is needed; -1: it is no answer that can be read, see trouble(); else the status.
    // After a status, more than the answer is left only if the server says what nobody asked.
    [[nodiscard]] int take(std::string_view bytes);

    // The last answer announced that the connection ends with it.
    [[nodiscard]] bool closes() const noexcept { return closes_; }

    // Bytes came that belong to an answer which is not whole.
    [[nodiscard]] bool midway() const noexcept { return left_ > 0 || !head_.empty(); }

    [[nodiscard]] const std::string& trouble() const noexcept { return trouble_; }

    void reset();

private:
    [[nodiscard]] bool read_head(std::string_view head);
    [[nodiscard]] bool read_field(std::string_view name, std::string_view value);
    [[nodiscard]] int end_of(std::string_view body);

    std::string head_;      // while it is not whole
    std::size_t left_ = 0;  // of the body
    int status_ = 0;
    bool closes_ = false;
    std::string trouble_;
};

}  // namespace tenon::load
