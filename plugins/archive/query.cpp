// SPDX-License-Identifier: Apache-2.0
#include "plugins/archive/query.hpp"

#include <tenon/json.hpp>

#include <algorithm>
#include <charconv>
#include <ctime>

namespace tenon::archive {
namespace {

constexpr std::size_t k_page_bytes = std::size_t{1} << 20U;
constexpr std::int64_t k_s = 1'000'000'000;

// ID:FRAME:ROW
struct Place {
    std::string id;
    std::size_t frame = 0, row = 0;
};

std::size_t number(std::string_view text) {
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size()) {
        throw Error{TENON_INVALID, "the cursor is none that this command gave"};
    }
    return value;
}

Place place_of(const std::string& cursor) {
    const std::size_t row = cursor.rfind(':');
    const std::size_t frame =
        row == 0 || row == std::string::npos ? row : cursor.rfind(':', row - 1);
    if (row == std::string::npos || frame == std::string::npos) {
        throw Error{TENON_INVALID, "the cursor is none that this command gave"};
    }
    return {
        cursor.substr(0, frame),
        number(std::string_view{cursor}.substr(frame + 1, row - frame - 1)),
        number(std::string_view{cursor}.substr(row + 1))};
}

// A field as people write it: a text without its quotes.
std::string plain(const Field& field) {
    if (field.kind == TENON_VALUE_TEXT) {
        return field.bytes;
    }
    std::string text;
    append_field(text, field.value());
    return text;
}

void append_json_row(std::string& out, const Manifest& manifest, const Row& row) {
    for (std::size_t i = 0; i < row.size(); ++i) {
        out.push_back(i == 0 ? '{' : ',');
        append_json(out, std::string_view{manifest.columns[i].name});
        out.push_back(':');
        switch (row[i].kind) {
            case TENON_VALUE_NULL:
                out.append("null");
                break;
            case TENON_VALUE_INT64:
                out.append(std::to_string(row[i].integer));
                break;
            default:
                append_json(out, std::string_view{plain(row[i])});
        }
    }
    out.append("}\n");
}

class Filter {
public:
    Filter(const Query& query, const Manifest& manifest) : query_{&query} {
        for (const auto& [name, value] : query.where) {
            columns_.push_back(index_of(manifest, name));
        }
        time_ = index_of(manifest, history_table(manifest.policy).time);
    }

    [[nodiscard]] bool takes(const Row& row) const {
        const std::int64_t time = row[time_].integer;
        if (time < query_->from_real_ns || time > query_->to_real_ns) {
            return false;
        }
        for (std::size_t i = 0; i < columns_.size(); ++i) {
            if (plain(row[columns_[i]]) != query_->where[i].second) {
                return false;
            }
        }
        return true;
    }

private:
    static std::size_t index_of(const Manifest& manifest, const std::string& name) {
        for (std::size_t i = 0; i < manifest.columns.size(); ++i) {
            if (manifest.columns[i].name == name) {
                return i;
            }
        }
        std::string known;
        for (const Column& column : manifest.columns) {
            known.append(known.empty() ? "" : ", ").append(column.name);
        }
        throw Error{
            TENON_INVALID, manifest.table + " has no column \"" + name + "\"; it has " + known};
    }

    const Query* query_;
    std::vector<std::size_t> columns_;
    std::size_t time_;
};

std::vector<Manifest> archives_of(const Folder& folder, const Query& query) {
    bool is_known = false;
    std::vector<Manifest> fitting;
    for (const HistoryTable& table : history_tables()) {
        if (table.name != query.table && table.table != query.table) {
            continue;
        }
        is_known = true;
        Listing listing = folder.list(table.name);
        if (!listing.damaged.empty()) {
            throw Error{TENON_CORRUPT, listing.damaged.front()};
        }
        for (Manifest& manifest : listing.archives) {
            if (manifest.state > State::exported && manifest.min_time <= query.to_real_ns &&
                query.from_real_ns <= manifest.max_time) {
                fitting.push_back(std::move(manifest));
            }
        }
    }
    if (!is_known) {
        (void)history_table(query.table);  // says what there is
    }
    return fitting;
}

}  // namespace

