#include "shared/mysql/library.h"

#include <fmt/format.h>

#include <system_error>
#include <thread>

#include "shared/base/mutex.h"
#include "shared/mysql/compat.h"
#include "shared/mysql/connection.h"

namespace vmail::mysql {
namespace {

constexpr int kMaxBeside = 64;

struct Library {
  Library() {
    if (mysql_library_init(0, nullptr, nullptr) != 0) {
      throw Error(ErrorKind::Other, 0, "the MySQL client library cannot be initialised");
    }
  }
  ~Library() {
    {
      Lock lock(mutex);
      while (beside > 0) ended.wait(mutex);
    }
    mysql_library_end();
  }

  Mutex mutex;
  Condition ended;
  int beside VMAIL_GUARDED_BY(mutex) = 0;
};

Library& library() {
  static Library the_library;
  return the_library;
}

}  // namespace

void use_library() {
  library();
}

void begin_thread() {
  mysql_thread_init();
}
void end_thread() {
  mysql_thread_end();
}

void run_beside(MoveOnlyFunction<void()> task) {
  Library& all = library();
  {
    Lock lock(all.mutex);
    if (all.beside >= kMaxBeside) throw Error(ErrorKind::Lost, 0, "too many attempts to connect to the database hang");
    ++all.beside;
  }
  const auto leave = [&all] {
    Lock lock(all.mutex);
    --all.beside;
    all.ended.notify_all();  // with the lock held: the end may be waiting, and takes the condition along
  };
  try {
    std::thread([task = std::move(task), leave]() mutable {
      begin_thread();
      task();
      task = nullptr;
      end_thread();
      leave();
    }).detach();
  } catch (const std::system_error& error) {
    leave();
    throw Error(ErrorKind::Lost, 0, fmt::format("cannot start a thread to connect to the database: {}", error.what()));
  }
}

}  // namespace vmail::mysql
