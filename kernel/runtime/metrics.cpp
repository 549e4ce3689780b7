// SPDX-License-Identifier: Apache-2.0
#include "kernel/runtime/metrics.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdio>

namespace tenon::runtime {

namespace {

bool is_word(std::string_view text, bool colon) {
    return !text.empty() && !(text[0] >= '0' && text[0] <= '9') &&
           std::all_of(text.begin(), text.end(), [&](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
                      (colon && c == ':');
           });
}

std::string escaped(std::string_view text, bool quotes) {
    std::string out;
    for (const char c : text) {
        if (c == '\\') {
            out.append("\\\\");
        } else if (c == '\n') {
            out.append("\\n");
        } else if (c == '"' && quotes) {
            out.append("\\\"");
        } else {
            out.push_back(c);
        }
    }
    return out;
}

// a="1",b="2" in the order of the names; false when a name is wrong or twice.
bool render(const std::vector<tenon_label>& labels, std::string& out) {
    std::map<std::string_view, std::string_view> sorted;
    for (const tenon_label& label : labels) {
        const std::string_view name = view(label.name);
        if (!is_word(name, false) || name == "le" ||
            !sorted.emplace(name, view(label.value)).second) {
            return false;
        }
    }
    for (const auto& [name, value] : sorted) {
        out.append(out.empty() ? "" : ",").append(name).append("=\"");
        out.append(escaped(value, true)).append("\"");
    }
    return true;
}

// `name{labels} `
std::string head_of(std::string_view name, std::string_view labels) {
    std::string out{name};
    if (!labels.empty()) {
        out.append("{").append(labels).append("}");
    }
    return out.append(" ");
}

template <class Number>
void append_line(std::string& out, const std::string& head, Number value) {
    std::array<char, 24> text;
    const char* const from = text.data();
    const char* const end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    out.append(head).append(from, end);
    out.push_back('\n');
}

// Numbers of running threads, each the lowest that is free.
class ThreadNumber {
public:
    ThreadNumber() {
        const std::lock_guard lock{mutex()};
        auto& taken = ThreadNumber::taken();
        number_ =
            static_cast<std::size_t>(std::find(taken.begin(), taken.end(), false) - taken.begin());
        if (number_ < taken.size()) {
            taken[number_] = true;
        }
    }

    ~ThreadNumber() {
        const std::lock_guard lock{mutex()};
        if (number_ < taken().size()) {
            taken()[number_] = false;
        }
    }

    ThreadNumber(const ThreadNumber&) = delete;
    ThreadNumber& operator=(const ThreadNumber&) = delete;

    [[nodiscard]] std::size_t get() const noexcept { return number_; }

private:
    static std::mutex& mutex() {
        static std::mutex the;
        return the;
    }

    static std::array<bool, Histogram::k_parts - 1>& taken() {
        static std::array<bool, Histogram::k_parts - 1> the{};
        return the;
    }

