// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/errors.hpp"

#include "plugins/gateway/binance/json_writer.hpp"

#include <tenon/abi/trading.h>

#include <algorithm>
#include <array>

namespace tenon::binance {
namespace {

std::string join(std::initializer_list<std::string_view> parts) {
    std::string text;
    for (const std::string_view part : parts) {
        text.append(part);
    }
    return text;
}

struct Refusal {
    std::uint32_t reject;
    int code;  // 0: that of the command's kind
    std::string_view message;
    std::uint32_t http_status = 400;
};

constexpr std::array k_refusals{
    Refusal{TENON_REJECT_UNKNOWN_INSTRUMENT, -1121, "Invalid symbol."},
    Refusal{TENON_REJECT_MARKET_CLOSED, 0, "Market is closed."},
    Refusal{TENON_REJECT_PRICE_FILTER, -1013, "Filter failure: PRICE_FILTER"},
    Refusal{TENON_REJECT_LOT_SIZE, -1013, "Filter failure: LOT_SIZE"},
    Refusal{TENON_REJECT_MARKET_LOT_SIZE, -1013, "Filter failure: MARKET_LOT_SIZE"},
    Refusal{TENON_REJECT_NOTIONAL, -1013, "Filter failure: NOTIONAL"},
    Refusal{TENON_REJECT_PERCENT_PRICE, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"},
    Refusal{TENON_REJECT_MAX_ORDERS, -1013, "Filter failure: MAX_NUM_ORDERS"},
    Refusal{TENON_REJECT_BALANCE, 0, "Account has insufficient balance for requested action."},
    Refusal{TENON_REJECT_DUPLICATE_ID, 0, "Duplicate order sent."},
    Refusal{TENON_REJECT_WOULD_MATCH, 0, "Order would immediately match and take."},
    Refusal{TENON_REJECT_UNKNOWN_ORDER, 0, "Unknown order sent."},
    Refusal{TENON_REJECT_OVERFLOW, -1108, "Parameter 'quantity' overflowed."},
    Refusal{
        TENON_REJECT_UNKNOWN_ACCOUNT,
        -2015,
        "Invalid API-key, IP, or permissions for action.",
        401},
    Refusal{TENON_REJECT_ACCOUNT_DISABLED, 0, "This action is disabled on this account."},
    Refusal{TENON_REJECT_INVALID, -1014, "Unsupported order combination."},
    Refusal{TENON_REJECT_UNSUPPORTED, -1020, "This operation is not supported."},
    Refusal{TENON_REJECT_MAX_POSITION, -1013, "Filter failure: MAX_POSITION"},
    Refusal{TENON_REJECT_NO_LIQUIDITY, -1112, "No orders on book for symbol."},
    Refusal{TENON_REJECT_WOULD_TRIGGER, 0, "Order would trigger immediately."},
    Refusal{TENON_REJECT_MAX_ALGO_ORDERS, -1013, "Filter failure: MAX_NUM_ALGO_ORDERS"},
    Refusal{
        TENON_REJECT_CANCEL_RESTRICTED,
        0,
        "Order was not canceled due to cancel restrictions."},
    Refusal{
        TENON_REJECT_LIST_PRICES,
        0,
        "The relationship of the prices for the orders is not correct."},
    Refusal{TENON_REJECT_UNKNOWN_LIST, 0, "Unknown order list sent."},
    Refusal{TENON_REJECT_TRAILING_DELTA, -1013, "Filter failure: TRAILING_DELTA"},
    Refusal{TENON_REJECT_TIME_OVER, -1130, "Data sent for parameter 'goodTillDate' is not valid."},
    Refusal{TENON_REJECT_ICEBERG_PARTS, -1013, "Filter failure: ICEBERG_PARTS"},
    Refusal{TENON_REJECT_AMEND_QUANTITY, 0, "Order amend (quantity increase) is not supported."},
    Refusal{TENON_REJECT_RISK_PRICE_BAND, 0, "Risk limit: price band."},
    Refusal{TENON_REJECT_RISK_NOTIONAL, 0, "Risk limit: order notional."},
    Refusal{TENON_REJECT_RISK_POSITION, 0, "Risk limit: position."},
    Refusal{TENON_REJECT_RISK_EXPOSURE, 0, "Risk limit: exposure."},
    Refusal{TENON_REJECT_RISK_OPEN_ORDERS, 0, "Risk limit: open orders."},
    Refusal{
        TENON_REJECT_RISK_ORDER_RATE,
        -1015,
        "Too many new orders: risk limit on the order rate.",
        429},
    Refusal{TENON_REJECT_VENUE, 0, "The venue refused the order."},
    Refusal{
        TENON_REJECT_CAPACITY,
        -1008,
        "Server is currently overloaded with other requests. Please try again in a few minutes.",
        503},
    Refusal{
        TENON_REJECT_NOT_SENT,
        -1001,
        "Internal error; unable to process your request. Please try again.",
        503},
};

}  // namespace

namespace errors {

ApiError unknown() {
    return {500, -1000, "An unknown error occurred while processing the request."};
}

ApiError busy() {
    ApiError error{
        503,
        -1008,
        "Server is currently overloaded with other requests. Please try again in a few minutes."};
    error.retry_after_s = 1;
    return error;
}

ApiError unavailable(std::string_view reason) {
    ApiError error{503, -1001, join({"Internal error; unable to process your request: ", reason})};
    error.retry_after_s = 1;
    return error;
}

ApiError in_doubt() {
    return {
        500,
        -1006,
        "An unexpected response was received from the message bus. Execution status unknown."};
}

ApiError outcome_unknown() {
    return {
        504,
        -1007,
        "Timeout waiting for response from backend server. Send status unknown; execution status "
        "unknown."};
}

ApiError filter(std::string_view name) {
    return {-1013, join({"Filter failure: ", name})};
}

ApiError unsupported(std::string_view what) {
    return {-1020, join({what, " is not supported by this server yet."})};
}

ApiError outside_window() {
    return {-1021, "Timestamp for this request is outside of the recvWindow."};
}

ApiError ahead_of_server() {
    return {-1021, "Timestamp for this request was 1000ms ahead of the server's time."};
}

ApiError signature() {
    return {-1022, "Signature for this request is not valid."};
}

ApiError illegal(std::string_view parameter, std::string_view range) {
    return {
        -1100,
        join(
            {"Illegal characters found in parameter '",
             parameter,
             "'; legal range is '",
             range,
             "'."}
        )};
}

ApiError too_many(std::size_t expected, std::size_t received) {
    return {
        -1101,
        join(
            {"Too many parameters; expected '",
             std::to_string(expected),
             "' and received '",
             std::to_string(received),
             "'."}
        )};
}

ApiError duplicate() {
    return {-1101, "Duplicate values for a parameter detected."};
}

ApiError mandatory(std::string_view parameter) {
    return {
        -1102,
        join({"Mandatory parameter '", parameter, "' was not sent, was empty/null, or malformed."}
        )};
}

ApiError either(std::string_view a, std::string_view b) {
    return {-1102, join({"Param '", a, "' or '", b, "' must be sent, but both were empty/null!"})};
}

ApiError unread(std::size_t read, std::size_t sent) {
    return {
        -1104,
        join(
            {"Not all sent parameters were read; read '",
             std::to_string(read),
             "' parameter(s) but was sent '",
             std::to_string(sent),
             "'."}
        )};
}

ApiError empty(std::string_view parameter) {
    return {-1105, join({"Parameter '", parameter, "' was empty."})};
}

ApiError not_required(std::string_view parameter) {
    return {-1106, join({"Parameter '", parameter, "' sent when not required."})};
}

ApiError overflow(std::string_view parameter) {
    return {-1108, join({"Parameter '", parameter, "' overflowed."})};
}

ApiError precision(std::string_view parameter) {
    return {-1111, join({"Parameter '", parameter, "' has too much precision."})};
}

ApiError symbol() {
    return {-1121, "Invalid symbol."};
}

ApiError combination() {
    return {-1128, "Combination of optional parameters invalid."};
}

ApiError invalid(std::string_view parameter) {
    return {-1130, join({"Data sent for parameter '", parameter, "' is not valid."})};
}

ApiError key_format() {
    return {401, -2014, "API-key format invalid."};
}

ApiError key_rejected() {
    return {401, -2015, "Invalid API-key, IP, or permissions for action."};
}

}  // namespace errors

void write_error(std::string& out, const ApiError& error) {
    JsonWriter json{out};
    json.raw("{").field("code", error.code()).field("msg", error.message());
    if (!error.data.empty()) {
        json.key("data").raw(error.data);
    }
    json.raw("}");
}

ApiError reject_error(std::uint32_t reject, CommandKind kind) {
    constexpr std::array k_codes{-2010, -2011, -2038};
    const int refused = k_codes[static_cast<std::size_t>(kind)];
    if (kind == CommandKind::amend && reject == TENON_REJECT_UNSUPPORTED) {
        return {refused, "Order amend is not supported for this symbol."};
    }
    const auto* const row =
        std::find_if(k_refusals.begin(), k_refusals.end(), [&](const Refusal& refusal) {
            return refusal.reject == reject;
        });
    if (row == k_refusals.end()) {
        return {refused, "Refused for reason " + std::to_string(reject) + "."};
    }
    ApiError error{
        row->http_status, row->code == 0 ? refused : row->code, std::string{row->message}};
    error.retry_after_s = row->http_status >= 429 ? 1 : 0;
    return error;
}

ApiError status_error(tenon_status status, const tenon_err* err) {
    if (status == TENON_IN_DOUBT) {
        return errors::in_doubt();
    }
    if (status == TENON_UNAVAILABLE || status == TENON_TIMEOUT) {
        return err != nullptr && err->len != 0 ? errors::unavailable({err->msg, err->len})
                                               : errors::busy();
    }
    return errors::unknown();
}

}  // namespace tenon::binance
