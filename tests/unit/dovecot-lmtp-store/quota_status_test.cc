// Questions to a quota-status service of the test's own, on a UNIX socket.
#include "dovecot-lmtp-store/quota_status.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "shared/base/unique_fd.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

using namespace vmail;
using store::parse_quota_status;
using store::QuotaStatus;

namespace {

std::string text(const Outcome<bool>& outcome) {
  return outcome.is_temp_fail() ? "fail: " + outcome.reason() : outcome.value() ? "room" : "full";
}

struct Service {
  explicit Service(bool listens = true) {
    if (!listens) return;
    listener = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path().c_str(), sizeof address.sun_path - 1);
    REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener.get(), 10) == 0);
  }
  std::string path() const { return folder.file("quota-status"); }
  void ask(std::uint64_t size) {
    asked.ask("u@d.org", size, [this](const Outcome<bool>& outcome) { answers.push_back(text(outcome)); });
    CHECK(answers.empty());
    settle();
  }
  void settle() {
    for (int turn = 0; turn < 8; ++turn) loop.run_ready();
  }
  // The request of the next connection, answered with `reply`.
  std::string serve(const std::string& reply) {
    const UniqueFd peer(::accept(listener.get(), nullptr, nullptr));
    settle();
    char buffer[1000];
    const ssize_t got = ::read(peer.get(), buffer, sizeof buffer);
    CHECK(::write(peer.get(), reply.data(), reply.size()) == static_cast<ssize_t>(reply.size()));
    settle();
    return {buffer, static_cast<std::size_t>(got)};
  }

  const test::TempDir folder;
  UniqueFd listener;
  Loop loop;
  QuotaStatus asked{loop, path()};
  std::vector<std::string> answers;
};

}  // namespace

TEST_CASE("replies of quota-status") {
  CHECK(text(parse_quota_status("action=OK\n\n")) == "room");
  CHECK(text(parse_quota_status("action=DUNNO\n\n")) == "room");
  CHECK(text(parse_quota_status("action=554 5.2.2 Quota exceeded (mailbox for user is full)\n\n")) == "full");
  CHECK(text(parse_quota_status("action=452 4.2.2 Later\n\n")) == "full");
  CHECK(text(parse_quota_status("action=REJECT Unknown user\n\n")) ==
        "fail: quota-status answered \"REJECT Unknown user\"");
  for (const char* reply : {"", "action=", "\n\n", "action=5\n\n", "action=55x y\n\n", "hello\n\n"}) {
    CAPTURE(reply);
    CHECK(parse_quota_status(reply).is_temp_fail());
  }
}

TEST_CASE("it is asked, and its answer taken") {
  Service service;
  service.ask(4711);
  CHECK(service.serve("action=OK\n\n") ==
        "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\nrecipient=u@d.org\nsize=4711\n\n");
  CHECK(service.answers == std::vector<std::string>{"room"});
  service.answers.clear();
  service.ask(0);
  service.serve("action=554 5.2.2 Full\n\n");
  CHECK(service.answers == std::vector<std::string>{"full"});
}

TEST_CASE("a service that does not answer is a failure with a reason") {
  const auto fails = [](Service& service, const std::string& reason) {
    REQUIRE(service.answers.size() == 1);
    CAPTURE(service.answers[0]);
    CHECK(service.answers[0].find(reason) != std::string::npos);
  };
  Service absent(false);
  absent.ask(1);
  fails(absent, "quota-status");
  Service silent;
  silent.ask(1);
  silent.serve("");
  silent.settle();
  fails(silent, "ended without an answer");
  Service wordy;
  wordy.ask(1);
  wordy.serve(std::string(10000, 'x'));
  fails(wordy, "is no reply");
}

TEST_CASE("its end answers what is out") {
  std::vector<std::string> answers;
  Service service;
  {
    QuotaStatus asked(service.loop, service.path());
    asked.ask("u@d.org", 1, [&](const Outcome<bool>& outcome) { answers.push_back(text(outcome)); });
    service.settle();
    CHECK(answers.empty());
  }
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].find("vmail-lmtpd ends") != std::string::npos);
  service.settle();
}
