// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/history/recorder.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace tenon::history {
namespace {

constexpr std::uint32_t k_columns = 256;
constexpr std::int64_t k_points_usual = 1'440;

bool can_be_kept(double value) {
    return std::isfinite(value) &&
           std::abs(value) <= static_cast<double>(std::numeric_limits<float>::max());
}

std::string seconds(std::int64_t value) {
    return std::to_string(value) + " s";
}

}  // namespace

Rows::Shape default_shape() {
    return {{{10, 720}, {60, 1'440}, {600, 4'320}, {7'200, 4'380}}, k_columns};
}

std::string Recorder::open(const std::filesystem::path& folder, std::uint64_t fresh_id) {
    const std::lock_guard lock{mutex_};
    std::filesystem::create_directories(folder);
    columns_file_ = folder / "columns";
    const std::filesystem::path rows_file = folder / "rows";
    rows_.reset();  // of a try that got no further
    std::string why;
    try {
        auto columns = Columns::read(columns_file_, shape_.columns);
        if (columns) {
            rows_.emplace(rows_file, shape_, columns->id());
            columns_ = std::move(*columns);
        } else if (std::filesystem::exists(rows_file)) {
            throw Error{TENON_CORRUPT, "metric history: its list of series is missing"};
        }
    } catch (const Error& e) {
        if (e.code() != TENON_CORRUPT) {
            throw;
        }
        why = e.what();
        for (const std::filesystem::path& file : {columns_file_, rows_file}) {
            std::error_code missing;
            std::filesystem::rename(file, file.string() + ".damaged", missing);
        }
    }
    if (!rows_) {
        columns_ = Columns{shape_.columns, fresh_id};
        rows_.emplace(rows_file, shape_, fresh_id);
        columns_.write(columns_file_);
    }
    if (const auto newest = rows_->newest()) {
        era_ = newest->era;
        newest_s_ = newest->at_s;
    }
    return why;
}

void Recorder::add(std::int64_t at_s, const Values& values) {
    const std::lock_guard lock{mutex_};
    if (!rows_) {
        throw Error{TENON_UNAVAILABLE, "metric history: not open"};
    }
    const std::int64_t begin_s = shape_.tiers.front().begin_of(at_s);
    if (begin_s <= 0) {
        throw Error{TENON_INVALID, "metric history: a time before 1970"};
    }
    if (begin_s < newest_s_) {
        ++era_;
        ++steps_back_;
    }
    newest_s_ = begin_s;
    auto row = rows_->read(0, begin_s);
    if (!row || row->era != era_) {
        row = Row{begin_s, era_, std::vector<Cell>(shape_.columns)};
    }
    left_out_ = 0;
    for (const auto& [series, value] : values) {
        if (!can_be_kept(value)) {
            continue;
        }
        const auto column = columns_.take(series, at_s);
        if (!column) {
            ++left_out_;
            continue;
        }
        const auto rounded = static_cast<float>(value);
        Cell& cell = row->cells[*column];
        cell = merged(cell, Cell{rounded, rounded, rounded, 1});
    }
    if (columns_.take_changed()) {
        columns_.write(columns_file_);  // before a row has a column that nobody knows
    }
    rows_->write(0, *row);
    merge_up(begin_s);
}

// Of each coarser step that holds this time the whole row, from the rows below that are not later.
void Recorder::merge_up(std::int64_t at_s) {
    for (std::size_t tier = 1; tier < shape_.tiers.size(); ++tier) {
        const std::int64_t begin_s = shape_.tiers[tier].begin_of(at_s);
        Row row{begin_s, era_, std::vector<Cell>(shape_.columns)};
        const std::int64_t below_s = shape_.tiers[tier - 1].step_s;
        for (std::int64_t from_s = begin_s; from_s <= at_s; from_s += below_s) {
            if (const auto part = rows_->read(tier - 1, from_s)) {
                for (std::size_t i = 0; i < row.cells.size(); ++i) {
                    row.cells[i] = merged(row.cells[i], part->cells[i]);
                }
            }
        }
        rows_->write(tier, row);
    }
}

