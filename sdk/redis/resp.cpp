// SPDX-License-Identifier: Apache-2.0
#include "sdk/redis/resp.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace tenon::redis {
namespace {

// What came, for an error: short and printable.
std::string shown(std::string_view text) {
    std::string out{"\""};
    for (const char c : text.substr(0, 32)) {
        out += c >= ' ' && c <= '~' ? c : '?';
    }
    return out.append(text.size() > 32 ? "…\"" : "\"");
}

constexpr std::size_t k_verbatim_prefix = 4;  // "txt:"

}  // namespace

Reader::State Reader::fail(std::string why) {
    if (error_.empty()) {
        error_ = std::move(why);
    }
    return State::failed;
}

bool Reader::line(const char* data, std::size_t size, std::string_view& out) {
    const std::size_t from = at_ + scanned_;
    const void* const found = from < size ? std::memchr(data + from, '\r', size - from) : nullptr;
    const std::size_t length =
        found != nullptr ? static_cast<std::size_t>(static_cast<const char*>(found) - data) - at_
                         : size - at_;
    if (length > limits_.line) {
        (void)fail(
            "a line of more than " + std::to_string(limits_.line) +
            " bytes: " + shown({data + at_, length})
        );
        return false;
    }
    if (found == nullptr || at_ + length + 1 >= size) {
        scanned_ = length;
        return false;
    }
    if (data[at_ + length + 1] != '\n') {
        (void)fail("a line that does not end in CRLF: " + shown({data + at_, length + 2}));
        return false;
    }
    out = {data + at_, length};
    scanned_ = 0;
    return true;
}

bool Reader::number(std::string_view text, std::int64_t& out) {
    const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (wrong != std::errc{} || end != text.data() + text.size()) {
        (void)fail("not a number: " + shown(text));
        return false;
    }
    return true;
}

bool Reader::add(const Node& node) {
    if (nodes_.size() >= limits_.elements) {
        (void)fail("a message of more than " + std::to_string(limits_.elements) + " elements");
        return false;
    }
    nodes_.push_back(node);
    nodes_.back().end = static_cast<std::uint32_t>(nodes_.size());
    return true;
}

void Reader::close() {
    while (!frames_.empty()) {
        Frame& frame = frames_.back();
        if (frame.left != 0 && --frame.left != 0) {
            return;
        }
        if (frame.attribute) {
            nodes_.resize(frame.node);
            frames_.pop_back();
            return;  // what it belongs to is still to come
        }
        nodes_[frame.node].end = static_cast<std::uint32_t>(nodes_.size());
        frames_.pop_back();
    }
    done_ = true;
}

bool Reader::begin_aggregate(Kind kind, std::string_view rest, bool attribute) {
    std::int64_t count = 0;
    if (!number(rest, count)) {
        return false;
    }
    if (count == -1 && kind == Kind::array) {  // RESP2's null array
        if (!add({})) {
            return false;
        }
        close();
        return true;
    }
    const auto width = std::int64_t{kind == Kind::map ? 2 : 1};
    if (count < 0 || count > static_cast<std::int64_t>(limits_.elements) / width) {
        (void)fail("an aggregate of " + shown(rest) + " elements");
        return false;
    }
    if (frames_.size() >= limits_.depth) {
        (void)fail("a message nested deeper than " + std::to_string(limits_.depth));
        return false;
    }
    const auto at = static_cast<std::uint32_t>(nodes_.size());
    const auto left = static_cast<std::uint64_t>(count * width);
    if (!attribute) {
        Node node;
        node.kind = kind;
        node.count = static_cast<std::uint32_t>(left);
        if (!add(node)) {
            return false;
        }
    }
    if (left != 0) {
        frames_.push_back({left, at, attribute});
    } else if (!attribute) {
        close();
    }
    return true;
}

bool Reader::begin_text(char type, std::string_view rest) {
    std::int64_t length = 0;
    if (!number(rest, length)) {
        return false;
    }
    if (length == -1 && type == '$') {  // RESP2's null
        if (!add({})) {
            return false;
        }
        close();
        return true;
    }
    if (length < 0 || static_cast<std::uint64_t>(length) > limits_.bytes) {
        (void)fail("a string of " + shown(rest) + " bytes");
        return false;
    }
    Node node;
    node.kind = type == '!' ? Kind::error : Kind::text;
    node.at = at_;
    node.length = static_cast<std::size_t>(length);
    verbatim_ = type == '=';
    if (verbatim_ && node.length < k_verbatim_prefix) {
        (void)fail("a verbatim string without its format");
        return false;
    }
    in_text_ = true;
    text_left_ = node.length + 2;
    return add(node);
}

