#include "shared/directory/breaker.h"

#include <utility>

namespace vmail::directory {

bool Breaker::succeeded(Instant now) {
  last_success_ = now;
  reason_.clear();
  return std::exchange(state_, State::Closed) != State::Closed;
}

bool Breaker::failed(Instant began, const std::string& reason) {
  if (last_success_ > began) return false;
  reason_ = reason;
  return std::exchange(state_, State::Open) == State::Closed;
}

}  // namespace vmail::directory
