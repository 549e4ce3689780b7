// SPDX-License-Identifier: Apache-2.0
#include "sdk/journal/segment_tip.hpp"

namespace tenon::journal {

void SegmentTip::advance(std::uint64_t until) {
    cursor_.look_again();
    if (!header_) {
        header_ = cursor_.header();
        if (!header_) {
            return;
        }
        next_sequence_ = header_->first_sequence;
    }
    if (last_offset_ != 0 && !cursor_.has_record(last_offset_, crc())) {
        throw Error{TENON_CONFLICT, path() + " was cut before offset " + std::to_string(bytes())};
    }
    Record record;
    while (cursor_.offset() < until) {
        const SegmentCursor::Step step = cursor_.next(record);
        is_at_end_ = step == SegmentCursor::Step::end;
        if (step != SegmentCursor::Step::record) {
            return;
        }
        next_sequence_ = record.sequence + 1;
        last_offset_ = record.offset;
    }
}

}  // namespace tenon::journal
