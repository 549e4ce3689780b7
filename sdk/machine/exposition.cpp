// SPDX-License-Identifier: Apache-2.0
#include "sdk/machine/exposition.hpp"

namespace tenon::machine {
namespace {

std::string escaped(std::string_view label_value) {
    std::string out;
    for (const char c : label_value) {
        if (c == '\\' || c == '"') {
            out.push_back('\\');
        }
        out.append(c == '\n' ? std::string_view{"\\n"} : std::string_view{&c, 1});
    }
    return out;
}

}  // namespace

void Exposition::family(std::string_view name, Type type, std::string_view help) {
    name_ = name;
    text_.append("# HELP ").append(name).append(" ").append(help).append("\n");
    text_.append("# TYPE ").append(name).append(type == Type::counter ? " counter\n" : " gauge\n");
}

void Exposition::sample(
    std::string_view label,
    std::string_view label_value,
    std::string_view value
) {
    text_.append(name_);
    if (!label.empty()) {
        text_.append("{").append(label).append("=\"").append(escaped(label_value)).append("\"}");
    }
    text_.append(" ").append(value).append("\n");
}

void Exposition::sample_ms(std::string_view label, std::string_view label_value, std::uint64_t ms) {
    const std::string fraction = std::to_string(1000 + ms % 1000).substr(1);
    sample(label, label_value, std::to_string(ms / 1000) + "." + fraction);
}

}  // namespace tenon::machine