void Recorder::sync() {
    const std::lock_guard lock{mutex_};
    if (rows_) {
        rows_->sync();
        columns_.write(columns_file_);
    }
}

std::size_t Recorder::tier_of(std::int64_t step_s) const {
    std::size_t found = shape_.tiers.size();
    for (std::size_t tier = 0; tier < shape_.tiers.size(); ++tier) {
        found = step_s % shape_.tiers[tier].step_s == 0 ? tier : found;
    }
    if (step_s <= 0 || found == shape_.tiers.size()) {
        throw Error{
            TENON_INVALID,
            "step: found " + seconds(step_s) + ", expected a multiple of " +
                seconds(shape_.tiers.front().step_s)};
    }
    return found;
}

Span Recorder::span_of(
    std::int64_t from_s,
    std::int64_t to_s,
    std::optional<std::int64_t> step_s,
    std::int64_t now_s
) const {
    if (from_s >= to_s) {
        throw Error{TENON_INVALID, "from: expected a time before `to`"};
    }
    const std::int64_t back_s = now_s - from_s;
    std::size_t tier = 0;
    if (step_s) {
        tier = tier_of(*step_s);
        const std::int64_t keep_s = shape_.tiers[tier].keep_s();
        if (back_s > keep_s) {
            throw Error{
                TENON_INVALID,
                "step: steps of " + seconds(*step_s) + " are kept for " + seconds(keep_s) +
                    ", and from is " + seconds(back_s) + " ago"};
        }
    } else {
        from_s = std::max(from_s, std::min(now_s, to_s - 1) - shape_.tiers.back().keep_s());
        const auto fits = [&](const Tier& one) {
            return back_s <= one.keep_s() && (to_s - from_s) / one.step_s <= k_points_usual;
        };
        const auto found = std::find_if(shape_.tiers.begin(), shape_.tiers.end(), fits);
        const auto& chosen = found == shape_.tiers.end() ? shape_.tiers.back() : *found;
        // A year in the coarsest steps is more than that: several of them are one.
        const std::int64_t many = (to_s - from_s) / chosen.step_s / k_points_usual;
        step_s = chosen.step_s * (found == shape_.tiers.end() ? many + 1 : 1);
    }
    const std::int64_t begin_s = std::max<std::int64_t>(from_s, 0);
    return {begin_s - begin_s % *step_s, to_s, *step_s};
}

std::vector<std::vector<Point>>
Recorder::read(const std::vector<std::string>& series, const Span& span, std::int64_t now_s) const {
    const std::lock_guard lock{mutex_};
    std::vector<std::vector<Point>> out(series.size());
    std::vector<const Column*> columns;
    for (const std::string& name : series) {
        const auto found = columns_.all().find(name);
        columns.push_back(found == columns_.all().end() ? nullptr : &found->second);
    }
    const std::size_t tier = tier_of(span.step_s);
    const std::int64_t below_s = shape_.tiers[tier].step_s;
    const std::int64_t end_s = std::min(span.to_s, now_s + 1);
    for (std::int64_t at_s = std::max(span.from_s, below_s); rows_ && at_s < end_s;
         at_s += below_s) {
        const auto row = rows_->read(tier, at_s);
        for (std::size_t i = 0; row && i < columns.size(); ++i) {
            if (columns[i] == nullptr || at_s + below_s <= columns[i]->since_s) {
                continue;
            }
            const Cell& cell = row->cells[columns[i]->index];
            const std::int64_t step_s = at_s - at_s % span.step_s;
            if (cell.count == 0) {
                continue;
            }
            if (!out[i].empty() && out[i].back().at_s == step_s) {
                out[i].back().cell = merged(out[i].back().cell, cell);
            } else {
                out[i].push_back({step_s, cell});
            }
        }
    }
    return out;
}

std::vector<std::pair<std::string, Column>> Recorder::series() const {
    const std::lock_guard lock{mutex_};
    return {columns_.all().begin(), columns_.all().end()};
}

Recorder::Counts Recorder::counts() const {
    const std::lock_guard lock{mutex_};
    return {columns_.all().size(), left_out_, rows_ ? rows_->damaged() : 0, steps_back_};
}

}  // namespace tenon::history
