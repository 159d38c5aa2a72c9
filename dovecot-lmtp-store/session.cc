#include "dovecot-lmtp-store/session.h"

#include <algorithm>
#include <atomic>

#include "dovecot-lmtp-store/reply_to.h"
#include "shared/base/address.h"
#include "shared/base/text.h"
#include "shared/runtime/log.h"

namespace vmail::store {
namespace {

using lmtp::Reply;
using lmtp::Verb;
using std::chrono::seconds;

// Longer than Postfix waits for each of its steps (300 s), so that it is not us who cut a conversation.
constexpr auto kIdle = seconds(330);
// Well under the 600 s that Postfix waits behind the data: what it gives up on it sends again.
constexpr auto kStoring = seconds(300);
constexpr int kMaxBadCommands = 20;
// Of a message's text; what is more goes to the spool.
constexpr std::size_t kInMemory = 256u << 10;
// Deliveries of one message at a time: a message with a thousand recipients leaves room for the others.
constexpr std::size_t kParallel = 16;

// Unique in this process's life, and short; Postfix's queue id is the one that lasts.
std::string next_id(WallTime now) {
  static std::atomic<unsigned> count{0};
  const auto since = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count();
  return std::to_string(since) + '.' + std::to_string(++count);
}

}  // namespace

LmtpSession::LmtpSession(Channel& channel, Backend& backend, const Clock& clock,
                         std::shared_ptr<const SessionSettings> settings)
    : channel_(channel), backend_(backend), clock_(clock), settings_(std::move(settings)) {
  channel_.set_deadline(kIdle, "idle");
  send({220, "", settings_->hostname + " LMTP ready"});
}

LmtpSession::~LmtpSession() {
  if (transaction_) transaction_->message->abandoned = true;
}

void LmtpSession::on_bytes(std::string_view bytes) {
  channel_.set_deadline(kIdle, "idle");
  process(bytes);
}

// A message without its final dot is dropped with the session (RFC 5321 section 4.1.1.4): the client sends it again.
void LmtpSession::on_end_of_input() {
  state_ = State::Closed;
  channel_.close();
}

void LmtpSession::on_drain() {
  draining_ = true;
  process({});
}

void LmtpSession::process(std::string_view input) {
  while (!input.empty() && (state_ == State::Command || state_ == State::Data)) {
    if (state_ == State::Data) {
      receive(input);
      continue;
    }
    switch (lines_.take(input)) {
      case lmtp::LineReader::Result::NeedMore:
        break;
      case lmtp::LineReader::Result::Line:
        command(lines_.line());
        break;
      case lmtp::LineReader::Result::TooLong:
        send({500, "5.5.2", "Line too long"});
        break;
      case lmtp::LineReader::Result::BareLf:
        log::warning("peer={}: closed: it sent a command line that ends with LF alone", channel_.peer().address);
        close({500, "5.5.2", "Lines end with CRLF"});
        break;
    }
  }
  if (state_ == State::Waiting) pending_.append(input);
  if (draining_ && state_ == State::Command && !transaction_) close({421, "4.3.2", "Shutting down"});
}

void LmtpSession::wait() {
  state_ = State::Waiting;
  channel_.pause();
}

void LmtpSession::go_on(State state) {
  if (state_ == State::Closed) return;
  state_ = state;
  channel_.set_deadline(kIdle, "idle");
  const std::string pending = std::exchange(pending_, {});
  process(pending);
  if (state_ != State::Waiting) channel_.resume();
}

void LmtpSession::command(std::string_view line) {
  const auto [command, error] = lmtp::parse_command(line);
  if (error) return send(*error);
  switch (command.verb) {
    case Verb::Lhlo:
      return lhlo(command);
    case Verb::Mail:
      return mail(command);
    case Verb::Rcpt:
      return rcpt(command);
    case Verb::Data:
      return data();
    case Verb::Rset:
      transaction_.reset();
      return send({250, "2.0.0", "OK"});
    case Verb::Noop:
      return send({250, "2.0.0", "OK"});
    case Verb::Vrfy:
      return send({252, "2.5.0", "Try RCPT to find out"});
    case Verb::Help:
      return send({214, "2.0.0", "LHLO MAIL RCPT DATA RSET NOOP VRFY QUIT: see RFC 2033"});
    case Verb::Quit:
      return close({221, "2.0.0", "Bye"});
    case Verb::Helo:
    case Verb::Unknown:
      break;  // the parser has refused them
  }
}

void LmtpSession::lhlo(const lmtp::Command& command) {
  helo_ = command.name;
  transaction_.reset();
  bad_commands_ = 0;
  // DSN is left out: Postfix would leave success reports to us. It writes them itself.
  channel_.send(lmtp::format_lhlo(settings_->hostname, {"PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8",
                                                        "SIZE " + std::to_string(settings_->message_size_limit)}));
}

void LmtpSession::mail(const lmtp::Command& command) {
  if (helo_.empty()) return send({503, "5.5.1", "Say LHLO first"});
  if (transaction_) return send({503, "5.5.1", "MAIL was given already"});
  const std::uint64_t limit = settings_->message_size_limit;
  if (command.size.value_or(0) > limit) {
    return send({552, "5.3.4", "Message is larger than " + std::to_string(limit) + " bytes"});
  }
  transaction_ = std::make_unique<Transaction>();
  Message& message = *transaction_->message;
  message.sender = command.path;
  transaction_->announced = command.size.value_or(0);
  message.smtputf8 = command.smtputf8;
  message.helo = helo_;
  if (!channel_.peer().local) {
    const std::string& address = channel_.peer().address;
    message.peer = address.substr(0, address.rfind(':'));
    if (message.peer.front() != '[') message.peer = '[' + message.peer + ']';
  }
  send({250, "2.1.0", "OK"});
}

void LmtpSession::rcpt(const lmtp::Command& command) {
  if (!transaction_) return send({503, "5.5.1", "MAIL comes first"});
  if (transaction_->recipients.size() >= settings_->max_recipients) {
    return send({452, "4.5.3", "Too many recipients"});
  }
  wait();
  backend_.recipient(command.path, transaction_->announced, [self = weak()](Recipients::Found found) {
    const auto session = self.lock();
    if (!session || !session->transaction_) return;
    session->rcpt_answered(std::move(found));
    session->go_on(State::Command);
  });
}

void LmtpSession::rcpt_answered(Recipients::Found found) {
  if (auto* reply = std::get_if<Reply>(&found)) return send(std::move(*reply));
  Accepted accepted{std::get<0>(std::move(found)), {}, {}, {}};
  const auto folded = parse_address(accepted.who->address);
  accepted.key = folded ? folded->text() : accepted.who->address;
  auto& recipients = transaction_->recipients;
  const auto same = std::find_if(recipients.begin(), recipients.end(),
                                 [&](const Accepted& other) { return other.key == accepted.key; });
  if (same != recipients.end()) accepted.same_as = same - recipients.begin();
  recipients.push_back(std::move(accepted));
  send({250, "2.1.5", "OK"});
}

void LmtpSession::data() {
  if (!transaction_) return send({503, "5.5.1", "MAIL comes first"});
  // Never 354: the client has pipelined nothing behind DATA and sends no text now (RFC 2033 section 4.2).
  if (transaction_->recipients.empty()) return send({503, "5.5.1", "No valid recipients"});
  Message& message = *transaction_->message;
  message.received = clock_.wall();
  message.id = next_id(message.received);
  state_ = State::Data;
  send({354, "", "End data with <CR><LF>.<CR><LF>"});
}

void LmtpSession::receive(std::string_view& input) {
  Transaction& transaction = *transaction_;
  Message& message = *transaction.message;
  const std::size_t before = message.tail.size();
  transaction.complete = transaction.decoder.decode(input, message.tail);
  message.sizes.add(std::string_view(message.tail).substr(before));
  if (message.sizes.size() > settings_->message_size_limit) transaction.too_big = true;
  // What will be refused is read to its end, and kept nowhere.
  if (transaction.too_big || !transaction.spooled.ok()) std::string().swap(message.tail);
  if (transaction.complete) return store();
  if (message.tail.size() >= kInMemory) spool();
}

void LmtpSession::spool() {
  wait();
  channel_.set_deadline(kStoring, "the spool took too long");
  backend_.spool(transaction_->message, std::exchange(transaction_->message->tail, {}), [self = weak()](Stored stored) {
    const auto session = self.lock();
    if (!session || !session->transaction_) return;
    if (!stored.ok()) session->transaction_->spooled = std::move(stored);
    session->go_on(State::Data);
  });
}

void LmtpSession::store() {
  wait();
  channel_.set_deadline(kStoring, "the deliveries took too long");
  for (Accepted& recipient : transaction_->recipients) {
    if (transaction_->too_big) {
      recipient.reply = Reply{552, "5.3.4", about(recipient.who->address, "Message is too large")};
    } else if (!transaction_->spooled.ok()) {
      recipient.reply = reply_to(transaction_->spooled, recipient.who->address);
    }
  }
  start_deliveries();
  send_replies();
}

void LmtpSession::start_deliveries() {
  Transaction& transaction = *transaction_;
  while (transaction.started < transaction.recipients.size() && transaction.in_flight < kParallel) {
    const std::size_t index = transaction.started++;
    const Accepted& recipient = transaction.recipients[index];
    if (recipient.reply || recipient.same_as) continue;
    ++transaction.in_flight;
    backend_.deliver(transaction.message, recipient.who, [self = weak(), index](Stored stored) {
      if (const auto session = self.lock(); session && session->transaction_) session->stored(index, stored);
    });
  }
}

void LmtpSession::stored(std::size_t index, const Stored& stored) {
  Accepted& recipient = transaction_->recipients[index];
  recipient.reply = reply_to(stored, recipient.who->address);
  --transaction_->in_flight;
  start_deliveries();
  send_replies();
}

// One for each accepted RCPT, in their order (RFC 2033 section 4.2); each as soon as those before it have gone.
void LmtpSession::send_replies() {
  Transaction& transaction = *transaction_;
  while (transaction.answered < transaction.recipients.size()) {
    const Accepted& recipient = transaction.recipients[transaction.answered];
    const auto& reply = recipient.same_as ? transaction.recipients[*recipient.same_as].reply : recipient.reply;
    if (!reply) return;
    channel_.send(lmtp::format(*reply));
    ++transaction.answered;
  }
  bad_commands_ = 0;
  transaction_.reset();
  go_on(State::Command);
}

void LmtpSession::send(Reply reply) {
  if (state_ == State::Closed) return;
  channel_.send(lmtp::format(reply));
  // Refused recipients and sizes are no fault of the client's protocol.
  const bool bad = reply.code >= 500 && reply.code < 510;
  bad_commands_ = bad || reply.code == 555 ? bad_commands_ + 1 : 0;
  if (bad_commands_ < kMaxBadCommands) return;
  log::warning("peer={}: closed: {} bad commands in a row, the last was answered {} {}", channel_.peer().address,
               bad_commands_, reply.code, printable(reply.text));
  close({421, "4.7.0", "Too many bad commands"});
}

void LmtpSession::close(Reply reply) {
  channel_.send(lmtp::format(reply));
  state_ = State::Closed;
  transaction_.reset();
  channel_.close();
}

std::weak_ptr<LmtpSession> LmtpSession::weak() {
  return std::static_pointer_cast<LmtpSession>(shared_from_this());
}

}  // namespace vmail::store
