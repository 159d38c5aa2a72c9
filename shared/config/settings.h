// The settings of the whole suite, as one typed value. The file (vmailkit.toml), `--print-config` and the manual page
// all come from the one table in settings.cc; a default is the initialiser here and nowhere else. No secret is a
// setting: passwords are in files of their own (secret_file.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace vmail::config {

using Milliseconds = std::chrono::milliseconds;

struct Bytes {
  std::uint64_t count = 0;
  bool operator==(const Bytes&) const = default;
};

// A map for Postfix that the administrator defines: [[maps.query]] in the file.
struct QueryMap {
  std::string name;   // as in socketmap:...:NAME
  std::string query;  // a SELECT with :key, :local, :user and :domain where mysql_table(5) has %s, '%u', ...
  bool operator==(const QueryMap&) const = default;
};

struct Settings {
  struct Database {
    std::vector<std::string> hosts = {
        "unix:/run/mysqld/mysqld.sock"};   // "unix:/path", "name", "name:port", "[v6]:port"
    std::vector<std::string> write_hosts;  // the same; empty: hosts
    std::string choose_host = "first";     // first, nearest
    std::string name = "mailserver";
    std::string tls = "off";  // off, require, verify-ca, verify-full; a UNIX socket never uses TLS
    std::string tls_ca;
    std::string tls_certificate;
    std::string tls_key;
    Milliseconds deadline{2000};         // of a question, from its arrival to its answer
    Milliseconds connect_timeout{2000};  // of one host
    std::uint64_t connections = 4;       // worker threads, each with a connection of its own
    Milliseconds retry_after{1000};      // a host that failed is left alone for this long, doubling up to the next
    Milliseconds retry_after_max{30000};
  } database;

  struct Directory {
    std::string preset = "virtual";
    Milliseconds found_lifetime{60000};      // of a row, while no change feed is followed
    Milliseconds not_found_lifetime{15000};  // of the knowledge that there is none
    Milliseconds credentials_lifetime{60000};
    Milliseconds followed_lifetime{3600000};   // of all three while the feed is followed
    Milliseconds stale_known{7 * 86400000LL};  // how long after its reading a row serves while there is no database
    Milliseconds stale_unknown{600000};
    Milliseconds stale_credentials{4 * 3600000};
    Milliseconds stale_domains{36500 * 86400000LL};
    Milliseconds domains_refresh{5000};
    Bytes cache_size{64u << 20};
    bool feed = true;
    Milliseconds feed_interval{1000};
    bool preload = true;
    Bytes preload_size{256u << 20};
    Milliseconds comparison_interval{1800000};
    std::uint64_t max_loss = 50;  // percent of the rows that a reading may have lost and still be believed
  } directory;

  struct Addresses {
    std::string recipient_delimiter = "+";
    bool propagate_extension = true;
  } addresses;

  struct Mailboxes {
    std::string base = "/var/mail/vhosts";
    std::string path = "%d/%n";          // below base; %d domain, %n local part
    std::string marker;                  // a file in base that is there while its volume is mounted; empty: none
    std::string folder_names = "utf-7";  // utf-7, utf-8
    std::string owner = "vmail";
    std::string group = "vmail";
  } mailboxes;

  struct Passwords {
    std::string scheme = "SHA512-CRYPT";  // of a new hash: SHA512-CRYPT, BLF-CRYPT, YESCRYPT, ARGON2ID
    bool allow_weak = false;
    std::uint64_t rounds = 5000;         // of a new SHA512-CRYPT hash
    std::uint64_t max_rounds = 1000000;  // that a stored hash may ask for
    std::uint64_t max_length = 256;      // bytes of a password, checked before hashing
    bool rehash = false;                 // at a login, a hash that is not as a new one would be
    bool capture_scram = false;          // at a login, keys for SCRAM-SHA-256
  } passwords;

  struct Throttle {                // of logins, in vmail-authd
    std::uint64_t passwords = 20;  // different wrong ones of an account in a window; 0: any number
    std::uint64_t accounts = 10;   // different ones that fail from one network in a window; 0: any number
    Milliseconds window{3600000};
    Milliseconds known{30 * 86400000LL};  // how long a good login keeps a network open to its account
    std::vector<std::string> trusted;     // networks that many people are behind
  } throttle;

  struct Log {
    std::string target = "auto";  // auto, syslog, stderr
    std::string level = "info";   // error, warning, info, debug
  } log;

  struct Maps {
    std::vector<std::string> listen = {"unix:/run/vmailkit/maps/maps"};
    std::vector<std::string> networks;
    std::uint64_t max_connections = 2000;
    std::string control = "/run/vmailkit/maps/control";
    std::vector<std::string> metrics;              // "unix:/path", "inet:ADDRESS:PORT"; empty: off
    std::string state = "/var/lib/vmailkit/maps";  // folder of the snapshot
    std::string database_user = "vmailkit-maps";
    std::string database_password_file = "/etc/vmailkit/maps.password";
    std::vector<QueryMap> query;
  } maps;