Page read_page(const Folder& folder, const Query& query) {
    const std::vector<Manifest> archives = archives_of(folder, query);
    Page page;
    if (archives.empty()) {
        return page;
    }
    const bool is_first = query.cursor.empty();
    Place place = is_first ? Place{archives.front().id, 0, 0} : place_of(query.cursor);
    auto at = std::find_if(archives.begin(), archives.end(), [&](const Manifest& manifest) {
        return manifest.id == place.id;
    });
    if (at == archives.end()) {
        throw Error{TENON_NOT_FOUND, "the archive " + place.id + " is not there any more"};
    }
    if (is_first && !query.as_json) {
        std::vector<std::string> names;
        for (const Column& column : at->columns) {
            names.push_back(column.name);
        }
        page.text = header_of(names);
    }
    for (; at != archives.end(); ++at, place.frame = 0) {
        const Filter filter{query, *at};
        for (; place.frame < at->frames.size(); ++place.frame, place.row = 0) {
            const Frame& frame = at->frames[place.frame];
            if (frame.min_time > query.to_real_ns || frame.max_time < query.from_real_ns) {
                continue;
            }
            if (page.frames_read == 1) {
                page.cursor = at->id + ":" + std::to_string(place.frame) + ":0";
                return page;
            }
            ++page.frames_read;
            ArchiveReader reader{folder.file_of(*at), *at};
            CsvReader lines{reader.frame(place.frame)};
            Row row;
            std::string_view line;
            for (std::size_t i = 0; lines.next(row, &line); ++i) {
                if (i < place.row || !filter.takes(row)) {
                    continue;
                }
                if (page.text.size() >= k_page_bytes) {
                    page.cursor =
                        at->id + ":" + std::to_string(place.frame) + ":" + std::to_string(i);
                    return page;
                }
                ++page.rows;
                if (query.as_json) {
                    append_json_row(page.text, *at, row);
                } else {
                    page.text.append(line);
                }
            }
        }
    }
    return page;
}

namespace {

// Beyond what nanoseconds can tell it is for ever, or since ever.
std::int64_t nanoseconds(std::int64_t seconds, std::int64_t more) {
    constexpr std::int64_t k_limit_s = INT64_MAX / k_s - 86'400;
    return seconds > k_limit_s    ? INT64_MAX
           : seconds < -k_limit_s ? INT64_MIN
                                  : seconds * k_s + more;
}

}  // namespace

std::int64_t parse_time(const std::string& text, bool is_end) {
    const auto refuse = [&] {
        return Error{
            TENON_INVALID,
            "\"" + text + "\" is no time as 2026-05-04, 2026-05-04T03:02:01Z or nanoseconds"};
    };
    if (!text.empty() && text.find_first_not_of("0123456789") == std::string::npos) {
        std::int64_t value = 0;
        if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc{}) {
            throw refuse();
        }
        return value;
    }
    std::tm parts{};
    const char* rest = ::strptime(text.c_str(), "%Y-%m-%d", &parts);
    if (rest != nullptr && *rest == 0) {
        return nanoseconds(::timegm(&parts), is_end ? k_day_ns - 1 : 0);
    }
    rest = rest == nullptr ? nullptr : ::strptime(rest, "T%H:%M:%S", &parts);
    std::int64_t fraction = 0;
    if (rest != nullptr && *rest == '.') {
        std::int64_t unit = k_s / 10;
        for (++rest; *rest >= '0' && *rest <= '9'; ++rest, unit /= 10) {
            fraction += unit * (*rest - '0');
        }
    }
    if (rest == nullptr || std::string_view{rest} != "Z") {
        throw refuse();
    }
    return nanoseconds(::timegm(&parts), fraction);
}

}  // namespace tenon::archive
