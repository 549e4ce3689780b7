// SPDX-License-Identifier: Apache-2.0
#include "sdk/capture/segment_tip.hpp"

namespace tenon::capture {

SegmentTip::SegmentTip(std::string file)
    : reader_{std::move(file)}, bytes_{reader_.offset()}, chain_{reader_.chain()} {}

// The reader stays in the middle of a commit that is not whole yet. Where its writer has cut that
// back and written something else since, it goes back and reads again.
void SegmentTip::advance(std::uint64_t until) {
    Record record;
    int attempts = 3;
    while (!has_ended_ && reader_.offset() < until) {
        const Found found = reader_.next(record);
        if (found == Found::wait) {
            return;
        }
        if (found == Found::damaged) {
            const std::uint64_t at = reader_.offset();
            reader_.seek(bytes_, chain_);
            if (--attempts == 0) {
                throw Error{
                    TENON_CORRUPT, reader_.file() + " is damaged at byte " + std::to_string(at)};
            }
        } else if (record.type != RecordType::pages) {
            bytes_ = reader_.offset();
            chain_ = reader_.chain();
            has_ended_ = record.type == RecordType::end;
        }
    }
}

}  // namespace tenon::capture
