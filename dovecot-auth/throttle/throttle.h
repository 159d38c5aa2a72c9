// Who has failed too often to try again, over all ways in. Two things are counted, each once however often it is
// repeated: different wrong passwords of an account (guessing), and different accounts that failed from one network
// (spraying). A mail program that goes on with an old password counts once. Counts drain away evenly, a full one in
// one window. A network from which an account has logged in well stays open to that account.
//
// Pure over the instants it is given. Loop thread only; no table grows beyond its bound, and the oldest goes first.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dovecot-auth/throttle/lru_table.h"
#include "shared/base/clock.h"
#include "shared/base/networks.h"

namespace vmail::auth {

class Throttle {
 public:
  struct Rules {
    std::uint64_t passwords = 20;  // of an account in a window; 0: any number
    std::uint64_t accounts = 10;   // from one network in a window; of an IPv6 /56 four times that; 0: any number
    Duration window = std::chrono::hours(1);
    Duration known = std::chrono::hours(30 * 24);  // how long a good login keeps a network open to its account
    Networks trusted{{}};                          // neither counted nor stopped as networks
  };
  struct Ruling {
    enum class What : unsigned char { Open, Slow, Stop };
    What what = What::Open;
    Duration delay{};  // of Slow: at most kMaxDelay
    std::string why;   // of Stop
    // The account has logged in well from there: among many guesses, its logins come first.
    bool known = false;
  };
  static constexpr Duration kMaxDelay = std::chrono::seconds(4);
  static constexpr std::size_t kKnownNetworks = 8;  // of an account; the oldest goes first

  // `most`: accounts, networks and accounts with known networks that are held, each.
  explicit Throttle(Rules rules, std::size_t most = 65536);
  void set(Rules rules) { rules_ = std::move(rules); }

  // Whose turn it is, where turns are taken by network: one text for all addresses of it.
  static std::string source(std::string_view remote_ip);

  // `account` is as somebody typed it, or a mailbox; `remote_ip` may be empty or anything.
  Ruling rule(std::string_view account, std::string_view remote_ip, Instant now) const;
  // A wrong password, or a right one that opens nothing. `password` is whatever tells it from others, and is kept as a
  // keyed hash of 32 bits; empty: different from all others.
  void failed(std::string_view account, std::string_view remote_ip, std::string_view password, Instant now);
  void succeeded(std::string_view account, std::string_view remote_ip, Instant now);

  // What is known of an account or a network.
  struct Shown {
    std::string name;
    bool is_network = false;
    double count = 0;
    std::uint64_t limit = 0;
    Ruling::What what = Ruling::What::Open;
    Duration opens_in{};             // of Stop
    std::string last;                // who failed last: the account's network, or the network's account
    std::vector<std::string> known;  // networks that stay open to the account
  };
  // The `most` that have the most of what they may.
  std::vector<Shown> show(std::size_t most, Instant now) const;
  // Of an address, or of an IP address: the networks that it is in. Empty: nothing is counted of it.
  std::vector<Shown> why(std::string_view name, Instant now) const;
  // Forgets the counts of that name, of all when it is empty; not the known networks. How many there were.
  std::size_t clear(std::string_view name);

  // All that is to survive a restart, as text; no trace of a password is in it. `wall` stands for `now`.
  std::string save(Instant now, WallTime wall) const;
  // Of a text by save(); false when it is another, or damaged: what could be read then counts.
  bool load(std::string_view text, Instant now, WallTime wall);

  std::uint64_t changes() const { return changes_; }  // grows with what save() would write
  std::size_t accounts() const { return accounts_.size(); }
  std::size_t networks() const { return networks_.size(); }

 private:
  struct Count {
    double level = 0;
    Instant at;
    double now(Instant time, std::uint64_t limit, Duration window) const;
    void add(Instant time, std::uint64_t limit, Duration window);
  };
  struct Tries {
    Count count;
    std::array<std::uint32_t, 16> seen{};
    std::uint8_t next = 0;
    std::string last;
    // False when it is one of the last 16; else it is now.
    bool is_new(std::uint32_t mark);
  };
  struct Known {
    std::string network;
    Instant at;
    Count guesses;  // wrong passwords from there
  };
  struct Place {
    std::string network, wider;  // keys of networks_; `wider` is empty for IPv4
  };

  std::optional<Place> place_of(std::string_view remote_ip) const;
  const Known* known_at(const std::string& account, const std::string& network, Instant now) const;
  std::uint64_t accounts_of(std::string_view network) const;  // its limit
  Shown shown(const std::string& key, const Tries& tries, bool is_network, Instant now) const;
  bool load_line(std::string_view line, Instant saved, Instant now);

  Rules rules_;
  HashKey key_ = random_hash_key();
  LruTable<Tries> accounts_, networks_;
  LruTable<std::vector<Known>> known_;
  std::uint64_t changes_ = 0;
};

const char* word(Throttle::Ruling::What what);

}  // namespace vmail::auth
