// One LMTP conversation (RFC 2033). Loop thread only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dovecot-lmtp-store/backend.h"
#include "dovecot-lmtp-store/intake.h"
#include "dovecot-lmtp-store/lmtp/command.h"
#include "dovecot-lmtp-store/lmtp/line_reader.h"
#include "dovecot-lmtp-store/lmtp/reply.h"
#include "shared/base/networks.h"
#include "shared/runtime/channel.h"
#include "shared/runtime/tls.h"

namespace vmail::store {

// Unchanging; a reload makes a new one for the sessions to come.
struct SessionSettings {
  std::string hostname;
  std::uint64_t message_size_limit = 0;
  std::size_t max_recipients = 0;
  bool bare_lf = true;                    // is content; otherwise it has the message refused
  Networks xforward{{}};                  // TCP peers that may tell queue ids
  std::shared_ptr<const TlsContext> tls;  // for TCP; nullptr: none
};

class LmtpSession final : public Session {
 public:
  // `channel` owns the session; `backend` and `clock` outlive it.
  LmtpSession(Channel& channel, Backend& backend, const Clock& clock, std::shared_ptr<const SessionSettings> settings);
  ~LmtpSession() override;

  void on_bytes(std::string_view bytes) override;
  void on_end_of_input() override;
  void on_drain() override;

 private:
  struct Addressee {
    std::string address;                         // as sent
    std::string key;                             // folded, to know a duplicate by
    std::shared_ptr<const Recipient> recipient;  // nullptr: same_as is set
    std::optional<std::size_t> same_as;          // an earlier one
    std::optional<lmtp::Reply> reply;            // once it is known
  };
  // From MAIL to the last reply behind the text.
  struct Transaction {
    Transaction(Loop& loop, const SessionSettings& settings)
        : intake(*message, settings.message_size_limit, settings.bare_lf), deadline(loop) {}

    std::shared_ptr<Message> message = std::make_shared<Message>();
    std::uint64_t size = 0;  // that MAIL announced
    std::vector<Addressee> addressees;
    Intake intake;
    Timer deadline;              // of what is waited for
    std::uint64_t question = 0;  // about a recipient: what comes after its deadline is an answer to an older one
    std::size_t started = 0;     // deliveries, by index of addressees
    std::size_t in_flight = 0;
    std::size_t answered = 0;
  };
  enum class State {
    Command,
    Text,
    Discard,  // a chunk that nobody waits for
    Waiting,  // for a look-up, the spool or deliveries: no input is taken
    Closed,
  };

  void process(std::string_view input);
  void wait();
  void go_on(State state);

  void command(std::string_view line, std::string_view behind);
  void lhlo(const lmtp::Command& command);
  void starttls(std::string_view behind);
  void xforward(const lmtp::Command& command);
  void mail(const lmtp::Command& command);
  void rcpt(const lmtp::Command& command);
  void rcpt_answered(const std::string& address, Recipients::Found answer);
  void data();
  void bdat(const lmtp::Command& command);

  // session_message.cc: the text, and what becomes of it.
  void begin_text();
  void discard(std::string_view& input);
  void receive(std::string_view& input);
  void chunk_ended();
  void spool();
  void store();
  void start_deliveries();
  void deliver(std::size_t index);
  void delivered(std::size_t index, lmtp::Reply reply);
  void out_of_time();
  void send_replies();
  void end_transaction();

  void say(const std::string& reply);
  void flush();
  void send(const lmtp::Reply& reply);
  void close(const lmtp::Reply& reply);
  std::weak_ptr<LmtpSession> weak();
  // `then`, with the session in front, when session and transaction are still there.
  template <class Then>
  auto in_transaction(Then then) {
    return [self = weak(), transaction = std::weak_ptr(transaction_), then = std::move(then)](auto&&... result) {
      const auto session = self.lock();
      if (session && !transaction.expired()) then(*session, std::forward<decltype(result)>(result)...);
    };
  }

  Channel& channel_;
  Backend& backend_;
  const Clock& clock_;
  const std::shared_ptr<const SessionSettings> settings_;
  lmtp::LineReader lines_;
  std::string helo_;
  std::string queue_id_;                      // by XFORWARD, for the next MAIL
  std::shared_ptr<Transaction> transaction_;  // shared with nobody: others see by it whether it is over
  std::string pending_;                       // input that came while waiting
  std::string replies_;                       // not yet the channel's
  std::string unconfirmed_;                   // the message whose replies went out last
  std::uint64_t discard_ = 0;                 // octets of a chunk
  State state_ = State::Command;
  int bad_commands_ = 0;  // in a row
  bool draining_ = false;
};

}  // namespace vmail::store
