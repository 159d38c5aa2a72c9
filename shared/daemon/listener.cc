#include "shared/daemon/listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "shared/base/text.h"
#include "shared/config/config.h"

namespace vmail::daemon {
namespace {

// Postfix opens two connections per SMTP session, and all of them anew after a reload.
constexpr int kBacklog = 1024;

[[noreturn]] void fail(const std::string& listen, const std::string& what) {
  throw config::Error("cannot listen on " + listen + ": " + what);
}

// Whether somebody answers behind the file, which a daemon that died leaves behind.
bool somebody_listens(const sockaddr_un& address) {
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN ||
         errno == EACCES;
}

ListeningSocket bind_unix(const std::string& listen, const std::string& path, mode_t mode) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) fail(listen, "the path is longer than 107 bytes");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) {
    if (!S_ISSOCK(info.st_mode)) fail(listen, "there is a file of another kind; move it away");
    if (somebody_listens(address)) fail(listen, "another process listens there; stop it first");
    ::unlink(path.c_str());
  }
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // The mode is right from the first moment: nobody connects between bind and chmod.
  const mode_t before = ::umask(static_cast<mode_t>(~mode & 0777));
  const int bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = errno;
  ::umask(before);
  if (bound != 0) {
    const char* hint = error == ENOENT
                           ? " (its folder is missing: systemd-tmpfiles --create makes those of the package)"
                       : error == EACCES ? " (the folder must belong to the user that this daemon runs as)"
                                         : "";
    fail(listen, std::strerror(error) + std::string(hint));
  }
  if (::listen(fd.get(), kBacklog) != 0) fail(listen, std::strerror(errno));
  return {std::move(fd), path};
}

ListeningSocket bind_inet(const std::string& listen, const std::string& text, const Networks& networks) {
  const auto colon = text.rfind(':');
  std::string host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  const auto port = static_cast<std::uint16_t>(parse_number(text.substr(colon + 1)).value_or(0));
  sockaddr_storage storage{};
  socklen_t size = 0;
  auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
  if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    size = sizeof v4;
  } else if (::inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    size = sizeof v6;
  } else {
    fail(listen, "\"" + printable(host) + "\" is not an IP address");
  }
  if (networks.is_loopback_only() && !networks.contains(storage)) {
    fail(listen, "beyond loopback, say in `networks` who may connect");
  }
  UniqueFd fd(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (storage.ss_family == AF_INET6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), size) != 0 || ::listen(fd.get(), kBacklog) != 0) {
    fail(listen, std::strerror(errno));
  }
  return {std::move(fd), ""};
}

// "ADDRESS:PORT", with brackets around an IPv6 address.
std::string inet_text(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "?";
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return fmt::format("{}:{}", text, ntohs(v4.sin_port));
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
  ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
  return fmt::format("[{}]:{}", text, ntohs(v6.sin6_port));
}

Peer describe(int fd, const sockaddr_storage& address) {
  Peer peer;
  peer.local = address.ss_family == AF_UNIX;
  if (peer.local) {
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0) {
      peer.uid = credentials.uid;
      peer.gid = credentials.gid;
      peer.pid = credentials.pid;
    }
    peer.address = fmt::format("uid={} pid={}", peer.uid, peer.pid);
  } else {
    peer.address = inet_text(address);
  }
  return peer;
}

}  // namespace

ListeningSocket bind_endpoint(const std::string& listen, mode_t mode, const Networks& networks) {
  if (listen.rfind("unix:", 0) == 0) return bind_unix(listen, listen.substr(5), mode);
  if (listen.rfind("inet:", 0) == 0) return bind_inet(listen, listen.substr(5), networks);
  fail(listen, "must be \"unix:/PATH\" or \"inet:ADDRESS:PORT\"");
}

Listener::Listener(Loop& loop, Endpoint endpoint, std::vector<ListeningSocket> sockets,
                   MoveOnlyFunction<void()> all_gone)
    : loop_(loop), endpoint_(std::move(endpoint)), networks_(endpoint_.networks), all_gone_(std::move(all_gone)) {
  for (auto& socket : sockets) {
    acceptors_.push_back(std::make_unique<Acceptor>(loop_, std::move(socket)));
    acceptors_.back()->descriptor.non_blocking(true);
    wait(*acceptors_.back());
  }
}

Listener::~Listener() {
  for (const auto& acceptor : acceptors_) {
    if (!acceptor->path.empty()) ::unlink(acceptor->path.c_str());
  }
}

std::vector<std::string> Listener::addresses() const {
  std::vector<std::string> all;
  for (const auto& acceptor : acceptors_) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getsockname(acceptor->descriptor.native_handle(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
      continue;
    if (address.ss_family == AF_UNIX) {
      all.push_back(std::string("unix:") + reinterpret_cast<const sockaddr_un&>(address).sun_path);
    } else {
      all.push_back("inet:" + inet_text(address));
    }
  }
  return all;
}

void Listener::wait(Acceptor& acceptor) {
  acceptor.descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                                 [this, &acceptor](const asio::error_code& error) {
                                   if (!error && !draining_) accept_some(acceptor);
                                 });
}

void Listener::accept_some(Acceptor& acceptor) {
  // A bounded number at a time, so that a flood of connections does not starve those that are open.
  for (int i = 0; i < 64; ++i) {
    UniqueFd fd(::accept4(acceptor.descriptor.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fd) {
      serve(std::move(fd));
      continue;
    }
    if (errno == ECONNABORTED || errno == EINTR) continue;
    if (errno != EAGAIN) {
      // Out of descriptors or memory: the connection stays in the backlog, and we come back when some are free again.
      log::error("{}: accept: {}; waiting a second (raise LimitNOFILE= if this goes on)", endpoint_.name,
                 std::strerror(errno));
      acceptor.pause.start(std::chrono::seconds(1), [this, &acceptor] {
        if (!draining_) accept_some(acceptor);
      });
      return;
    }
    break;
  }
  wait(acceptor);
}

void Listener::serve(UniqueFd fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  ::getpeername(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
  Peer peer = describe(fd.get(), address);
  std::size_t suppressed = 0;
  if (channels_.size() >= endpoint_.max_connections) {
    ++over_limit_;
    if (over_limit_log_.allow(suppressed)) {
      log::warning("{}: connection from {} closed: {} are open already (max_connections); {} more closed before",
                   endpoint_.name, peer.address, channels_.size(), suppressed);
    }
    return;
  }
  if ((!peer.local && !networks_.contains(address)) || (endpoint_.admit && !endpoint_.admit(peer))) {
    ++refused_;
    if (refused_log_.allow(suppressed)) {
      log::warning("{}: connection from {} refused: it may not connect here; {} more refused before", endpoint_.name,
                   peer.address, suppressed);
    }
    return;
  }
  if (!peer.local) {
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  ++served_;
  auto channel = std::make_shared<Channel>(loop_, std::move(fd), std::move(peer));
  channels_.emplace(channel.get(), channel);
  channel->start(endpoint_.open(*channel), [this](Channel& closed) {
    channels_.erase(&closed);
    if (draining_ && channels_.empty()) all_gone_();
  });
}

void Listener::drain() {
  draining_ = true;
  for (const auto& acceptor : acceptors_) acceptor->descriptor.cancel();
  // A session may close inside the call, but its channel leaves the table later, from the loop.
  for (const auto& [key, channel] : channels_) channel->drain();
}

void Listener::abort_all() {
  for (const auto& [key, channel] : channels_) channel->abort();
}

}  // namespace vmail::daemon
