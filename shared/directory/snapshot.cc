#include "shared/directory/snapshot.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "shared/base/state_file.h"

namespace vmail::directory {

void write_snapshot(const std::string& path, const Snapshot& snapshot) {
  try {
    NewStateFile file(path + ".new");
    encode_snapshot(snapshot, [&](std::string_view bytes) { file.write(bytes); });
    file.put_at(path);
  } catch (const std::runtime_error& error) {
    throw SnapshotError(path + ": cannot be written: " + error.what() +
                        "; what was written before stays. Its folder must belong to this user and have room");
  }
  try {
    sync_folder_of(path);
  } catch (const std::runtime_error& error) {
    throw SnapshotError(path + ": is written, but may be lost when the power fails: " + error.what());
  }
}

std::unique_ptr<Snapshot> read_snapshot(const std::string& path, std::size_t max_bytes) {
  try {
    const UniqueFd fd = open_state_file(path);
    if (!fd) return nullptr;
    return decode_snapshot(
        [&](char* into, std::size_t size) {
          for (;;) {
            const ssize_t got = ::read(fd.get(), into, size);
            if (got >= 0) return static_cast<std::size_t>(got);
            if (errno != EINTR) throw SnapshotError(std::string("cannot be read: ") + std::strerror(errno));
          }
        },
        max_bytes);
  } catch (const std::runtime_error& error) {
    throw SnapshotError(path + ": " + error.what() + "; it is set aside and the directory is read from the database");
  }
}

void set_aside(const std::string& path) {
  std::rename(path.c_str(), (path + ".bad").c_str());
}

}  // namespace vmail::directory
