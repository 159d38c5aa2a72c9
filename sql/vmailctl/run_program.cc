#include "sql/vmailctl/run_program.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "shared/base/unique_fd.h"
#include "sql/vmailctl/refusal.h"

namespace vmail::sql {
namespace {

constexpr std::size_t kMaxOutput = 1u << 20;

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

std::string read_all(int fd) {
  std::string all;
  char buffer[16384];
  for (;;) {
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return all;
    // What is over the limit is read all the same: a program whose pipe is full does not end.
    all.append(buffer, std::min(static_cast<std::size_t>(got), kMaxOutput - all.size()));
  }
}

}  // namespace

Ran run_program(const std::vector<std::string>& arguments) {
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
  ran.output = read_all(reader.get());
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  ::lseek(errors.get(), 0, SEEK_SET);
  ran.errors = read_all(errors.get());
  ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return ran;
}

}  // namespace vmail::sql
