// The files in which a daemon keeps its own state: written anew as a whole, synced and put in the place of the one
// before, so that a crash leaves the one or the other; read only when nobody else can have written them. All of it
// blocks on the disk. From any thread, one at a time for one path.
#pragma once

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "shared/base/unique_fd.h"

namespace vmail {

class StateFileError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A file that goes again unless it is put in its place. What it throws, a StateFileError, names no file.
class NewStateFile {
 public:
  explicit NewStateFile(std::string name);
  ~NewStateFile();
  NewStateFile(const NewStateFile&) = delete;
  NewStateFile& operator=(const NewStateFile&) = delete;

  void write(std::string_view bytes);
  // Syncs the file; the folder is the caller's to sync.
  void put_at(const std::string& path);

 private:
  std::string name_;
  UniqueFd fd_;
};

// Throw a StateFileError that names no file. Nothing is open when there is no file.
void sync_folder_of(const std::string& path);
UniqueFd open_state_file(const std::string& path);

// A small file as a whole. Each throws a StateFileError that names it. A write has returned when its file would outlive
// a loss of power.
void write_state(const std::string& path, std::string_view text);
std::optional<std::string> read_state(const std::string& path, std::size_t max_bytes);

}  // namespace vmail
