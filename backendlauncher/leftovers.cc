#include "backendlauncher/leftovers.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>

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

// The number at the beginning or the end of a field of /proc/PID/status.
template <typename Number>
bool ReadNumber(absl::string_view status, absl::string_view field, bool last, Number* number) {
  for (absl::string_view line : absl::StrSplit(status, '\n')) {
    if (!absl::ConsumePrefix(&line, field)) continue;
    const std::vector<absl::string_view> words = absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    return !words.empty() && absl::SimpleAtoi(last ? words.back() : words.front(), number);
  }
  return false;
}

// /proc numbers processes as the PID namespace that it was mounted in does, which is not ours: proc_pid_status(5),
// NSpid, whose last number is that of the innermost namespace. Pid -1: not to be known.
Child Look(absl::string_view proc_number) {
  const std::string status = ReadProc(absl::StrCat("/proc/", proc_number, "/status"));
  Child child = {-1, 0};
  if (!ReadNumber(status, "NSpid:", true, &child.pid) || !ReadNumber(status, "Uid:", false, &child.uid)) child.pid = -1;
  return child;
}

// The youngest stand last, and so do those that were handed to us.
std::vector<std::string> ProcNumbers() {
  return absl::StrSplit(ReadProc("/proc/thread-self/children"), ' ', absl::SkipWhitespace());
}

}  // namespace

std::vector<Child> UnknownChildren(size_t known_count, absl::FunctionRef<bool(pid_t)> known) {
  const std::vector<std::string> children = ProcNumbers();
  std::vector<Child> unknown;
  for (size_t i = children.size(); i-- > 0 && known_count + unknown.size() < children.size();) {
    const Child child = Look(children[i]);
    if (child.pid > 1 && !known(child.pid)) unknown.push_back(child);
  }
  return unknown;
}

std::set<uid_t> UsersOf(absl::FunctionRef<bool(pid_t)> counts) {
  std::set<uid_t> users;
  for (const std::string& number : ProcNumbers()) {
    const Child child = Look(number);
    if (child.pid > 1 && counts(child.pid)) users.insert(child.uid);
  }
  return users;
}

}  // namespace postern::backendlauncher
