// SPDX-License-Identifier: Apache-2.0
#include "tools/load/answer_reader.hpp"

#include <algorithm>
#include <charconv>

namespace tenon::load {

namespace {

constexpr std::size_t k_head_max = 65'536;

bool same(std::string_view left, std::string_view lower_case) {
    return std::equal(
        left.begin(),
        left.end(),
        lower_case.begin(),
        lower_case.end(),
        [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + ('a' - 'A') : a) == b; }
    );
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
        text.remove_prefix(1);
    }
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
        text.remove_suffix(1);
    }
    return text;
}

}  // namespace

void AnswerReader::reset() {
    head_.clear();
    left_ = 0;
    closes_ = false;
}

int AnswerReader::end_of(std::string_view body) {
    if (body.size() > left_) {
        trouble_ = "the server sent more than one answer";
        return -1;
    }
    left_ -= body.size();
    return left_ == 0 ? status_ : 0;
}

int AnswerReader::take(std::string_view bytes) {
    if (left_ > 0) {
        return end_of(bytes);
    }
    if (!head_.empty()) {
        head_.append(bytes);
        bytes = head_;
    }
    const auto end = bytes.find("\r\n\r\n");
    if (end == std::string_view::npos) {
        if (head_.empty()) {
            head_ = bytes;
        }
        if (head_.size() > k_head_max) {
            trouble_ = "the head of an answer is longer than 64 KiB";
            return -1;
        }
        return 0;
    }
    if (!read_head(bytes.substr(0, end))) {
        return -1;
    }
    const std::string_view body = bytes.substr(end + 4);
    const int result = end_of(body);
    head_.clear();
    return result;
}

bool AnswerReader::read_field(std::string_view name, std::string_view value) {
    if (same(name, "content-length")) {
        const auto [last, ec] = std::from_chars(value.data(), value.data() + value.size(), left_);
        if (ec != std::errc{} || last != value.data() + value.size()) {
            trouble_ = "an answer's Content-Length is no number";
            return false;
        }
    } else if (same(name, "connection")) {
        closes_ = same(value, "close");
    } else if (same(name, "transfer-encoding")) {
        trouble_ = "an answer is chunked, which is not supported";
        return false;
    }
    return true;
}

bool AnswerReader::read_head(std::string_view head) {
    status_ = 0;
    left_ = 0;
    closes_ = false;
    if (head.size() >= 12 && head.starts_with("HTTP/1.")) {
        (void)std::from_chars(head.data() + 9, head.data() + 12, status_);
    }
    if (status_ < 200 || status_ > 999) {
        trouble_ = "what came is no answer of HTTP/1.1";
        return false;
    }
    for (auto at = head.find("\r\n"); at != std::string_view::npos;) {
        const auto end = std::min(head.find("\r\n", at + 2), head.size());
        const std::string_view line = head.substr(at + 2, end - at - 2);
        const auto colon = line.find(':');
        if (colon != std::string_view::npos &&
            !read_field(line.substr(0, colon), trimmed(line.substr(colon + 1)))) {
            return false;
        }
        at = end == head.size() ? std::string_view::npos : end;
    }
    if (status_ == 204 || status_ == 304) {
        left_ = 0;
    }
    return true;
}

}  // namespace tenon::load
