// SPDX-License-Identifier: Apache-2.0
// The JSON schemas of a mapping: of the file as a whole, and of one column.
#pragma once

#include <string_view>

namespace tenon::importer {

inline constexpr std::string_view k_mapping_schema = R"({
  "type": "object", "additionalProperties": false,
  "required": ["import_version", "name", "tables"],
  "properties": {
    "import_version": {"const": 1},
    "description": {"type": "string"},
    "name": {"type": "string", "minLength": 1, "maxLength": 64,
      "description": "what the rows' provenance calls the source"},
    "bad_rows": {"type": "string", "enum": ["stop", "skip"], "default": "stop",
      "description": "stop: nothing is written when one row cannot be; skip: such rows are left out and listed"},
    "users": {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 64},
      "description": "users that are made where they do not exist"},
    "accounts": {"type": "object", "description": "accounts of this import, and the user of each"},
    "tables": {"type": "array", "minItems": 1, "maxItems": 32, "items": {
      "type": "object", "additionalProperties": false,
      "required": ["name", "target", "key", "columns"],
      "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 64},
        "target": {"type": "string"},
        "table": {"type": "string", "minLength": 1, "maxLength": 128,
          "description": "table or view of the source"},
        "select": {"type": "string", "minLength": 1, "maxLength": 65536,
          "description": "a query over the source instead"},
        "key": {"type": "array", "minItems": 1, "maxItems": 8,
          "items": {"type": "string", "minLength": 1, "maxLength": 128},
          "description": "columns that tell the source's rows apart: integers or text, never NULL"},
        "columns": {"type": "object", "description": "by column of the target"}
      }}}
  }})";

inline constexpr std::string_view k_column_schema = R"({
  "type": "object", "additionalProperties": false,
  "properties": {
    "from": {"description": "a column of the source, or a list: summed, or the key of the row that is meant"},
    "constant": {"description": "text, an integer or null, for every row"},
    "null": {"description": "what stands for NULL"},
    "map": {"type": "object", "description": "the source's words to the target's"},
    "map_else": {"type": "string", "description": "for words that are not in the map"},
    "remove": {"type": "string", "minLength": 1, "maxLength": 32,
      "description": "characters that are taken out of the text"},
    "unit": {"type": "string", "enum": ["s", "ms", "us", "ns", "iso"],
      "description": "of times; iso: text with date and time"},
    "zone": {"type": "string", "description": "of ISO times without a zone: UTC or +02:00"},
    "round": {"type": "string", "enum": ["half_even", "down"],
      "description": "for digits beyond the target's scale; without it such a row is bad"},
    "source_scale": {"type": "integer", "minimum": 1, "maximum": 18,
      "description": "the source's integers count 10^-source_scale"},
    "row_of": {"type": "string", "description": "the mapping's table whose row is meant"}
  }})";

}  // namespace tenon::importer
