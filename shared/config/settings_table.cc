#include "shared/config/settings_table.h"

#include "shared/base/address.h"
#include "shared/base/networks.h"
#include "shared/base/text.h"
#include "shared/config/limit.h"

namespace vmail::config {
namespace {

constexpr std::uint64_t kSecond = 1000;
constexpr std::uint64_t kDay = 24 * 3600 * kSecond;

// The listen, path and name checks look at the form alone: whether a file is there is a matter for the program that
// needs it.
std::string check_path(const std::string& text) {
  if (text.empty() || text.front() != '/') return "must be an absolute path";
  return {};
}
std::string check_optional_path(const std::string& text) {
  return text.empty() ? "" : check_path(text);
}

std::string check_listen(const std::string& text) {
  if (text.rfind("unix:/", 0) == 0 && text.size() > 6) return {};
  if (text.rfind("inet:", 0) == 0) {
    const auto colon = text.rfind(':');
    const auto port = parse_number(std::string_view(text).substr(colon + 1));
    if (colon > 5 && port && *port >= 1 && *port <= 65535) return {};
  }
  return "must be \"unix:/PATH\" or \"inet:ADDRESS:PORT\"";
}

// Metrics are for this host alone: there is no list of networks that would open them to others.
std::string check_loopback(const std::string& text) {
  const std::string why = check_listen(text);
  if (!why.empty() || text.rfind("unix:", 0) == 0) return why;
  const std::string host = text.substr(5, text.rfind(':') - 5);
  if (host == "[::1]" || host.rfind("127.", 0) == 0) return {};
  return "must be for this host alone: \"unix:/PATH\", \"inet:127.0.0.1:PORT\" or \"inet:[::1]:PORT\"";
}

std::string check_template(const std::string& text) {
  if (text.empty() || text.front() == '/') return "must be a path below mailboxes.base, such as \"%d/%n\"";
  if (text.find("%n") == std::string::npos) return "must hold %n, or all mailboxes of a domain would be one";
  for (const auto& part : split(text, '/')) {
    if (part.empty() || part == "." || part == "..") return "may not have empty, '.' or '..' parts";
  }
  for (std::size_t i = 0; (i = text.find('%', i)) != std::string::npos; i += 2) {
    if (i + 1 >= text.size() || (text[i + 1] != 'd' && text[i + 1] != 'n')) return "knows %d and %n only";
  }
  return {};
}

std::string check_marker(const std::string& text) {
  if (text.empty()) return {};
  if (text.front() == '/') return "must be the name of a file below mailboxes.base";
  for (const auto& part : split(text, '/')) {
    if (part.empty() || part == "." || part == "..") return "may not have empty, '.' or '..' parts";
  }
  return {};
}

std::string check_name(const std::string& text) {
  return text.empty() ? "may not be empty" : "";
}

std::string check_mechanism(const std::string& text) {
  return text == "PLAIN" || text == "LOGIN" || text == "SCRAM-SHA-256" ? "" : "must be PLAIN, LOGIN or SCRAM-SHA-256";
}

std::string check_limit(const std::string& text) {
  std::string why;
  return parse_limit(text, why) ? "" : why;
}

std::string check_address(const std::string& text) {
  return parse_address(text) ? "" : "is no mail address";
}

std::string check_smtp(const std::string& text) {
  return check_listen("inet:" + text).empty() ? "" : "must be \"ADDRESS:PORT\", such as \"127.0.0.1:25\"";
}

// A path below a mailbox, or an absolute one of all.
std::string check_script(const std::string& text) {
  for (std::size_t i = 0; (i = text.find('%', i)) != std::string::npos; i += 2) {
    if (i + 1 >= text.size() || (text[i + 1] != 'd' && text[i + 1] != 'n')) return "knows %d and %n only";
  }
  for (const auto& part : split(text, '/')) {
    if (part == "..") return "may not have '..' parts";
  }
  return {};
}

std::string check_percentage(const std::string& text) {
  const auto number = text.empty() ? std::nullopt : parse_number(std::string_view(text).substr(0, text.size() - 1));
  if (number && text.back() == '%' && *number >= 1 && *number <= 99) return {};
  return "must be a percentage from \"1%\" to \"99%\"";
}

std::string check_reply_text(const std::string& text) {
  if (text.empty() || text.size() > 200) return "must have 1 to 200 characters";
  for (const char c : text) {
    if (c < ' ' || c > '~') return "may hold printable ASCII only: it goes into SMTP replies";
  }
  return {};
}

std::string check_delimiter(const std::string& text) {
  for (const char c : text) {
    if (c == '@' || c == '.' || c == '/' || static_cast<unsigned char>(c) <= ' ' ||
        static_cast<unsigned char>(c) > 126) {
      return "may hold printable ASCII only, and no '@', '.' or '/'";
    }
  }
  return {};
}

template <class Getter>
std::function<Field(Settings&)> at(Getter getter) {
  return [getter](Settings& settings) { return Field(&getter(settings)); };
}

#define VMAIL_AT(section, member) at([](Settings & s) -> auto& { return s.section.member; })

// What each socket for a protocol has.
template <class Section>
void add_listener(std::vector<Setting>& table, std::string_view name, Section Settings::*section) {
  const auto add = [&](std::string_view key, std::string_view help, auto Section::*member, auto check) {
    Setting setting{name, key, help, at([ section, member ](Settings & s) -> auto& { return s.*section.*member; })};
    setting.check = check;
    table.push_back(std::move(setting));
  };
  add("listen", "Where to listen when systemd hands over no socket: \"unix:/PATH\" or \"inet:ADDRESS:PORT\".",
      &Section::listen, check_listen);
  add("networks",
      "Networks that TCP peers may come from, such as \"10.0.0.0/8\". Empty: this host alone, and only loopback "
      "addresses may be listened on.",
      &Section::networks, why_no_network);
  table.push_back({name, "max_connections", "Connections served at the same time; further ones are closed at once.",
                   at([section](Settings & s) -> auto& { return (s.*section).max_connections; }), 1, 100000});
}

// What each of the three daemons has.
template <class Section>
void add_daemon(std::vector<Setting>& table, std::string_view name, Section Settings::*section) {
  add_listener(table, name, section);
  const auto add = [&](std::string_view key, std::string_view help, auto Section::*member, auto check) {
    Setting setting{name, key, help, at([ section, member ](Settings & s) -> auto& { return s.*section.*member; })};
    setting.check = check;
    table.push_back(std::move(setting));
  };
  add("control", "The socket of vmailctl, for root and the daemon's own user.", &Section::control, check_path);
  add("metrics",
      "Where to serve metrics for Prometheus over HTTP: \"unix:/PATH\", or \"inet:ADDRESS:PORT\" on loopback. Empty: "
      "nowhere.",
      &Section::metrics, check_loopback);
  add("state", "The folder of the snapshot, which only this daemon may read.", &Section::state, check_path);
  add("database_user", "The database user of this daemon.", &Section::database_user, check_name);
  add("database_password_file",
      "The file that holds its password and nothing else; others may not read it. A systemd credential named "
      "database-password is taken first.",
      &Section::database_password_file, check_path);
}

std::vector<Setting> make_table() {
  std::vector<Setting> table;
  const auto add = [&](Setting setting) { table.push_back(std::move(setting)); };

  add({"database",
       "hosts",
       "Database servers, the preferred one first: \"unix:/PATH\", \"NAME\", \"NAME:PORT\" or \"[IPV6]:PORT\".",
       VMAIL_AT(database, hosts),
       0,
       0,
       {},
       check_name});
  add({"database",
       "write_hosts",
       "Servers for what the daemons write, in the same form; one that is read only is passed over. Empty: as hosts.",
       VMAIL_AT(database, write_hosts),
       0,
       0,
       {},
       check_name});
  add({"database",
       "choose_host",
       "Which of several servers to ask: first (in their order) or nearest (the one that answers soonest).",
       VMAIL_AT(database, choose_host),
       0,
       0,
       {"first", "nearest"}});
  add({"database", "name", "The database.", VMAIL_AT(database, name), 0, 0, {}, check_name});
  add({"database",
       "tls",
       "For TCP: off, require (encrypt, but trust any server), verify-ca (trust tls_ca) or verify-full (and check the "
       "host's name).",
       VMAIL_AT(database, tls),
       0,
       0,
       {"off", "require", "verify-ca", "verify-full"}});
  add({"database",
       "tls_ca",
       "The certificate authority, a PEM file.",
       VMAIL_AT(database, tls_ca),
       0,
       0,
       {},
       check_optional_path});
  add({"database",
       "tls_certificate",
       "Our own certificate, if the server asks for one.",
       VMAIL_AT(database, tls_certificate),
       0,
       0,
       {},
       check_optional_path});
  add({"database", "tls_key", "Its key.", VMAIL_AT(database, tls_key), 0, 0, {}, check_optional_path});
  add({"database", "deadline", "How long a question may take before it is answered as a temporary failure.",
       VMAIL_AT(database, deadline), 50, 60 * kSecond});
  add({"database", "connect_timeout", "How long to try one host.", VMAIL_AT(database, connect_timeout), 50,
       60 * kSecond});
  add({"database", "connections", "Connections of one daemon to the database.", VMAIL_AT(database, connections), 1,
       64});
  add({"database", "retry_after", "How long a host that failed is left alone; doubled with each further failure.",
       VMAIL_AT(database, retry_after), 10, 3600 * kSecond});
  add({"database", "retry_after_max", "Up to this.", VMAIL_AT(database, retry_after_max), 10, 3600 * kSecond});

  add({"directory",
       "preset",
       "Which tables hold the directory: virtual (vmailkit's own, and the original tutorial's).",
       VMAIL_AT(directory, preset),
       0,
       0,
       {"virtual"}});
  add({"directory", "found_lifetime", "How long a row that was found is served from memory, without the change feed.",
       VMAIL_AT(directory, found_lifetime), 0, 30 * kDay});
  add({"directory", "not_found_lifetime", "How long it is remembered that there is no such row, without it.",
       VMAIL_AT(directory, not_found_lifetime), 0, 30 * kDay});
  add({"directory", "credentials_lifetime", "How long a password hash is kept as good, without it.",
       VMAIL_AT(directory, credentials_lifetime), 0, 30 * kDay});
  add({"directory", "followed_lifetime", "The same for all of them while the change feed is followed.",
       VMAIL_AT(directory, followed_lifetime), 0, 30 * kDay});
  add({"directory", "stale_known",
       "How long after its last reading an address that exists is still served while the database cannot be asked. 0: "
       "not at all.",
       VMAIL_AT(directory, stale_known), 0, 36500 * kDay});
  add({"directory", "stale_unknown", "How long an address that did not exist is then still unknown.",
       VMAIL_AT(directory, stale_unknown), 0, 36500 * kDay});
  add({"directory", "stale_credentials", "How long a password hash is then still good for a login.",
       VMAIL_AT(directory, stale_credentials), 0, 36500 * kDay});
  add({"directory", "stale_domains", "How long the sets of domains then serve.", VMAIL_AT(directory, stale_domains), 0,
       36500 * kDay});
  add({"directory", "domains_refresh", "How often the sets of domains are read anew.",
       VMAIL_AT(directory, domains_refresh), 100, kDay});
  add({"directory", "cache_size", "Memory for single rows.", VMAIL_AT(directory, cache_size), 1u << 16,
       std::uint64_t{1} << 40});
  add({"directory", "feed", "Follow the change feed, where `vmailctl schema` has set it up.",
       VMAIL_AT(directory, feed)});
  add({"directory", "feed_interval", "How often the feed is read.", VMAIL_AT(directory, feed_interval), 50,
       60 * kSecond});
  add({"directory", "preload",
       "Hold all domains, mailboxes and aliases in memory, where the change feed keeps them right.",
       VMAIL_AT(directory, preload)});
  add({"directory", "preload_size", "Memory for that; a directory that needs more is asked row by row.",
       VMAIL_AT(directory, preload_size), 1u << 16, std::uint64_t{1} << 40});
  add({"directory", "comparison_interval", "How often what is in memory is compared with the whole database.",
       VMAIL_AT(directory, comparison_interval), kSecond, 30 * kDay});
  add({"directory", "max_loss",
       "Percent of the domains or rows that may be gone in a new reading; when more are, the old ones serve on until "
       "an "
       "administrator confirms (vmailctl cache confirm). 100: no limit.",
       VMAIL_AT(directory, max_loss), 1, 100});

  add({"addresses",
       "recipient_delimiter",
       "What begins an address extension, as recipient_delimiter of main.cf. Empty: none.",
       VMAIL_AT(addresses, recipient_delimiter),
       0,
       0,
       {},
       check_delimiter});
  add({"addresses", "propagate_extension",
       "Put an extension that was taken off back on the alias's destinations (Postfix's default).",
       VMAIL_AT(addresses, propagate_extension)});

  add({"mailboxes",
       "base",
       "The folder that holds all Maildirs. It must exist; it is never made.",
       VMAIL_AT(mailboxes, base),
       0,
       0,
       {},
       check_path});
  add({"mailboxes",
       "path",
       "The Maildir below base: %d is the domain, %n the local part, both in lower case.",
       VMAIL_AT(mailboxes, path),
       0,
       0,
       {},
       check_template});
  add({"mailboxes",
       "marker",
       "A file below base, made by hand, that is there while the volume of the mail is mounted: without it no mail is "
       "taken (451). Empty: it is enough that base is there.",
       VMAIL_AT(mailboxes, marker),
       0,
       0,
       {},
       check_marker});
  add({"mailboxes",
       "folder_names",
       "How Dovecot writes folder names that are not ASCII: utf-7 (modified UTF-7, its default), or utf-8 (:UTF-8 in "
       "its mail_location, mailbox_list_utf8 in 2.4).",
       VMAIL_AT(mailboxes, folder_names),
       0,
       0,
       {"utf-7", "utf-8"}});
  add({"mailboxes",
       "owner",
       "The user, by name or number, who owns the mail.",
       VMAIL_AT(mailboxes, owner),
       0,
       0,
       {},
       check_name});
  add({"mailboxes", "group", "The group.", VMAIL_AT(mailboxes, group), 0, 0, {}, check_name});

  add({"passwords",
       "scheme",
       "The scheme of a new hash: SHA512-CRYPT, BLF-CRYPT, YESCRYPT or ARGON2ID. Stored ones of every known scheme are "
       "verified, whatever is set here.",
       VMAIL_AT(passwords, scheme),
       0,
       0,
       {"SHA512-CRYPT", "BLF-CRYPT", "YESCRYPT", "ARGON2ID"}});
  add({"passwords", "allow_weak",
       "Verify MD5-CRYPT, PLAIN-MD5, LDAP-MD5, SMD5 and plain passwords too; off, who has such a one cannot log in.",
       VMAIL_AT(passwords, allow_weak)});
  add({"passwords", "rounds", "Rounds of a new SHA512-CRYPT hash.", VMAIL_AT(passwords, rounds), 1000, 999999999});
  add({"passwords", "max_rounds",
       "Rounds that a stored hash may ask for (SHA512-CRYPT, SHA256-CRYPT, PBKDF2, SCRAM-SHA-256); a dearer one is not "
       "computed, and the login fails for the time being.",
       VMAIL_AT(passwords, max_rounds), 5000, 999999999});
  add({"passwords", "max_length", "Bytes of a password; a longer one is refused before it is hashed.",
       VMAIL_AT(passwords, max_length), 8, 511});
  add({"passwords", "rehash",
       "At a login, replace a stored hash that is not as a new one would be. The database user of vmail-authd needs a "
       "right for it: run `vmailctl schema grants` after a change.",
       VMAIL_AT(passwords, rehash)});
  add({"passwords", "capture_scram",
       "At a login with the password, keep keys with which SCRAM-SHA-256 works from then on; the same right is needed.",
       VMAIL_AT(passwords, capture_scram)});

  add({"throttle", "passwords",
       "Different wrong passwords that an account may get in a window, from networks that it is not known at; then it "
       "is "
       "closed to such networks. The same wrong password counts once. 0: any number.",
       VMAIL_AT(throttle, passwords), 0, 1000000});
  add({"throttle", "accounts",
       "Different accounts that may fail from one network (an IPv4 address, an IPv6 /64; four times as many from a "
       "/56) in "
       "a window; then that is closed, but to accounts that have logged in well from there. 0: any number.",
       VMAIL_AT(throttle, accounts), 0, 1000000});
  add({"throttle", "window", "In this time a full count drains to nothing.", VMAIL_AT(throttle, window), kSecond,
       30 * kDay});
  add({"throttle", "known", "How long after its last good login a network stays open to an account.",
       VMAIL_AT(throttle, known), kSecond, 3650 * kDay});
  add({"throttle",
       "trusted",
       "Networks that are neither counted nor closed, since many people log in from there: a webmail server. This host "
       "always is one.",
       VMAIL_AT(throttle, trusted),
       0,
       0,
       {},
       why_no_network});

  add({"log",
       "target",
       "syslog (facility mail), stderr, or auto: stderr with --foreground, else syslog.",
       VMAIL_AT(log, target),
       0,
       0,
       {"auto", "syslog", "stderr"}});
  add({"log",
       "level",
       "error, warning, info or debug.",
       VMAIL_AT(log, level),
       0,
       0,
       {"error", "warning", "info", "debug"}});

  add_daemon(table, "maps", &Settings::maps);
  add({"maps", "query",
       "Maps of your own, each a [[maps.query]] with a name and a query: one SELECT, in which :key stands for the "
       "whole "
       "key, :local for what is before its @, :user for that without its extension, and :domain for what is behind it. "
       "The first column of each row is the answer, several are joined by commas.",
       VMAIL_AT(maps, query)});
  add_listener(table, "policy", &Settings::policy);
  add({"policy",
       "on_trouble",
       "When something cannot be found out: dunno (that check is left out) or defer (the mail is, with 451).",
       VMAIL_AT(policy, on_trouble),
       0,
       0,
       {"dunno", "defer"}});
  add({"policy", "own_senders",
       "A login may only send under addresses that are its own: its mailbox, what leads there, and its send-as rules.",
       VMAIL_AT(policy, own_senders)});
  add({"policy",
       "full_mailbox",
       "What is said to a recipient whose mailbox is full, here and by vmail-lmtpd: defer (452), reject (552), or "
       "accept "
       "it.",
       VMAIL_AT(policy, full_mailbox),
       0,
       0,
       {"defer", "reject", "accept"}});
  add({"policy",
       "limits",
       "How much may be sent: \"[login|domain|network] MEASURE AMOUNT/TIME\", such as \"recipients 2000/1d\" for each "
       "login or \"domain bytes 10G/1d\" for all of a domain. It measures messages, recipients, distinct-recipients or "
       "bytes. `vmailctl limits set` gives a login or domain others.",
       VMAIL_AT(policy, limits),
       0,
       0,
       {},
       check_limit});
  add({"policy",
       "at_limit",
       "What becomes of a message that goes beyond: warn (it passes), hold (it waits in the queue for the "
       "administrator), defer (450) or reject (550).",
       VMAIL_AT(policy, at_limit),
       0,
       0,
       {"warn", "hold", "defer", "reject"}});
  add({"policy", "hold_messages", "Messages of a login that are held in a day; further ones are rejected.",
       VMAIL_AT(policy, hold_messages), 0, 100000});
  add({"policy",
       "limit_text",
       "What the sender is told at a limit.",
       VMAIL_AT(policy, limit_text),
       0,
       0,
       {},
       check_reply_text});
  add({"policy",
       "notify",
       "Who is told by mail when a login reaches a limit for the first time in its window: addresses.",
       VMAIL_AT(policy, notify),
       0,
       0,
       {},
       check_address});
  add({"policy", "notify_user", "Tell the user whose login it is too.", VMAIL_AT(policy, notify_user)});
  add({"policy",
       "notify_smtp",
       "The SMTP server for that, \"ADDRESS:PORT\": the local Postfix.",
       VMAIL_AT(policy, notify_smtp),
       0,
       0,
       {},
       check_smtp});
  add_daemon(table, "auth", &Settings::auth);
  add({"auth",
       "verify",
       "The socket of checkpassword and the Lua script: it verifies passwords and gives out no hash.",
       VMAIL_AT(auth, verify),
       0,
       0,
       {},
       check_path});
  add({"auth",
       "credentials",
       "A socket that gives out hashes, for credentials lookups. Empty: off.",
       VMAIL_AT(auth, credentials),
       0,
       0,
       {},
       check_optional_path});
  add({"auth",
       "credentials_peers",
       "Users, by name or number, who may connect to it.",
       VMAIL_AT(auth, credentials_peers),
       0,
       0,
       {},
       check_name});
  add({"auth",
       "mechanisms",
       "What Postfix may offer: PLAIN, LOGIN, and SCRAM-SHA-256 for logins whose keys are stored. Clients that can do "
       "several take SCRAM, so that those without keys fail once it is offered.",
       VMAIL_AT(auth, mechanisms),
       0,
       0,
       {},
       check_mechanism});
  add({"auth",
       "policy_http",
       "Where Dovecot's auth policy questions are answered over HTTP (auth_policy_server_url): \"unix:/PATH\", or "
       "\"inet:ADDRESS:PORT\" on loopback. Empty: nowhere.",
       VMAIL_AT(auth, policy_http),
       0,
       0,
       {},
       check_loopback});
  add({"auth",
       "policy_token_file",
       "The file that holds the token of those questions and nothing else (auth_policy_server_api_header = X-API-Key: "
       "TOKEN); others may not read it. A systemd credential named policy-token is taken first.",
       VMAIL_AT(auth, policy_token_file),
       0,
       0,
       {},
       check_path});
  add({"auth",
       "userdb",
       "A socket on which Dovecot's LMTP and doveadm can ask who a user is (auth_socket_path), read only. Empty: off.",
       VMAIL_AT(auth, userdb),
       0,
       0,
       {},
       check_optional_path});
  add({"auth",
       "mux",
       "A socket for programs with `pwcheck_method: saslauthd`. Empty: off.",
       VMAIL_AT(auth, mux),
       0,
       0,
       {},
       check_optional_path});
  add({"auth",
       "keys",
       "A socket that gives SCRAM-SHA-256 keys to the plugin of Cyrus SASL. Empty: off.",
       VMAIL_AT(auth, keys),
       0,
       0,
       {},
       check_optional_path});
  add({"auth", "hash_threads", "Threads that hash passwords. 0: one per processor.", VMAIL_AT(auth, hash_threads), 0,
       256});
  add({"auth", "hash_queue",
       "Logins that may wait for a thread; networks take turns. One more is a temporary failure at once.",
       VMAIL_AT(auth, hash_queue), 1, 100000});
  add({"auth", "verified_lifetime",
       "How long a password that was right is not hashed again, while its hash in the database stays the same. 0: it "
       "is "
       "hashed each time.",
       VMAIL_AT(auth, verified_lifetime), 0, kDay});
  add_daemon(table, "store", &Settings::store);
  add({"store", "hostname", "Our name in greetings, Received headers and file names. Empty: the system's.",
       VMAIL_AT(store, hostname)});
  add({"store", "message_size_limit", "The largest message taken.", VMAIL_AT(store, message_size_limit), 1024,
       std::uint64_t{1} << 40});
  add({"store", "max_recipients", "Recipients of one message; one more gets a temporary failure.",
       VMAIL_AT(store, max_recipients), 1, 100000});
  add({"store",
       "bare_lf",
       "A line of a message that ends with LF alone: keep it as it is, or reject the message (550).",
       VMAIL_AT(store, bare_lf),
       0,
       0,
       {"keep", "reject"}});
  add({"store",
       "xforward_networks",
       "Networks whose TCP peers may tell by XFORWARD which queue id a message has, for the log; a UNIX socket always "
       "may. Empty: this host alone.",
       VMAIL_AT(store, xforward_networks),
       0,
       0,
       {},
       why_no_network});
  add({"store",
       "tls_certificate",
       "The certificate for STARTTLS on TCP, a PEM file with those that lead to its authority. Empty: no TLS.",
       VMAIL_AT(store, tls_certificate),
       0,
       0,
       {},
       check_optional_path});
  add({"store",
       "tls_key",
       "Its key, a PEM file that others may not read.",
       VMAIL_AT(store, tls_key),
       0,
       0,
       {},
       check_optional_path});
  add({"store", "disk_threads",
       "Threads that write mail. They wait for the disk together, so that more of them mean more mail for each wait.",
       VMAIL_AT(store, disk_threads), 1, 256});
  add({"store",
       "durability",
       "What a 250 stands for: full (text and name are on disk, and survive a power cut), file (the text is, its name "
       "may be lost), none (mail of some seconds may be lost).",
       VMAIL_AT(store, durability),
       0,
       0,
       {"full", "file", "none"}});
  add({"store",
       "single_instance",
       "How the recipients of one message share it on the disk: off (each has a copy), reflink (shared blocks, on XFS "
       "and btrfs; elsewhere a copy), hardlink (one file with several names). With the latter two a message for "
       "several has no Delivered-To.",
       VMAIL_AT(store, single_instance),
       0,
       0,
       {"off", "reflink", "hardlink"}});
  add({"store", "reserve_space",
       "Space on the volume of the mail that new mail leaves free, for Dovecot's own files; below it recipients are "
       "refused for the time being (452). 0: none.",
       VMAIL_AT(store, reserve_space), 0, std::uint64_t{1} << 50});
  add({"store", "reserve_inodes", "The same for inodes.", VMAIL_AT(store, reserve_inodes), 0, std::uint64_t{1} << 40});
  add({"store",
       "detail_folders",
       "Mail for user+detail goes into the user's folder of that name: existing (when there is one), create (it is "
       "made "
       "when there is none, by whoever writes to it), no.",
       VMAIL_AT(store, detail_folders),
       0,
       0,
       {"existing", "create", "no"}});
  add({"store",
       "junk_folder",
       "The folder for spam, made when it is not there; \"Lists/Junk\" lies in another.",
       VMAIL_AT(store, junk_folder),
       0,
       0,
       {},
       check_name});
  add({"store", "spam_headers",
       "Headers by which the site's filter says that a message is spam: \"NAME: VALUE\", or \"NAME: BEGINNING*\". "
       "Postfix must take them off mail that comes from outside. Empty: nothing is spam.",
       VMAIL_AT(store, spam_headers)});
  add({"store", "subscribe",
       "Whether users are subscribed to folders that are made here, in Dovecot's file subscriptions of the Maildir.",
       VMAIL_AT(store, subscribe)});
  add({"store",
       "usage",
       "The socket that says how full mailboxes are, read only: vmail-mapd asks it for quotas. Empty: off.",
       VMAIL_AT(store, usage),
       0,
       0,
       {},
       check_optional_path});
  add({"store",
       "spam",
       "Where mail goes that spam_headers say is spam: junk or inbox. `vmailctl spam` says otherwise for a domain or "
       "user.",
       VMAIL_AT(store, spam),
       0,
       0,
       {"junk", "inbox"}});
  add({"store",
       "sieve_socket",
       "The socket of Dovecot's LMTP server, which files the mail of users with a Sieve script. Empty: their mail is "
       "filed as everybody's.",
       VMAIL_AT(store, sieve_socket),
       0,
       0,
       {},
       check_optional_path});
  add({"store",
       "sieve_script",
       "The file whose being there means that a user has a script: below the mailbox, or an absolute path with %d and "
       "%n. Empty: only those for whom `vmailctl sieve` says so.",
       VMAIL_AT(store, sieve_script),
       0,
       0,
       {},
       check_script});
  add({"store",
       "quota_status",
       "The socket of Dovecot's quota-status service, which is asked whether there is room where Dovecot counts itself "
       "(quota = count). Empty: the maildirsize of each mailbox says it, and is kept. What follows from it is "
       "full_mailbox and on_trouble of [policy].",
       VMAIL_AT(store, quota_status),
       0,
       0,
       {},
       check_optional_path});
  add({"store",
       "quota_warnings",
       "How full a mailbox must be for its user to get a message about it, such as [\"80%\", \"95%\"]: one whenever it "
       "gets as full. It goes to notify_smtp of [policy].",
       VMAIL_AT(store, quota_warnings),
       0,
       0,
       {},
       check_percentage});

  add({"admin",
       "database_user",
       "The database user of vmailctl.",
       VMAIL_AT(admin, database_user),
       0,
       0,
       {},
       check_name});
  add({"admin",
       "database_password_file",
       "The file that holds its password. Empty: none, which suits root's login over the UNIX socket.",
       VMAIL_AT(admin, database_password_file),
       0,
       0,
       {},
       check_optional_path});
  add({"admin",
       "archive",
       "Where `vmailctl user remove --mail archive` moves Maildirs; on the file system of base.",
       VMAIL_AT(admin, archive),
       0,
       0,
       {},
       check_path});
  return table;
}

#undef VMAIL_AT

}  // namespace

const std::vector<Section>& sections() {
  static const std::vector<Section> list = {
      {"database", "The database that all programs ask."},
      {"directory", "How its rows are kept in memory."},
      {"addresses", "How addresses are read; these must agree with main.cf."},
      {"mailboxes", "Where mail is kept; this must agree with mail_location and the userdb of Dovecot."},
      {"passwords", "Hashes and the limits on them."},
      {"throttle", "Who has failed too often to try again, over all ways to log in."},
      {"log", "What the daemons write."},
      {"maps", "vmail-mapd."},
      {"policy", "The policy server in vmail-mapd."},
      {"auth", "vmail-authd."},
      {"store", "vmail-lmtpd."},
      {"admin", "vmailctl."},
  };
  return list;
}

const std::vector<Setting>& settings_table() {
  static const std::vector<Setting> table = make_table();
  return table;
}

std::string duration_text(Milliseconds value) {
  const auto ms = static_cast<std::uint64_t>(value.count());
  constexpr std::pair<std::uint64_t, std::string_view> kUnits[] = {
      {kDay, "d"}, {3600 * kSecond, "h"}, {60 * kSecond, "m"}, {kSecond, "s"}};
  for (const auto& [size, unit] : kUnits) {
    if (ms != 0 && ms % size == 0) return std::to_string(ms / size).append(unit);
  }
  return std::to_string(ms) + "ms";
}

std::string bytes_text(Bytes value) {
  constexpr std::pair<unsigned, std::string_view> kUnits[] = {{40, "TiB"}, {30, "GiB"}, {20, "MiB"}, {10, "KiB"}};
  for (const auto& [shift, unit] : kUnits) {
    const std::uint64_t size = std::uint64_t{1} << shift;
    if (value.count != 0 && value.count % size == 0) return std::to_string(value.count >> shift).append(unit);
  }
  return std::to_string(value.count);
}

}  // namespace vmail::config
