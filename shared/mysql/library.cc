#include "shared/mysql/library.h"

#include "shared/mysql/compat.h"
#include "shared/mysql/connection.h"

namespace vmail::mysql {

void use_library() {
  struct Library {
    Library() {
      if (mysql_library_init(0, nullptr, nullptr) != 0) {
        throw Error(ErrorKind::Other, 0, "the MySQL client library cannot be initialised");
      }
    }
    ~Library() { mysql_library_end(); }
  };
  static const Library library;
}

void begin_thread() {
  mysql_thread_init();
}
void end_thread() {
  mysql_thread_end();
}

}  // namespace vmail::mysql
