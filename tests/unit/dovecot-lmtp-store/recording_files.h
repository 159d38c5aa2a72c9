// The real file system, watched: every call is recorded, each one can be made to fail, and a crash can be played behind
// any of them.
#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "shared/maildir/files.h"

namespace vmail::test {

// One change of what is on the disk. Files and folders have numbers of our own: the kernel uses its own again.
struct Change {
  enum class Kind { Make, Write, WriteOut, Sync, SyncAll, Add, Drop, Reply };
  Kind kind;
  int object = 0;    // what is made without a name, written, synced or gets a name
  int folder = 0;    // Add, Drop
  std::string name;  // Add, Drop; of the file in Reply
  std::string bytes;
};

class RecordingFiles final : public maildir::RealFiles {
 public:
  struct Call {
    std::string name;
    int result = 0;
    int object = 0;
  };

  // The call with this number (from 0) fails with `fail_error`.
  int fail_at = -1;
  int fail_error = EIO;
  bool no_tmpfile = false;        // a file system without O_TMPFILE
  std::size_t max_write = 0;      // what one write(2) takes; 0: all
  bool interrupt_writes = false;  // every second write gives EINTR
  bool can_share = false;         // the file system can be synced as a whole
  bool can_clone = false;         // blocks can be shared
  int fail_name = 0;              // the errno of each name() that is not the file's first
  std::optional<maildir::Space> free;
  std::set<std::string> lies;  // "text", "file", "new", "way", "all": syncs that say they did it

  std::vector<Call> calls;
  std::vector<Change> changes;

  void reset() { calls.clear(); }
  // The client was told that this file is stored.
  void reply(const std::string& name) {
    const std::lock_guard<std::recursive_mutex> lock(mutex_);
    changes.push_back({Change::Kind::Reply, 0, 0, name, {}});
  }
  int base_number() const { return base_; }

