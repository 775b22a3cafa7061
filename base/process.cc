#include "base/process.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"

namespace postern::base {
namespace {

char* title_begin = nullptr;
size_t title_octets = 0;

constexpr int kFirstFd = 3;

}  // namespace

int Finish(const absl::Status& status) {
  if (status.ok()) return 0;
  Event("fatal").AddText("error", status.message());
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kFailedPrecondition:
      return kExitConfiguration;
    default:
      return kExitTemporary;
  }
}

absl::StatusOr<InheritedFds> InheritedFds::Adopt(const std::vector<std::string>& names) {
  InheritedFds fds;
  int next = kFirstFd;
  for (const std::string& name : names) {
    if (fcntl(next, F_SETFD, FD_CLOEXEC) != 0)
      return absl::FailedPreconditionError(absl::StrCat("descriptor ", next, " (", name, ") is not open"));
    fds.entries_.push_back({name, UniqueFd(next++)});
  }
  std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir("/proc/self/fd"), closedir);
  if (directory == nullptr) return absl::ErrnoToStatus(errno, "/proc/self/fd");
  while (const dirent* entry = readdir(directory.get())) {
    int fd;
    if (!absl::SimpleAtoi(entry->d_name, &fd) || fd == dirfd(directory.get())) continue;
    if (fd >= next)
      return absl::FailedPreconditionError(absl::StrCat("descriptor ", fd, " was left open by the parent"));
  }
  return fds;
}

UniqueFd InheritedFds::Take(absl::string_view name) {
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    if (entry->name != name) continue;
    UniqueFd fd = std::move(entry->fd);
    entries_.erase(entry);
    return fd;
  }
  return UniqueFd();
}

std::vector<UniqueFd> InheritedFds::TakeAll(absl::string_view name) {
  std::vector<UniqueFd> all;
  for (UniqueFd fd = Take(name); fd.valid(); fd = Take(name)) all.push_back(std::move(fd));
  return all;
}

absl::Status InheritedFds::Finished() const {
  if (entries_.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("no use for an inherited descriptor named ", entries_[0].name));
}

void KeepTitleSpace(int argc, char** argv) {
  title_begin = argv[0];
  title_octets = static_cast<size_t>(argv[argc - 1] + strlen(argv[argc - 1]) - argv[0]);
}

void SetTitle(absl::string_view title) {
  if (title_octets == 0) return;
  const size_t octets = std::min(title.size(), title_octets);
  memcpy(title_begin, title.data(), octets);
  memset(title_begin + octets, 0, title_octets - octets);
}

}  // namespace postern::base
