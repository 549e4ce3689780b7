// SPDX-License-Identifier: Apache-2.0
// The order of these matters.
// clang-format off
#include <boost/asio/impl/src.hpp>

#include <boost/beast/core/buffer_traits.hpp>
#include <boost/beast/core/detail/clamp.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/rfc7230.hpp>

// The parser of HTTP asserts that a last chunk goes on with five bytes or more; where it is the
// first one and its peer stops before the last byte of "0\r\n\r\n", it is given four, which it
// reads well. Input ends no process.
#define BOOST_BEAST_SOURCE
#define BOOST_DISABLE_ASSERTS
#include <boost/assert.hpp>
#include <boost/beast/http/impl/basic_parser.ipp>
#undef BOOST_DISABLE_ASSERTS
#include <boost/assert.hpp>

#include <boost/beast/src.hpp>
// clang-format on
