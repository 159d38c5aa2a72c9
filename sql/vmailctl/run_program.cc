#include "sql/vmailctl/run_program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "shared/base/text.h"
#include "shared/base/unique_fd.h"
#include "sql/vmailctl/refusal.h"

namespace vmail::sql {
namespace {

constexpr std::size_t kMaxOutput = 64u << 20;

class FileActions {
 public:
  FileActions() { ::posix_spawn_file_actions_init(&actions_); }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  posix_spawn_file_actions_t* get() { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

using Time = std::chrono::steady_clock::time_point;

// Up to its end. False: that did not come in time.
bool read_all(int fd, Time until, std::string& all) {
  char buffer[16384];
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    pollfd waiting{fd, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(std::max<std::int64_t>(0, left.count())));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) return false;
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return true;
    // What is over the limit is read all the same: a program whose pipe is full does not end.
    all.append(buffer, std::min(static_cast<std::size_t>(got), kMaxOutput - all.size()));
  }
}

}  // namespace

Ran run_program(const std::vector<std::string>& arguments, std::chrono::seconds patience) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw Refusal(std::string("pipe: ") + std::strerror(errno), "");
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  // In memory, and read when the program has ended: two pipes would have to be read at the same time.
  const UniqueFd errors(::memfd_create("stderr", MFD_CLOEXEC));
  if (!errors) throw Refusal(std::string("memfd_create: ") + std::strerror(errno), "");
  FileActions actions;
  ::posix_spawn_file_actions_addopen(actions.get(), STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(actions.get(), writer.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(actions.get(), errors.get(), STDERR_FILENO);
  std::vector<char*> argv;
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const std::string in_sbin = "/usr/sbin/" + arguments[0];
  pid_t child = 0;
  int error = ::posix_spawnp(&child, argv[0], actions.get(), nullptr, argv.data(), environ);
  if (error == ENOENT) error = ::posix_spawn(&child, in_sbin.c_str(), actions.get(), nullptr, argv.data(), environ);
  if (error != 0) {
    throw Refusal(arguments[0] + " cannot be run: " + std::strerror(error),
                  error == ENOENT ? "It is looked for in PATH and in /usr/sbin." : "");
  }
  writer.reset();
  Ran ran;
  const Time until = std::chrono::steady_clock::now() + patience;
  const bool in_time = read_all(reader.get(), until, ran.output);
  if (!in_time) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!in_time) {
    throw Refusal(fmt::format("{} did not end within {} s, and was killed", arguments[0], patience.count()), "");
  }
  ::lseek(errors.get(), 0, SEEK_SET);
  read_all(errors.get(), until, ran.errors);
  ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return ran;
}

std::string Ran::complaint() const {
  std::string line;
  for (const auto& part : split(errors, '\n')) {
    if (!trim(part).empty()) line.append(line.empty() ? "" : "; ").append(trim(part));
  }
  return printable(line, 400);
}

bool has_program(const std::string& name) {
  const char* path = ::getenv("PATH");
  std::string folders = std::string(path == nullptr ? "" : path) + ":/usr/sbin";
  for (const auto& folder : split(folders, ':')) {
    if (!folder.empty() && ::access((std::string(folder) + '/' + name).c_str(), X_OK) == 0) return true;
  }
  return false;
}

}  // namespace vmail::sql
