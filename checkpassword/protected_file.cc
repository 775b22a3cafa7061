#include "checkpassword/protected_file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace postern::checkpassword {
namespace {

// The group may read: a front that is not root can then use a file that root keeps. It may not write, and the mode says
// nothing else that makes sense; others may do nothing at all.
constexpr mode_t kForbiddenMode = 037;

absl::Status Error(const char* path, absl::string_view why) {
  return absl::UnavailableError(absl::StrCat(path, ": ", why));
}

absl::Status CheckProtection(const char* path, const struct stat& status) {
  if (!S_ISREG(status.st_mode)) return Error(path, "not a regular file");
  if (status.st_uid != 0 && status.st_uid != geteuid()) return Error(path, "owned neither by root nor by this user");
  if ((status.st_mode & kForbiddenMode) != 0)
    return Error(path,
                 "its mode gives others or the group too much: at most 0640, so that only its owner can change it "
                 "and others cannot read it");
  if (status.st_size > static_cast<off_t>(kProtectedFileOctetsMax)) return Error(path, "too large");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> ReadProtectedFile(const char* path) {
  // O_NONBLOCK: a FIFO would hold us here before it could be refused.
  const base::UniqueFd fd(open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return Error(path, errno == ELOOP ? "a symbolic link" : strerror(errno));
  struct stat status;
  if (fstat(fd.get(), &status) != 0) return Error(path, strerror(errno));
  if (absl::Status protection = CheckProtection(path, status); !protection.ok()) return protection;

  std::string text(static_cast<size_t>(status.st_size), '\0');
  size_t octets = 0;
  while (octets < text.size()) {
    const ssize_t got = read(fd.get(), text.data() + octets, text.size() - octets);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error(path, strerror(errno));
    if (got == 0) return Error(path, "became shorter while it was read");  // somebody writes it in place
    octets += static_cast<size_t>(got);
  }
  return text;
}

}  // namespace postern::checkpassword
