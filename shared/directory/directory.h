// The directory: typed questions about domains, addresses and logins, answered from memory or by the database. A
// component never writes SQL.
//
// Loop thread only. Each question either returns its outcome at once (a hit; `later` is then dropped uncalled) or
// returns nothing and calls `later` once, from the loop, never re-entrantly, within the deadline of [database]. Keys
// are what the peer sent: not folded, perhaps not addresses at all (those are NotFound, without a query).
//
// While the database cannot be asked, what is in memory is served beyond its lifetime (Source::Stale), within the
// bounds of [directory].
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/address_list.h"
#include "shared/base/clock.h"
#include "shared/base/move_only_function.h"
#include "shared/base/outcome.h"
#include "shared/base/secret.h"
#include "shared/config/settings.h"
#include "shared/directory/credentials.h"
#include "shared/directory/mailbox_page.h"
#include "shared/directory/rules.h"
#include "shared/runtime/loop.h"

namespace vmail::directory {

class Database;

enum class DomainKind : unsigned char { Own, Relay, Alias };

// A mailbox that mail can be delivered to, now or later. Local part and domain are folded, the alias domain already
// followed, the extension taken off: they name one Maildir.
struct Mailbox {
  std::string local;
  std::string domain;
  std::string extension;  // what was taken off, with its delimiter
  bool hold = false;      // its mail is to wait (a rule of kind `state`)
  std::string address() const { return local + '@' + domain; }
};

// What a login is checked by, for vmail-authd alone (others have no grant to read it).
struct Credentials {
  Mailbox mailbox;
  Secret hash;     // as stored: bare or with {SCHEME}
  Secret scram{};  // "iterations,salt,StoredKey,ServerKey", the last three in base64; empty: none that belong to `hash`
  Access access{};
  bool app_passwords_only = false;           // of the login or its domain: `hash` opens no mail service
  std::vector<AppPassword> app_passwords{};  // those that are on
};

// Where mail to an address ends: aliases, alias domains and catch-alls followed, as deep as they are nested.
struct Expansion {
  std::vector<Mailbox> mailboxes;      // of ours, each once
  std::vector<std::string> elsewhere;  // addresses in domains that are not ours, relay domains among them
  std::vector<std::string> dead_ends;  // addresses in domains of ours that nothing answers for, or that are disabled
  std::vector<std::string> loop;       // the way round, from an address to itself; empty: there is none
  bool too_many = false;               // more than kMaxExpansion addresses: those after them were not followed
};
// As Postfix's virtual_alias_expansion_limit.
inline constexpr std::size_t kMaxExpansion = 1000;

template <class T>
using Later = MoveOnlyFunction<void(Outcome<T>)>;
template <class T>
using Answer = std::optional<Outcome<T>>;
// What memory had, valid until the next question; nullptr: it has to be asked for.
template <class T>
using Recalled = const Outcome<T>*;

enum class Freshness {
  Cached,           // whatever is inside its lifetime
  FreshForRefusal,  // NotFound and Disabled come from what was read within the last second, domains too: a permanent
                    // refusal follows. Of a login, Found as well: its hash has not matched
};

struct Options {
  // This program's database user; only vmail-authd's has the grant for credentials().
  std::string database_user;
  Secret database_password;
  std::string state_folder;  // for the snapshot; empty: none
  bool rules = false;        // this program asks for rules, and its user has the grant
};

struct Shown;
struct Stats;

class Directory {
 public:
  // Reads the snapshot and begins to load the domains. `loop` and `clock` outlive the directory. Throws config::Error
  // for settings that cannot be.
  Directory(Loop& loop, const Clock& clock, const config::Settings& settings, Options options);
  // The same over any database, for tests.
  Directory(Loop& loop, const Clock& clock, const config::Settings& settings, std::unique_ptr<Database> database,
            const std::string& state_folder = "");
  ~Directory();  // stop(), if that has not been done
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  // Is it a domain of ours, and of which kind? Always from memory once the sets are loaded: "not ours" needs no
  // database, neither here nor in the questions below.
  Answer<DomainKind> domain(std::string_view name, Later<DomainKind> later);
  // The mailbox of an address: full, without extension, through an alias domain. No catch-all: those are aliases.
  Answer<Mailbox> mailbox(std::string_view address, Freshness freshness, Later<Mailbox> later);
  // Where an alias leads: the destinations, extension put back; an address in an alias domain leads to its own in the
  // target domain; a catch-all answers where nothing more exact exists. A plain mailbox is NotFound here.
  Answer<AddressList> aliases(std::string_view address, Later<AddressList> later);
  // The address of a login as it is, or through an alias domain; no extension. That there is none, or that it is
  // disabled, is always what was read within the last second.
  Answer<Credentials> credentials(std::string_view login, Freshness freshness, Later<Credentials> later);

