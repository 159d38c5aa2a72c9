// A daemon as systemd would start it: with its listening sockets handed over, as another user than root, and with a
// socket on which it says that it is ready (sd_listen_fds(3), sd_notify(3)).
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "shared/base/unique_fd.h"
#include "tests/support/temp_dir.h"

namespace vmail::test {

// The user of daemons in tests that run as root.
inline constexpr uid_t kNobody = 65534;

// A listening UNIX socket at `path` that everybody may connect to.
UniqueFd listen_unix(const std::string& path);
// Blocking; -1 in it when nobody listens.
UniqueFd connect_unix(const std::string& path);
UniqueFd connect_loopback(int port);
// A TCP port of loopback that nobody uses at the moment.
int free_port();

// Sends all of it, then reads until `until` has come, or the end. Blocking, with a limit against hangs.
std::string talk(int fd, const std::string& bytes, const std::string& until);
// Everything up to the end of the stream.
std::string read_to_end(int fd);

class DaemonProcess {
 public:
  struct Start {
    std::string program;
    std::vector<std::string> arguments;
    std::vector<std::pair<std::string, int>> sockets;  // name, descriptor: handed over, and kept open here
    bool as_root = false;                              // when the test runs as root
  };
  // `dir` takes its log and its notify socket, and must be the daemon's to write in.
  DaemonProcess(const TempDir& dir, const Start& start);
  // Kills what still runs.
  ~DaemonProcess();
  DaemonProcess(const DaemonProcess&) = delete;
  DaemonProcess& operator=(const DaemonProcess&) = delete;

  // The next message on the notify socket, such as "READY=1"; empty when the process ended without one.
  std::string next_notice();
  void signal(int number);
  // Waits for its end: the exit status, or 128 and the signal's number.
  int wait();
  // Standard output and error so far.
  std::string output() const;
  pid_t pid() const { return pid_; }

 private:
  bool has_ended();

  std::string log_;
  UniqueFd notify_;
  pid_t pid_ = -1;
  int status_ = -1;
};

// A TempDir that the daemon's user owns.
class DaemonDir : public TempDir {
 public:
  DaemonDir();
};

}  // namespace vmail::test
