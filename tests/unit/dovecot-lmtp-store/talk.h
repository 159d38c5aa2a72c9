// A session with a client on the other end of its socket, and a backend that does what the test says.
#pragma once

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dovecot-lmtp-store/reply_to.h"
#include "dovecot-lmtp-store/session.h"
#include "shared/base/address.h"
#include "tests/support/catch.h"
#include "tests/support/manual_clock.h"
#include "tests/support/socket_pair.h"

namespace vmail::test {

// Answers in the next turn of the loop or, when `hold` is set, when the test says so. Mailboxes: any local part at
// example.com, but for those whose name says what becomes of them.
class FakeBackend final : public store::Backend {
 public:
  explicit FakeBackend(Loop& loop) : loop_(loop) {}

  void recipient(std::string address, std::uint64_t size, store::Recipients::Done done) override {
    asked.push_back(address);
    announced = size;
    answer(look_up(address), std::move(done), later_lookups);
  }
  void spool(std::shared_ptr<store::Message> message, std::string bytes, Done done) override {
    spooled += bytes;
    message->spool.size += bytes.size();
    store::Stored stored;
    stored.error = spool_error;
    answer(std::move(stored), std::move(done), hold);
  }
  void deliver(std::shared_ptr<const store::Message> message, std::shared_ptr<const store::Recipient> recipient,
               Done done) override {
    ++in_flight;
    most_in_flight = std::max(most_in_flight, in_flight);
    store::Stored result;
    if (const auto told = results.find(recipient->path); told != results.end()) result = told->second;
    result.name = "file-of-" + recipient->path;
    if (result.ok()) stored.push_back({recipient->path, recipient->address, message->tail, message->sender});
    last = message;
    auto counted = [this, done = std::make_shared<Done>(std::move(done))](const store::Stored& told) {
      --in_flight;
      (*done)(told);
    };
    answer(std::move(result), Done(std::move(counted)), hold);
  }
  void hand_over(std::shared_ptr<const store::Message> message, std::shared_ptr<const store::Recipient> recipient,
                 MoveOnlyFunction<void(lmtp::Reply)> done) override {
    handed_over.push_back({recipient->path, recipient->address, message->tail, message->sender});
    answer(lmtp::Reply{550, "5.7.1", "<" + recipient->address + "> says its script"}, std::move(done), hold);
  }
  void confirmed(const std::string& id) override { confirmations.push_back(id); }

  // Lets the n-th of what is held go.
  void release(std::size_t n = 0) {
    REQUIRE(n < held_.size());
    auto task = std::move(held_[n]);
    held_.erase(held_.begin() + static_cast<long>(n));
    loop_.post(std::move(task));
  }
  std::size_t held() const { return held_.size(); }

  void fail(const std::string& path, int error) { results[path].error = error; }

  struct Filed {
    std::string path, recipient, text, sender;
  };
  bool hold = false;           // deliveries and spool writes
  bool later_lookups = false;  // look-ups
  int spool_error = 0;
  std::map<std::string, store::Stored> results;  // by path
  std::vector<std::string> asked, confirmations;
  std::uint64_t announced = 0;  // with the last recipient
  std::vector<Filed> stored, handed_over;
  std::string spooled;
  std::shared_ptr<const store::Message> last;
  std::size_t in_flight = 0, most_in_flight = 0;

 private:
  static store::Recipients::Found look_up(const std::string& address) {
    const auto parsed = parse_address(address);
    const auto refuse = [&](int code, const char* enhanced) {
      return lmtp::Reply{code, enhanced, store::about(address, "says the backend")};
    };
    if (!parsed || parsed->domain != "example.com" || parsed->local == "nobody") return refuse(550, "5.1.1");
    if (parsed->local == "held") return refuse(450, "4.2.1");
    if (parsed->local == "trouble") return refuse(451, "4.3.0");
    auto recipient = std::make_shared<store::Recipient>();
    recipient->address = address;
    recipient->mailbox = {std::string(split_extension(parsed->local, "+").user), parsed->domain, ""};
    recipient->path = recipient->mailbox.domain + '/' + recipient->mailbox.local;
    recipient->scripted = recipient->mailbox.local == "sieve";
    return std::shared_ptr<const store::Recipient>(std::move(recipient));
  }
  template <class T>
  void answer(T result, MoveOnlyFunction<void(T)> done, bool held) {
    MoveOnlyFunction<void()> task = [result = std::move(result), done = std::make_shared<MoveOnlyFunction<void(T)>>(
                                                                     std::move(done))] { (*done)(result); };
    if (held) {
      held_.push_back(std::move(task));
    } else {
      loop_.post(std::move(task));
    }
  }

  Loop& loop_;
  std::vector<MoveOnlyFunction<void()>> held_;
};

struct Talk {
  explicit Talk(std::uint64_t size_limit = 1 << 20, std::size_t recipients = 50, Peer peer = {},
                const std::function<void(store::SessionSettings&)>& change = nullptr) {
    store::SessionSettings made;
    made.hostname = "mail.test";
    made.message_size_limit = size_limit;
    made.max_recipients = recipients;
    if (change) change(made);
    settings = std::make_shared<const store::SessionSettings>(std::move(made));
    pair.open([&](Channel& channel) { return std::make_shared<store::LmtpSession>(channel, backend, clock, settings); },
              std::move(peer));
    CHECK(pair.read() == "220 mail.test LMTP ready\r\n");
  }
  // The replies in `text`, "code enhanced" each, with blanks between.
  static std::string codes_of(const std::string& text) {
    std::string out;
    for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
      if (text[at + 3] == '-') continue;
      if (!out.empty()) out += ' ';
      out += text.substr(at, 3);
      const auto space = text.find(' ', at + 4);
      const std::string word = text.substr(at + 4, space - at - 4);
      if (word.size() == 5 && word[1] == '.' && word[3] == '.') out += ' ' + word;
    }
    return out;
  }
  // Those to what is written.
  std::string codes(std::string_view bytes) { return codes_of(say(bytes)); }
  void greet() { CHECK(codes("LHLO client\r\n") == "250"); }
  std::string say(std::string_view bytes) {
    pair.write(bytes);
    return pair.read();
  }

  ManualClock clock;
  SocketPair pair;
  FakeBackend backend{pair.loop()};
  std::shared_ptr<const store::SessionSettings> settings;
};

inline Peer tcp_peer(const std::string& address) {
  Peer peer;
  peer.local = false;
  peer.address = address;
  return peer;
}

}  // namespace vmail::test
