#include "sql/vmailctl/mailbox_check.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "shared/base/text.h"
#include "shared/base/unique_fd.h"
#include "shared/maildir/names.h"

namespace vmail::sql {
namespace {

// Dovecot takes files in tmp/ for abandoned after that time; ours are within minutes.
constexpr std::time_t kAbandoned = 36 * 3600;
constexpr std::time_t kOursAbandoned = 3600;

std::string error_text() {
  return std::strerror(errno);
}

// Where ",X=number" begins in a name, and where the number ends.
struct Place {
  std::size_t number = 0;
  std::size_t end = 0;
  std::uint64_t value = 0;
};
std::optional<Place> find_size(std::string_view name, std::string_view mark) {
  const auto at = name.substr(0, name.find(':')).find(mark);
  if (at == std::string_view::npos) return std::nullopt;
  Place place;
  place.number = at + mark.size();
  const auto [end, error] = std::from_chars(name.data() + place.number, name.data() + name.size(), place.value);
  place.end = static_cast<std::size_t>(end - name.data());
  const bool whole = place.end == name.size() || name[place.end] == ',' || name[place.end] == ':';
  if (error != std::errc() || !whole) return std::nullopt;
  return place;
}

// Compressed by Dovecot's zlib plugin: the sizes in the name are those of what is inside.
bool is_compressed(std::string_view head) {
  for (const std::string_view magic : {std::string_view("\x1f\x8b"), std::string_view("BZh"),
                                       std::string_view("\xfd"
                                                        "7zXZ"),
                                       std::string_view("\x28\xb5\x2f\xfd"), std::string_view("Dovecot-LZ4")}) {
    if (head.starts_with(magic)) return true;
  }
  return false;
}

struct Measured {
  std::uint64_t size = 0;
  std::uint64_t vsize = 0;
  bool compressed = false;
};
// Nothing when it cannot be read; errno says why.
std::optional<Measured> measure(int file) {
  Measured measured;
  std::array<char, 64 * 1024> buffer;
  bool after_cr = false, first = true;
  for (;;) {
    const ssize_t got = ::read(file, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) return measured;
    const std::string_view text(buffer.data(), static_cast<std::size_t>(got));
    if (std::exchange(first, false) && is_compressed(text)) measured.compressed = true;
    measured.size += text.size();
    measured.vsize += text.size();
    for (const char c : text) {
      if (c == '\n' && !after_cr) ++measured.vsize;
      after_cr = c == '\r';
    }
  }
}

class Checker {
 public:
  Checker(maildir::Files& files, int mailbox, const CheckOptions& options)
      : files_(files), mailbox_(mailbox), options_(options) {}

  CheckedMailbox run() {
    std::vector<std::string> folders = {""};
    std::vector<std::string> entries;
    if (const int listed = files_.list(mailbox_, entries); listed < 0) {
      errno = -listed;
      add("", error_text());
      return std::move(checked_);
    }
    for (const auto& entry : entries) {
      if (entry.front() == '.' && is_folder(entry)) folders.push_back(entry);
    }
    check_rights(mailbox_, ".", "");
    std::sort(folders.begin(), folders.end());
    for (const auto& folder : folders) check_folder(folder);
    check_quota_file();
    return std::move(checked_);
  }

 private:
  // Others than the inbox have a folder `cur` in them; what begins with a dot may be anything else.
  bool is_folder(const std::string& name) const {
    struct stat info {};
    return ::fstatat(mailbox_, (name + "/cur").c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode);
  }

  void check_folder(const std::string& folder) {
    const std::string path = folder.empty() ? "" : folder + '/';
    if (!folder.empty()) check_rights(mailbox_, folder, folder);
    for (const char* part : {"cur", "new", "tmp"}) {
      check_rights(mailbox_, path + part, path + part);
      const UniqueFd open(files_.open_below(mailbox_, path + part));
      if (!open) {
        missing(path + part, -open.get());
      } else if (part == std::string_view("tmp")) {
        check_tmp(open.get(), path + part);
      } else {
        check_messages(open.get(), path + part);
      }
    }
  }

