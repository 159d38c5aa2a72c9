// What ends a command: thrown anywhere, told and turned into an exit status in one place (cli.cc).
#pragma once

#include <stdexcept>
#include <string>

namespace vmail::sql {

// The command cannot or should not be done: what is wrong, and what to do next.
class Refusal : public std::runtime_error {
 public:
  Refusal(const std::string& what, std::string hint) : std::runtime_error(what), hint_(std::move(hint)) {}
  const std::string& hint() const { return hint_; }  // may be empty

 private:
  std::string hint_;
};

}  // namespace vmail::sql
