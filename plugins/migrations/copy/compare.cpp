// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/copy/compare.hpp"

#include <array>
#include <sodium.h>

namespace tenon::copy {
namespace {

// A long comparison can be interrupted.
constexpr std::int64_t k_look_up_rows = 10'000;

// BLAKE2b, 32 bytes (RFC 7693).
class Digest {
public:
    Digest() { crypto_generichash_init(&state_, nullptr, 0, k_size); }

    void add(std::string_view bytes) {
        crypto_generichash_update(
            &state_, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()
        );
    }

    [[nodiscard]] std::string hex() {
        std::array<unsigned char, k_size> hash{};
        crypto_generichash_final(&state_, hash.data(), hash.size());
        std::array<char, 2 * k_size + 1> text{};
        sodium_bin2hex(text.data(), text.size(), hash.data(), hash.size());
        return text.data();
    }

private:
    static constexpr std::size_t k_size = 32;
    crypto_generichash_state state_{};
};

// The rows of one side, one after the other.
class RowStream {
public:
    RowStream(const Table& table, Compared from, const BatchLimits& limits)
        : table_{table},
          from_{from},
          sql_{table, from.side.is_postgres()},
          limits_{limits},
          batch_{table} {
        fill();
    }

    [[nodiscard]] bool ended() const { return at_ == batch_.size(); }

    [[nodiscard]] const Key& key() const { return key_; }

    [[nodiscard]] std::span<const tenon_value> row() const { return batch_.row(at_); }

    [[nodiscard]] std::int64_t rows() const { return rows_; }

    void next() {
        digest_.add(canonical(table_, row()));
        ++rows_;
        if (++at_ == batch_.size()) {
            fill();
        } else {
            key_ = batch_.key(at_);
        }
    }

    [[nodiscard]] std::string digest() { return digest_.hex(); }

private:
    void fill() {
        batch_.clear();
        at_ = 0;
        Statement rows =
            sql_.read_after(from_.session, key_.empty() ? nullptr : &key_, limits_.rows);
        while (rows.step()) {
            batch_.add(rows);
            if (batch_.full(limits_)) {
                break;
            }
        }
        if (!batch_.empty()) {
            key_ = batch_.key(0);
        }
    }

    const Table& table_;
    Compared from_;
    TableSql sql_;
    BatchLimits limits_;
    RowBatch batch_;
    std::size_t at_ = 0;
    std::int64_t rows_ = 0;
    Key key_;
    Digest digest_;
};

std::string differing_columns(
    const Table& table,
    std::span<const tenon_value> a,
    std::span<const tenon_value> b
) {
    std::string names;
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
        std::string left;
        std::string right;
        append_canonical(left, table.columns[i].kind, a[i]);
        append_canonical(right, table.columns[i].kind, b[i]);
        if (left != right) {
            names.append(names.empty() ? "" : ", ").append(table.columns[i].name);
        }
    }
    return names;
}

}  // namespace

TableCheck
compare_table(const Table& table, Compared source, Compared target, const CopyOptions& options) {
    TableCheck check;
    check.table = table.name;
    RowStream from{table, source, options.batch};
    RowStream to{table, target, options.batch};
    std::int64_t looked = 0;
    const auto differ = [&](const Key& key, const std::string& how) {
        if (static_cast<std::size_t>(check.different++) < options.differences_max) {
            check.differences.push_back(row_name(table, key) + how);
        }
    };
    while (!from.ended() || !to.ended()) {
        if (++looked % k_look_up_rows == 0 && options.at) {
            options.at("rows_compared");
        }
        const int order = from.ended() ? 1 : to.ended() ? -1 : compare(table, from.key(), to.key());
        if (order < 0) {
            differ(from.key(), " is not in " + target.side.name);
        } else if (order > 0) {
            differ(to.key(), " is not in " + source.side.name);
        } else if (const std::string names = differing_columns(table, from.row(), to.row());
                   !names.empty()) {
            differ(from.key(), " differs in " + names);
        }
        if (order <= 0) {
            from.next();
        }
        if (order >= 0) {
            to.next();
        }
    }
    check.rows = from.rows();
    check.source_digest = from.digest();
    check.target_digest = to.digest();
    return check;
}

}  // namespace tenon::copy
