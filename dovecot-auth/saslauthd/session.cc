#include "dovecot-auth/saslauthd/session.h"

#include "shared/runtime/log.h"

namespace vmail::auth::saslauthd {
namespace {

constexpr auto kRequestDeadline = std::chrono::seconds(10);

}  // namespace

MuxSession::MuxSession(Channel& channel, Logins& logins) : channel_(channel), logins_(logins) {
  channel_.set_deadline(kRequestDeadline, "mux: it did not send the whole of its request");
}

void MuxSession::on_bytes(std::string_view bytes) {
  if (checking_) return;
  switch (decoder_.feed(bytes)) {
    case Decoder::Event::NeedMore:
      return;
    case Decoder::Event::Request:
      return check();
    case Decoder::Event::Malformed:
      log::warning("mux: {}: closed: a string of more than {} bytes", channel_.peer().address, kMaxField);
      return channel_.close();
  }
}

// Clients end their output when they have asked.
void MuxSession::on_end_of_input() {
  on_drain();
}

void MuxSession::on_drain() {
  if (!checking_) channel_.close();
}

void MuxSession::check() {
  checking_ = true;
  channel_.clear_deadline();
  Request request = decoder_.request();
  Attempt attempt;
  attempt.user = std::move(request.user);
  attempt.password = std::move(request.password);
  attempt.service = std::move(request.service);
  logins_.check(std::move(attempt),
                [this, weak = weak_from_this()](const LoginOutcome& outcome, std::string_view told) {
                  if (const auto self = weak.lock()) checked(outcome, told);
                });
}

void MuxSession::checked(const LoginOutcome& outcome, std::string_view told) {
  switch (outcome.status()) {
    case Status::Found:
      channel_.send(ok());
      break;
    case Status::NotFound:
    case Status::Disabled:
      channel_.send(no(told));
      break;
    case Status::TempFail:
      break;
  }
  channel_.close();
}

}  // namespace vmail::auth::saslauthd