bool Reader::begin_value(const char* data, char type, std::string_view rest) {
    Node node;
    switch (type) {
        case '$':
        case '=':
        case '!':
            return begin_text(type, rest);
        case '*':
            return begin_aggregate(Kind::array, rest, false);
        case '~':
            return begin_aggregate(Kind::set, rest, false);
        case '%':
            return begin_aggregate(Kind::map, rest, false);
        case '|':
            return begin_aggregate(Kind::map, rest, true);
        case '>':
            if (!frames_.empty()) {
                (void)fail("a push inside another value");
                return false;
            }
            return begin_aggregate(Kind::push, rest, false);
        case ':':
            node.kind = Kind::integer;
            if (!number(rest, node.integer)) {
                return false;
            }
            break;
        case '#':
            if (rest != "t" && rest != "f") {
                (void)fail("not a boolean: " + shown(rest));
                return false;
            }
            node.kind = Kind::boolean;
            node.integer = rest == "t" ? 1 : 0;
            break;
        case '_':
            if (!rest.empty()) {
                (void)fail("not a null: " + shown(rest));
                return false;
            }
            break;
        case '+':
        case '-':
        case ',':
        case '(':
            node.kind = type == '+'   ? Kind::text
                        : type == '-' ? Kind::error
                        : type == ',' ? Kind::real
                                      : Kind::big_number;
            node.at = static_cast<std::size_t>(rest.data() - data);
            node.length = rest.size();
            break;
        default:
            (void)fail(
                "not a value of RESP3: " + shown({data + at_ - rest.size() - 3, rest.size() + 1})
            );
            return false;
    }
    if (!add(node)) {
        return false;
    }
    close();
    return true;
}

Reader::State Reader::next(const char* data, std::size_t size) {
    if (!error_.empty()) {
        return State::failed;
    }
    if (done_) {  // the last one was consumed
        done_ = false;
        at_ = 0;
        nodes_.clear();
    }
    while (!done_) {
        if (in_text_) {
            if (size - at_ < text_left_) {
                return State::need_more;
            }
            at_ += text_left_;
            in_text_ = false;
            if (data[at_ - 2] != '\r' || data[at_ - 1] != '\n') {
                return fail(
                    "a string that does not end where it said: " + shown({data + at_ - 2, 2})
                );
            }
            if (verbatim_) {
                nodes_.back().at += k_verbatim_prefix;
                nodes_.back().length -= k_verbatim_prefix;
                verbatim_ = false;
            }
            close();
            continue;
        }
        std::string_view text;
        if (!line(data, size, text)) {
            return error_.empty() ? State::need_more : State::failed;
        }
        at_ += text.size() + 2;
        if (at_ > limits_.bytes) {
            return fail("a message of more than " + std::to_string(limits_.bytes) + " bytes");
        }
        if (text.empty()) {
            return fail("an empty line where a value was expected");
        }
        if (!begin_value(data, text.front(), text.substr(1))) {
            return State::failed;
        }
        if (in_text_ && at_ + text_left_ > limits_.bytes) {
            return fail("a message of more than " + std::to_string(limits_.bytes) + " bytes");
        }
    }
    return State::message;
}

Answer::Answer(const Reply& message) : nodes_{*message.nodes_} {
    std::size_t size = 0;
    for (const Node& node : nodes_) {
        size = std::max(size, node.at + node.length);
    }
    data_.assign(message.base_, size);
}

void append_command(std::string& out, std::span<const std::string_view> words) {
    std::array<char, 24> digits{};
    const auto append_number = [&](char type, std::size_t value) {
        digits[0] = type;
        char* const end = std::to_chars(digits.data() + 1, digits.data() + 22, value).ptr;
        end[0] = '\r';
        end[1] = '\n';
        out.append(digits.data(), static_cast<std::size_t>(end + 2 - digits.data()));
    };
    append_number('*', words.size());
    for (const std::string_view word : words) {
        append_number('$', word.size());
        out.append(word).append("\r\n");
    }
}

}  // namespace tenon::redis
