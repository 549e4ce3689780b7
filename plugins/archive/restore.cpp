// SPDX-License-Identifier: Apache-2.0
#include "plugins/archive/restore.hpp"

#include "plugins/archive/partitions.hpp"

#include <algorithm>

namespace tenon::archive {
namespace {

constexpr std::size_t k_rows_at_once = 2000;
constexpr std::size_t k_differing_max = 20;

std::string key_text(const HistoryTable& table, const Key& key) {
    std::string text;
    for (std::size_t i = 0; i < key.size(); ++i) {
        text.append(text.empty() ? "" : " ").append(table.keys[i]).append("=");
        text.append(std::to_string(key[i]));
    }
    return text;
}

struct Batch {
    const HistoryTable& table;
    const std::vector<Line>& lines;
    const std::vector<Row>& rows;
    const ArchiveLines& archive;
    const std::vector<tenon_str>& columns;

    // What of the batch is in the database now, by its index here; `other`: with other values.
    void look(Session& session, std::vector<char>& same, std::vector<char>& other) const {
        Span span;
        span.first = lines.front().key.front();
        span.last = lines.back().key;
        // What is final need not look so any more when it comes back; an interval stays what it is.
        span.with_condition = table.table == "candles";
        same.assign(lines.size(), 0);
        other.assign(lines.size(), 0);
        std::size_t at = 0;
        for (const Line& row : read_lines(session, table, archive.layout(), span)) {
            while (at < lines.size() && lines[at].key < row.key) {
                ++at;
            }
            if (at < lines.size() && lines[at].key == row.key) {
                (lines[at].text == row.text ? same : other)[at] = 1;
            }
        }
    }

    void put(Session& session, const std::vector<char>& same, const std::vector<char>& other)
        const {
        std::vector<tenon_value> values;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            if (same[i] == 0 && other[i] == 0) {
                for (const Field& field : rows[i]) {
                    values.push_back(field.value());
                }
            }
        }
        if (!values.empty()) {
            session.bulk_insert(table.table, columns, values);
        }
    }
};

// Where one row breaks a rule, because what it said has come again under another key: the others
// are put back, that one counts as different.
void put_singly(
    const Storage& storage,
    const Batch& batch,
    const std::function<std::int64_t()>& deadline_ns,
    std::vector<char>& same,
    std::vector<char>& other
) {
    storage.read(deadline_ns(), [&](Session& session) { batch.look(session, same, other); });
    for (std::size_t i = 0; i < batch.rows.size(); ++i) {
        if (same[i] != 0 || other[i] != 0) {
            continue;
        }
        std::vector<char> rest(batch.rows.size(), 1);
        rest[i] = 0;
        try {
            storage.write(deadline_ns(), [&](Session& session) { batch.put(session, rest, rest); });
        } catch (const StorageError& e) {
            if (e.failure() != Failure::constraint) {
                throw;
            }
            other[i] = 1;
        }
    }
}

}  // namespace

Restored restore_rows(
    const Storage& storage,
    const Folder& folder,
    Manifest manifest,
    const std::function<std::int64_t()>& deadline_ns,
    const std::function<bool()>& stopping
) {
    const HistoryTable& table = history_table(manifest.policy);
    verify_file(folder.file_of(manifest), manifest, stopping);
    manifest.state = State::restored;
    folder.save(manifest);
    if (table.by_time()) {
        // The day's partition may have been dropped when it was empty; what cannot be made is told
        // by the rows that have no place.
        (void)make_partitions(
            storage, deadline_ns(), manifest.first, (manifest.end - manifest.first - 1) / k_day_ns
        );
    }
    ArchiveLines archive{folder.file_of(manifest), manifest, table};
    std::vector<tenon_str> columns;
    for (const Column& column : manifest.columns) {
        columns.push_back(str(column.name));
    }
    Restored out;
    RowHash hash;
    while (true) {
        const std::vector<Line> lines = archive.next(k_rows_at_once);
        if (lines.empty()) {
            break;
        }
        if (stopping && stopping()) {
            throw Error{TENON_UNAVAILABLE, "stopped; the same command goes on"};
        }
        const Batch batch{table, lines, archive.rows(), archive, columns};
        std::vector<char> same, other, now_same, now_other;
        try {
            storage.write(deadline_ns(), [&](Session& session) {
                batch.look(session, same, other);
                batch.put(session, same, other);
                batch.look(session, now_same, now_other);
            });
        } catch (const StorageError& e) {
            if (e.failure() != Failure::constraint) {
                throw;
            }
            put_singly(storage, batch, deadline_ns, same, other);
            now_same = same;
            for (std::size_t i = 0; i < lines.size(); ++i) {
                now_same[i] = other[i] == 0 ? 1 : 0;
            }
        }
        for (std::size_t i = 0; i < lines.size(); ++i) {
            if (now_same[i] != 0) {
                hash.add(lines[i].text);
            }
            out.present += same[i] != 0 ? 1U : 0U;
            out.inserted += same[i] == 0 && other[i] == 0 ? 1U : 0U;
            if (other[i] != 0 && ++out.different <= k_differing_max) {
                out.differing.push_back(key_text(table, lines[i].key));
            }
        }
    }
    out.hash_equal = hash.hex() == manifest.row_hash;
    return out;
}

}  // namespace tenon::archive
