#include "shared/maildir/path.h"

#include <cerrno>

#include "shared/base/text.h"

namespace vmail::maildir {
namespace {

constexpr mode_t kFolderMode = 0700;
constexpr std::size_t kMaxName = 255;  // NAME_MAX of every file system that matters

bool is_safe_name(std::string_view name) {
  return !name.empty() && name.front() != '.' && name.size() <= kMaxName;
}

bool is_safe_text(std::string_view text) {
  for (const char c : text) {
    if (c == '/' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  return !text.empty();
}

// The folder above, "" for the base.
std::string parent(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

UniqueFd fail(Fault& fault, int result, const std::string& where) {
  fault = {-result, where};
  return UniqueFd();
}

}  // namespace

std::string expand(std::string_view pattern, std::string_view local, std::string_view domain) {
  std::string out;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '%') {
      out += pattern[i];
    } else {
      out += pattern[++i] == 'd' ? domain : local;
    }
  }
  return out;
}

std::optional<Layout> Layout::parse(std::string_view pattern, std::string& why) {
  std::size_t domains = 0, locals = 0;
  std::size_t domain_folder = 0, local_folder = 0, folder = 0;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '/') ++folder;
    if (pattern[i] != '%') continue;
    const char what = ++i < pattern.size() ? pattern[i] : '\0';
    if (what == 'd') {
      ++domains, domain_folder = folder;
    } else if (what == 'n') {
      ++locals, local_folder = folder;
    } else {
      why = "only %d (domain) and %n (local part) are known";
      return std::nullopt;
    }
  }
  if (domains != 1 || locals != 1) {
    why = "%d (domain) and %n (local part) must each occur once, or two mailboxes would share a folder";
    return std::nullopt;
  }
  // "%d-%n" would give b-c@a and c@a-b one folder; a domain holds no '@', so that "%n@%d" is unambiguous.
  if (domain_folder == local_folder && expand(pattern, "\1", "\2").find("\1@\2") == std::string::npos) {
    why = "%d and %n must stand in different folders (or as %n@%d), or two mailboxes could share one";
    return std::nullopt;
  }
  const Layout layout{pattern};
  if (!layout.path({"n", "d"})) {
    why = "must be a path below the base folder: no leading '/', no empty part, none that begins with '.'";
    return std::nullopt;
  }
  return layout;
}

std::optional<std::string> Layout::path(const Address& address) const {
  // A part of an address is one name or part of one: a leading '.' is refused wherever the pattern puts it.
  for (const std::string& part : {address.local, address.domain}) {
    if (!is_safe_text(part) || part.front() == '.') return std::nullopt;
  }
  std::string path = expand(pattern_, address.local, address.domain);
  for (const std::string& name : split(path, '/')) {
    if (!is_safe_name(name) || !is_safe_text(name)) return std::nullopt;
  }
  return path;
}

std::size_t Layout::depth() const {
  return split(pattern_, '/').size();
}

UniqueFd open_base(Files& files, const std::string& base, Fault& fault) {
  const int fd = files.open_folder(base);
  return fd < 0 ? fail(fault, fd, {}) : UniqueFd(fd);
}

UniqueFd open_base(Files& files, const Base& base, Fault& fault) {
  UniqueFd folder = open_base(files, base.folder, fault);
  if (!folder || base.marker.empty()) return folder;
  const int found = files.look(folder.get(), base.marker);
  if (found == 0) return folder;
  return fail(fault, found == -ENOENT || found == -ENOTDIR ? -ENOMEDIUM : found, base.marker);
}

UniqueFd open_mailbox(Files& files, int base, const std::string& path, Fault& fault) {
  const int fd = files.open_below(base, path);
  return fd < 0 ? fail(fault, fd, path) : UniqueFd(fd);
}

UniqueFd make_mailbox(Files& files, int base, const std::string& path, Fault& fault) {
  UniqueFd folder;
  std::string where;
  for (const std::string& name : split(path, '/')) {
    const int above = folder ? folder.get() : base;
    where += where.empty() ? name : '/' + name;
    int fd = files.open_below(above, name);
    if (fd == -ENOENT) {
      const int made = files.make_folder(above, name, kFolderMode);
      if (made < 0 && made != -EEXIST) return fail(fault, made, where);
      fd = files.open_below(above, name);
    }
    if (fd < 0) return fail(fault, fd, where);
    folder = UniqueFd(fd);
  }
  for (const char* name : {"cur", "new", "tmp"}) {
    const int made = files.make_folder(folder.get(), name, kFolderMode);
    if (made < 0 && made != -EEXIST) return fail(fault, made, path + '/' + name);
  }
  return folder;
}

std::vector<UniqueFd> open_way(Files& files, int base, const std::string& path, Fault& fault) {
  std::vector<UniqueFd> way;
  for (std::string where = path; !where.empty(); where = parent(where)) {
    way.push_back(open_mailbox(files, base, where, fault));
    if (!way.back()) return {};
  }
  return way;
}

}  // namespace vmail::maildir