    std::size_t number_ = 0;
};

// The first bucket that a duration of so many binary digits can fall into.
constexpr auto k_first_bucket = [] {
    std::array<std::uint8_t, 65> first{};
    for (unsigned bits = 0; bits <= 64; ++bits) {
        const std::uint64_t least = bits == 0 ? 0 : std::uint64_t{1} << (bits - 1);
        while (first[bits] < Histogram::k_bounds_ns.size() &&
               static_cast<std::uint64_t>(Histogram::k_bounds_ns[first[bits]]) < least) {
            ++first[bits];
        }
    }
    return first;
}();

std::string seconds(std::int64_t ns) {
    std::array<char, 48> text{};
    const char* sign = ns < 0 ? "-" : "";
    const std::int64_t size = ns < 0 ? -ns : ns;
    (void)std::snprintf(
        text.data(),
        text.size(),
        "%s%lld.%09lld",
        sign,
        static_cast<long long>(size / 1'000'000'000),
        static_cast<long long>(size % 1'000'000'000)
    );
    std::string out{text.data()};
    out.erase(out.find_last_not_of('0') + 1);
    if (out.ends_with('.')) {
        out.pop_back();
    }
    return out;
}

template <class Number>
Number relaxed(Number& cell) {
    return std::atomic_ref<Number>{cell}.load(std::memory_order_relaxed);
}

std::vector<tenon_label> list(const tenon_label* labels, std::uint32_t count) {
    return {labels, labels + count};
}

Metrics& of(void* self) noexcept {
    return *static_cast<Metrics*>(self);
}

// The pointer that `make` returns, or null when it throws.
template <class Make>
auto barrier(Make make) noexcept -> decltype(make()) {
    decltype(make()) made{};
    (void)guard(nullptr, [&] { made = make(); });
    return made;
}

}  // namespace

void Histogram::observe(std::int64_t duration_ns) noexcept {
    // The constructor takes a lock; afterwards this is a read of the thread's own.
    static thread_local const ThreadNumber number;
    const auto length = static_cast<std::uint64_t>(std::max<std::int64_t>(duration_ns, 0));
    std::size_t index = k_first_bucket[static_cast<std::size_t>(std::bit_width(length))];
    while (index < k_bounds_ns.size() && k_bounds_ns[index] < duration_ns) {
        ++index;
    }
    Part& part = parts_[number.get()];
    auto& bucket = part.buckets[index];
    constexpr auto k_relaxed = std::memory_order_relaxed;
    if (number.get() == k_parts - 1) {
        bucket.fetch_add(1, k_relaxed);
        part.sum_ns.fetch_add(duration_ns, k_relaxed);
        return;
    }
    bucket.store(bucket.load(k_relaxed) + 1, k_relaxed);  // nobody else writes here
    part.sum_ns.store(part.sum_ns.load(k_relaxed) + duration_ns, k_relaxed);
}

Histogram::Histogram(std::string_view name, const std::string& labels) {
    const std::string of{name};
    const std::string prefix = labels.empty() ? "" : labels + ",";
    for (std::size_t i = 0; i <= k_bounds_ns.size(); ++i) {
        const std::string bound = i < k_bounds_ns.size() ? seconds(k_bounds_ns[i]) : "+Inf";
        heads_.push_back(head_of(of + "_bucket", prefix + "le=\"" + bound + "\""));
    }
    heads_.push_back(head_of(of + "_sum", labels));
    heads_.push_back(head_of(of + "_count", labels));
}

void Histogram::append_to(std::string& out) const {
    std::array<std::uint64_t, k_bounds_ns.size() + 1> counts{};
    std::int64_t sum = 0;
    for (const Part& part : parts_) {
        for (std::size_t i = 0; i < counts.size(); ++i) {
            counts[i] += part.buckets[i].load(std::memory_order_relaxed);
        }
        sum += part.sum_ns.load(std::memory_order_relaxed);
    }
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        append_line(out, heads_[i], total += counts[i]);
    }
    out.append(heads_[counts.size()]).append(seconds(sum)).append("\n");
    append_line(out, heads_.back(), total);
}

Metrics::Cell* Metrics::cell(
    Type type,
    std::string_view name,
    std::string_view help,
    const std::vector<tenon_label>& labels
) {
    std::string rendered;
    if (!name.starts_with("tenon_") || !is_word(name, false) || !render(labels, rendered)) {
        return nullptr;
    }
    const std::lock_guard lock{mutex_};
    auto family = families_.find(name);
    if (family == families_.end()) {
        family = families_.emplace(std::string{name}, Family{type, std::string{help}, {}}).first;
    }
    if (family->second.type != type) {
        return nullptr;
    }
    auto& series = family->second.series;
    if (const auto found = series.find(rendered); found != series.end()) {
        return found->second.get();
    }
    if (series_ >= k_max_series) {
        return nullptr;
    }
    auto made = std::make_unique<Cell>();
    made->head = head_of(name, rendered);
    if (type == Type::histogram) {
        made->histogram = std::make_unique<Histogram>(name, rendered);
    }
    ++series_;
    return series.emplace(std::move(rendered), std::move(made)).first->second.get();
}

std::uint64_t* Metrics::counter(
    std::string_view name,
    std::string_view help,
    const std::vector<tenon_label>& labels
) {
    Cell* made = cell(Type::counter, name, help, labels);
    return made == nullptr ? nullptr : &made->count;
}

std::int64_t* Metrics::gauge(
    std::string_view name,
    std::string_view help,
    const std::vector<tenon_label>& labels
) {
    Cell* made = cell(Type::gauge, name, help, labels);
    return made == nullptr ? nullptr : &made->level;
}

Histogram* Metrics::histogram(
    std::string_view name,
    std::string_view help,
    const std::vector<tenon_label>& labels
) {
    Cell* made = cell(Type::histogram, name, help, labels);
    return made == nullptr ? nullptr : made->histogram.get();
}

std::uint64_t Metrics::on_collect(tenon_fn fn, void* ctx) {
    const std::lock_guard lock{collect_mutex_};
    callbacks_.emplace(next_callback_, Task{fn, ctx});
    return next_callback_++;
}

void Metrics::remove_on_collect(std::uint64_t handle) {
    const std::lock_guard lock{collect_mutex_};
    callbacks_.erase(handle);
}

std::string Metrics::collect() {
    {
        const std::lock_guard lock{collect_mutex_};
        for (const auto& [handle, callback] : callbacks_) {
            callback.run("a collection of metrics");
        }
    }
    std::string out;
    const std::lock_guard lock{mutex_};
    out.reserve(page_size_ + page_size_ / 8);
    for (auto& [name, family] : families_) {
        constexpr std::array<std::string_view, 3> k_types{"counter", "gauge", "histogram"};
        out.append("# HELP ").append(name).append(" ").append(escaped(family.help, false));
        out.append("\n# TYPE ").append(name).append(" ");
        out.append(k_types[static_cast<std::size_t>(family.type)]).append("\n");
        for (auto& [labels, cell] : family.series) {
            switch (family.type) {
                case Type::counter:
                    append_line(out, cell->head, relaxed(cell->count));
                    break;
                case Type::gauge:
                    append_line(out, cell->head, relaxed(cell->level));
                    break;
                case Type::histogram:
                    cell->histogram->append_to(out);
                    break;
            }
        }
    }
    page_size_ = out.size();
    return out;
}

const tenon_metrics_1& Metrics::table() {
    static constexpr tenon_metrics_1 k_table{
        sizeof(tenon_metrics_1),
        0,
        [](void* self, tenon_str name, tenon_str help, const tenon_label* l, std::uint32_t n
        ) noexcept {
            return barrier([&] { return of(self).counter(view(name), view(help), list(l, n)); });
        },
        [](void* self, tenon_str name, tenon_str help, const tenon_label* l, std::uint32_t n
        ) noexcept {
            return barrier([&] { return of(self).gauge(view(name), view(help), list(l, n)); });
        },
        [](void* self, tenon_str name, tenon_str help, const tenon_label* l, std::uint32_t n
        ) noexcept {
            return reinterpret_cast<tenon_histogram*>(barrier([&] {
                return of(self).histogram(view(name), view(help), list(l, n));
            }));
        },
        [](void*, tenon_histogram* histogram, std::int64_t duration_ns) noexcept {
            if (histogram != nullptr) {
                reinterpret_cast<Histogram*>(histogram)->observe(duration_ns);
            }
        },
        [](void* self, tenon_fn fn, void* ctx) noexcept {
            return barrier([&] { return of(self).on_collect(fn, ctx); });
        },
        [](void* self, std::uint64_t handle) noexcept { of(self).remove_on_collect(handle); },
        [](void* self, tenon_sink out) noexcept {
            return guard(nullptr, [&] {
                const std::string text = of(self).collect();
                return out.put(out.ctx, bytes(text));
            });
        }};
    return k_table;
}

}  // namespace tenon::runtime
