#include "shared/runtime/notifier.h"

#include <time.h>

#include <algorithm>
#include <asio/ip/tcp.hpp>
#include <asio/read_until.hpp>
#include <asio/write.hpp>
#include <cctype>
#include <utility>

#include "shared/base/address.h"
#include "shared/base/move_only_function.h"
#include "shared/base/text.h"
#include "shared/runtime/log.h"

namespace vmail {
namespace {

constexpr Duration kDeadline = std::chrono::seconds(60);  // of a conversation
constexpr Duration kAgain = std::chrono::seconds(30);     // after one that failed
constexpr Duration kGiveUp = std::chrono::hours(1);
constexpr std::size_t kMaxReply = 8192;

bool is_plain(const std::string& address) {
  const auto at = address.rfind('@');
  const bool ascii = std::all_of(address.begin(), address.end(), [](char c) { return c > ' ' && c <= '~'; });
  return ascii && at != std::string::npos && !why_not_a_local_part(address.substr(0, at)) &&
         !why_not_a_domain(address.substr(at + 1));
}

std::string date_text(WallTime wall) {
  const time_t seconds = std::chrono::system_clock::to_time_t(wall);
  tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[64];
  ::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S +0000", &parts);  // the C locale: no setlocale() anywhere
  return text;
}

// RFC 5321 section 4.5.2.
std::string stuffed(const std::string& text) {
  std::string lines;
  for (const auto& line : split(text, '\n')) {
    if (line.starts_with('.')) lines += '.';
    lines += line + "\r\n";
  }
  return lines;
}

}  // namespace

// One connection, one mail. It is kept by its own handlers, and is told to forget the Notifier when that goes.
class Notifier::Conversation : public std::enable_shared_from_this<Conversation> {
 public:
  using Ended = MoveOnlyFunction<void(const std::string& failure)>;  // empty: the mail was taken

  Conversation(Loop& loop, const Mail& mail, const std::string& host, Ended ended)
      : socket_(loop.io()), deadline_(loop), mail_(mail), host_(host), ended_(std::move(ended)) {}

  void start(const std::string& smtp) {
    const auto self = shared_from_this();
    deadline_.start(kDeadline, [self] { self->end("no answer in time"); });
    const auto colon = smtp.rfind(':');
    asio::error_code error;
    std::string text = smtp.substr(0, colon);
    if (text.size() > 2 && text.front() == '[') text = text.substr(1, text.size() - 2);
    const auto address = asio::ip::make_address(text, error);
    const auto port = static_cast<std::uint16_t>(parse_number(std::string_view(smtp).substr(colon + 1)).value_or(25));
    if (error) return end(error.message());
    socket_.async_connect({address, port}, [self](const asio::error_code& failed) {
      failed ? self->end(failed.message()) : self->read();
    });
  }
  void forget() {
    ended_ = nullptr;
    end("");
  }

 private:
  void read() {
    const auto self = shared_from_this();
    asio::async_read_until(socket_, asio::dynamic_buffer(input_, kMaxReply), '\n',
                           [self](const asio::error_code& error, std::size_t size) {
                             error ? self->end("the connection broke: " + error.message()) : self->take_line(size);
                           });
  }
  void take_line(std::size_t size) {
    const std::string line(trim(std::string_view(input_).substr(0, size)));
    input_.erase(0, size);
    if (line.size() > 3 && line[3] == '-') return read();  // more lines of the reply come
    const char good = step_ == Step::Text ? '3' : '2';
    if (line.size() < 3 || line[0] != good) return end("it said: " + printable(line, 200));
    go_on();
  }
  // What is said after the reply to `step_`.
  void go_on() {
    switch (step_) {
      case Step::Greeting:
        step_ = Step::Hello;
        return say("EHLO " + host_ + "\r\n");
      case Step::Hello:
        step_ = Step::Recipient;
        return say("MAIL FROM:<>\r\n");
      case Step::Recipient:
        if (recipient_ < mail_.to.size()) return say("RCPT TO:<" + mail_.to[recipient_++] + ">\r\n");
        step_ = Step::Text;
        return say("DATA\r\n");
      case Step::Text:
        step_ = Step::Taken;
        return say(mail_.data + ".\r\n");
      case Step::Taken:
        step_ = Step::Farewell;  // the mail is taken, whatever comes now
        return say("QUIT\r\n");
      case Step::Farewell:
        return end("");
    }
  }
  void say(std::string text) {
    output_ = std::move(text);
    const auto self = shared_from_this();
    asio::async_write(socket_, asio::buffer(output_), [self](const asio::error_code& error, std::size_t) {
      error ? self->end("the connection broke: " + error.message()) : self->read();
    });
  }
  void end(const std::string& failure) {
    deadline_.cancel();
    asio::error_code ignored;
    socket_.close(ignored);
    if (auto ended = std::exchange(ended_, nullptr)) ended(step_ == Step::Farewell ? "" : failure);
  }

  enum class Step { Greeting, Hello, Recipient, Text, Taken, Farewell };  // whose reply is awaited

  asio::ip::tcp::socket socket_;
  Timer deadline_;
  const Mail mail_;
  const std::string host_;
  Ended ended_;
  Step step_ = Step::Greeting;
  std::size_t recipient_ = 0;
  std::string input_, output_;
};

Notifier::Notifier(Loop& loop, const Clock& clock, std::string smtp, std::string host)
    : loop_(loop), clock_(clock), smtp_(std::move(smtp)), host_(std::move(host)), again_(loop) {}

Notifier::~Notifier() {
  stop();
}

void Notifier::send(const std::vector<std::string>& to, const std::string& subject, const std::string& text) {
  Mail mail;
  std::copy_if(to.begin(), to.end(), std::back_inserter(mail.to), is_plain);
  if (mail.to.empty() || stopped_) return;
  if (waiting_.size() >= kMaxWaiting) {
    log::warning("notification=dropped: {} wait already for {}", waiting_.size(), smtp_);
    return;
  }
  mail.until = clock_.now() + kGiveUp;
  std::string names;
  for (const auto& each : mail.to) names += (names.empty() ? "" : ", ") + each;
  mail.data = "From: vmailkit <postmaster@" + host_ + ">\r\nTo: " + names + "\r\nSubject: " + subject +
              "\r\nDate: " + date_text(clock_.wall()) +
              "\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
              "Content-Transfer-Encoding: 8bit\r\n\r\n" +
              stuffed(text);
  waiting_.push_back(std::move(mail));
  if (!conversation_) next();
}

void Notifier::next() {
  if (waiting_.empty() || stopped_ || conversation_) return;
  conversation_ = std::make_shared<Conversation>(loop_, waiting_.front(), host_,
                                                 [this](const std::string& failure) { ended(failure); });
  conversation_->start(smtp_);
}

void Notifier::ended(const std::string& failure) {
  conversation_.reset();
  if (failure.empty()) {
    waiting_.pop_front();
    return next();
  }
  if (waiting_.front().until <= clock_.now()) {
    log::warning("notification=dropped smtp={}: {}", smtp_, failure);
    waiting_.pop_front();
  } else {
    log::warning("notification=later smtp={}: {}", smtp_, failure);
  }
  again_.start(kAgain, [this] { next(); });
}

void Notifier::stop() {
  stopped_ = true;
  again_.cancel();
  if (conversation_) std::exchange(conversation_, nullptr)->forget();
}

}  // namespace vmail
