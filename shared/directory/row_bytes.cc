#include "shared/directory/row_bytes.h"

#include <algorithm>

namespace vmail::directory {
namespace {

constexpr unsigned kMailbox = 3;
constexpr unsigned kAliasesOff = 1U << 2;
constexpr unsigned kOrder = 1U << 3;
constexpr unsigned kDestinations = 1U << 4;
constexpr unsigned kDomain = 1U << 5;
constexpr unsigned kFault = 1U << 6;

std::size_t size_of(std::uint64_t number) {
  std::size_t size = 1;
  for (; number >= 0x80; number >>= 7) ++size;
  return size;
}

std::size_t size_of(std::string_view text) {
  return size_of(text.size()) + text.size();
}

char* put(std::uint64_t number, char* at) {
  for (; number >= 0x80; number >>= 7) *at++ = static_cast<char>(number | 0x80);
  *at++ = static_cast<char>(number);
  return at;
}

char* put(std::string_view text, char* at) {
  return std::copy(text.begin(), text.end(), put(text.size(), at));
}

bool take(std::string_view& bytes, std::uint64_t& number) {
  number = 0;
  for (unsigned shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    number |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

bool take(std::string_view& bytes, std::string_view& text) {
  std::uint64_t size = 0;
  if (!take(bytes, size) || size > bytes.size()) return false;
  text = bytes.substr(0, size);
  bytes.remove_prefix(size);
  return true;
}

}  // namespace

RowView::RowView(std::string_view its_key, const AddressRow& row)
    : key(its_key),
      mailbox(row.mailbox),
      aliases_off(row.aliases_off),
      destinations(row.destinations.text()),
      domain(row.domain),
      fault(row.fault) {}

void RowView::copy_to(AddressRow& row) const {
  row.mailbox = mailbox;
  row.aliases_off = aliases_off;
  row.destinations.assign_text(destinations);
  row.domain.assign(domain);
  row.fault.assign(fault);
}

std::size_t encoded_size(const RowView& row) {
  std::size_t size = 1 + size_of(row.key);
  if (row.order != 0) size += size_of(row.order);
  if (!row.destinations.empty()) size += size_of(row.destinations);
  if (!row.domain.empty()) size += size_of(row.domain);
  if (!row.fault.empty()) size += size_of(row.fault);
  return size;
}

char* encode_row(const RowView& row, char* at) {
  unsigned flags = static_cast<unsigned>(row.mailbox);
  if (row.aliases_off) flags |= kAliasesOff;
  if (row.order != 0) flags |= kOrder;
  if (!row.destinations.empty()) flags |= kDestinations;
  if (!row.domain.empty()) flags |= kDomain;
  if (!row.fault.empty()) flags |= kFault;
  *at++ = static_cast<char>(flags);
  at = put(row.key, at);
  if (row.order != 0) at = put(row.order, at);
  if (!row.destinations.empty()) at = put(row.destinations, at);
  if (!row.domain.empty()) at = put(row.domain, at);
  if (!row.fault.empty()) at = put(row.fault, at);
  return at;
}

bool decode_row(std::string_view& bytes, RowView& into) {
  if (bytes.empty()) return false;
  const unsigned flags = static_cast<unsigned char>(bytes.front());
  bytes.remove_prefix(1);
  if (flags > 0x7f || (flags & kMailbox) > static_cast<unsigned>(AddressRow::Mailbox::Off)) return false;
  into = RowView();
  into.mailbox = static_cast<AddressRow::Mailbox>(flags & kMailbox);
  into.aliases_off = (flags & kAliasesOff) != 0;
  return take(bytes, into.key) && ((flags & kOrder) == 0 || take(bytes, into.order)) &&
         ((flags & kDestinations) == 0 || take(bytes, into.destinations)) &&
         ((flags & kDomain) == 0 || take(bytes, into.domain)) && ((flags & kFault) == 0 || take(bytes, into.fault));
}

}  // namespace vmail::directory