  void missing(const std::string& path, int error) {
    if (error != ENOENT) return add(path, std::strerror(error));
    bool made = false;
    if (options_.repair && ::mkdirat(mailbox_, path.c_str(), 0700) == 0) {
      made = ::fchownat(mailbox_, path.c_str(), options_.owner.uid, options_.owner.gid, AT_SYMLINK_NOFOLLOW) == 0;
    }
    add(path, "there is no such folder", made);
  }

  // What Dovecot and the store must be able to do, and that nobody else can.
  void check_rights(int folder, const std::string& name, const std::string& where) {
    struct stat info {};
    if (::fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return;
    check_rights(folder, name, where, info);
  }
  void check_rights(int folder, const std::string& name, const std::string& where, const struct stat& info) {
    if (S_ISLNK(info.st_mode)) return add(where, "it is a symbolic link, which is not followed");
    if (info.st_uid != options_.owner.uid) {
      const bool done = options_.repair && ::fchownat(folder, name.c_str(), options_.owner.uid, options_.owner.gid,
                                                      AT_SYMLINK_NOFOLLOW) == 0;
      add(where, fmt::format("it belongs to uid {} instead of {}", info.st_uid, options_.owner.uid), done);
    }
    const mode_t needed = S_ISDIR(info.st_mode) ? 0700 : 0600;
    const mode_t mode = info.st_mode & 07777;
    const mode_t right = (mode | needed) & ~static_cast<mode_t>(S_IRWXO);
    if (mode == right) return;
    const bool done = options_.repair && set_mode(folder, name, right);
    const char* what = (mode & S_IRWXO) != 0 ? "others may get at it" : "its owner cannot use it";
    add(where, fmt::format("its mode is {:04o}: {}", mode, what), done);
  }

  // By a descriptor: fchmodat(2) would follow a link that has just been put there.
  static bool set_mode(int folder, const std::string& name, mode_t mode) {
    const UniqueFd file(::openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    return file && ::fchmod(file.get(), mode) == 0;
  }

  void check_tmp(int folder, const std::string& path) {
    visit(folder, path, [&](const std::string& name) {
      struct stat info {};
      if (::fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return;
      const bool ours = maildir::parse_name(name).has_value() || name.starts_with(maildir::kQuotaFileName);
      if (info.st_ctime > options_.now - (ours ? kOursAbandoned : kAbandoned)) return;
      const bool done = options_.repair && ::unlinkat(folder, name.c_str(), 0) == 0;
      add(path + '/' + name, fmt::format("a delivery that never ended, of {} bytes", info.st_size), done);
    });
  }

  void check_messages(int folder, const std::string& path) {
    std::uint64_t count = 0;
    visit(folder, path, [&](const std::string&) { ++count; });
    options_.more(count);
    visit(folder, path, [&](const std::string& name) {
      options_.step();
      if (name.front() != '.') check_message(folder, path, name);
    });
  }

  void check_message(int folder, const std::string& path, const std::string& name) {
    const std::string where = path + '/' + name;
    const UniqueFd file(::openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat info {};
    if (!file || ::fstat(file.get(), &info) != 0) {
      // It was moved or deleted while we looked; what is still there cannot be read.
      if (errno != ENOENT) add(where, errno == ELOOP ? "it is a symbolic link, and no message" : error_text());
      return;
    }
    if (!S_ISREG(info.st_mode)) return add(where, "it is no file, and no message");
    check_rights(folder, name, where, info);
    const NamedSizes named = sizes_in(name);
    checked_.usage.bytes += named.size.value_or(static_cast<std::uint64_t>(info.st_size));
    ++checked_.usage.messages;
    if (!named.size && !named.vsize) return;
    const auto measured = measure(file.get());
    if (!measured) return add(where, error_text());
    if (measured->compressed) return;
    if (named.size.value_or(measured->size) == measured->size &&
        named.vsize.value_or(measured->vsize) == measured->vsize) {
      return;
    }
    const std::string right = with_sizes(name, measured->size, measured->vsize);
    const bool done = options_.repair && files_.rename(folder, name, folder, right) == 0;
    if (done && named.size) checked_.usage.bytes += measured->size - *named.size;
    add(where, fmt::format("its name says other sizes than S={},W={}", measured->size, measured->vsize), done);
  }

  void check_quota_file() {
    struct stat info {};
    const bool there = ::fstatat(mailbox_, maildir::kQuotaFileName, &info, AT_SYMLINK_NOFOLLOW) == 0;
    if (!there) return;
    check_rights(mailbox_, maildir::kQuotaFileName, maildir::kQuotaFileName, info);
    std::string why;
    const auto file = maildir::read_quota_file(mailbox_, why);
    const QuotaLimits limits = options_.limits ? *options_.limits : file ? file->limits : QuotaLimits{};
    if (!file && why.empty()) return;
    if (file && file->usage == checked_.usage && file->limits == limits) return;
    std::string what = why;
    if (file && file->usage == checked_.usage) what = "it was written for another quota";
    if (file && file->usage != checked_.usage) {
      what = fmt::format("it says {} bytes in {} messages, there are {} in {}", file->usage.bytes, file->usage.messages,
                         checked_.usage.bytes, checked_.usage.messages);
    }
    add(maildir::kQuotaFileName, what, options_.repair && write_quota_file(limits));
  }

  // Of the owner from the start, or the store could not write it.
  bool write_quota_file(const QuotaLimits& limits) {
    const std::string temporary =
        std::string("tmp/") + maildir::kQuotaFileName + ".vmailctl." + std::to_string(::getpid());
    const UniqueFd file(
        ::openat(mailbox_, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) return false;
    const std::string text = maildir::format_quota_file(limits, checked_.usage);
    const bool good = ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                      ::fchown(file.get(), options_.owner.uid, options_.owner.gid) == 0 &&
                      ::renameat(mailbox_, temporary.c_str(), mailbox_, maildir::kQuotaFileName) == 0;
    if (!good) ::unlinkat(mailbox_, temporary.c_str(), 0);
    return good;
  }

  // The names in a folder, one after the other: a mailbox may have millions.
  void visit(int folder, const std::string& path, const std::function<void(const std::string&)>& each) {
    const int fd = files_.open_below(folder, ".");
    const int visited = fd < 0 ? fd : maildir::visit_names(fd, [&](const char* name) {
      each(name);
      return true;
    });
    if (visited < 0) add(path, std::strerror(-visited));
  }

  void add(const std::string& where, const std::string& what, bool repaired = false) {
    if (!repaired) ++checked_.unmended;
    if (checked_.findings.size() >= kMostFindings) {
      ++checked_.left_out;
    } else {
      checked_.findings.push_back({where, what, repaired});
    }
  }

  maildir::Files& files_;
  const int mailbox_;
  const CheckOptions& options_;
  CheckedMailbox checked_;
};

}  // namespace

NamedSizes sizes_in(std::string_view name) {
  NamedSizes sizes;
  if (const auto size = find_size(name, ",S=")) sizes.size = size->value;
  if (const auto vsize = find_size(name, ",W=")) sizes.vsize = vsize->value;
  return sizes;
}

std::string with_sizes(std::string_view name, std::uint64_t size, std::uint64_t vsize) {
  std::string text(name);
  const auto put = [&](std::string_view mark, std::uint64_t value) {
    if (const auto place = find_size(text, mark)) {
      text.replace(place->number, place->end - place->number, std::to_string(value));
    }
  };
  put(",S=", size);
  put(",W=", vsize);
  return text;
}

CheckedMailbox check_mailbox(maildir::Files& files, int mailbox, const CheckOptions& options) {
  return Checker(files, mailbox, options).run();
}

}  // namespace vmail::sql
