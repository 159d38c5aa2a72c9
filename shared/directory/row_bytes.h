// A row as bytes: how a RowSet holds it in memory and the snapshot on disk. Pure.
//
//   flags   bits 0-1 mailbox, 2 aliases_off; these follow: 3 an order, 4 destinations, 5 the domain, 6 the fault
//   key, and what the flags say: numbers as LEB128, texts as their length and as many bytes
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "shared/directory/rows.h"

namespace vmail::directory {

// What an AddressRow holds, in somebody else's memory.
struct RowView {
  RowView() = default;
  RowView(std::string_view its_key, const AddressRow& row);
  // Allocates nothing when the strings of `row` have the room.
  void copy_to(AddressRow& row) const;

  std::string_view key;
  AddressRow::Mailbox mailbox = AddressRow::Mailbox::None;
  bool aliases_off = false;
  std::uint64_t order = 0;        // among the parts of a row that is being put together
  std::string_view destinations;  // as AddressList::text() gives them
  std::string_view domain;
  std::string_view fault;
};

std::size_t encoded_size(const RowView& row);
// Writes encoded_size() bytes and returns their end.
char* encode_row(const RowView& row, char* at);
// Takes one row off the front of `bytes`; `into` points into them. False when they begin with none. Of the texts only
// the lengths are looked at.
bool decode_row(std::string_view& bytes, RowView& into);

}  // namespace vmail::directory
