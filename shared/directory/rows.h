// What the directory keeps: rows of the database as values.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "shared/base/address_list.h"
#include "shared/base/secret.h"
#include "shared/directory/credentials.h"

namespace vmail::directory {

// All that the tables hold about one address, or about "@domain" (a catch-all has destinations only).
struct AddressRow {
  enum class Mailbox : unsigned char { None, On, Off };
  Mailbox mailbox = Mailbox::None;
  bool aliases_off = false;  // there are alias rows and each is switched off
  AddressList destinations;  // of the alias rows that are on, without duplicates
  std::string domain;        // as the mailbox's row spells it, when that is not the key's spelling
  std::string fault;         // why these rows make no sense, in words; then nothing else counts

  bool empty() const { return mailbox == Mailbox::None && !aliases_off && destinations.empty() && fault.empty(); }
  bool operator==(const AddressRow&) const = default;
};

// By key (address_key()). Every key that was asked for is there, if only with an empty row.
using AddressRows = std::unordered_map<std::string, AddressRow>;

// The login of an address, as in Credentials. What is secret is wiped when the row goes.
struct CredentialRow {
  bool exists = false;
  bool on = false;
  std::string domain;  // as in AddressRow
  Secret hash;
  std::string fault;
  Secret scram{};
  Access access{};
  bool app_passwords_only = false;
  std::vector<AppPassword> app_passwords{};

  CredentialRow copy() const {
    return {exists,
            on,
            domain,
            hash.copy(),
            fault,
            scram.copy(),
            access,
            app_passwords_only,
            directory::copy(app_passwords)};
  }
};
// A login that has more of them is bad data.
inline constexpr std::size_t kMaxAppPasswords = 100;
using CredentialRows = std::unordered_map<std::string, CredentialRow>;  // as AddressRows

}  // namespace vmail::directory
