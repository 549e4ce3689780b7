// SPDX-License-Identifier: Apache-2.0
// What the checks of the interface suites are written with: expectations that say what was found,
// and a seeded source of random numbers.
#pragma once

#include <tenon/plugin.hpp>

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <type_traits>

namespace tenon::suites {

// A check that found something. what() says what was expected and what was found.
class Breach : public std::exception {
public:
    explicit Breach(std::string message) : message_{std::move(message)} {}

    [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }

private:
    std::string message_;
};

// The check does not apply to this plugin; what() says why.
class NotApplicable : public std::exception {
public:
    explicit NotApplicable(std::string reason) : reason_{std::move(reason)} {}

    [[nodiscard]] const char* what() const noexcept override { return reason_.c_str(); }

private:
    std::string reason_;
};

namespace detail {

template <class T>
void append(std::string& out, const T& part) {
    if constexpr (std::is_arithmetic_v<T>) {
        out.append(std::to_string(part));
    } else {
        out.append(std::string_view{part});
    }
}

}  // namespace detail

// The parts one after the other: texts and numbers.
template <class... T>
[[nodiscard]] std::string text(const T&... parts) {
    std::string out;
    (detail::append(out, parts), ...);
    return out;
}

template <class... T>
void expect(bool condition, const T&... what) {
    if (!condition) {
        throw Breach{text(what...)};
    }
}

// "put: OK", "get: NOT_FOUND (no such key)"
[[nodiscard]] inline std::string status_name(tenon_status status) {
    switch (status) {
        case TENON_OK:
            return "OK";
        case TENON_PENDING:
            return "PENDING";
        case TENON_LIMITED:
            return "LIMITED";
        case TENON_NOT_FOUND:
            return "NOT_FOUND";
        case TENON_INVALID:
            return "INVALID";
        case TENON_UNSUPPORTED:
            return "UNSUPPORTED";
        case TENON_UNAVAILABLE:
            return "UNAVAILABLE";
        case TENON_TIMEOUT:
            return "TIMEOUT";
        case TENON_CONFLICT:
            return "CONFLICT";
        case TENON_DENIED:
            return "DENIED";
        case TENON_CORRUPT:
            return "CORRUPT";
        case TENON_INTERNAL:
            return "INTERNAL";
        case TENON_IN_DOUBT:
            return "IN_DOUBT";
        default:
            return text("status ", status);
    }
}

inline void expect_status(
    tenon_status found,
    tenon_status expected,
    std::string_view call,
    const tenon_err* err = nullptr
) {
    if (found != expected) {
        std::string why = text(call, ": ", status_name(found));
        if (err != nullptr && err->len != 0) {
            why.append(" (").append(err->msg, err->len).append(")");
        }
        throw Breach{text(why, ", expected ", status_name(expected))};
    }
}

// Bytes for a message: printable ones as they are, the rest as \xNN, cut after `most`.
[[nodiscard]] inline std::string printable(std::string_view bytes, std::size_t most = 40) {
    static constexpr char k_digits[] = "0123456789abcdef";
    std::string out{"\""};
    for (const char c : bytes.substr(0, most)) {
        const auto code = static_cast<unsigned char>(c);
        if (code >= 0x20 && code < 0x7f) {
            out.push_back(c);
        } else {
            out.append("\\x").push_back(k_digits[code >> 4U]);
            out.push_back(k_digits[code & 15U]);
        }
    }
    out.append(bytes.size() > most ? "\"…" : "\"");
    return out.append(" (").append(std::to_string(bytes.size())).append(" bytes)");
}

// The same numbers for the same seed, on every machine.
class Random {
public:
    explicit Random(std::uint64_t seed) : engine_{seed} {}

    [[nodiscard]] std::uint64_t number() { return engine_(); }

    // 0 .. bound - 1
    [[nodiscard]] std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }

    [[nodiscard]] std::int64_t between(std::int64_t low, std::int64_t high) {
        const auto span = static_cast<std::uint64_t>(high - low) + 1;
        return low + static_cast<std::int64_t>(below(span));
    }

    [[nodiscard]] bool one_in(std::uint64_t n) { return below(n) == 0; }

    [[nodiscard]] std::string bytes(std::size_t size) {
        std::string out(size, '\0');
        for (char& c : out) {
            c = static_cast<char>(engine_() & 0xffU);
        }
        return out;
    }

private:
    std::mt19937_64 engine_;
};

}  // namespace tenon::suites
