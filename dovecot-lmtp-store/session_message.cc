// The part of a session that has the text of a message: receiving it, its deliveries, and their replies.
#include <algorithm>
#include <atomic>
#include <utility>

#include "dovecot-lmtp-store/reply_to.h"
#include "dovecot-lmtp-store/session.h"
#include "dovecot-lmtp-store/session_times.h"
#include "shared/base/text.h"
#include "shared/runtime/log.h"

namespace vmail::store {
namespace {

using lmtp::Reply;

// Deliveries of one message at a time: a message with a thousand recipients leaves room for the others.
constexpr std::size_t kParallel = 16;

// Unique in this process's life, and short; Postfix's queue id is the one that lasts.
std::string next_id(WallTime now) {
  static std::atomic<unsigned> count{0};
  const auto since = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count();
  return std::to_string(since) + '.' + std::to_string(++count);
}

}  // namespace

void LmtpSession::begin_text() {
  Message& message = *transaction_->message;
  message.received = clock_.wall();
  message.id = next_id(message.received);
  message.recipients = transaction_->addressees.size();
  state_ = State::Text;
}

void LmtpSession::discard(std::string_view& input) {
  const auto taken = std::min<std::uint64_t>(discard_, input.size());
  input.remove_prefix(taken);
  discard_ -= taken;
  if (discard_ > 0) return;
  state_ = State::Command;
  send({503, "5.5.1", transaction_ ? "No valid recipients" : "MAIL comes first"});
}

void LmtpSession::receive(std::string_view& input) {
  switch (transaction_->intake.take(input)) {
    case Intake::Event::NeedMore:
      return;
    case Intake::Event::Full:
      return spool();
    case Intake::Event::ChunkEnd:
      // Small chunks may add up to much as well.
      if (transaction_->intake.is_full()) return spool();
      return chunk_ended();
    case Intake::Event::End:
      return store();
  }
}

// A refused chunk has its reply, and all that follow; the last one then has it for each recipient.
void LmtpSession::chunk_ended() {
  const auto& refusal = transaction_->intake.refusal();
  state_ = State::Command;
  send(refusal ? *refusal : Reply{250, "2.0.0", "OK"});
}

void LmtpSession::spool() {
  wait();
  channel_.set_deadline(kStoring, "the spool took too long");
  auto done = in_transaction([](LmtpSession& session, const Stored& stored) {
    Intake& intake = session.transaction_->intake;
    if (!stored.ok()) intake.refuse(reply_to(stored));
    if (!intake.is_between_chunks()) return session.go_on(State::Text);
    session.chunk_ended();
    session.go_on(State::Command);
  });
  const auto& message = transaction_->message;
  backend_.spool(message, std::exchange(message->tail, {}), std::move(done));
}

void LmtpSession::store() {
  wait();
  Transaction& transaction = *transaction_;
  if (const auto& refusal = transaction.intake.refusal()) {
    const Message& message = *transaction.message;
    log::warning("message id={} queue={} from=<{}> refused: {} {}", message.id, message.queue_id,
                 printable(message.sender), refusal->code, refusal->text);
    for (Addressee& addressee : transaction.addressees) {
      addressee.reply = Reply{refusal->code, refusal->enhanced, about(addressee.address, refusal->text)};
    }
  }
  transaction.deadline.start(kStoring, in_transaction([](LmtpSession& session) { session.out_of_time(); }));
  // The deliveries have that deadline; the channel's is for what hangs all the same.
  channel_.set_deadline(2 * kStoring, "the deliveries took too long");
  start_deliveries();
  send_replies();
}

void LmtpSession::start_deliveries() {
  Transaction& transaction = *transaction_;
  while (transaction.started < transaction.addressees.size() && transaction.in_flight < kParallel) {
    const std::size_t index = transaction.started++;
    const Addressee& addressee = transaction.addressees[index];
    if (!addressee.reply && !addressee.same_as) deliver(index);
  }
}

void LmtpSession::deliver(std::size_t index) {
  ++transaction_->in_flight;
  const auto& message = transaction_->message;
  const auto& recipient = transaction_->addressees[index].recipient;
  if (recipient->scripted) {
    return backend_.hand_over(message, recipient, in_transaction([index](LmtpSession& session, Reply reply) {
                                session.delivered(index, std::move(reply));
                              }));
  }
  backend_.deliver(message, recipient, in_transaction([index](LmtpSession& session, const Stored& stored) {
                     const Transaction& transaction = *session.transaction_;
                     const std::string& address = transaction.addressees[index].address;
                     session.delivered(index, reply_to(stored, address, transaction.message->queue_id));
                   }));
}

void LmtpSession::delivered(std::size_t index, Reply reply) {
  transaction_->addressees[index].reply = std::move(reply);
  --transaction_->in_flight;
  start_deliveries();
  send_replies();
}

// A mailbox that hangs costs no other its reply. What has not been filed by now will not be.
void LmtpSession::out_of_time() {
  transaction_->message->abandoned = true;
  for (Addressee& addressee : transaction_->addressees) {
    if (addressee.reply || addressee.same_as) continue;
    log::error("delivery id={} to=<{}> result=deferred: it took too long", transaction_->message->id,
               printable(addressee.address));
    addressee.reply = Reply{451, "4.3.0", about(addressee.address, "It took too long")};
  }
  send_replies();
}

// One for each accepted RCPT, in their order (RFC 2033 section 4.2); each as soon as those before it have gone.
void LmtpSession::send_replies() {
  Transaction& transaction = *transaction_;
  while (transaction.answered < transaction.addressees.size()) {
    const Addressee& addressee = transaction.addressees[transaction.answered];
    const auto& reply = addressee.same_as ? transaction.addressees[*addressee.same_as].reply : addressee.reply;
    if (!reply) return flush();
    say(lmtp::format(*reply));
    ++transaction.answered;
  }
  flush();
  bad_commands_ = 0;
  // What came before the replies shows nothing about them.
  if (pending_.empty() && !transaction.message->queue_id.empty()) unconfirmed_ = transaction.message->id;
  end_transaction();
  go_on(State::Command);
}

// Whatever of it still runs has nobody who waits.
void LmtpSession::end_transaction() {
  queue_id_.clear();
  if (!transaction_) return;
  transaction_->message->abandoned = true;
  transaction_.reset();
}

}  // namespace vmail::store
