#include "dovecot-lmtp-store/session.h"

#include <algorithm>
#include <utility>

#include "dovecot-lmtp-store/reply_to.h"
#include "dovecot-lmtp-store/session_times.h"
#include "shared/base/address.h"
#include "shared/base/text.h"
#include "shared/runtime/log.h"

namespace vmail::store {
namespace {

using lmtp::Reply;
using lmtp::Verb;

constexpr int kMaxBadCommands = 20;

// Of a TCP peer, without its port: "192.0.2.1", "[2001:db8::1]".
std::string host_of(const Peer& peer) {
  return peer.address.substr(0, peer.address.rfind(':'));
}

// Whoever may open a UNIX socket of ours is trusted with what stands in our log.
bool may_forward(const Peer& peer, const Networks& networks) {
  if (peer.local) return true;
  std::string host = host_of(peer);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  const auto address = parse_ip(host);
  return address && networks.contains(*address);
}

}  // namespace

LmtpSession::LmtpSession(Channel& channel, Backend& backend, const Clock& clock,
                         std::shared_ptr<const SessionSettings> settings)
    : channel_(channel), backend_(backend), clock_(clock), settings_(std::move(settings)) {
  channel_.set_deadline(kIdle, "idle");
  send({220, "", settings_->hostname + " LMTP ready"});
  flush();
}

LmtpSession::~LmtpSession() {
  end_transaction();
}

void LmtpSession::on_bytes(std::string_view bytes) {
  channel_.set_deadline(kIdle, "idle");
  process(bytes);
}

// A message without its end is dropped with the session (RFC 5321 section 4.1.1.4): the client sends it again.
void LmtpSession::on_end_of_input() {
  flush();
  state_ = State::Closed;
  channel_.close();
}

void LmtpSession::on_drain() {
  draining_ = true;
  process({});
}

void LmtpSession::process(std::string_view input) {
  while (!input.empty() && state_ != State::Waiting && state_ != State::Closed) {
    if (state_ == State::Text) {
      receive(input);
      continue;
    }
    if (state_ == State::Discard) {
      discard(input);
      continue;
    }
    switch (lines_.take(input)) {
      case lmtp::LineReader::Result::NeedMore:
        break;
      case lmtp::LineReader::Result::Line:
        command(lines_.line(), input);
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
  if (state_ != State::Waiting || pending_.empty()) flush();
}

// Replies to commands that came together go together (RFC 2920 section 3.2): each by itself would wake the client up.
void LmtpSession::say(const std::string& reply) {
  replies_ += reply;
}

void LmtpSession::flush() {
  if (!replies_.empty()) channel_.send(std::exchange(replies_, {}));
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

// `behind` is what came with the line and has not been looked at.
void LmtpSession::command(std::string_view line, std::string_view behind) {
  const auto [command, error] = lmtp::parse_command(line);
  // Postfix has always pipelined its QUIT with the final dot, so that it shows nothing.
  if (!unconfirmed_.empty() && command.verb != Verb::Quit) backend_.confirmed(std::exchange(unconfirmed_, {}));
  if (error) {
    // What follows is a chunk of unknown length: none of it may be taken for commands.
    if (command.verb == Verb::Bdat) return close(*error);
    return send(*error);
  }
  switch (command.verb) {
    case Verb::Lhlo:
      return lhlo(command);
    case Verb::StartTls:
      return starttls(behind);
    case Verb::XForward:
      return xforward(command);
    case Verb::Mail:
      return mail(command);
    case Verb::Rcpt:
      return rcpt(command);
    case Verb::Data:
      return data();
    case Verb::Bdat:
      return bdat(command);
    case Verb::Rset:
      end_transaction();
      return send({250, "2.0.0", "OK"});
    case Verb::Noop:
      return send({250, "2.0.0", "OK"});
    case Verb::Vrfy:
      return send({252, "2.5.0", "Try RCPT to find out"});
    case Verb::Help:
      return send({214, "2.0.0", "LHLO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP STARTTLS XFORWARD QUIT: see RFC 2033"});
    case Verb::Quit:
      return close({221, "2.0.0", "Bye"});
    case Verb::Helo:
    case Verb::Unknown:
      break;  // the parser has refused them
  }
}

void LmtpSession::lhlo(const lmtp::Command& command) {
  helo_ = command.name;
  end_transaction();
  bad_commands_ = 0;
  // DSN is left out: Postfix would leave success reports to us. It writes them itself.
  std::vector<std::string> keywords = {"PIPELINING", "ENHANCEDSTATUSCODES",
                                       "8BITMIME",   "SMTPUTF8",
                                       "CHUNKING",   "SIZE " + std::to_string(settings_->message_size_limit)};
  if (settings_->tls && !channel_.peer().local && !channel_.is_encrypted()) keywords.emplace_back("STARTTLS");
  if (may_forward(channel_.peer(), settings_->xforward)) keywords.emplace_back("XFORWARD IDENT");
  say(lmtp::format_lhlo(settings_->hostname, keywords));
}

// RFC 3207. Nothing that was said in plain text counts afterwards (section 4.2), and what was sent along with the
// command, which somebody in between may have put there, is an error (CVE-2011-0411).
void LmtpSession::starttls(std::string_view behind) {
  if (!settings_->tls || channel_.peer().local) return send({502, "5.5.1", "TLS is not offered here"});
  if (channel_.is_encrypted()) return send({503, "5.5.1", "TLS is there already"});
  if (transaction_) return send({503, "5.5.1", "Not inside a transaction"});
  if (!behind.empty()) {
    log::warning("peer={}: closed: it sent {} bytes of plain text behind STARTTLS", channel_.peer().address,
                 behind.size());
    return close({503, "5.5.1", "Nothing may be pipelined behind STARTTLS"});
  }
  send({220, "2.0.0", "Begin TLS"});
  flush();
  helo_.clear();
  queue_id_.clear();
  lines_ = {};
  bad_commands_ = 0;
  channel_.start_tls(*settings_->tls);
  channel_.set_deadline(kHandshake, "the TLS handshake took too long");
}

void LmtpSession::xforward(const lmtp::Command& command) {
  if (!may_forward(channel_.peer(), settings_->xforward)) {
    return send({550, "5.7.0", "XFORWARD is not for this client"});
  }
  if (helo_.empty()) return send({503, "5.5.1", "Say LHLO first"});
  if (transaction_) return send({503, "5.5.1", "Not inside a transaction"});
  if (command.ident) queue_id_ = *command.ident;
  send({250, "2.0.0", "OK"});
}

void LmtpSession::mail(const lmtp::Command& command) {
  if (helo_.empty()) return send({503, "5.5.1", "Say LHLO first"});
  if (transaction_) return send({503, "5.5.1", "MAIL was given already"});
  const std::uint64_t limit = settings_->message_size_limit;
  if (command.size.value_or(0) > limit) {
    return send({552, "5.3.4", "Message is larger than " + std::to_string(limit) + " bytes"});
  }
  transaction_ = std::make_shared<Transaction>(channel_.loop(), *settings_);
  transaction_->size = command.size.value_or(0);
  Message& message = *transaction_->message;
  message.sender = command.path;
  message.smtputf8 = command.smtputf8;
  message.eight_bit = command.eight_bit;
  message.encrypted = channel_.is_encrypted();
  message.helo = helo_;
  message.queue_id = queue_id_;
  if (!channel_.peer().local) {
    message.peer = host_of(channel_.peer());
    if (message.peer.front() != '[') message.peer = '[' + message.peer + ']';
  }
  send({250, "2.1.0", "OK"});
}

void LmtpSession::rcpt(const lmtp::Command& command) {
  if (!transaction_) return send({503, "5.5.1", "MAIL comes first"});
  Transaction& transaction = *transaction_;
  if (transaction.intake.is_begun()) return send({503, "5.5.1", "The message has begun"});
  auto& addressees = transaction.addressees;
  if (addressees.size() >= settings_->max_recipients) return send({452, "4.5.3", "Too many recipients"});

  const std::string& address = command.path;
  const auto folded = parse_address(address);
  std::string key = folded ? folded->text() : address;
  const auto same =
      std::find_if(addressees.begin(), addressees.end(), [&](const Addressee& other) { return other.key == key; });
  if (same != addressees.end()) {
    const auto index = static_cast<std::size_t>(same - addressees.begin());
    addressees.push_back({address, std::move(key), nullptr, index, {}});
    return send({250, "2.1.5", "OK"});
  }

  wait();
  const std::uint64_t question = ++transaction.question;
  transaction.deadline.start(kLookup, in_transaction([address](LmtpSession& session) {
                               log::warning("rcpt to=<{}>: the directory or the disk took too long",
                                            printable(address));
                               session.rcpt_answered(address, Reply{451, "4.3.0", about(address, "It took too long")});
                             }));
  auto done = in_transaction([address, question](LmtpSession& session, Recipients::Found answer) {
    if (session.transaction_->question == question) session.rcpt_answered(address, std::move(answer));
  });
  backend_.recipient(address, transaction.size, std::move(done));
}

void LmtpSession::rcpt_answered(const std::string& address, Recipients::Found answer) {
  Transaction& transaction = *transaction_;
  ++transaction.question;
  transaction.deadline.cancel();
  if (const auto* refused = std::get_if<Reply>(&answer)) {
    send(*refused);
  } else {
    const auto folded = parse_address(address);
    auto& recipient = std::get<std::shared_ptr<const Recipient>>(answer);
    transaction.addressees.push_back({address, folded ? folded->text() : address, std::move(recipient), {}, {}});
    send({250, "2.1.5", "OK"});
  }
  go_on(State::Command);
}

void LmtpSession::data() {
  if (!transaction_) return send({503, "5.5.1", "MAIL comes first"});
  if (transaction_->intake.is_begun()) return send({503, "5.5.1", "The message has begun with BDAT"});
  // Never 354: the client has pipelined nothing behind DATA and sends no text now (RFC 2033 section 4.2).
  if (transaction_->addressees.empty()) return send({503, "5.5.1", "No valid recipients"});
  begin_text();
  transaction_->intake.begin_data();
  send({354, "", "End data with <CR><LF>.<CR><LF>"});
}

// The chunk follows whatever the answer is, which comes behind it (RFC 3030 section 2).
void LmtpSession::bdat(const lmtp::Command& command) {
  if (!transaction_ || transaction_->addressees.empty()) {
    discard_ = command.octets;
    state_ = State::Discard;
    std::string_view none;
    return discard(none);
  }
  if (!transaction_->intake.is_begun()) begin_text();
  state_ = State::Text;
  transaction_->intake.begin_chunk(command.octets, command.last);
  std::string_view none;
  if (command.octets == 0) receive(none);
}

void LmtpSession::send(const Reply& reply) {
  if (state_ == State::Closed) return;
  say(lmtp::format(reply));
  // Refused recipients and sizes are no fault of the client's protocol.
  const bool bad = (reply.code >= 500 && reply.code < 510) || reply.code == 555;
  bad_commands_ = bad ? bad_commands_ + 1 : 0;
  if (bad_commands_ < kMaxBadCommands) return;
  log::warning("peer={}: closed: {} bad commands in a row, the last was answered {} {}", channel_.peer().address,
               bad_commands_, reply.code, printable(reply.text));
  close({421, "4.7.0", "Too many bad commands"});
}

void LmtpSession::close(const Reply& reply) {
  say(lmtp::format(reply));
  flush();
  state_ = State::Closed;
  end_transaction();
  channel_.close();
}

std::weak_ptr<LmtpSession> LmtpSession::weak() {
  return std::static_pointer_cast<LmtpSession>(shared_from_this());
}

}  // namespace vmail::store
