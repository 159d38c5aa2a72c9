// Every effect on the file system that a delivery has, as a narrow seam: a test records the calls and lets each one
// fail. The calls are the system's own, with its errors. From any thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace vmail::maildir {

// What is free for us on a file system. Some count no inodes (btrfs): nothing then.
struct Space {
  std::uint64_t bytes = 0;
  std::optional<std::uint64_t> inodes;
};

// Each call returns what the system call does, or -errno. Names and paths are C strings; descriptors belong to the
// caller.
class Files {
 public:
  virtual ~Files() = default;

  // A folder by an absolute path that the administrator wrote: symbolic links are followed.
  virtual int open_folder(const std::string& path) = 0;
  // A folder below an open one, by openat2(2): no symbolic link is followed and no ".." leads out.
  virtual int open_below(int folder, const std::string& path) = 0;
  virtual int make_folder(int folder, const std::string& name, mode_t mode) = 0;
  // A file without a name (O_TMPFILE), for writing and reading; it vanishes with its last descriptor.
  virtual int create_unnamed(int folder, mode_t mode) = 0;
  // A new file (O_EXCL), for writing and reading.
  virtual int create(int folder, const std::string& name, mode_t mode) = 0;
  // A file for reading; no symbolic link, and a FIFO by that name holds nobody.
  virtual int open_file(int folder, const std::string& name) = 0;
  virtual ssize_t write(int file, const void* bytes, std::size_t size) = 0;
  virtual ssize_t read_at(int file, void* bytes, std::size_t size, off_t offset) = 0;
  // Text of a file: when it returns 0, no name that the file gets from now on is on disk before the text is, whenever
  // the power goes. It is for the sync() of the named file to say that it is there at all. Errors are as final as
  // sync()'s.
  virtual int write_out(int file) = 0;
  // Of a file or folder: on disk when it returns 0. Never to be repeated on the same descriptor after a failure: the
  // kernel has then marked the lost pages as clean.
  virtual int sync(int fd) = 0;
  // The same for everything on the file system of `fd` (syncfs(2)). What could not be written since `fd` was opened, or
  // since the last call with it, is an error, of whichever file it was.
  virtual int sync_file_system(int fd) = 0;
  // Whether that call keeps what it says: 1 where it has been done, on a kernel that reports errors (5.8) and a file
  // system for which it is known to write all and to flush the disk's cache; else 0.
  virtual int can_sync_file_system(int fd) = 0;
  // The device that a file is on (st_dev).
  virtual int device(int fd, std::uint64_t& device) = 0;
  virtual int space(int fd, Space& space) = 0;
  // 0 when there is something by that name, whatever it is.
  virtual int look(int folder, const std::string& name) = 0;
  // `to`, which is empty, gets the text of `from`, on the same blocks (FICLONE); EOPNOTSUPP where that is not known.
  virtual int clone(int from, int to) = 0;
  // Gives an unnamed file a name; EEXIST when it is taken.
  virtual int name(int file, int folder, const std::string& name) = 0;
  // Moves a name and replaces none (RENAME_NOREPLACE).
  virtual int rename(int from, const std::string& old_name, int to, const std::string& new_name) = 0;
  // Moves a name within a folder, and takes the place of what has it.
  virtual int replace(int folder, const std::string& old_name, const std::string& new_name) = 0;
  virtual int remove(int folder, const std::string& name) = 0;
  // The names in a folder, without "." and "..".
  virtual int list(int folder, std::vector<std::string>& names) = 0;
};

class RealFiles : public Files {
 public:
  int open_folder(const std::string& path) override;
  int open_below(int folder, const std::string& path) override;
  int make_folder(int folder, const std::string& name, mode_t mode) override;
  int create_unnamed(int folder, mode_t mode) override;
  int create(int folder, const std::string& name, mode_t mode) override;
  int open_file(int folder, const std::string& name) override;
  ssize_t write(int file, const void* bytes, std::size_t size) override;
  ssize_t read_at(int file, void* bytes, std::size_t size, off_t offset) override;
  int write_out(int file) override;
  int sync(int fd) override;
  int sync_file_system(int fd) override;
  int can_sync_file_system(int fd) override;
  int device(int fd, std::uint64_t& device) override;
  int space(int fd, Space& space) override;
  int look(int folder, const std::string& name) override;
  int clone(int from, int to) override;
  int name(int file, int folder, const std::string& name) override;
  int rename(int from, const std::string& old_name, int to, const std::string& new_name) override;
  int replace(int folder, const std::string& old_name, const std::string& new_name) override;
  int remove(int folder, const std::string& name) override;
  int list(int folder, std::vector<std::string>& names) override;
};

// Calls `visit` with each name in the open folder `fd`, without "." and "..", until it returns false. Closes `fd`,
// whose position is used up. 0 or -errno.
int visit_names(int fd, const std::function<bool(const char* name)>& visit);

}  // namespace vmail::maildir
