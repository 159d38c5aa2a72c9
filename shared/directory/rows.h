// What the directory keeps: rows of the database as values, and the source that a resolver takes them from.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "shared/base/secret.h"

namespace vmail::directory {

// All that the tables hold about one address, or about "@domain" (a catch-all has destinations only).
struct AddressRow {
  enum class Mailbox : unsigned char { None, On, Off };
  Mailbox mailbox = Mailbox::None;
  bool aliases_off = false;               // there are alias rows and each is switched off
  std::vector<std::string> destinations;  // of the alias rows that are on, without duplicates
  std::string domain;                     // as the mailbox's row spells it, when that is not the key's spelling
  std::string fault;                      // why these rows make no sense, in words; then nothing else counts

  bool empty() const { return mailbox == Mailbox::None && !aliases_off && destinations.empty() && fault.empty(); }
};

// By key (address_key()). Every key that was asked for is there, if only with an empty row.
using AddressRows = std::unordered_map<std::string, AddressRow>;

struct CredentialRow {
  bool on = false;
  std::string domain;  // as in AddressRow
  Secret hash;
  std::string fault;
};
using CredentialRows = std::unordered_map<std::string, CredentialRow>;  // only those that exist

class RowSource {
 public:
  virtual ~RowSource() = default;
  // Nothing when it is not known whether there is one. Valid until the next call of anything on the source.
  virtual const AddressRow* find(std::string_view key) = 0;
};

// A source that has been read whole.
class ReadRows final : public RowSource {
 public:
  explicit ReadRows(const AddressRows& rows) : rows_(rows) {}
  const AddressRow* find(std::string_view key) override {
    const auto found = rows_.find(std::string(key));
    return found == rows_.end() ? nullptr : &found->second;
  }

 private:
  const AddressRows& rows_;
};

}  // namespace vmail::directory
