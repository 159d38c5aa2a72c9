// TLS for connections that we accept. Bytes in, bytes out: the descriptor is the Channel's.
#pragma once

#include <openssl/types.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace vmail {

class TlsError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A certificate and its key, for any number of connections. Unchanging; from any thread.
class TlsContext {
 public:
  // PEM files: the certificate with what leads to its authority, and the key, which others may not read. Throws
  // TlsError, which names the file and what is wrong with it. Blocking file I/O.
  TlsContext(const std::string& certificate, const std::string& key);

 private:
  friend class TlsStream;
  struct Free {
    void operator()(SSL_CTX* context) const;
  };
  std::unique_ptr<SSL_CTX, Free> context_;
};

// The server's side of one connection. One thread.
class TlsStream {
 public:
  enum class State { Handshake, Open, Ended, Broken };

  // Needs `context` no longer.
  explicit TlsStream(const TlsContext& context);
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  // Takes all that came from the peer; appends what was said in it to `plain`, and what the peer is due to `wire`.
  State receive(std::string_view bytes, std::string& plain, std::string& wire);
  // Appends what stands for `plain`. Only when Open.
  void send(std::string_view plain, std::string& wire);
  // Our own end, so that the peer knows that nothing was cut off.
  void end(std::string& wire);
  State state() const { return state_; }
  // Why it is Broken, in words.
  const std::string& why() const { return why_; }

  // What OpenSSL reads from and writes to during a call.
  struct Ends {
    std::string_view in;
    std::string* out = nullptr;
  };

 private:
  State broken();

  struct Free {
    void operator()(SSL* stream) const;
  };
  std::unique_ptr<SSL, Free> stream_;
  Ends ends_;
  State state_ = State::Handshake;
  std::string why_;
};

}  // namespace vmail
