// SPDX-License-Identifier: Apache-2.0
#include "kernel/runtime/metrics.hpp"

#include "sdk/metrics/line.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>
#include <array>
#include <atomic>

namespace tenon::runtime {

using metrics::append_line;
using metrics::head_of;
using metrics::Histogram;

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
    if (type == Type::counter) {
        made->count = counters_.make();
    }
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
    return made == nullptr ? nullptr : made->count;
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
    counters_.sum(totals_);
    for (auto& [name, family] : families_) {
        constexpr std::array<std::string_view, 3> k_types{"counter", "gauge", "histogram"};
        out.append("# HELP ").append(name).append(" ").append(escaped(family.help, false));
        out.append("\n# TYPE ").append(name).append(" ");
        out.append(k_types[static_cast<std::size_t>(family.type)]).append("\n");
        for (auto& [labels, cell] : family.series) {
            switch (family.type) {
                case Type::counter:
                    append_line(out, cell->head, totals_[counters_.index_of(cell->count)]);
                    break;
                case Type::gauge:
                    append_line(
                        out,
                        cell->head,
                        std::atomic_ref{cell->level}.load(std::memory_order_relaxed)
                    );
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
    static const tenon_metrics_1 k_table{
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
        },
        metrics::word_distance(),
        [](void*) noexcept { metrics::join(); }};
    return k_table;
}

}  // namespace tenon::runtime
