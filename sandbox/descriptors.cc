#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "sandbox/cage.h"
#include "sandbox/refused.h"

namespace postern::sandbox {
namespace {

int SocketOption(int fd, int option) {
  int value = -1;
  socklen_t octets = sizeof(value);
  return getsockopt(fd, SOL_SOCKET, option, &value, &octets) == 0 ? value : -1;
}

bool IsSocket(int fd, bool inet, int type, bool listening) {
  const int domain = SocketOption(fd, SO_DOMAIN);
  const bool right_domain = inet ? domain == AF_INET || domain == AF_INET6 : domain == AF_UNIX;
  return right_domain && SocketOption(fd, SO_TYPE) == type && SocketOption(fd, SO_ACCEPTCONN) == (listening ? 1 : 0);
}

bool IsOfKind(int fd, const struct stat& status, int flags, absl::string_view kind) {
  const int access = flags & O_ACCMODE;
  if (kind == "any") return true;
  if (kind == "file") return S_ISREG(status.st_mode);
  if (kind == "pipe-read") return S_ISFIFO(status.st_mode) && access == O_RDONLY;
  if (kind == "pipe-write") return S_ISFIFO(status.st_mode) && access == O_WRONLY;
  if (!S_ISSOCK(status.st_mode)) return false;
  if (kind == "inet-listener") return IsSocket(fd, true, SOCK_STREAM, true);
  if (kind == "inet-stream") return IsSocket(fd, true, SOCK_STREAM, false);
  if (kind == "unix-seqpacket") return IsSocket(fd, false, SOCK_SEQPACKET, false);
  if (kind == "unix-stream") return IsSocket(fd, false, SOCK_STREAM, false);
  return false;
}

absl::Status CheckDescriptor(const std::string& name, int fd, absl::string_view kind) {
  struct stat status;
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fstat(fd, &status) != 0)
    return absl::FailedPreconditionError(absl::StrCat("descriptor ", fd, " (", name, ") is not open"));
  // Both lead to files whatever the root is.
  if (S_ISDIR(status.st_mode))
    return absl::FailedPreconditionError(absl::StrCat("descriptor ", fd, " (", name, ") is a directory"));
  if ((flags & O_PATH) != 0)
    return absl::FailedPreconditionError(absl::StrCat("descriptor ", fd, " (", name, ") was opened with O_PATH"));
  if (!IsOfKind(fd, status, flags, kind))
    return absl::FailedPreconditionError(absl::StrCat("descriptor ", fd, " (", name, ") is not of the kind ", kind));
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckDescriptors(const Policy& policy, const std::vector<std::pair<std::string, int>>& fds) {
  std::map<std::string, bool> kept;  // whether any number of it is possible
  for (const std::string& word : policy.keep)
    kept[std::string(absl::StripSuffix(word, "*"))] = absl::EndsWith(word, "*");
  std::map<std::string, int> count;
  for (const auto& [name, fd] : fds) {
    const auto found = kept.find(name);
    if (found == kept.end())
      return absl::FailedPreconditionError(absl::StrCat(policy.name, ": descriptor ", name, " is not to be kept"));
    if (++count[name] > 1 && !found->second)
      return absl::FailedPreconditionError(absl::StrCat(policy.name, ": more than one descriptor ", name));
    const auto kind = policy.kind.find(name);
    if (kind == policy.kind.end())
      return absl::FailedPreconditionError(absl::StrCat(policy.name, ": descriptor ", name, " has no kind"));
    RETURN_IF_ERROR(CheckDescriptor(name, fd, kind->second));
  }
  for (const auto& [name, any_number] : kept)
    if (!any_number && count[name] == 0)
      return absl::FailedPreconditionError(absl::StrCat(policy.name, ": descriptor ", name, " is missing"));
  return absl::OkStatus();
}

}  // namespace postern::sandbox