  int open_folder(const std::string& path) override {
    return call("open_folder", [&] {
      const int fd = RealFiles::open_folder(path);
      if (fd >= 0) base_ = number(fd);
      return fd;
    });
  }
  int open_below(int folder, const std::string& path) override {
    return call("open_below " + path, [&] { return RealFiles::open_below(folder, path); });
  }
  int make_folder(int folder, const std::string& name, mode_t mode) override {
    return call("make_folder " + name, [&] {
      const int result = RealFiles::make_folder(folder, name, mode);
      if (result == 0) {
        const int fd = RealFiles::open_below(folder, name);
        const int made = number(fd, true);
        ::close(fd);
        changes.push_back({Change::Kind::Add, made, number(folder), name, {}});
        names_[made] = name;
      }
      return result;
    });
  }
  int create_unnamed(int folder, mode_t mode) override {
    return call("create_unnamed", [&] {
      if (no_tmpfile) return -EOPNOTSUPP;
      const int fd = RealFiles::create_unnamed(folder, mode);
      if (fd >= 0) changes.push_back({Change::Kind::Make, number(fd, true), 0, {}, {}});
      return fd;
    });
  }
  int create(int folder, const std::string& name, mode_t mode) override {
    return call("create", [&] {
      const int fd = RealFiles::create(folder, name, mode);
      if (fd >= 0) changes.push_back({Change::Kind::Add, number(fd, true), number(folder), name, {}});
      return fd;
    });
  }
  ssize_t write(int file, const void* bytes, std::size_t size) override {
    return call("write", [&]() -> int {
      if (interrupt_writes && (interrupted_ = !interrupted_)) return -EINTR;
      if (max_write != 0) size = std::min(size, max_write);
      const ssize_t written = RealFiles::write(file, bytes, size);
      if (written > 0) {
        changes.push_back({Change::Kind::Write,
                           number(file),
                           0,
                           {},
                           std::string(static_cast<const char*>(bytes), static_cast<std::size_t>(written))});
      }
      return static_cast<int>(written);
    });
  }
  ssize_t read_at(int file, void* bytes, std::size_t size, off_t offset) override {
    return call("read_at", [&] { return static_cast<int>(RealFiles::read_at(file, bytes, size, offset)); });
  }
  int write_out(int file) override {
    const std::lock_guard<std::recursive_mutex> lock(mutex_);
    const int object = number(file);
    return call(
        "write_out",
        [&] {
          if (lies.count("text") > 0) return 0;
          const int result = RealFiles::write_out(file);
          if (result == 0) changes.push_back({Change::Kind::WriteOut, object, 0, {}, {}});
          return result;
        },
        object);
  }
  int sync(int fd) override {
    const std::lock_guard<std::recursive_mutex> lock(mutex_);
    const int object = number(fd);
    return call(
        "sync " + names_[object],
        [&] {
          const std::string name = names_.count(object) == 0 ? "" : names_[object];
          const std::string what = object == base_ || (!name.empty() && name != "new") ? "way"
                                   : name == "new"                                     ? "new"
                                                                                       : "file";
          if (lies.count(what) > 0) return 0;
          const int result = RealFiles::sync(fd);
          if (result == 0) changes.push_back({Change::Kind::Sync, object, 0, {}, {}});
          return result;
        },
        object);
  }
  int sync_file_system(int) override {
    return call("sync_all", [&] {
      if (lies.count("all") == 0) changes.push_back({Change::Kind::SyncAll, 0, 0, {}, {}});
      return 0;
    });
  }
  int can_sync_file_system(int) override { return can_share ? 1 : 0; }
  int space(int fd, maildir::Space& space) override {
    return call("space", [&] {
      if (free) space = *free;
      return free ? 0 : RealFiles::space(fd, space);
    });
  }
  int look(int folder, const std::string& name) override {
    return call("look " + name, [&] { return RealFiles::look(folder, name); });
  }
  int clone(int from, int to) override {
    return call("clone", [&] {
      if (!can_clone) return -EOPNOTSUPP;
      std::string bytes(1u << 20, '\0');
      bytes.resize(static_cast<std::size_t>(RealFiles::read_at(from, bytes.data(), bytes.size(), 0)));
      changes.push_back({Change::Kind::Write, number(to), 0, {}, bytes});
      return RealFiles::write(to, bytes.data(), bytes.size()) < 0 ? -errno : 0;
    });
  }
  int open_file(int folder, const std::string& name) override {
    return call("open_file " + name, [&] { return RealFiles::open_file(folder, name); });
  }
  int replace(int folder, const std::string& old_name, const std::string& new_name) override {
    return call("replace " + new_name, [&] { return RealFiles::replace(folder, old_name, new_name); });
  }
  int name(int file, int folder, const std::string& name) override {
    const std::lock_guard<std::recursive_mutex> lock(mutex_);
    return call(
        "name",
        [&] {
          struct stat info {};
          if (fail_name != 0 && ::fstat(file, &info) == 0 && info.st_nlink > 0) return -fail_name;
          const int result = RealFiles::name(file, folder, name);
          if (result == 0) changes.push_back({Change::Kind::Add, number(file), number(folder), name, {}});
          return result;
        },
        number(file));
  }
  int rename(int from, const std::string& old_name, int to, const std::string& new_name) override {
    return call("rename", [&] {
      const int result = RealFiles::rename(from, old_name, to, new_name);
      if (result == 0) {
        const int object = find(number(from), old_name);
        changes.push_back({Change::Kind::Add, object, number(to), new_name, {}});
        changes.push_back({Change::Kind::Drop, object, number(from), old_name, {}});
      }
      return result;
    });
  }
  int remove(int folder, const std::string& name) override {
    return call("remove", [&] {
      const int result = RealFiles::remove(folder, name);
      if (result == 0) changes.push_back({Change::Kind::Drop, find(number(folder), name), number(folder), name, {}});
      return result;
    });
  }

 private:
  template <class Do>
  int call(const std::string& name, Do run, int object = 0) {
    const std::lock_guard<std::recursive_mutex> lock(mutex_);
    const bool fails = fail_at == static_cast<int>(calls.size());
    const int result = fails ? -fail_error : run();
    calls.push_back({name, result, object});
    return result;
  }
  // Our number of what is open; a new one when it was just made.
  int number(int fd, bool fresh = false) {
    struct stat info {};
    if (::fstat(fd, &info) != 0) return 0;
    int& known = numbers_[info.st_ino];
    if (known == 0 || fresh) known = ++last_;
    return known;
  }
  int find(int folder, const std::string& name) const {
    for (auto change = changes.rbegin(); change != changes.rend(); ++change) {
      if (change->kind == Change::Kind::Add && change->folder == folder && change->name == name) return change->object;
    }
    return 0;
  }