  // The values of the most exact rule of that kind for an address, as find_by_ladder() has it; also of a domain and "*"
  // for the kinds that go by domain, and of "<>". NotFound: there is none. Canonical addresses come with the extension
  // put back, as aliases do. Always from memory once the domains are loaded.
  Answer<AddressList> rule(RuleKind kind, std::string_view address, Later<AddressList> later);
  // Always Found, or TempFail: an address that does not exist is its own dead end. It takes a question for each address
  // on the way, and so up to twice the deadline. `freshness` is that of its mailboxes. Loops and dead ends behind an
  // alias are logged, once for each address.
  Answer<Expansion> expansion(std::string_view address, Freshness freshness, Later<Expansion> later);
  // The logins that may send as this address: its mailbox; those its aliases (nested too), its alias domain or its
  // catch-all lead to; those with a send-as rule for it, its domain or "*". The extension is ignored. Folded, as logins
  // are spelled in the database; NotFound: there is none.
  Answer<AddressList> owners(std::string_view sender, Later<AddressList> later);

  // The mailboxes that are on, in domains that are, behind the id `after`, of which the first page has 0. Always asked
  // of the database: Found, or TempFail.
  void mailboxes(std::uint64_t after, Later<MailboxPage> later);

  // The same from memory alone; a hit allocates nothing. `now` is the clock's: its reading is a good part of the time
  // that this takes, and the caller has done it.
  Recalled<DomainKind> recall_domain(std::string_view name, Instant now);
  Recalled<Mailbox> recall_mailbox(std::string_view address, Instant now);
  Recalled<AddressList> recall_aliases(std::string_view address, Instant now);
  Recalled<AddressList> recall_rule(RuleKind kind, std::string_view address, Instant now);
  // False: there are rules, but not for us to read (the rights of an upgrade were not given yet); each question about
  // one fails.
  bool rules_readable(Instant now) const;

  // What is in memory about these addresses ("u@d", "@d" for all of a domain), or everything when empty, is asked anew,
  // and the sets of domains are read again. It still serves while the database is away.
  void flush(const std::vector<std::string>& keys);
  // An administrator says that what the guard did not believe is right. True: it had tripped.
  bool confirm();
  Stats stats() const;
  Shown show(std::string_view address);

  // Writes about logins, for vmail-authd alone. They go out behind the answers, at most so many at a time, and what
  // cannot be written is logged once and left: none is tried again, since the next login brings it anew.
  //
  // When and from where an app password was used: at most once a minute each, and about a second late.
  void note_use(std::uint64_t app_password, std::string ip);
  // Only while `before` is still the stored hash. `login_address`: as Mailbox::address() gives it.
  void replace_hash(std::string login_address, Secret before, Secret after);
  // Only while that is still the stored hash; the keys count as long as it is.
  void keep_scram(std::string login_address, Secret hash_it_belongs_to, Secret scram);

  // New lifetimes, delimiter and refresh; hosts, credentials and what is preloaded need a restart.
  void reload(const config::Settings& settings);
  // Stops asking: outstanding questions are answered TempFail, inside this call. Writes the snapshot. Blocks until the
  // workers have ended.
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace vmail::directory