  struct Policy {  // of vmail-mapd
    std::vector<std::string> listen = {"unix:/run/vmailkit/maps/policy"};
    std::vector<std::string> networks;
    std::uint64_t max_connections = 1000;
    std::string on_trouble = "dunno";  // dunno, defer
    bool own_senders = true;
    std::string full_mailbox = "defer";  // defer (452), reject (552), accept
    std::vector<std::string> limits;     // "recipients 2000/1d", see limit.h
    std::string at_limit = "hold";       // warn, hold, defer, reject
    std::uint64_t hold_messages = 20;    // of a login in a day; then they are rejected
    std::string limit_text = "You have sent as much mail as you may; ask your administrator";
    std::vector<std::string> notify;  // addresses of administrators
    bool notify_user = false;
    std::string notify_smtp = "127.0.0.1:25";
  } policy;

  struct Auth {
    std::vector<std::string> listen = {"unix:/run/vmailkit/auth/auth"};  // Dovecot auth protocol, for Postfix
    std::vector<std::string> networks;
    std::string verify = "/run/vmailkit/auth/verify";          // checkpassword, the Lua script
    std::string credentials;                                   // empty: off
    std::vector<std::string> credentials_peers;                // user names or uids
    std::vector<std::string> mechanisms = {"PLAIN", "LOGIN"};  // offered to Postfix
    std::vector<std::string> policy_http;  // auth policy for Dovecot, "inet:ADDRESS:PORT" on loopback; empty: off
    std::string policy_token_file = "/etc/vmailkit/policy.token";
    std::string userdb;  // Dovecot's auth master protocol, read only; empty: off
    std::string mux;     // as saslauthd's; empty: off
    std::string keys;    // SCRAM keys, for Cyrus SASL's plugin; empty: off
    std::uint64_t max_connections = 1000;
    std::uint64_t hash_threads = 0;         // 0: one per processor
    std::uint64_t hash_queue = 256;         // logins that wait; one more is a temporary failure at once
    Milliseconds verified_lifetime{60000};  // how long a password that was right is not hashed again
    std::string control = "/run/vmailkit/auth/control";
    std::vector<std::string> metrics;              // "unix:/path", "inet:ADDRESS:PORT"; empty: off
    std::string state = "/var/lib/vmailkit/auth";  // folder of the snapshot
    std::string database_user = "vmailkit-auth";
    std::string database_password_file = "/etc/vmailkit/auth.password";
  } auth;

  struct Store {
    std::vector<std::string> listen = {"unix:/run/vmailkit/store/lmtp"};
    std::vector<std::string> networks;
    std::uint64_t max_connections = 500;
    std::string hostname;  // empty: the system's
    Bytes message_size_limit{100u << 20};
    std::uint64_t max_recipients = 1000;
    std::string bare_lf = "keep";                // keep, reject
    std::vector<std::string> xforward_networks;  // that may tell us queue ids over TCP
    std::string tls_certificate;                 // for STARTTLS over TCP; empty: off
    std::string tls_key;
    std::uint64_t disk_threads = 64;          // they share their syncs, and so wait most of the time
    std::string durability = "full";          // full, file, none
    std::string single_instance = "off";      // off, reflink, hardlink
    Bytes reserve_space{100u << 20};          // kept free for others than us
    std::uint64_t reserve_inodes = 1000;      // the same
    std::string detail_folders = "existing";  // of user+detail: existing, create, no
    std::string junk_folder = "Junk";
    std::vector<std::string> spam_headers = {"X-Spam-Flag: YES", "X-Spam: Yes", "X-Spam-Status: Yes*"};
    bool subscribe = false;                           // to folders that are made
    std::string usage = "/run/vmailkit/store/usage";  // how full mailboxes are, for vmail-mapd; empty: off
    std::string spam = "junk";                        // where it goes: junk, inbox
    std::string sieve_socket;                         // of Dovecot's LMTP; empty: nobody is handed over
    std::string sieve_script = ".dovecot.sieve";      // below the mailbox, or absolute with %d and %n; empty: by rules
    std::string quota_status;                         // a socket of Dovecot's; empty: maildirsize
    std::vector<std::string> quota_warnings;          // percentages
    std::string control = "/run/vmailkit/store/control";
    std::vector<std::string> metrics;               // "unix:/path", "inet:ADDRESS:PORT"; empty: off
    std::string state = "/var/lib/vmailkit/store";  // folder of the snapshot
    std::string database_user = "vmailkit-store";
    std::string database_password_file = "/etc/vmailkit/store.password";
  } store;

  struct Admin {  // vmailctl
    std::string database_user = "root";
    std::string database_password_file;  // empty: UNIX-socket authentication, no password
    std::string archive = "/var/mail/vhosts/.archive";
  } admin;
};

}  // namespace vmail::config
