// One LMTP conversation (RFC 2033). Loop thread only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dovecot-lmtp-store/backend.h"
#include "dovecot-lmtp-store/lmtp/command.h"
#include "dovecot-lmtp-store/lmtp/data_decoder.h"
#include "dovecot-lmtp-store/lmtp/line_reader.h"
#include "dovecot-lmtp-store/lmtp/reply.h"
#include "shared/runtime/channel.h"

namespace vmail::store {

// Unchanging; a reload makes a new one for the sessions to come.
struct SessionSettings {
  std::string hostname;
  std::uint64_t message_size_limit = 0;
  std::size_t max_recipients = 0;
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
  struct Accepted {
    std::shared_ptr<const Recipient> who;
    std::string key;  // folded, to know a duplicate by
    std::optional<std::size_t> same_as;
    std::optional<lmtp::Reply> reply;  // once it is known
  };
  // From MAIL to the last reply behind the data.
  struct Transaction {
    std::shared_ptr<Message> message = std::make_shared<Message>();
    std::vector<Accepted> recipients;
    std::uint64_t announced = 0;  // SIZE of MAIL; 0: none
    lmtp::DataDecoder decoder;
    Stored spooled;  // the first failure
    bool too_big = false;
    bool complete = false;    // the final dot has come
    std::size_t started = 0;  // deliveries, by index of recipients
    std::size_t in_flight = 0;
    std::size_t answered = 0;
  };
  enum class State {
    Command,
    Data,
    Waiting,  // for a look-up, the spool or deliveries: no input is taken
    Closed,
  };

  void process(std::string_view input);
  void wait();
  void go_on(State state);

  void command(std::string_view line);
  void lhlo(const lmtp::Command& command);
  void mail(const lmtp::Command& command);
  void rcpt(const lmtp::Command& command);
  void rcpt_answered(Recipients::Found found);
  void data();
  void receive(std::string_view& input);
  void spool();
  void store();
  void start_deliveries();
  void stored(std::size_t index, const Stored& stored);
  void send_replies();

  void send(lmtp::Reply reply);
  void close(lmtp::Reply reply);
  std::weak_ptr<LmtpSession> weak();

  Channel& channel_;
  Backend& backend_;
  const Clock& clock_;
  const std::shared_ptr<const SessionSettings> settings_;
  lmtp::LineReader lines_;
  std::string helo_;
  std::unique_ptr<Transaction> transaction_;
  std::string pending_;  // input that came while waiting
  State state_ = State::Command;
  int bad_commands_ = 0;  // in a row
  bool draining_ = false;
};

}  // namespace vmail::store
