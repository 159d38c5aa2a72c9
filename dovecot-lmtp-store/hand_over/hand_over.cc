#include "dovecot-lmtp-store/hand_over/hand_over.h"

#include <chrono>
#include <utility>

#include "dovecot-lmtp-store/hand_over/conversation.h"
#include "dovecot-lmtp-store/reply_to.h"
#include "shared/base/address.h"
#include "shared/base/text.h"
#include "shared/runtime/log.h"

namespace vmail::store {
namespace {

using lmtp::Reply;
using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

// Of one message; well within what our own client waits.
constexpr milliseconds kDeadline = std::chrono::seconds(120);

Reply hand_over_logged(const std::string& socket, const std::string& hostname, const Message& message,
                       const Recipient& recipient) {
  const auto begin = SteadyClock::now();
  const std::string address = address_for_dovecot(recipient);
  const HandedOver result = hand_over(socket, hostname, message, address, kDeadline);
  const auto ms = std::chrono::duration_cast<milliseconds>(SteadyClock::now() - begin).count();
  const Reply& reply = result.reply;
  const std::string line =
      fmt::format("hand-over id={} queue={} from=<{}> to=<{}> size={} ms={} result={}", message.id, message.queue_id,
                  printable(message.sender), printable(address), message.sizes.size(), ms, reply.code);
  if (result.trouble.empty()) {
    log::info("{}: {} {}", line, reply.enhanced, printable(reply.text));
    return reply;
  }
  log::error("{}: {}", line, result.trouble);
  return {reply.code, reply.enhanced, about(recipient.address, reply.text)};
}

}  // namespace

HandOver::HandOver(Loop& loop, std::string socket, std::string hostname)
    : loop_(loop),
      socket_(std::move(socket)),
      hostname_(std::move(hostname)),
      workers_("sieve", kConnections, kMaxWaiting) {}

void HandOver::send(std::shared_ptr<const Message> message, std::shared_ptr<const Recipient> recipient, Done done) {
  const auto shared = std::make_shared<Done>(std::move(done));
  const auto answer = [&](Reply reply) {
    reply.text = about(recipient->address, reply.text);
    loop_.post([shared, reply = std::move(reply)] { (*shared)(reply); });
  };
  const std::uint64_t limit = recipient->message_limit;
  if (limit > 0 && message->sizes.size() > limit) {
    return answer({552, "5.3.4", "Message is too large for this mailbox"});
  }
  const bool taken = workers_.submit([this, message, recipient, shared](std::size_t) mutable {
    auto reply = hand_over_logged(socket_, hostname_, *message, *recipient);
    message.reset();  // it may be the last: its spool is closed here, not on the loop
    loop_.post([shared = std::move(shared), reply = std::move(reply)] { (*shared)(reply); });
  });
  if (taken) return;
  log::error("hand-over id={} to=<{}> result=451: too many wait for Dovecot's LMTP at {}: find out what holds it up",
             message->id, printable(recipient->address), socket_);
  answer({451, "4.3.0", "Too busy"});
}

std::string address_for_dovecot(const Recipient& recipient) {
  const std::string local = recipient.mailbox.local + recipient.mailbox.extension;
  const auto sent = parse_address(recipient.address);
  if (sent && *sent == Address{local, recipient.mailbox.domain}) return recipient.address;
  if (!why_not_a_local_part(local)) return local + '@' + recipient.mailbox.domain;
  std::string quoted = "\"";
  for (const char c : local) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"@" + recipient.mailbox.domain;
}

}  // namespace vmail::store
