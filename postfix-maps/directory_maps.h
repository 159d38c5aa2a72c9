// The maps over the directory and over the administrator's queries: each turns a key into a question, and its outcome
// into a reply.
//
//   domains, relay-domains             is it one: "1"
//   mailboxes                          is there one: "1"
//   aliases                            the destinations, separated by commas
//   sender-logins                      the logins that may send as the address, separated by commas
//   transports, sender-relay, sender-bcc, recipient-bcc, sender-canonical, recipient-canonical, recipient-access
//                                      the one value of the rule for the address
//   those of [[maps.query]]            what the query gives, separated by commas
#pragma once

#include "postfix-maps/maps.h"
#include "shared/base/address_list.h"
#include "shared/base/outcome.h"
#include "shared/directory/directory.h"
#include "shared/directory/query_maps.h"
#include "shared/socketmap/codec.h"

namespace vmail::maps {

// The table of DESIGN section 2 for socketmap: Found is OK, NotFound and Disabled are NOTFOUND, TempFail is TEMP.
template <class T, class Spell>
socketmap::Reply reply_for(const Outcome<T>& outcome, Spell spell) {
  switch (outcome.status()) {
    case Status::Found:
      return spell(outcome.value());
    case Status::NotFound:
    case Status::Disabled:
      return socketmap::Reply::not_found();
    case Status::TempFail:
      break;
  }
  return socketmap::Reply::temp(outcome.reason());
}

// virtual_mailbox_domains: own domains and alias domains, whose mail we take too.
socketmap::Reply domains_reply(const Outcome<directory::DomainKind>& outcome);
// relay_domains: those, whose mail goes on to another host.
socketmap::Reply relay_domains_reply(const Outcome<directory::DomainKind>& outcome);
// virtual_mailbox_maps: that it exists is all that Postfix wants to know.
socketmap::Reply mailboxes_reply(const Outcome<directory::Mailbox>& outcome);
// virtual_alias_maps, smtpd_sender_login_maps: all of them, separated by commas.
socketmap::Reply list_reply(const Outcome<AddressList>& outcome);
// Maps of which Postfix takes one value: several are a temporary failure, not a guess.
socketmap::Reply one_value_reply(const Outcome<AddressList>& outcome);

// Loop thread only. The directory and the queries outlive the maps.
void add_directory_maps(Maps& maps, directory::Directory& directory);
void add_query_maps(Maps& maps, directory::QueryMaps& queries);
// Throws config::Error for a name or a query that cannot be; it asks nobody.
void check_query_maps(const config::Settings& settings);

}  // namespace vmail::maps