  std::recursive_mutex mutex_;  // of the calls, and of what a call looks up before it
  std::map<ino_t, int> numbers_;
  std::map<int, std::string> names_;  // of folders
  int last_ = 0;
  int base_ = 0;
  bool interrupted_ = false;
};

// What a disk may hold after a power cut: everything synced, and any choice of the rest; but no name of a file without
// the text that was written out before. A name is there when its folder was synced, and for a file that was made
// without one the file itself as well, which says how many names it has.
class CrashReplay {
 public:
  explicit CrashReplay(const RecordingFiles& files) : changes_(files.changes), base_(files.base_number()) {}

  // Calls check(reply names so far, files below any new/: name to text) for each state that a crash may leave.
  template <class Check>
  void play(Check check) {
    for (std::size_t end = 0; end <= changes_.size(); ++end) {
      const std::vector<std::size_t> loose = not_synced(end);
      const std::size_t choices = std::size_t{1} << std::min<std::size_t>(loose.size(), 14);
      for (std::size_t choice = 0; choice < choices; ++choice) {
        std::set<std::size_t> lost;
        for (std::size_t i = 0; i < loose.size(); ++i) {
          if ((i < 14 ? choice >> i & 1 : 1) != 0) lost.insert(loose[i]);
        }
        if (!is_possible(end, lost)) continue;
        std::set<std::string> replies;
        std::map<std::string, std::string> found;
        state(end, lost, replies, found);
        check(replies, found);
        ++states;
      }
    }
  }
  std::size_t states = 0;

 private:
  // The changes before `end` that no sync has put on the disk: data by the sync of its file, names of their folder.
  std::vector<std::size_t> not_synced(std::size_t end) const {
    std::vector<std::size_t> loose;
    for (std::size_t i = 0; i < end; ++i) {
      const Change& change = changes_[i];
      int object = 0;
      if (change.kind == Change::Kind::Write) object = change.object;
      if (change.kind == Change::Kind::Add || change.kind == Change::Kind::Drop) object = change.folder;
      if (object == 0) continue;
      const bool counts_names = change.kind == Change::Kind::Add && was_unnamed(change.object);
      if (!synced(i, end, object) || (counts_names && !synced(i, end, change.object))) loose.push_back(i);
    }
    return loose;
  }
  bool synced(std::size_t from, std::size_t end, int object) const {
    return std::any_of(changes_.begin() + static_cast<long>(from), changes_.begin() + static_cast<long>(end),
                       [&](const Change& later) {
                         return later.kind == Change::Kind::SyncAll ||
                                (later.kind == Change::Kind::Sync && later.object == object);
                       });
  }
  bool was_unnamed(int object) const {
    return std::any_of(changes_.begin(), changes_.end(), [&](const Change& change) {
      return change.kind == Change::Kind::Make && change.object == object;
    });
  }
  // Whether each name that is left has the text that was written out before it.
  bool is_possible(std::size_t end, const std::set<std::size_t>& lost) const {
    std::map<int, bool> torn, torn_out;  // of each file: its text so far, and what of that was written out
    for (std::size_t i = 0; i < end; ++i) {
      const Change& change = changes_[i];
      if (change.kind == Change::Kind::Write && lost.count(i) > 0) torn[change.object] = true;
      if (change.kind == Change::Kind::WriteOut) torn_out[change.object] = torn[change.object];
      if (change.kind == Change::Kind::Add && lost.count(i) == 0 && torn_out[change.object]) return false;
    }
    return true;
  }
  void state(std::size_t end, const std::set<std::size_t>& lost, std::set<std::string>& replies,
             std::map<std::string, std::string>& found) const {
    std::map<int, std::map<std::string, int>> folders;
    std::map<int, std::string> texts;
    for (std::size_t i = 0; i < end; ++i) {
      const Change& change = changes_[i];
      if (change.kind == Change::Kind::Reply) replies.insert(change.name);
      if (lost.count(i) > 0) continue;
      if (change.kind == Change::Kind::Write) texts[change.object] += change.bytes;
      if (change.kind == Change::Kind::Add) folders[change.folder][change.name] = change.object;
      if (change.kind == Change::Kind::Drop) folders[change.folder].erase(change.name);
    }
    walk(folders, texts, base_, "", found);
  }
  void walk(std::map<int, std::map<std::string, int>>& folders, std::map<int, std::string>& texts, int folder,
            const std::string& name, std::map<std::string, std::string>& found) const {
    for (const auto& [child, object] : folders[folder]) {
      if (folders.count(object) > 0 || child.find(",S=") == std::string::npos) {
        walk(folders, texts, object, child, found);
      } else if (name == "new") {
        found[child] = texts[object];
      }
    }
  }

  const std::vector<Change> changes_;
  const int base_;
};

}  // namespace vmail::test
