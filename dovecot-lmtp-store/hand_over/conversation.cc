#include "dovecot-lmtp-store/hand_over/conversation.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "dovecot-lmtp-store/lmtp/data_decoder.h"
#include "dovecot-lmtp-store/lmtp/pass_on.h"
#include "dovecot-lmtp-store/lmtp/reply_reader.h"
#include "shared/base/text.h"
#include "shared/control/blocking.h"

namespace vmail::store {
namespace {

using lmtp::Reply;
using lmtp::Stage;

constexpr std::size_t kPiece = 64u << 10;

const Reply kLater = {451, "4.3.0", "Temporary internal error"};

class Conversation {
 public:
  Conversation(const std::string& socket, std::chrono::milliseconds deadline)
      : path_(socket), socket_(socket, deadline) {}

  // The reply to what was said last, or the greeting.
  Reply reply() {
    for (;;) {
      std::string_view input = input_;
      const auto result = reader_.take(input);
      input_.erase(0, input_.size() - input.size());
      if (result == lmtp::ReplyReader::Result::Reply) return reader_.reply();
      if (result == lmtp::ReplyReader::Result::Malformed) {
        throw control::Error(path_ + ": what listens there does not speak LMTP");
      }
      input_ += socket_.receive();
    }
  }
  Reply say(const std::string& line) {
    socket_.send(line + "\r\n");
    return reply();
  }
  // After the reply to LHLO.
  bool announces(std::string_view keyword) const {
    const auto& lines = reader_.lines();
    return std::any_of(lines.begin(), lines.end(), [&](std::string_view line) {
      return equal_ignoring_ascii_case(line.substr(0, line.find(' ')), keyword);
    });
  }
  void send_text(const Message& message) {
    lmtp::DataEncoder encoder;
    std::string out;
    std::vector<char> buffer(message.spool.size > 0 ? kPiece : 0);
    for (std::uint64_t at = 0; at < message.spool.size;) {
      const auto size = std::min<std::uint64_t>(buffer.size(), message.spool.size - at);
      const ssize_t got = ::pread(message.spool.file.get(), buffer.data(), size, static_cast<off_t>(at));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) {
        throw control::Error(std::string("the spool cannot be read: ") + std::strerror(got < 0 ? errno : EIO));
      }
      encoder.encode({buffer.data(), static_cast<std::size_t>(got)}, out);
      send(out);
      at += static_cast<std::uint64_t>(got);
    }
    encoder.encode(message.tail, out);
    send(out);
    encoder.finish(out_end_);
  }
  // The dot: from now on the message is Dovecot's.
  void send_end() { socket_.send(out_end_); }
  // Whatever it answers, there is nothing more to know.
  void quit() {
    try {
      socket_.send("QUIT\r\n");
    } catch (const control::Error&) {
    }
  }

 private:
  void send(std::string& out) {
    if (!out.empty()) socket_.send(out);
    out.clear();
  }

  const std::string path_;
  control::BlockingSocket socket_;
  lmtp::ReplyReader reader_;
  std::string input_, out_end_;
};

HandedOver refused(const std::string& command, Reply said, Stage stage) {
  const std::string shown = std::to_string(said.code) + ' ' + said.enhanced + ' ' + printable(said.text);
  lmtp::Passed passed = lmtp::pass_on(std::move(said), stage);
  if (!passed.trouble) return {std::move(passed.reply), {}};
  return {std::move(passed.reply), "Dovecot answered " + command + " with " + shown};
}

std::string mail_command(const Message& message, bool size, bool eight_bit, bool smtputf8) {
  std::string line = "MAIL FROM:<" + message.sender + '>';
  if (size) line += " SIZE=" + std::to_string(message.sizes.vsize());
  if (eight_bit && message.eight_bit) line += " BODY=8BITMIME";
  if (smtputf8 && message.smtputf8) line += " SMTPUTF8";
  return line;
}

HandedOver converse(Conversation& dovecot, const std::string& hostname, const Message& message,
                    const std::string& address) {
  Reply said = dovecot.reply();
  if (said.code != 220) return refused("a connection", std::move(said), Stage::Session);
  said = dovecot.say("LHLO " + hostname);
  if (said.code != 250) return refused("LHLO", std::move(said), Stage::Session);
  const auto mail =
      mail_command(message, dovecot.announces("SIZE"), dovecot.announces("8BITMIME"), dovecot.announces("SMTPUTF8"));
  said = dovecot.say(mail);
  if (said.code != 250) return refused("MAIL", std::move(said), Stage::Envelope);
  said = dovecot.say("RCPT TO:<" + address + '>');
  if (said.code != 250) return refused("RCPT TO:<" + printable(address) + '>', std::move(said), Stage::Envelope);
  said = dovecot.say("DATA");
  if (said.code != 354) return refused("DATA", std::move(said), Stage::Envelope);
  dovecot.send_text(message);
  if (message.abandoned) return {kLater, "the client did not wait for the answer"};
  dovecot.send_end();
  said = dovecot.reply();
  dovecot.quit();
  return refused("the message", std::move(said), Stage::Text);
}

}  // namespace

HandedOver hand_over(const std::string& socket, const std::string& hostname, const Message& message,
                     const std::string& address, std::chrono::milliseconds deadline) {
  if (message.abandoned) return {kLater, "the client did not wait for the answer"};
  try {
    Conversation dovecot(socket, deadline);
    return converse(dovecot, hostname, message, address);
  } catch (const control::Error& error) {
    return {kLater, error.what()};
  }
}

}  // namespace vmail::store
