// SPDX-License-Identifier: Apache-2.0
// What commands gave: one result a command, with the rows of its reply and its events.
//
// An Output collects over many commands, so that the engine can keep the results of a batch until
// the batch is on disk, hand them out, and clear() it. Rows are copies: later commands do not
// change them. Once its buffers are as large as a batch needs, nothing is allocated any more.
// Structs of tenon.trading/1 are made from rows on demand, with pointers into this Output: valid
// until the next command is applied into it, or clear().
#pragma once

#include <tenon/abi/trading.h>
#include <tenon/structs.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::trading {

// Rows first .. first + count - 1 of a vector.
struct Rows {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
};

struct Result {
    std::uint64_t sequence = 0;
    std::int64_t time_real_ns = 0;
    std::uint32_t reject = TENON_REJECT_NONE;
    std::uint64_t account = 0;  // account_open: the new id
    Rows orders;                // reply rows, in Output's orders
    Rows trades;                // reply rows, in Output's trades
    Rows lists;                 // reply rows, in Output's lists
    Rows prevented;             // of this command, in Output's prevented
    Rows amendments;            // one, or none
    Rows events;                // of this command, all orders and accounts it touched
};

// Reused by the core; filled by it, read by everyone else.
class Output {
public:
    Output();

    // Forgets all results and rows, keeps the memory.
    void clear() noexcept;

    [[nodiscard]] const std::vector<Result>& results() const noexcept { return results_; }

    // The answer to the command's sender. A refused command has no rows.
    [[nodiscard]] tenon_trading_reply reply(const Result& result) const noexcept;

    // Event `index` (from 0) of a result. A trade inside an internal book gives two ORDER events,
    // the taker's and then the maker's, with the same trade id.
    [[nodiscard]] tenon_execution_event event(const Result& result, std::uint32_t index)
        const noexcept;

    // Events of all results so far.
    [[nodiscard]] std::size_t event_count() const noexcept { return events_.size(); }

private:
    friend class Core;

    static constexpr std::uint32_t k_none = 0xffffffffU;

    struct Event {
        std::uint32_t kind = 0;
        std::uint32_t row = 0;             // in the vector of its kind; INSTRUMENT: the id
        std::uint32_t trade = k_none;      // ORDER: row of the trade; INSTRUMENT: the status
        bool maker_trade = false;          // the trade is in maker_trades_
        std::uint32_t prevented = k_none;  // ORDER: row of the prevented match
        std::uint32_t amendment = k_none;  // ORDER: row of the amendment
    };

    // A text in text_, so that rows with texts can be copied and grow.
    struct Text {
        std::uint32_t first = 0;
        std::uint32_t size = 0;
    };

    // A row made of a struct of the contract, and the texts that its pointers will be set to.
    struct LedgerRow {
        tenon_ledger_entry entry = sized<tenon_ledger_entry>();
        Text reference;
    };

    struct AccountRow {
        tenon_account account = sized<tenon_account>();
        Text name;
    };

    struct KeyRow {
        tenon_api_key key = sized<tenon_api_key>();
        Text name, label, material, addresses;
    };

    [[nodiscard]] Text keep(std::string_view text);

    [[nodiscard]] tenon_str text(Text text) const noexcept {
        return {text_.data() + text.first, text.size};
    }

    std::vector<Result> results_;
    std::vector<Event> events_;
    std::vector<tenon_order> orders_;
    std::vector<tenon_trade> trades_;        // of the order that was submitted
    std::vector<tenon_trade> maker_trades_;  // of the others
    std::vector<tenon_balance> balances_;
    std::vector<tenon_order_list> lists_;
    std::vector<tenon_prevented_match> prevented_;
    std::vector<tenon_amendment> amendments_;
    std::string text_;
    mutable std::vector<LedgerRow> ledger_;  // pointers are set when read
    mutable std::vector<AccountRow> accounts_;
    mutable std::vector<KeyRow> keys_;
};

}  // namespace tenon::trading
