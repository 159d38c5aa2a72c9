// Which database host is asked: one list for all pools of a process, so that the answers to lookups and the notes of
// the change feed come from the same host. There is one current host, and everybody asks it until it fails or is found
// unfit; then there is another one. Logs once when a host fails, when it works again, and when another one is asked.
//
// Only state: pools tell what became of their questions, a Prober (prober.h) what it finds beside them.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "shared/base/clock.h"
#include "shared/base/mutex.h"
#include "shared/config/settings.h"
#include "shared/mysql/connection.h"

namespace vmail::mysql {

// From any thread. Where a time `began` is given it is that of the try that the call tells of: news that are older than
// what is known count for nothing.
class Hosts {
 public:
  enum class Choice {
    First,    // in their order: a prober brings an earlier one back when it works again
    Nearest,  // the one that answers a prober soonest, by a margin
  };
  struct Rules {
    Choice choice = Choice::First;
    // How long a host that failed is left alone: doubled each time it fails soon after it came back.
    Duration retry_after = std::chrono::seconds(1);
    Duration retry_after_max = std::chrono::seconds(30);
  };
  struct Status {
    bool answers = false;       // the current host did when it was last asked
    WallTime since;             // the last change of that; before the first answer, the beginning
    std::string host;           // the current one
    std::string last_failure;   // of any host; empty: none
    std::uint64_t changes = 0;  // of the current host
  };

  // `user` is for the log. `clock` must outlive this.
  Hosts(const Clock& clock, std::vector<Host> hosts, std::string user, Rules rules);

  std::size_t size() const { return states_.size(); }
  const Host& operator[](std::size_t index) const { return states_[index].host; }

  // The host for the next question: the current one. When none works there is nothing to lose by asking, and an
  // administrator waits: then each is tried again retry_after after it last failed, however long it is to be left alone
  // otherwise, and until then there is none to ask. `held` is the host to which the asker has a connection that is good
  // for all he knows.
  std::optional<std::size_t> pick(std::optional<std::size_t> held = std::nullopt);
  // For how many tries the time of a question has to last when it is now asked of this host: the others count when they
  // are not known to be down.
  std::size_t tries(std::size_t host) const;

  // It answered a question.
  void works(std::size_t index, Instant began);
  // It cannot be reached, or broke, or says that it cannot serve. Hanging: questions on it are not answered at all;
  // those of everybody are interrupted when there is another host to ask.
  void failed(std::size_t index, Instant began, const std::string& reason, bool hanging = false);
  // A replica that takes no writes: for a list of hosts for writes.
  void read_only(std::size_t index, Instant began, const std::string& reason);
  // Connected; whether it is a Galera node that is not synced (`reason`, else empty), which is asked only when there is
  // no better one.
  void connected(std::size_t index, const std::string& unsynced);
  // As connected(), by the prober, with the time of a round trip: this brings the current host back to a better one.
  void probed(std::size_t index, Instant began, const std::string& unsynced, Duration round_trip);

  // When the prober may look at it again, if it did so at `last`.
  Instant probe_at(std::size_t index, Instant last) const;
  bool is_down(std::size_t index) const;
  bool answered_since(std::size_t index, Instant began) const;

  Status status() const;
  std::string last_failure() const;  // why the last host that failed did so; empty when none has

  // Called from any thread, with a host that hangs, while another one is asked. Until forget() has returned.
  void listen(const void* owner, std::function<void(std::size_t host)> hangs);
  void forget(const void* owner);

 private:
  enum class Fitness { Good, Unsynced, Down };  // in this order the better are preferred
  struct State {
    Host host;
    Fitness fitness = Fitness::Good;
    bool hanging = false;
    unsigned failures = 0;  // one soon after the other
    Instant failed_at{};
    Instant down_since{};
    Instant up_since{};
    Instant not_before{};  // while another host works
    Instant retry_at{};    // while none does
    Instant answered{};
    std::optional<Duration> round_trip;
    bool logged = false;  // its failure was
    Instant last_logged{};
  };
  struct Line {  // to be logged without the lock
    bool error = false;
    std::string text;
  };
  using Lines = std::vector<Line>;

  Duration jittered(Duration time) VMAIL_REQUIRES(mutex_);
  void down(std::size_t index, Instant began, const std::string& reason, bool hanging, bool read_only);
  void up(std::size_t index, Instant began, bool is_unsynced, const std::string& unsynced, Lines& lines)
      VMAIL_REQUIRES(mutex_);
  std::size_t best() const VMAIL_REQUIRES(mutex_);
  void consider_nearest(Instant now, Lines& lines) VMAIL_REQUIRES(mutex_);
  void move(std::size_t to, const char* why, Lines& lines) VMAIL_REQUIRES(mutex_);
  void note_answers(bool answers) VMAIL_REQUIRES(mutex_);
  static void write(const Lines& lines);

  const Clock& clock_;
  const std::string user_;
  const Rules rules_;
  mutable Mutex mutex_;
  std::vector<State> states_;  // the hosts in it are constant, the rest is guarded by mutex_
  std::size_t current_ VMAIL_GUARDED_BY(mutex_) = 0;
  std::optional<std::size_t> nearer_ VMAIL_GUARDED_BY(mutex_);  // than the current one, as measured since nearer_since_
  Instant nearer_since_ VMAIL_GUARDED_BY(mutex_){};
  bool chosen_ VMAIL_GUARDED_BY(mutex_) = false;  // for the first time, with each that works measured
  Status status_ VMAIL_GUARDED_BY(mutex_);
  std::minstd_rand random_ VMAIL_GUARDED_BY(mutex_);

  Mutex listeners_mutex_;  // never taken with mutex_ held, nor the other way round
  std::map<const void*, std::function<void(std::size_t)>> listeners_ VMAIL_GUARDED_BY(listeners_mutex_);
};

// From [database].
Hosts::Rules rules_from(const config::Settings& settings);

}  // namespace vmail::mysql
