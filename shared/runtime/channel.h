// One accepted connection: bytes in from a buffer that all connections share, bytes out with a bound. An idle
// connection owns no buffer. Loop thread only.
#pragma once

#include <sys/types.h>

#include <asio/posix/basic_stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "shared/base/unique_fd.h"
#include "shared/runtime/loop.h"
#include "shared/runtime/tls.h"

namespace vmail {

struct Peer {
  bool local = true;  // a UNIX socket
  uid_t uid = 0;      // of a local peer, by SO_PEERCRED
  gid_t gid = 0;
  pid_t pid = 0;
  std::string address;  // "192.0.2.1:4711", "[2001:db8::1]:4711" or "uid=101 pid=4711", for logs
};

// What a protocol does with its connection. Owned by the Channel; completions that come later hold it by weak_ptr.
class Session : public std::enable_shared_from_this<Session> {
 public:
  virtual ~Session() = default;
  // `bytes` is valid during the call only: a session keeps what it needs.
  virtual void on_bytes(std::string_view bytes) = 0;
  // The peer will send nothing more. A session with a request in flight answers it and then closes.
  virtual void on_end_of_input() = 0;
  // The daemon is to end: answer what is in flight, then close; at once when idle.
  virtual void on_drain() = 0;
  // What the peer had left unread has all been taken: for a session that has more than one reply's worth to say.
  virtual void on_sent() {}
};

class Channel : public std::enable_shared_from_this<Channel> {
 public:
  using Closed = MoveOnlyFunction<void(Channel&)>;

  Channel(Loop& loop, UniqueFd fd, Peer peer);
  // Begins to read. `closed` is called once, from the loop, never inside a call of the session.
  void start(std::shared_ptr<Session> session, Closed closed);

  const Peer& peer() const { return peer_; }
  Loop& loop() { return loop_; }
  // Queued, and written out when the session's call returns; a session that has been closed sends nothing.
  // A peer that leaves more than 1 MiB unread is cut off.
  void send(std::string_view bytes);
  // Outside the session's calls: nothing waits to be taken by the peer. Otherwise on_sent() follows.
  bool all_sent() const { return out_.empty(); }
  // A session that waits for an answer stops its input, so that a peer cannot pile up requests.
  void pause();
  void resume();
  // Closes unless prolonged, replaced or cleared before; `why` is logged.
  void set_deadline(Duration after, const char* why);
  void clear_deadline();
  // Closes when everything sent has been taken by the peer (at most a few seconds later). Input is ignored from now on.
  void close();
  // Closes at once and drops what was not written.
  void abort();
  bool is_open() const { return state_ == State::Open; }
  // When the peer has asked for it, and nothing came behind that: what was sent so far goes out as it is, everything
  // from then on by TLS. The session hears of the peer again when the handshake is done; until then its deadline
  // stands. A handshake that fails closes the connection, with a line in the log.
  void start_tls(const TlsContext& context);
  bool is_encrypted() const { return tls_ != nullptr; }
  void drain();

 private:
  enum class State { Open, Closing, Closed };

  template <class Action>
  void call(Action&& action);
  void wait_readable();
  void readable();
  void take(std::string_view bytes);
  void take_encrypted(std::string_view bytes);
  void write(std::string_view bytes);
  void write_out(std::string_view bytes);
  bool put(std::string_view& bytes);
  void flush();
  void go_on();
  void finish();

  // By the loop's own type of executor: a wait takes 90 bytes less than by any_io_executor, and no indirect calls.
  using Descriptor = asio::posix::basic_stream_descriptor<asio::io_context::executor_type>;

  Loop& loop_;
  Descriptor socket_;
  Peer peer_;
  std::shared_ptr<Session> session_;
  Closed closed_;
  std::string out_;
  std::unique_ptr<Timer> deadline_;
  std::unique_ptr<TlsStream> tls_;
  State state_ = State::Open;
  bool paused_ = false;
  bool ended_ = false;    // end of input seen
  bool reading_ = false;  // a wait for input is outstanding
  bool writing_ = false;  // a wait for room is outstanding
  bool corked_ = false;   // inside a call of the session
};

}  // namespace vmail
