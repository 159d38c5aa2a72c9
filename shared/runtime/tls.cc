#include "shared/runtime/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <new>

#include "shared/base/text.h"

namespace vmail {
namespace {

// What OpenSSL says about the last failure of this thread; its queue is empty afterwards.
std::string last_error() {
  const unsigned long error = ::ERR_get_error();
  ::ERR_clear_error();
  if (error == 0) return "the peer ended the connection";
  const char* reason = ::ERR_reason_error_string(error);
  if (reason != nullptr) return reason;
  std::array<char, 256> text{};
  ::ERR_error_string_n(error, text.data(), text.size());
  return text.data();
}

void check_file(const std::string& path, bool secret) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) throw TlsError(path + ": cannot be read: " + std::strerror(errno));
  if (!S_ISREG(info.st_mode)) throw TlsError(path + ": is not a regular file");
  if (secret && (info.st_mode & 07) != 0) {
    throw TlsError(path + ": others may read or write it; run: chmod o= " + path);
  }
}

int read_in(BIO* bio, char* into, int size) {
  auto& in = static_cast<TlsStream::Ends*>(::BIO_get_data(bio))->in;
  const auto length = std::min(in.size(), static_cast<std::size_t>(size));
  if (length == 0) {
    BIO_set_retry_read(bio);  // not the end: more comes with the next call
    return -1;
  }
  BIO_clear_retry_flags(bio);
  std::memcpy(into, in.data(), length);
  in.remove_prefix(length);
  return static_cast<int>(length);
}

int write_out(BIO* bio, const char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  static_cast<TlsStream::Ends*>(::BIO_get_data(bio))->out->append(bytes, static_cast<std::size_t>(size));
  return size;
}

long control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

// Between OpenSSL and the strings of a call, so that no buffer stays behind.
const BIO_METHOD* ends_method() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made = ::BIO_meth_new(::BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "vmailkit");
    if (made == nullptr) throw std::bad_alloc();
    ::BIO_meth_set_read(made, read_in);
    ::BIO_meth_set_write(made, write_out);
    ::BIO_meth_set_ctrl(made, control);
    return made;
  }();
  return method;
}

}  // namespace

void TlsContext::Free::operator()(SSL_CTX* context) const {
  ::SSL_CTX_free(context);
}

TlsContext::TlsContext(const std::string& certificate, const std::string& key)
    : context_(::SSL_CTX_new(::TLS_server_method())) {
  if (!context_) throw std::bad_alloc();
  SSL_CTX* context = context_.get();
  ::ERR_clear_error();
  check_file(certificate, false);
  if (::SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1) {
    throw TlsError(certificate + ": no certificate in PEM form can be read from it: " + last_error());
  }
  check_file(key, true);
  if (::SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1) {
    throw TlsError(key + ": no private key that belongs to " + certificate + " can be read from it: " + last_error());
  }
  ::SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  // No renegotiation, which a peer could have us compute without end, and no sessions to go on with: connections are
  // kept open instead.
  ::SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
  ::SSL_CTX_set_num_tickets(context, 0);
  ::SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  // An idle connection owns no buffer.
  ::SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
}

void TlsStream::Free::operator()(SSL* stream) const {
  ::SSL_free(stream);
}

TlsStream::TlsStream(const TlsContext& context) : stream_(::SSL_new(context.context_.get())) {
  BIO* const bio = ::BIO_new(ends_method());
  if (!stream_ || bio == nullptr) {
    ::BIO_free(bio);
    throw std::bad_alloc();
  }
  ::BIO_set_data(bio, &ends_);
  ::BIO_set_init(bio, 1);
  ::SSL_set_bio(stream_.get(), bio, bio);  // which takes it over
  ::SSL_set_accept_state(stream_.get());
}

TlsStream::State TlsStream::receive(std::string_view bytes, std::string& plain, std::string& wire) {
  if (state_ == State::Broken || state_ == State::Ended) return state_;
  ::ERR_clear_error();
  ends_ = {bytes, &wire};
  if (state_ == State::Handshake) {
    const int done = ::SSL_do_handshake(stream_.get());
    if (done != 1) {
      if (::SSL_get_error(stream_.get(), done) == SSL_ERROR_WANT_READ) return state_;
      return broken();
    }
    state_ = State::Open;
  }
  std::array<char, SSL3_RT_MAX_PLAIN_LENGTH> buffer;  // of one record
  for (;;) {
    const int got = ::SSL_read(stream_.get(), buffer.data(), static_cast<int>(buffer.size()));
    if (got > 0) {
      plain.append(buffer.data(), static_cast<std::size_t>(got));
      continue;
    }
    const int error = ::SSL_get_error(stream_.get(), got);
    if (error == SSL_ERROR_WANT_READ) return state_;
    if (error != SSL_ERROR_ZERO_RETURN) return broken();
    return state_ = State::Ended;
  }
}

void TlsStream::send(std::string_view plain, std::string& wire) {
  if (state_ != State::Open && state_ != State::Ended) return;
  ::ERR_clear_error();
  ends_ = {{}, &wire};
  // A string takes everything, so that nothing is ever written in part.
  while (!plain.empty()) {
    const int size = static_cast<int>(std::min<std::size_t>(plain.size(), SSL3_RT_MAX_PLAIN_LENGTH));
    if (::SSL_write(stream_.get(), plain.data(), size) != size) {
      broken();
      return;
    }
    plain.remove_prefix(static_cast<std::size_t>(size));
  }
}

void TlsStream::end(std::string& wire) {
  if (state_ != State::Open && state_ != State::Ended) return;
  ends_ = {{}, &wire};
  ::SSL_shutdown(stream_.get());
  ::ERR_clear_error();
}

TlsStream::State TlsStream::broken() {
  why_ = printable(last_error());
  return state_ = State::Broken;
}

}  // namespace vmail
