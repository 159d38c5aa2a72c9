#include "shared/mysql/opening.h"

#include <fmt/format.h>

#include <optional>
#include <string>

#include "shared/base/mutex.h"
#include "shared/mysql/library.h"

namespace vmail::mysql {
namespace {

// Not the Error itself: the copies of an exception share their text, which its two threads may not.
struct Refusal {
  ErrorKind kind;
  unsigned code;
  std::string text;
};

}  // namespace

struct Opening::State {
  Mutex mutex;
  Condition changed;
  bool cancelled VMAIL_GUARDED_BY(mutex) = false;
  std::unique_ptr<Connection> connection VMAIL_GUARDED_BY(mutex);
  std::optional<Refusal> refusal VMAIL_GUARDED_BY(mutex);
};

Opening::Opening(const Options& options, const Host& host)
    : state_(std::make_shared<State>()), host_(host), timeout_(options.connect_timeout) {
  run_beside([state = state_, options = options.copy(), host] {
    std::unique_ptr<Connection> connection;
    std::optional<Refusal> refusal;
    try {
      connection = Connection::open(options, host);
    } catch (const Error& error) {
      refusal = Refusal{error.kind(), error.code(), error.what()};
    } catch (const std::exception& error) {
      refusal = Refusal{ErrorKind::Other, 0, error.what()};
    }
    Lock lock(state->mutex);
    if (state->cancelled) return;
    state->connection = std::move(connection);
    state->refusal = std::move(refusal);
    state->changed.notify_all();
  });
}

Opening::~Opening() {
  cancel();
}

std::unique_ptr<Connection> Opening::wait() {
  const auto until = std::chrono::steady_clock::now() + timeout_;
  Lock lock(state_->mutex);
  while (!state_->connection && !state_->refusal && !state_->cancelled) {
    if (!state_->changed.wait_until(state_->mutex, until)) break;
  }
  if (state_->connection) return std::move(state_->connection);
  if (state_->refusal) throw Error(state_->refusal->kind, state_->refusal->code, state_->refusal->text);
  throw Error(ErrorKind::Lost, 0,
              state_->cancelled ? fmt::format("connecting to {} was given up", host_.text())
                                : fmt::format("database on {} took no connection within {} ms; check that the server "
                                              "runs, and database.hosts in vmailkit.toml",
                                              host_.text(), timeout_.count()));
}

void Opening::cancel() {
  Lock lock(state_->mutex);
  state_->cancelled = true;
  state_->changed.notify_all();
}

}  // namespace vmail::mysql
