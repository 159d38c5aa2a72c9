#include "sql/vmailctl/prompt.h"

#include <fmt/format.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "shared/base/text.h"
#include "sql/vmailctl/refusal.h"

namespace vmail::sql {
namespace {

constexpr std::size_t kLongestLine = 4096;
constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

volatile sig_atomic_t caught_signal = 0;
void catch_signal(int number) {
  caught_signal = number;
}

// Echo off, and on again however the reading ends: a signal is kept until then.
class WithoutEcho {
 public:
  WithoutEcho() {
    struct sigaction action {};
    action.sa_handler = catch_signal;  // without SA_RESTART: read() ends with EINTR
    for (std::size_t i = 0; i < std::size(kSignals); ++i) ::sigaction(kSignals[i], &action, &before_[i]);
    if (::tcgetattr(STDIN_FILENO, &terminal_) != 0) throw Refusal("the terminal cannot be asked", "");
    termios silent = terminal_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  }
  ~WithoutEcho() {
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal_);
    for (std::size_t i = 0; i < std::size(kSignals); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
    say("\n");
    if (caught_signal != 0) ::raise(caught_signal);
  }
  static void say(const std::string& text) {
    if (::write(STDERR_FILENO, text.data(), text.size()) < 0) return;  // nobody to tell it to
  }

 private:
  termios terminal_{};
  struct sigaction before_[std::size(kSignals)]{};
};

// Up to the end of the line or of the input, unbuffered: what follows is not ours. False at the end of input.
bool read_line(std::string& line) {
  line.reserve(kLongestLine);  // never reallocated: no copy of a password is left behind
  line.clear();
  bool any = false;
  char c = 0;
  while (caught_signal == 0) {
    const ssize_t got = ::read(STDIN_FILENO, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Refusal(fmt::format("standard input: {}", std::strerror(errno)), "");
    if (got == 0 || c == '\n') return any || got > 0;
    any = true;
    if (line.size() == kLongestLine) throw Refusal("the line is longer than 4096 characters", "");
    line += c;
  }
  return false;
}

Secret read_secret_line(const std::string& prompt) {
  std::string line;
  bool got = false;
  {
    const WithoutEcho silent;
    WithoutEcho::say(prompt);
    got = read_line(line);
  }
  Secret secret = Secret::take(line);
  if (!got) throw Refusal("no password was given", "");
  return secret;
}

Secret read_input_line() {
  std::string line;
  const bool got = read_line(line);
  Secret secret = Secret::take(line);
  if (!got) throw Refusal("no password was given", "Write it into standard input, as one line.");
  return secret;
}

}  // namespace

bool can_ask() {
  return ::isatty(STDIN_FILENO) == 1;
}

const char* why_not_a_password(std::string_view password, std::size_t max_length) {
  if (password.empty()) return "it is empty";
  if (password.size() > max_length) return "it is longer than passwords.max_length allows";
  if (!is_utf8(password)) return "it is not UTF-8, which is what mail programs send";
  for (const char c : password) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return "it holds a control character (a carriage return?)";
  }
  return nullptr;
}

Secret read_new_password(const config::Settings& settings, const std::string& address) {
  Secret password;
  if (can_ask()) {
    password = read_secret_line(fmt::format("New password of {}: ", address));
    const Secret again = read_secret_line("The same again: ");
    if (password.text() != again.text()) throw Refusal("the two passwords are not the same", "Nothing was changed.");
  } else {
    password = read_input_line();
  }
  if (const char* why = why_not_a_password(password.view(), settings.passwords.max_length)) {
    throw Refusal(fmt::format("this password cannot be used: {}", why), "Nothing was changed.");
  }
  return password;
}

Secret read_password(const std::string& question) {
  return can_ask() ? read_secret_line(question) : read_input_line();
}

std::string ask(const std::string& question, const std::vector<std::string>& answers) {
  for (;;) {
    WithoutEcho::say(question);
    std::string line;
    if (!read_line(line)) throw Refusal("no answer was given", "Nothing was changed.");
    const std::string answer(trim(line));
    if (std::find(answers.begin(), answers.end(), answer) != answers.end()) return answer;
  }
}

}  // namespace vmail::sql
