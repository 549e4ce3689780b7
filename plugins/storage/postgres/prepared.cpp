// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/connection.hpp"

#include <algorithm>
#include <cmath>

namespace tenon::postgres {

Prepared::Prepared(Connection& connection, std::string sql, std::string name)
    : connection_{connection}, sql_{std::move(sql)}, name_{std::move(name)} {}

void Prepared::take(const PGresult* description) {
    const auto parameters = static_cast<std::size_t>(PQnparams(description));
    types_.resize(parameters);
    parameters_.assign(parameters, {});
    storage_.resize(parameters);
    for (std::size_t i = 0; i < parameters; ++i) {
        types_[i] = PQparamtype(description, static_cast<int>(i));
    }
    const int columns = PQnfields(description);
    columns_.clear();
    binary_ = true;
    for (int i = 0; i < columns; ++i) {
        columns_.push_back({PQfname(description, i), PQftype(description, i)});
        binary_ = binary_ && has_binary(columns_.back().type);
    }
    scratch_.resize(columns_.size());
}

void Prepared::bind(std::uint32_t index, const tenon_value& value) {
    if (index == 0 || index > types_.size()) {
        throw invalid(
            "parameter " + std::to_string(index) + ": there are " + std::to_string(types_.size())
        );
    }
    if (running_) {
        connection_.stop(*this);
    }
    const std::size_t at = index - 1;
    parameters_[at] = encode(value, types_[at], index, storage_[at]);
}

bool Prepared::step() {
    if (!running_) {
        connection_.start(*this);
    }
    row_.reset();
    if (!kept_.empty()) {
        row_ = std::move(kept_.front());
        kept_.pop_front();
        kept_bytes_ -= std::min(kept_bytes_, PQresultMemorySize(row_.get()));
        return true;
    }
    if (connection_.streaming_ == this) {
        row_ = connection_.next_row(*this);
        if (row_) {
            return true;
        }
    }
    running_ = false;
    if (std::exchange(overflowed_, false)) {
        throw DatabaseError{
            TENON_UNAVAILABLE,
            "more than " + std::to_string(k_rows_kept_max >> 20U) +
                " MB of rows while other statements ran: read them first",
            Failure::permanent,
            ""};
    }
    return false;
}

void Prepared::keep(Result row) {
    if (overflowed_) {
        return;
    }
    kept_bytes_ += PQresultMemorySize(row.get());
    kept_.push_back(std::move(row));
    if (kept_bytes_ > k_rows_kept_max) {
        kept_.clear();
        kept_bytes_ = 0;
        overflowed_ = true;
    }
}

void Prepared::forget_rows() noexcept {
    running_ = false;
    overflowed_ = false;
    row_.reset();
    kept_.clear();
    kept_bytes_ = 0;
}

void Prepared::clear_bindings() noexcept {
    std::fill(parameters_.begin(), parameters_.end(), Parameter{});
}

std::uint32_t Prepared::column_count() const {
    return static_cast<std::uint32_t>(columns_.size());
}

std::string_view Prepared::column_name(std::uint32_t index) const {
    return index < columns_.size() ? std::string_view{columns_[index].name} : std::string_view{};
}

tenon_value Prepared::column(std::uint32_t index) const {
    if (!row_ || index >= columns_.size()) {
        throw invalid(!row_ ? "there is no row" : "there is no column " + std::to_string(index));
    }
    return decode(row_.get(), static_cast<int>(index), columns_[index].type, scratch_[index]);
}

}  // namespace tenon::postgres
