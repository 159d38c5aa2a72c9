#include "shared/directory/row_bytes.h"

#include <string>
#include <vector>

#include "tests/support/catch.h"

using vmail::directory::AddressRow;
using vmail::directory::decode_row;
using vmail::directory::encode_row;
using vmail::directory::encoded_size;
using vmail::directory::RowView;

namespace {

std::string encoded(const RowView& row) {
  std::string bytes(encoded_size(row), '\0');
  CHECK(encode_row(row, bytes.data()) == bytes.data() + bytes.size());
  return bytes;
}

AddressRow full_row() {
  AddressRow row;
  row.mailbox = AddressRow::Mailbox::Off;
  row.aliases_off = true;
  row.destinations.add("a@example.org");
  row.destinations.add(std::string(300, 'x') + "@example.org");
  row.domain =
      "b\xc3\xbc"
      "cher.example";
  row.fault = "two rows";
  return row;
}

}  // namespace

TEST_CASE("a row reads back from its bytes") {
  std::vector<AddressRow> rows(6);
  rows[1].mailbox = AddressRow::Mailbox::On;
  rows[2].aliases_off = true;
  rows[3].destinations.add("a@example.org");
  rows[4].fault = "two rows";
  rows[5] = full_row();
  std::string bytes;
  for (const auto& row : rows) bytes += encoded(RowView("u@example.org", row));
  std::string_view rest = bytes;
  for (const auto& row : rows) {
    RowView view;
    REQUIRE(decode_row(rest, view));
    CHECK(view.key == "u@example.org");
    CHECK(view.order == 0);
    AddressRow back = full_row();
    view.copy_to(back);
    CHECK(back == row);
  }
  CHECK(rest.empty());
  RowView none;
  CHECK_FALSE(decode_row(rest, none));
}

TEST_CASE("a mailbox takes two bytes more than its key") {
  AddressRow row;
  row.mailbox = AddressRow::Mailbox::On;
  CHECK(encoded_size(RowView("u@example.org", row)) == 15);
}

TEST_CASE("an order of any size reads back") {
  for (const std::uint64_t order : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{127}, std::uint64_t{128},
                                    std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
    CAPTURE(order);
    RowView row;
    row.key = "@example.org";
    row.order = order;
    const std::string bytes = encoded(row);
    std::string_view rest = bytes;
    RowView back;
    REQUIRE(decode_row(rest, back));
    CHECK(back.order == order);
    CHECK(rest.empty());
  }
}

TEST_CASE("bytes that are no row are refused") {
  const AddressRow row = full_row();
  RowView view("u@example.org", row);
  view.order = 1000;
  const std::string bytes = encoded(view);
  RowView into;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    // Of its own, so that reading past the end is seen.
    const std::vector<char> part(bytes.begin(), bytes.begin() + static_cast<long>(size));
    std::string_view rest(part.data(), part.size());
    CHECK_FALSE(decode_row(rest, into));
  }
  for (const std::string& bad : {std::string("\x03\x01k", 3),                                      // no such mailbox
                                 std::string("\x80\x01k", 3),                                      // no such flag
                                 std::string("\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11),  // a long key
                                 std::string("\x00", 1) + std::string(20, '\x80')}) {  // a number without end
    std::string_view rest = bad;
    CHECK_FALSE(decode_row(rest, into));
  }
}
