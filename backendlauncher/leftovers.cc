#include "backendlauncher/leftovers.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace postern::backendlauncher {
namespace {

std::string ReadProc(const std::string& path) {
  const base::UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  char buffer[4096];
  for (ssize_t octets; file.valid() && (octets = read(file.get(), buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<size_t>(octets));
  return text;
}

// /proc numbers processes as the PID namespace that it was mounted in does, which is not ours: proc_pid_status(5),
// NSpid, whose last number is that of the innermost namespace. -1: not to be known.
pid_t OwnNumber(absl::string_view proc_number) {
  const std::string status = ReadProc(absl::StrCat("/proc/", proc_number, "/status"));
  for (absl::string_view line : absl::StrSplit(status, '\n')) {
    if (!absl::ConsumePrefix(&line, "NSpid:")) continue;
    const absl::string_view last = line.substr(line.find_last_of(" \t") + 1);
    pid_t pid;
    return absl::SimpleAtoi(last, &pid) ? pid : -1;
  }
  return -1;
}

}  // namespace

std::vector<pid_t> UnknownChildren(size_t known_count, absl::FunctionRef<bool(pid_t)> known) {
  const std::string text = ReadProc("/proc/thread-self/children");
  const std::vector<absl::string_view> children = absl::StrSplit(text, ' ', absl::SkipWhitespace());
  std::vector<pid_t> unknown;
  // The youngest stand last, and so do those that were handed to us.
  for (size_t i = children.size(); i-- > 0 && known_count + unknown.size() < children.size();) {
    const pid_t pid = OwnNumber(children[i]);
    if (pid > 1 && !known(pid)) unknown.push_back(pid);
  }
  return unknown;
}

}  // namespace postern::backendlauncher
