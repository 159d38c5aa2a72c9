#include "shared/runtime/channel.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "shared/runtime/log.h"

namespace vmail {
namespace {
constexpr std::size_t kMaxUnread = 1u << 20;
// What a peer that has been answered for the last time gets to take its reply.
constexpr auto kCloseGrace = std::chrono::seconds(5);

// All connections of the loop thread read through this; what stays is copied by the session.
std::array<char, 65536>& shared_buffer() {
  thread_local std::array<char, 65536> buffer;
  return buffer;
}

// What a session sends inside a call of its channel is put together here, and mostly goes out at once: only what the
// peer does not take needs memory of the channel. Calls are never nested.
std::string& shared_output() {
  thread_local std::string output;
  return output;
}

// It may have held a password; and one large reply is no reason to keep its memory.
void empty(std::string& output) {
  explicit_bzero(output.data(), output.size());
  output.clear();
  if (output.capacity() > 65536) output.shrink_to_fit();
}
}  // namespace

Channel::Channel(Loop& loop, UniqueFd fd, Peer peer)
    : loop_(loop), socket_(loop.io().get_executor(), fd.release()), peer_(std::move(peer)) {
  asio::error_code ignored;
  socket_.non_blocking(true, ignored);
}

void Channel::start(std::shared_ptr<Session> session, Closed closed) {
  assert(loop_.on_loop());
  session_ = std::move(session);
  closed_ = std::move(closed);
  flush();  // what the session said in its constructor
  wait_readable();
}

void Channel::wait_readable() {
  // A peer that does not take its replies is not read from: it cannot make us queue more of them.
  if (paused_ || ended_ || state_ != State::Open || !out_.empty()) return;
  if (tls_ && tls_->state() == TlsStream::State::Ended) {
    ended_ = true;
    return loop_.post([self = shared_from_this()] {
      if (self->state_ != State::Open) return;
      self->ended_ = !self->paused_;  // resume() comes back to it
      if (self->ended_) self->call([](Session& session) { session.on_end_of_input(); });
    });
  }
  if (reading_) return;
  reading_ = true;
  socket_.async_wait(Descriptor::wait_read, [self = shared_from_this()](const asio::error_code& error) {
    self->reading_ = false;
    const bool wanted = !self->paused_ && !self->ended_ && self->out_.empty();  // it may have changed meanwhile
    if (!error && self->state_ == State::Open && wanted) self->readable();
  });
}

void Channel::readable() {
  auto& buffer = shared_buffer();
  const ssize_t got = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (got < 0) {
    if (errno != EAGAIN && errno != EINTR) return abort();
    return wait_readable();
  }
  if (got == 0) {
    ended_ = true;
    return call([](Session& session) { session.on_end_of_input(); });
  }
  const std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
  if (tls_) {
    take_encrypted(bytes);
  } else {
    take(bytes);
  }
  explicit_bzero(buffer.data(), bytes.size());  // it may have held a password
}

void Channel::take(std::string_view bytes) {
  call([bytes](Session& session) { session.on_bytes(bytes); });
}

void Channel::take_encrypted(std::string_view bytes) {
  std::string plain, wire;
  const auto state = tls_->receive(bytes, plain, wire);
  write_out(wire);
  if (state == TlsStream::State::Broken) {
    log::warning("peer={}: closed: TLS: {}", peer_.address, tls_->why());
    return close();
  }
  if (state_ == State::Open && !plain.empty()) take(plain);
  empty(plain);
  wait_readable();  // or, behind the end, the session's call: as soon as it is not paused
}

void Channel::start_tls(const TlsContext& context) {
  assert(loop_.on_loop() && !tls_);
  std::string& output = shared_output();  // empty outside the session's calls
  write_out(output);
  empty(output);
  tls_ = std::make_unique<TlsStream>(context);
}

template <class Action>
void Channel::call(Action&& action) {
  std::string& output = shared_output();
  assert(output.empty());
  corked_ = true;
  // The session may close its channel inside the call; it is kept until the call has returned.
  const auto session = session_;
  action(*session);
  corked_ = false;
  write(output);
  empty(output);
}

void Channel::send(std::string_view bytes) {
  assert(loop_.on_loop());
  if (state_ != State::Open) return;
  std::string& output = shared_output();
  const std::size_t unread = out_.size() + (corked_ ? output.size() : 0) + bytes.size();
  if (unread > kMaxUnread) {
    log::warning("peer={}: cut off: it left {} bytes of replies unread", peer_.address, unread);
    return abort();
  }
  if (corked_) {
    output += bytes;
  } else {
    write(bytes);
  }
}

void Channel::write(std::string_view bytes) {
  if (!tls_ || bytes.empty()) return write_out(bytes);
  std::string wire;
  tls_->send(bytes, wire);
  write_out(wire);
}

// After what waits already. Without a session, which is still being made, everything waits.
void Channel::write_out(std::string_view bytes) {
  if (state_ == State::Closed) return;
  if (session_ && out_.empty() && !put(bytes)) return abort();
  out_ += bytes;
  go_on();
}

// Takes what the socket takes from the front of `bytes`; false when there is nobody any more.
bool Channel::put(std::string_view& bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno == EAGAIN;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

void Channel::flush() {
  if (state_ == State::Closed) return;
  const bool waited = !out_.empty();
  std::string_view rest = out_;
  if (!put(rest)) return abort();
  out_.erase(0, out_.size() - rest.size());
  const bool taken = waited && out_.empty() && session_ && state_ == State::Open;
  go_on();
  if (taken) call([](Session& session) { session.on_sent(); });
}

// Waits for what is to come next.
void Channel::go_on() {
  if (!session_) return;
  if (out_.empty()) {
    std::string().swap(out_);  // an idle connection owns no buffer
    if (state_ == State::Closing) return finish();
    return wait_readable();
  }
  if (writing_) return;
  writing_ = true;
  socket_.async_wait(Descriptor::wait_write, [self = shared_from_this()](const asio::error_code& error) {
    self->writing_ = false;
    if (!error) self->flush();
  });
}

void Channel::pause() {
  paused_ = true;
}

void Channel::resume() {
  paused_ = false;
  if (!corked_) wait_readable();
}

void Channel::set_deadline(Duration after, const char* why) {
  assert(loop_.on_loop());
  if (state_ != State::Open) return;
  if (!deadline_) deadline_ = std::make_unique<Timer>(loop_);
  deadline_->start(after, [self = weak_from_this(), why] {
    if (const auto channel = self.lock()) {
      log::info("peer={}: closed: {}", channel->peer_.address, why);
      channel->abort();
    }
  });
}

void Channel::clear_deadline() {
  if (deadline_) deadline_->cancel();
}

void Channel::close() {
  assert(loop_.on_loop());
  if (state_ != State::Open) return;
  set_deadline(kCloseGrace, "it did not take its last reply");
  state_ = State::Closing;
  if (!corked_) go_on();
}

void Channel::abort() {
  assert(loop_.on_loop());
  if (state_ == State::Closed) return;
  out_.clear();
  finish();
}

void Channel::drain() {
  if (state_ == State::Open) call([](Session& session) { session.on_drain(); });
}

void Channel::finish() {
  if (state_ == State::Closing && tls_) {
    // So that the peer knows that nothing was cut off; it may be gone by now.
    std::string wire;
    tls_->end(wire);
    std::string_view rest = wire;
    put(rest);
  }
  state_ = State::Closed;
  deadline_.reset();
  // A last wait may still hold this channel; its session must not be destroyed inside one of its own calls.
  loop_.post([self = shared_from_this()] {
    asio::error_code ignored;
    self->socket_.close(ignored);
    self->session_.reset();
    if (auto closed = std::move(self->closed_)) closed(*self);
  });
}

}  // namespace vmail
